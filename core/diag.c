/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "core/value.h"

/* Code points of a source line that are shown, and how many stand before the underlined place. */
#define SHOWN_MAX   160U
#define SHOWN_FIRST 60U

/* Carets under one place; longer ones say no more. */
#define CARETS_MAX 60U

#define ESC_RESET "\x1b[0m"
#define ESC_DIM   "\x1b[2m"

static const struct {
    const char *name;
    const char *colour;
} levels[] = {
    [DIAG_ERROR] = { "error", "\x1b[31m" },
    [DIAG_WARNING] = { "warning", "\x1b[33m" },
    [DIAG_INFO] = { "info", "\x1b[34m" },
    [DIAG_DEPRECATION] = { "deprecation", "\x1b[33m" },
};

struct diag_list diag_list_new(struct arena *arena, const char *file)
{
    return (struct diag_list){ .arena = arena, .file = arena_strdup(arena, file) };
}

const char *diag_level_name(enum diag_level level)
{
    return levels[level].name;
}

bool diag_is_full(const struct diag_list *list)
{
    return list->all.count >= DIAG_LIST_MAX;
}

struct diag *diag_add(struct diag_list *list,
                      enum diag_level level,
                      enum diag_stage stage,
                      const char *code,
                      const struct value *at,
                      const char *path,
                      const char *format,
                      ...)
{
    if (level == DIAG_ERROR)
        list->errors++;
    else if (level == DIAG_WARNING)
        list->warnings++;
    if (diag_is_full(list)) {
        list->dropped++;
        if (list->spare == NULL)
            list->spare = ARENA_NEW(list->arena, struct diag);
        *list->spare = (struct diag){ .level = level, .code = code, .path = "", .message = "" };
        return list->spare;
    }
    struct diag *diag = VEC_PUSH_ARENA(list->arena, &list->all);
    diag->level = level;
    diag->stage = stage;
    diag->code = code;
    diag->file = list->file;
    diag->line = at == NULL ? 0 : at->line;
    diag->column = at == NULL ? 0 : at->column;
    diag->width = 1;
    diag->path = path == NULL ? "" : arena_strdup(list->arena, path);
    va_list args;
    va_start(args, format);
    diag->message = arena_vprintf(list->arena, format, args);
    va_end(args);
    return diag;
}

void diag_point(struct diag *diag, const struct value_member *key)
{
    if (key == NULL || key->line == 0)
        return;
    diag->line = key->line;
    diag->column = key->column;
    diag->width = 0;
    for (const char *at = key->key; at < key->key + key->key_length; diag->width++)
        (void)utf8_next(&at, key->key + key->key_length);
    if (diag->width == 0)
        diag->width = 1;
}

struct ranked {
    struct diag diag;
    size_t rank;
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left;
    const struct ranked *b = right;
    int files =
        strcmp(a->diag.file == NULL ? "" : a->diag.file, b->diag.file == NULL ? "" : b->diag.file);
    if (files != 0)
        return files;
    if (a->diag.line != b->diag.line)
        return a->diag.line < b->diag.line ? -1 : 1;
    if (a->diag.column != b->diag.column)
        return a->diag.column < b->diag.column ? -1 : 1;
    return a->rank < b->rank ? -1 : 1;
}

void diag_sort(struct diag_list *list)
{
    if (list->all.count < 2)
        return;
    struct ranked *ranked = check_calloc(list->all.count, sizeof(struct ranked));
    for (size_t i = 0; i < list->all.count; i++)
        ranked[i] = (struct ranked){ .diag = list->all.items[i], .rank = i };
    qsort(ranked, list->all.count, sizeof(struct ranked), compare_ranked);
    for (size_t i = 0; i < list->all.count; i++)
        list->all.items[i] = ranked[i].diag;
    free(ranked);
}

/* ---- rendering ---- */

struct text {
    const char *bytes; /* NULL: there is no such line */
    size_t length;
};

static struct text source_line(const char *source, uint32_t line)
{
    if (source == NULL || line == 0)
        return (struct text){ NULL, 0 };
    const char *at = source;
    for (uint32_t i = 1; i < line; i++) {
        at = strchr(at, '\n');
        if (at == NULL)
            return (struct text){ NULL, 0 };
        at++;
    }
    size_t length = strcspn(at, "\n");
    if (length > 0 && at[length - 1] == '\r')
        length--;
    return (struct text){ at, length };
}

