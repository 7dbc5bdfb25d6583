/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions inside a document: their syntax, and where a mistake stands in the source. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/prop_internal.h"

/* Start of a line of the source; NULL when there are not so many. */
static const char *line_start(const struct check_scope *scope, uint32_t line)
{
    const char *at = scope->source;
    const char *end = at + scope->source_length;
    for (uint32_t i = 1; i < line; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL)
            return NULL;
        at++;
    }
    return at < end ? at : NULL;
}

/* Columns before the first thing on a line. */
static uint32_t indent_of(const struct check_scope *scope, uint32_t line)
{
    const char *at = line_start(scope, line);
    uint32_t indent = 0;
    while (at != NULL && at < scope->source + scope->source_length && *at == ' ') {
        at++;
        indent++;
    }
    return indent;
}

/*
 * Where line and column inside a text stand in the document. Exact for plain and quoted texts on
 * one line without escapes, and for literal blocks; the start of the text otherwise.
 */
static void place(const struct check_scope *scope,
                  struct diag *diag,
                  const struct value *value,
                  uint32_t line,
                  uint32_t column)
{
    if (scope->source == NULL || value->line == 0 || line == 0)
        return;
    const char *at = line_start(scope, value->line);
    const char *end = scope->source + scope->source_length;
    for (uint32_t i = 1; at != NULL && i < value->column && at < end; i++) {
        // columns count characters, bytes after the first of a character are skipped
        at++;
        while (at < end && ((unsigned char)*at & 0xc0U) == 0x80U)
            at++;
    }
    if (at == NULL || at >= end)
        return;
    if (*at == '|') {
        diag->line = value->line + line;
        diag->column = indent_of(scope, value->line + 1) + column;
    } else if (line == 1 && *at != '>') {
        diag->column = value->column + column - 1 + (*at == '"' || *at == '\'' ? 1 : 0);
    }
}

/* Mistakes fail the task that has them, not the flow: such flows were always accepted. */
void check_expression(const struct check_scope *scope,
                      const struct value *value,
                      const struct doc_path *path)
{
    struct arena_mark mark = arena_mark(scope->scratch);
    struct error err = { 0 };
    if (expr_compile(scope->scratch, value->string.bytes, value->string.length, &err) == NULL) {
        struct diag *diag =
            diag_add(scope->findings, DIAG_WARNING, DIAG_CONSTRAINT, "expression-syntax", value,
                     doc_path_text(scope->findings->arena, path), "%s", err.text);
        place(scope, diag, value, err.line, err.column);
    }
    arena_rewind(scope->scratch, mark);
}

void check_expression_tree(const struct check_scope *scope,
                           const struct value *value,
                           const struct doc_path *path)
{
    if (value_is_string(value) && prop_is_dynamic(value->string.bytes))
        check_expression(scope, value, path);
    for (size_t i = 0; value_is_list(value) && i < value->list.count; i++) {
        struct doc_path at = { .parent = path, .index = i };
        check_expression_tree(scope, value->list.items[i], &at);
    }
    for (size_t i = 0; value_is_map(value) && i < value->map.count; i++) {
        struct doc_path at = { .parent = path, .key = value->map.members[i].key };
        check_expression_tree(scope, value->map.members[i].value, &at);
    }
}
