/* SPDX-License-Identifier: Apache-2.0 */
/* Entry points, budgets, and what goes into a program. */
#include "core/jq/jq.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "core/jq/jq_internal.h"

/* ---- stopping ---- */

bool jq_fail_value(struct jq *jq, const struct value *error)
{
    jq->stop = JQ_ERROR;
    jq->error = error;
    return false;
}

bool jq_fail(struct jq *jq, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return jq_fail_value(jq, value_string(jq->arena, text));
}

bool jq_stop_at_limit(struct jq *jq, const char *why)
{
    jq->stop = JQ_LIMIT;
    jq->limit = why;
    return false;
}

bool jq_charge(struct jq *jq, uint64_t steps)
{
    if (steps > jq->budget->steps) {
        jq->budget->steps = 0;
        return jq_stop_at_limit(jq, "the jq program takes too many steps");
    }
    jq->budget->steps -= steps;
    if (arena_bytes(jq->arena) > jq->budget->memory_max)
        return jq_stop_at_limit(jq, "the jq program takes too much memory");
    return true;
}

static bool measure(struct jq *jq, const struct value *value, unsigned depth)
{
    if (depth > JQ_DEPTH_MAX)
        return jq_stop_at_limit(jq, "the jq program builds values that are nested too deeply");
    if (!jq_charge(jq, 1))
        return false;
    if (value->kind == VALUE_LIST) {
        for (size_t i = 0; i < value->list.count; i++) {
            if (!measure(jq, value->list.items[i], depth + 1))
                return false;
        }
    } else if (value->kind == VALUE_MAP) {
        for (size_t i = 0; i < value->map.count; i++) {
            if (!measure(jq, value->map.members[i].value, depth + 1))
                return false;
        }
    }
    return true;
}

bool jq_measure(struct jq *jq, const struct value *value)
{
    return measure(jq, value, 0);
}

/* ---- entry points ---- */

/* Fills the error of a run that stopped. */
static void describe(struct jq *jq, struct error *err)
{
    if (jq->stop == JQ_LIMIT) {
        (void)error_set(err, ERR_LIMIT, "%s", jq->limit);
        return;
    }
    if (jq->stop != JQ_ERROR) {
        (void)error_set(err, ERR_INTERNAL, "the jq program stopped for no reason");
        return;
    }
    const struct value *text = jq->error;
    if (text->kind != VALUE_STRING) {
        jq->stop = JQ_RUNNING;
        text = jq_to_json(jq, text);
    }
    (void)error_set(err, ERR_INVALID, "jq: %s",
                    text == NULL ? "an error too large to show" : text->string.bytes);
}

const struct value *jq_run(struct arena *arena,
                           const char *program,
                           size_t length,
                           const struct value *input,
                           struct jq_budget *budget,
                           struct error *err)
{
    struct jq jq = { .arena = arena, .budget = budget, .stack = __builtin_frame_address(0) };
    const struct jq_node *node = jq_parse(arena, program, length, err);
    if (node == NULL)
        return NULL;
    const struct value *results = NULL;
    if (jq_charge(&jq, length / 8))
        results = jq_collect(&jq, node, NULL, input);
    if (results == NULL || !jq_measure(&jq, results)) {
        describe(&jq, err);
        return NULL;
    }
    return results;
}

static const struct value *convert(struct jq *jq, const struct value *value, unsigned depth);

static const struct value *convert_list(struct jq *jq, const struct value *list, unsigned depth)
{
    const struct value **items = ARENA_ARRAY(jq->arena, list->list.count, const struct value *);
    bool changed = false;
    for (size_t i = 0; i < list->list.count; i++) {
        items[i] = convert(jq, list->list.items[i], depth + 1);
        if (items[i] == NULL)
            return NULL;
        changed = changed || items[i] != list->list.items[i];
    }
    return changed ? value_list(jq->arena, items, list->list.count) : list;
}

static const struct value *convert_map(struct jq *jq, const struct value *map, unsigned depth)
{
    struct value_builder builder = value_build(jq->arena);
    bool changed = false;
    for (size_t i = 0; i < map->map.count; i++) {
        const struct value_member *m = &map->map.members[i];
        changed = changed || value_is_null(m->value);
        if (value_is_null(m->value))
            continue;
        const struct value *value = convert(jq, m->value, depth + 1);
        if (value == NULL)
            return NULL;
        changed = changed || value != m->value;
        value_put_n(&builder, m->key, m->key_length, value);
    }
    return changed ? value_build_map(&builder) : map;
}

/* The display form of scalars that jq does not know. */
static const struct value *convert_text(struct jq *jq, const struct value *value)
{
    struct buf buf = { 0 };
    value_write_display(&buf, value);
    const struct value *text = value_string_n(jq->arena, buf_text(&buf), buf.length);
    buf_free(&buf);
    return text;
}

static const struct value *convert(struct jq *jq, const struct value *value, unsigned depth)
{
    double number = 0;
    if (depth > JQ_DEPTH_MAX) {
        (void)jq_stop_at_limit(jq, "the input of the jq program is nested too deeply");
        return NULL;
    }
    if (!jq_charge(jq, 1))
        return NULL;
    switch ((enum value_kind)value->kind) {
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_DOUBLE:
    case VALUE_BIGINT:
    case VALUE_STRING:
        return value;
    case VALUE_FLOAT32: // by its shortest text: 0.1, not 0.10000000149011612
        return value_double(jq->arena, strtod(convert_text(jq, value)->string.bytes, NULL));
    case VALUE_DECIMAL:
        (void)value_to_double(value, &number);
        return value_double(jq->arena, number);
    case VALUE_LIST:
        return convert_list(jq, value, depth);
    case VALUE_MAP:
        return convert_map(jq, value, depth);
    case VALUE_LAZY:
        return convert(jq, value_force(jq->arena, value), depth);
    case VALUE_DURATION:
        return jq_number(jq, (double)value->time->at / 1e6);
    case VALUE_ENTRY:
        return convert(jq, value_with(jq->arena, NULL, value->entry.key, value->entry.value),
                       depth);
    case VALUE_INSTANT:
    case VALUE_ZONED:
    case VALUE_LOCAL_DATETIME:
    case VALUE_LOCAL_DATE:
    case VALUE_LOCAL_TIME:
    case VALUE_URI:
    case VALUE_BYTES:
        return convert_text(jq, value);
    }
    return value;
}

const struct value *jq_input(struct arena *arena,
                             const struct value *value,
                             struct jq_budget *budget,
                             struct error *err)
{
    struct jq jq = { .arena = arena, .budget = budget, .stack = __builtin_frame_address(0) };
    const struct value *converted = convert(&jq, value, 0);
    if (converted == NULL)
        describe(&jq, err);
    return converted;
}
