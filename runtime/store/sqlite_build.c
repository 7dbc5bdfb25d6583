/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/store/sqlite_build.h"

#include "base/arena.h"
#include "base/error.h"

/* Values of one list; more are a mistake of whoever built the query. */
#define PARAMETERS_MAX 2000

bool snapshot_begin(struct sqlite_reader *reader, bool *is_own, struct error *err)
{
    *is_own = !sql_in_transaction(reader->sql);
    return !*is_own || sql_begin(reader->sql, false, err);
}

void snapshot_end(struct sqlite_reader *reader, bool is_own)
{
    if (is_own)
        sql_rollback(reader->sql);
}

struct builder build(struct sqlite_reader *reader, struct arena *arena, const char *text)
{
    struct builder builder = { .reader = reader, .arena = arena, .text = &reader->text };
    buf_clear(&reader->text);
    buf_puts(&reader->text, text);
    return builder;
}

void add(struct builder *builder, const char *text)
{
    buf_puts(builder->text, text);
}

void add_text(struct builder *builder, const char *text)
{
    buf_putc(builder->text, '?');
    *VEC_PUSH_ARENA(builder->arena, &builder->parameters) = (struct parameter){ .text = text };
}

void add_int(struct builder *builder, int64_t number)
{
    buf_putc(builder->text, '?');
    *VEC_PUSH_ARENA(builder->arena, &builder->parameters) = (struct parameter){ .number = number };
}

struct sql_stmt *prepare(struct builder *builder, struct error *err)
{
    struct sql_stmt *stmt = sql_prepare(builder->reader->sql, buf_text(builder->text), err);
    if (stmt == NULL)
        return NULL;
    for (size_t i = 0; i < builder->parameters.count; i++) {
        const struct parameter *parameter = &builder->parameters.items[i];
        if (parameter->text != NULL)
            sql_bind_text(stmt, (int)i + 1, parameter->text);
        else
            sql_bind_int(stmt, (int)i + 1, parameter->number);
    }
    return stmt;
}

/* First text not beginning with `prefix` that sorts after all that do; prefixes are ASCII ids. */
const char *after_prefix(struct arena *arena, const char *prefix)
{
    return arena_printf(arena, "%s\xff", prefix);
}

static void add_list(struct builder *builder, const struct filter *filter)
{
    add(builder, "(");
    for (size_t i = 0; i < filter->values_count && i < PARAMETERS_MAX; i++) {
        if (i > 0)
            add(builder, ", ");
        add_text(builder, filter->values[i]);
    }
    add(builder, ")");
}

/*
 * " AND <column> …" for a filter on a text column; false when SQL cannot say it (nothing added).
 */
bool add_text_filter(struct builder *builder, const char *column, const struct filter *filter)
{
    const char *value = filter->values_count > 0 ? filter->values[0] : NULL;
    bool is_null = value == NULL;
    switch (filter->match) {
    case MATCH_EQUAL:
    case MATCH_NOT_EQUAL:
        buf_printf(builder->text, " AND %s", column);
        if (is_null) {
            add(builder, filter->match == MATCH_EQUAL ? " IS NULL" : " IS NOT NULL");
            return true;
        }
        add(builder, filter->match == MATCH_EQUAL ? " = " : " IS NOT ");
        add_text(builder, value);
        return true;
    case MATCH_IN:
        buf_printf(builder->text, " AND %s IN ", column);
        add_list(builder, filter);
        return true;
    case MATCH_NOT_IN:
        buf_printf(builder->text, " AND ifnull(%s, '') NOT IN ", column);
        add_list(builder, filter);
        return true;
    case MATCH_STARTS:
        if (is_null)
            return false;
        buf_printf(builder->text, " AND %s >= ", column);
        add_text(builder, value);
        buf_printf(builder->text, " AND %s < ", column);
        add_text(builder, after_prefix(builder->arena, value));
        return true;
    case MATCH_PREFIX:
        if (is_null)
            return false;
        buf_printf(builder->text, " AND (%s = ", column);
        add_text(builder, value);
        buf_printf(builder->text, " OR (%s >= ", column);
        add_text(builder, arena_printf(builder->arena, "%s.", value));
        buf_printf(builder->text, " AND %s < ", column);
        add_text(builder, arena_printf(builder->arena, "%s/", value)); // '/' follows '.'
        add(builder, "))");
        return true;
    case MATCH_GREATER:
    case MATCH_LESS:
    case MATCH_GREATER_EQUAL:
    case MATCH_LESS_EQUAL:
    case MATCH_ENDS:
    case MATCH_CONTAINS:
    case MATCH_REGEX:
        return false;
    }
    return false;
}