static size_t code_points(struct text text)
{
    size_t count = 0;
    for (const char *at = text.bytes; at < text.bytes + text.length; count++)
        (void)utf8_next(&at, text.bytes + text.length);
    return count;
}

/*
 * Shows code points [from, from + SHOWN_MAX). blank: as the white space that stands below them,
 * only up to `until`. What a terminal would obey becomes '?'.
 */
static void put_shown(struct buf *out, struct text text, size_t from, size_t until, bool blank)
{
    size_t index = 0;
    const char *end = text.bytes + text.length;
    for (const char *at = text.bytes; at < end && index < until; index++) {
        const char *before = at;
        uint32_t point = utf8_next(&at, end);
        if (index < from)
            continue;
        if (point == '\t')
            buf_putc(out, '\t');
        else if (blank)
            buf_putc(out, ' ');
        else if (point < 0x20 || (point >= 0x7f && point < 0xa0) ||
                 (point == 0xfffd && at - before == 1))
            buf_putc(out, '?');
        else
            buf_add(out, before, (size_t)(at - before));
    }
    // a place behind the end of the line
    for (; blank && index < until; index++)
        buf_putc(out, ' ');
}

struct view {
    struct buf *out;
    const struct diag *diag;
    const char *source;
    bool colour;
    int gutter; /* digits of a line number */
};

static void put_gutter(struct view *view, uint32_t line)
{
    if (view->colour)
        buf_puts(view->out, ESC_DIM);
    if (line == 0)
        buf_printf(view->out, "%*s |", view->gutter, "");
    else
        buf_printf(view->out, "%*u |", view->gutter, line);
    if (view->colour)
        buf_puts(view->out, ESC_RESET);
}

static void put_source_line(struct view *view, uint32_t line, struct text text, size_t from)
{
    put_gutter(view, line);
    if (text.length > 0) {
        buf_putc(view->out, ' ');
        if (from > 0)
            buf_puts(view->out, "…");
        put_shown(view->out, text, from, from + SHOWN_MAX, false);
        if (code_points(text) > from + SHOWN_MAX)
            buf_puts(view->out, "…");
    }
    buf_putc(view->out, '\n');
}

static void put_source(struct view *view, struct text marked)
{
    const struct diag *diag = view->diag;
    size_t column = diag->column == 0 ? 0 : diag->column - 1;
    size_t from = column < SHOWN_MAX - SHOWN_FIRST ? 0 : column - SHOWN_FIRST;

    put_gutter(view, 0);
    buf_putc(view->out, '\n');
    struct text before = source_line(view->source, diag->line - 1);
    if (before.bytes != NULL)
        put_source_line(view, diag->line - 1, before, from);
    put_source_line(view, diag->line, marked, from);
    if (diag->column == 0)
        return;

    put_gutter(view, 0);
    buf_puts(view->out, from > 0 ? "  " : " ");
    put_shown(view->out, marked, from, column, true);
    if (view->colour)
        buf_puts(view->out, levels[diag->level].colour);
    uint32_t width = diag->width < CARETS_MAX ? diag->width : CARETS_MAX;
    for (uint32_t i = 0; i == 0 || i < width; i++)
        buf_putc(view->out, '^');
    if (diag->advice != NULL)
        buf_printf(view->out, " %s", diag->advice);
    if (view->colour)
        buf_puts(view->out, ESC_RESET);
    buf_putc(view->out, '\n');
}

static void put_note(struct view *view, const char *label, const char *text)
{
    buf_printf(view->out, "%*s = %s%s\n", view->gutter, "", label, text);
}

