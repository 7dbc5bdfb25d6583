/* SPDX-License-Identifier: Apache-2.0 */
/* Functions about the rendering itself, numbers, and identifiers. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/expr/date.h"
#include "core/expr/eval.h"

#define NANO_ID_MAX  1000
#define KSUID_EPOCH  1400000000LL
#define KSUID_LENGTH 27

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* ---- the template ---- */

static const struct value *run_block(struct call *call)
{
    const struct value *name = NULL;
    if (!call_text(call, 0, &name))
        return NULL;
    const struct expr *expr = call->ev->expr;
    for (size_t i = 0; name != NULL && i < expr->block_count; i++) {
        const struct block *block = &expr->blocks[i];
        if (block->name.length == name->string.length &&
            memcmp(block->name.text, name->string.bytes, block->name.length) == 0)
            return eval_captured(call->ev, &block->body);
    }
    return &value_empty_string;
}

static const struct value *run_parent(struct call *call)
{
    return call_fail(call, "there are no parent templates here");
}

static const struct value *run_context(struct call *call)
{
    return eval_context(call->ev, false);
}

static const struct value *rendered(struct call *call, bool recursive)
{
    if (call->args[0] == NULL)
        return call_fail(call, "argument 'toRender' is missing");
    return render_value(call->ev, call->node, call->args[0], recursive);
}

static const struct value *run_render(struct call *call)
{
    const struct value *recursive = call->args[1];
    if (recursive != NULL && recursive->kind != VALUE_BOOL)
        return call_fail(call, "argument 'recursive' must be true or false");
    return rendered(call, recursive == NULL || recursive->boolean);
}

static const struct value *run_render_once(struct call *call)
{
    return rendered(call, false);
}

/* ---- numbers ---- */

static const struct value *extreme(struct call *call, bool largest)
{
    const struct value *best = NULL;
    if (call->count == 0)
        return &value_null;
    if (call->count == 1)
        return call->args[0];
    for (size_t i = 0; i < call->count; i++) {
        const struct value *value = call_arg(call, i);
        if (value == NULL)
            continue;
        if (best != NULL && !(value_is_number(value) && value_is_number(best)))
            return call_fail(call, "needs numbers, not %s",
                             value_kind_name(value_is_number(value) ? best : value));
        int order = best == NULL ? 0 : compare_numbers(value, best);
        if (best == NULL || (largest ? order > 0 : order < 0))
            best = value;
    }
    return best == NULL ? &value_null : best;
}

static const struct value *run_max(struct call *call)
{
    return extreme(call, true);
}

static const struct value *run_min(struct call *call)
{
    return extreme(call, false);
}

static const struct value *run_range(struct call *call)
{
    const struct value *start = call_arg(call, 0);
    const struct value *end = call_arg(call, 1);
    int64_t increment = 0;
    if (start == NULL || end == NULL)
        return call_fail(call, "arguments 'start' and 'end' must not be missing or null");
    if (!call_count(call, 2, 1, &increment))
        return NULL;
    return range(call->ev, call->node, start, end, increment);
}

static const struct value *run_random_int(struct call *call)
{
    int64_t lower = 0;
    int64_t upper = 0;
    if (call_arg(call, 0) == NULL || call_arg(call, 1) == NULL)
        return call_fail(call, "arguments 'lower' and 'upper' must not be missing");
    if (!call_int(call, 0, 0, &lower) || !call_int(call, 1, 0, &upper))
        return NULL;
    if (upper < lower)
        return call_fail(call, "'upper' is less than 'lower'");
    uint64_t span = (uint64_t)upper - (uint64_t)lower;
    uint64_t offset = rng_below(&call->ev->run->rng, span);
    return value_int(call->ev->arena, (int64_t)((uint64_t)lower + offset));
}

/* A port that nobody listens on at the moment. */
static const struct value *run_random_port(struct call *call)
{
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return call_fail(call, "no port is free");
    return value_int(call->ev->arena, ntohs(address.sin_port));
}

/* ---- identifiers ---- */

/* Digits of a large number, base 62, of exactly so many characters. */
static const struct value *in_base62(struct call *call, uint8_t *number, size_t bytes, size_t count)
{
    char text[64];
    CHECK(count < sizeof(text));
    for (size_t i = count; i-- > 0;) {
        unsigned rest = 0;
        for (size_t j = 0; j < bytes; j++) {
            unsigned part = rest << 8 | number[j];
            number[j] = (uint8_t)(part / 62);
            rest = part % 62;
        }
        text[i] = base62[rest];
    }
    return value_string_n(call->ev->arena, text, count);
}

static void fill_random(struct call *call, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(rng_next(&call->ev->run->rng) >> 32);
}

