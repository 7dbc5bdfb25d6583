/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of executions as a damaged disk would give them: a header, then task runs, each with a
 * length byte pair in front. What is accepted must be written the same again, and must survive the
 * engine.
 */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "core/value.h"
#include "core/value_codec.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/execution.h"
#include "runtime/plugins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes the next part: two bytes of length, then that many. */
static const uint8_t *take(const uint8_t **data, size_t *size, size_t *length)
{
    if (*size < 2)
        return NULL;
    *length = (size_t)(*data)[0] | (size_t)(*data)[1] << 8;
    *data += 2;
    *size -= 2;
    *length = *length > *size ? *size : *length;
    const uint8_t *part = *data;
    *data += *length;
    *size -= *length;
    return part;
}

static void fuzz_value(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    const struct value *value = value_decode(arena, data, size, NULL);
    if (value != NULL) {
        struct buf first = { 0 };
        struct buf second = { 0 };
        CHECK(value_can_encode(value));
        value_encode(&first, value);
        const struct value *again = value_decode(arena, first.bytes, first.length, NULL);
        CHECK(again != NULL);
        value_encode(&second, again);
        CHECK(first.length == second.length);
        CHECK(memcmp(first.bytes, second.bytes, first.length) == 0);
        buf_free(&first);
        buf_free(&second);
    }
    arena_free(arena);
}

static void step(struct execution *execution, enum event_type type)
{
    struct arena *scratch = arena_new();
    struct arena *commands_arena = arena_new();
    struct command_list commands = { .arena = commands_arena };
    struct engine_world world = { .plugins = plugins(), .zone = "UTC" };
    struct event event = { .type = type, .at = 1 };
    engine_step(execution, &event, &world, scratch, &commands);
    arena_free(commands_arena);
    arena_free(scratch);
}

static void fuzz_execution(const uint8_t *data, size_t size)
{
    size_t length = 0;
    const uint8_t *part = take(&data, &size, &length);
    struct execution *execution = part == NULL ? NULL : execution_decode(part, length, NULL, NULL);
    if (execution == NULL)
        return;
    while ((part = take(&data, &size, &length)) != NULL)
        (void)task_run_decode(execution, part, length, NULL);
    execution_link(execution);
    struct buf row = { 0 };
    execution_encode(&row, execution);
    struct execution *again = execution_decode(row.bytes, row.length, NULL, NULL);
    CHECK(again != NULL);
    struct arena *arena = arena_new();
    (void)execution_to_value(execution, arena);
    step(execution, EVENT_RECOVER);
    arena_free(arena);
    execution_free(again);
    execution_free(execution);
    buf_free(&row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        fuzz_value(data + 1, size - 1);
    else
        fuzz_execution(data + 1, size - 1);
    return 0;
}