void diag_render(struct buf *out, const struct diag *diag, const char *source, bool colour)
{
    struct view view = { .out = out, .diag = diag, .source = source, .colour = colour };
    char digits[16];
    view.gutter = diag->line == 0 ? 1 : snprintf(digits, sizeof(digits), "%u", diag->line);

    if (colour)
        buf_puts(out, levels[diag->level].colour);
    buf_puts(out, levels[diag->level].name);
    if (colour)
        buf_puts(out, ESC_RESET);
    buf_printf(out, ": %s\n", diag->message);

    if (diag->file != NULL || diag->line != 0) {
        buf_printf(out, "%*s--> %s", view.gutter, "", diag->file == NULL ? "" : diag->file);
        if (diag->line != 0)
            buf_printf(out, "%s%u:%u", diag->file == NULL ? "" : ":", diag->line,
                       diag->column == 0 ? 1 : diag->column);
        buf_putc(out, '\n');
    }

    struct text marked = source_line(source, diag->line);
    if (marked.bytes != NULL)
        put_source(&view, marked);
    bool advised = marked.bytes != NULL && diag->column != 0;
    if (diag->advice != NULL && !advised)
        put_note(&view, "", diag->advice);
    if (diag->see != NULL) {
        if (marked.bytes != NULL) {
            put_gutter(&view, 0);
            buf_putc(out, '\n');
        }
        put_note(&view, "see: ", diag->see);
    }
}

const struct value *diag_to_value(struct arena *arena, const struct diag *diag)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "level", levels[diag->level].name);
    value_put_text(&map, "code", diag->code);
    value_put_text(&map, "file", diag->file);
    if (diag->line != 0) {
        value_put_int(&map, "line", diag->line);
        value_put_int(&map, "column", diag->column);
        value_put_int(&map, "width", diag->width);
    }
    value_put_text(&map, "path", diag->path);
    value_put_text(&map, "message", diag->message);
    value_put_text(&map, "advice", diag->advice);
    value_put_text(&map, "see", diag->see);
    return value_build_map(&map);
}

/* ---- API answers ---- */

static const char *api_text(const struct diag *diag)
{
    return diag->api != NULL ? diag->api : diag->message;
}

static void put_separator(struct buf *out, size_t start, const char *separator)
{
    if (out->length > start)
        buf_puts(out, separator);
}

static void put_syntax(struct buf *out, const struct diag_list *list)
{
    for (size_t i = 0; i < list->all.count; i++) {
        const struct diag *diag = &list->all.items[i];
        if (diag->level != DIAG_ERROR || diag->stage != DIAG_SYNTAX)
            continue;
        put_separator(out, 0, "\n");
        buf_printf(out, "Illegal flow source: %s", api_text(diag));
        if (diag->line != 0)
            buf_printf(out, " (at line %u)", diag->line);
    }
}

static void put_model(struct buf *out, const struct diag_list *list)
{
    for (size_t i = 0; i < list->all.count; i++) {
        const struct diag *diag = &list->all.items[i];
        if (diag->level != DIAG_ERROR || diag->stage == DIAG_SYNTAX || diag->stage == DIAG_RULE)
            continue;
        put_separator(out, 0, "\n");
        if (diag->stage == DIAG_CONSTRAINT && diag->path[0] != '\0')
            buf_printf(out, "%s: ", diag->path);
        buf_puts(out, api_text(diag));
    }
}

static void put_rules(struct buf *out, const struct diag_list *list)
{
    struct buf rules = { 0 };
    for (size_t i = 0; i < list->all.count; i++) {
        const struct diag *diag = &list->all.items[i];
        if (diag->level != DIAG_ERROR || diag->stage != DIAG_RULE)
            continue;
        put_separator(&rules, 0, ", ");
        buf_puts(&rules, api_text(diag));
    }
    if (rules.length > 0) {
        put_separator(out, 0, "\n");
        buf_printf(out, "Invalid Flow: %s", rules.bytes);
    }
    buf_free(&rules);
}

char *diag_constraints(const struct diag_list *list, bool prefixed)
{
    if (list->errors == 0)
        return NULL;
    struct buf syntax = { 0 };
    struct buf model = { 0 };
    put_syntax(&syntax, list);
    put_model(&model, list);
    put_rules(&model, list);
    if (model.length > 0) {
        put_separator(&syntax, 0, "\n");
        if (prefixed)
            buf_puts(&syntax, "Validation error: ");
        buf_add(&syntax, model.bytes, model.length);
    }
    char *text = buf_dup(&syntax, list->arena);
    buf_free(&syntax);
    buf_free(&model);
    return text;
}
