/* SPDX-License-Identifier: Apache-2.0 */
#include "core/expr/builtin.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/expr/expr.h"

static const struct builtin_table *const tables[] = {
    &functions_general, &functions_data, &functions_calendar, &functions_crypto,
    &functions_effect,  &filters_text,   &filters_regex,      &filters_list,
    &filters_number,    &filters_data,   &filters_date,       &tests_all,
};

/* A kind as people call it. */
static const char *kind_name(enum node_kind kind)
{
    return kind == NODE_FUNCTION ? "function" : kind == NODE_FILTER ? "filter" : "test";
}

static bool is_named(const char *text, const struct name *name)
{
    return strncmp(text, name->text, name->length) == 0 && text[name->length] == '\0';
}

const struct builtin *builtin_find(enum node_kind kind, const struct name *name)
{
    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        if (tables[t]->kind != kind)
            continue;
        for (size_t i = 0; i < tables[t]->count; i++) {
            if (is_named(tables[t]->rows[i].name, name))
                return &tables[t]->rows[i];
        }
    }
    return NULL;
}

const char *builtin_nearest(struct arena *arena, enum node_kind kind, const struct name *name)
{
    const char *names[256];
    size_t count = 0;
    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        for (size_t i = 0; tables[t]->kind == kind && i < tables[t]->count; i++) {
            CHECK(count < COUNT_OF(names));
            names[count++] = tables[t]->rows[i].name;
        }
    }
    return str_nearest(arena_strndup(arena, name->text, name->length), names, count);
}

/* ---- parameters ---- */

/* The next name of a parameter text; false at its end. */
static bool next_parameter(const char **at, struct name *name)
{
    while (**at == ' ' || **at == ',')
        (*at)++;
    if (**at == '\0')
        return false;
    const char *start = *at;
    size_t length = strcspn(start, " ,=");
    *name = (struct name){ start, (uint32_t)length };
    *at = start + strcspn(start, ",");
    return true;
}

/* Index of the named parameter; -1 when there is none. */
static int32_t parameter_index(const char *params, const struct name *wanted)
{
    struct name name;
    for (int32_t i = 0; next_parameter(&params, &name); i++) {
        if (name.length == wanted->length && memcmp(name.text, wanted->text, name.length) == 0)
            return i;
    }
    return -1;
}

static uint32_t parameter_count(const char *params)
{
    struct name name;
    uint32_t count = 0;
    while (next_parameter(&params, &name))
        count++;
    return count;
}

void builtin_bind(struct arena *arena, enum node_kind kind, struct call_node *call)
{
    call->builtin = builtin_find(kind, &call->name);
    if (call->builtin == NULL)
        return;
    const char *params = call->builtin->params;
    uint32_t most = parameter_count(params);
    CHECK(most <= BUILTIN_PARAMS_MAX);
    for (uint32_t i = 0; i < call->count; i++) {
        struct argument *argument = &call->arguments[i];
        argument->slot = -1;
        if (most == 0)
            continue; // takes none and ignores what it is given
        if (argument->name.length > 0) {
            argument->slot = parameter_index(params, &argument->name);
            if (argument->slot < 0)
                call->mistake =
                    arena_printf(arena, "%s '%s' has no argument '%.*s', it takes (%s)",
                                 kind_name(kind), call->builtin->name,
                                 argument->name.length > 40 ? 40 : (int)argument->name.length,
                                 argument->name.text, params);
        } else if (i < most || (call->builtin->flags & BUILTIN_VARIADIC) != 0) {
            argument->slot = (int32_t)i;
        } else {
            call->mistake = arena_printf(arena, "%s '%s' takes (%s), not %u arguments",
                                         kind_name(kind), call->builtin->name, params, call->count);
        }
    }
}

/* ---- the list for people ---- */

/* Lives as long as the process; kept in sight of the leak checker. */
__attribute__((used)) static struct arena *builtins_arena;
static struct expr_builtin *builtins;
static size_t builtins_count;

static void list_builtins(void)
{
    struct arena *arena = arena_new();
    builtins_arena = arena;
    for (size_t t = 0; t < COUNT_OF(tables); t++)
        builtins_count += tables[t]->count;
    builtins = ARENA_ARRAY(arena, builtins_count, struct expr_builtin);
    size_t at = 0;
    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct builtin *row = &tables[t]->rows[i];
            bool bare = *row->params == '\0' && tables[t]->kind != NODE_FUNCTION;
            builtins[at++] = (struct expr_builtin){
                .name = row->name,
                .kind = kind_name(tables[t]->kind),
                .signature =
                    bare ? row->name : arena_printf(arena, "%s(%s)", row->name, row->params),
                .doc = row->doc,
            };
        }
    }
}

const struct expr_builtin *expr_builtins(size_t *count)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, list_builtins);
    *count = builtins_count;
    return builtins;
}