bool add_time_filter(struct builder *builder, const char *column, const struct filter *filter)
{
    static const char *const operators[] = {
        [MATCH_EQUAL] = "=",   [MATCH_NOT_EQUAL] = "<>",     [MATCH_GREATER] = ">",
        [MATCH_LESS] = "<",    [MATCH_GREATER_EQUAL] = ">=", [MATCH_LESS_EQUAL] = "<=",
        [MATCH_IN] = "=",      [MATCH_NOT_IN] = "<>",        [MATCH_STARTS] = NULL,
        [MATCH_ENDS] = NULL,   [MATCH_CONTAINS] = NULL,      [MATCH_REGEX] = NULL,
        [MATCH_PREFIX] = NULL,
    };
    if (operators[filter->match] == NULL)
        return false;
    buf_printf(builder->text, " AND %s %s ", column, operators[filter->match]);
    add_int(builder, filter->at);
    return true;
}

bool one_int(struct builder *builder, int64_t *sum, struct error *err)
{
    struct sql_stmt *stmt = prepare(builder, err);
    if (stmt == NULL)
        return false;
    bool is_row = false;
    bool ok = sql_step(stmt, &is_row, err);
    if (ok && is_row)
        *sum += sql_column_int(stmt, 0);
    sql_done(stmt);
    return ok;
}

/* ---- lists of rows ---- */

bool read_list(struct builder *builder,
               const struct row_kind *kind,
               const struct query *query,
               struct row_list *out,
               int64_t *total,
               struct error *err)
{
    struct arena *arena = builder->arena;
    struct sql_stmt *stmt = prepare(builder, err);
    if (stmt == NULL)
        return false;
    size_t limit = query != NULL ? query->limit : SIZE_MAX;
    size_t offset = query != NULL ? query->offset : 0;
    struct row_list list = { 0 };
    size_t capacity = 0;
    size_t matched = 0;
    bool ok = true;
    bool is_row = false;
    while ((total != NULL || list.count < limit) && (ok = sql_step(stmt, &is_row, err)) && is_row) {
        bool in_page = matched >= offset && list.count < limit;
        if (!in_page && !builder->needs_check) {
            matched++;
            continue;
        }
        list.items = vec_grow_arena(arena, list.items, &capacity, list.count, kind->size);
        void *row = (char *)list.items + list.count * kind->size;
        struct arena_mark mark = arena_mark(arena);
        kind->read(stmt, arena, row);
        if (builder->needs_check && !kind->matches(query, row)) {
            arena_rewind(arena, mark);
            continue;
        }
        matched++;
        if (in_page)
            list.count++;
        else
            arena_rewind(arena, mark);
    }
    sql_done(stmt);
    if (!ok)
        return false;
    *out = list;
    if (total != NULL)
        *total = (int64_t)matched;
    return true;
}

bool read_one(
    struct builder *builder, const struct row_kind *kind, void *out, bool *found, struct error *err)
{
    struct sql_stmt *stmt = prepare(builder, err);
    if (stmt == NULL)
        return false;
    bool ok = sql_step(stmt, found, err);
    if (ok && *found)
        kind->read(stmt, builder->arena, out);
    sql_done(stmt);
    return ok;
}

void add_filters(struct builder *builder,
                 const struct query *query,
                 const struct field_column *columns,
                 size_t count)
{
    for (size_t i = 0; i < query->filters_count; i++) {
        const struct filter *filter = &query->filters[i];
        size_t at = 0;
        while (at < count && columns[at].field != filter->field)
            at++;
        bool exact = at < count &&
                     (columns[at].is_time ? add_time_filter(builder, columns[at].column, filter)
                                          : add_text_filter(builder, columns[at].column, filter));
        builder->needs_check |= !exact;
    }
}

void add_order(struct builder *builder,
               const struct query *query,
               const struct field_column *columns,
               size_t count,
               const char *rest)
{
    add(builder, " ORDER BY ");
    for (size_t i = 0; i < count; i++)
        if (columns[i].field == query->sort) {
            buf_printf(builder->text, "%s %s, ", columns[i].column,
                       query->descending ? "DESC" : "ASC");
            break;
        }
    add(builder, rest);
}

/* ---- reading columns ---- */

/* Texts that repeat from row to row (namespaces, ids) are kept once per answer. */
const char *column_text(struct sql_stmt *stmt, int column, struct arena *arena)
{
    return sql_column_dup(stmt, column, arena);
}

struct bytes column_bytes(struct sql_stmt *stmt, int column, struct arena *arena)
{
    struct bytes bytes = { 0 };
    bytes.at = sql_column_dup_blob(stmt, column, arena, &bytes.length);
    return bytes;
}

struct origin column_origin(struct sql_stmt *stmt, int from, struct arena *arena)
{
    return (struct origin){
        .actor = column_text(stmt, from, arena),
        .channel = column_text(stmt, from + 1, arena),
        .source = column_text(stmt, from + 2, arena),
        .commit = column_text(stmt, from + 3, arena),
    };
}

bool not_found(struct error *err, const char *what, const char *name)
{
    return error_set(err, ERR_NOT_FOUND, "%s '%s' does not exist", what, name);
}