static const struct value *run_id(struct call *call)
{
    uint8_t number[16];
    fill_random(call, number, sizeof(number));
    return in_base62(call, number, sizeof(number), 22);
}

static const struct value *run_ksuid(struct call *call)
{
    uint8_t number[20];
    int64_t seconds = call->ev->run->env->now / USEC_SEC - KSUID_EPOCH;
    for (size_t i = 0; i < 4; i++)
        number[i] = (uint8_t)((uint64_t)seconds >> (24 - 8 * i));
    fill_random(call, number + 4, 16);
    return in_base62(call, number, sizeof(number), KSUID_LENGTH);
}

static const struct value *run_nano_id(struct call *call)
{
    static const char letters[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    const struct value *alphabet = NULL;
    int64_t length = 0;
    if (!call_int(call, 0, 21, &length) || !call_text(call, 1, &alphabet))
        return NULL;
    if (length < 1 || length > NANO_ID_MAX)
        return call_fail(call, "argument 'length' must be between 1 and %d", NANO_ID_MAX);
    const char *from = alphabet == NULL ? letters : alphabet->string.bytes;
    size_t size = alphabet == NULL ? strlen(letters) : alphabet->string.length;
    size_t count = 0;
    for (const char *at = from; at < from + size; count++)
        (void)utf8_next(&at, from + size);
    if (count == 0)
        return call_fail(call, "argument 'alphabet' must not be empty");
    if (!charge(call->ev, call->node, (uint64_t)length * (count / 64 + 1)))
        return NULL;
    struct buf buf = { 0 };
    for (int64_t i = 0; i < length; i++) {
        uint64_t pick = rng_below(&call->ev->run->rng, count);
        const char *at = from;
        for (; pick > 0; pick--)
            (void)utf8_next(&at, from + size);
        const char *end = at;
        (void)utf8_next(&end, from + size);
        buf_add(&buf, at, (size_t)(end - at));
    }
    return text_of(call->ev, call->node, &buf);
}

/* Version 7: 48 bits of milliseconds, then random bits. */
static const struct value *run_uuid(struct call *call)
{
    uint8_t bytes[16];
    uint64_t millis = (uint64_t)(call->ev->run->env->now / USEC_MSEC);
    fill_random(call, bytes, sizeof(bytes));
    for (size_t i = 0; i < 6; i++)
        bytes[i] = (uint8_t)(millis >> (40 - 8 * i));
    bytes[6] = (uint8_t)(0x70U | (bytes[6] & 0x0fU));
    bytes[8] = (uint8_t)(0x80U | (bytes[8] & 0x3fU));
    struct buf buf = { 0 };
    for (size_t i = 0; i < sizeof(bytes); i++)
        buf_printf(&buf, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes[i]);
    return text_of(call->ev, call->node, &buf);
}

/* ---- time ---- */

static const struct value *run_now(struct call *call)
{
    struct date_options options;
    if (!date_options(call, 0, 1, 2, 3, &options))
        return NULL;
    struct moment now = moment_at(call->ev->run->env->now, 0, options.tz);
    return date_text(call, &now, &options);
}

static const struct builtin rows[] = {
    { "block", "name", run_block, BUILTIN_NEEDS_FIRST, "Prints a block again." },
    { "fetchContext", "", run_context, 0, "All variables as a map." },
    { "id", "", run_id, 0, "A random identifier of 22 letters and digits." },
    { "ksuid", "", run_ksuid, 0, "A random identifier that sorts by time." },
    { "max", "values", run_max, BUILTIN_VARIADIC, "The largest number." },
    { "min", "values", run_min, BUILTIN_VARIADIC, "The smallest number." },
    { "nanoId", "length = 21, alphabet", run_nano_id, 0, "A random text of an alphabet." },
    { "now", "format = 'iso', timeZone, existingFormat, locale", run_now, 0,
      "The current time as text." },
    { "parent", "", run_parent, 0, "Always an error: templates have no parents here." },
    { "printContext", "", run_context, 0, "All variables as a map." },
    { "randomInt", "lower, upper", run_random_int, 0,
      "A random integer, from lower up to but not including upper." },
    { "randomPort", "", run_random_port, 0, "A TCP port that is free at the moment." },
    { "range", "start, end, increment = 1", run_range, 0,
      "A list of integers or characters, both ends included." },
    { "render", "toRender, recursive = true", run_render, 0,
      "Evaluates expressions inside a value, until nothing changes." },
    { "renderOnce", "toRender", run_render_once, 0, "Evaluates expressions inside a value once." },
    { "uuid", "", run_uuid, 0, "A random UUID that sorts by time." },
};

const struct builtin_table functions_general = { NODE_FUNCTION, rows, COUNT_OF(rows) };
