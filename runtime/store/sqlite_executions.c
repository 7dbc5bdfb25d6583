/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite store, reading executions.
 *
 * A search becomes SQL as far as SQL can say it exactly; what is left (texts, regular expressions,
 * labels) is checked row by row with query_matches_execution(), which is the meaning.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/pack.h"
#include "base/str.h"
#include "runtime/store/sqlite_build.h"
#include "runtime/store/sqlite_internal.h"

#define EXECUTION_COLUMNS                                                                          \
    "e.key, e.id, f.namespace, f.id, e.revision, e.state, e.kind, e.live, e.slot, e.created_at,"   \
    " e.ended_at, e.wake_at, e.trigger_id, e.cause_id, e.parent_id, e.fire_trigger, e.fire_at,"    \
    " e.fire_backfill, e.header"
#define EXECUTION_FROM " FROM execution e JOIN flow f ON f.key = e.flow"
#define EXECUTION_RUNS 19 /* index of e.runs when it is asked for */

static void read_execution(struct sql_stmt *stmt, struct arena *arena, struct execution_row *row)
{
    *row = (struct execution_row){
        .key = sql_column_int(stmt, 0),
        .namespace = column_text(stmt, 2, arena),
        .flow_id = column_text(stmt, 3, arena),
        .revision = sql_column_int(stmt, 4),
        .state = (enum state)sql_column_int(stmt, 5),
        .kind = (enum execution_kind)sql_column_int(stmt, 6),
        .live = (enum liveness)sql_column_int(stmt, 7),
        .holds_slot = sql_column_int(stmt, 8) != 0,
        .created_at = sql_column_int(stmt, 9),
        .ended_at = sql_column_int(stmt, 10),
        .wake_at = sql_column_int(stmt, 11),
        .trigger_id = column_text(stmt, 12, arena),
        .cause_id = column_text(stmt, 13, arena),
        .parent_id = column_text(stmt, 14, arena),
        .fire_trigger = sql_column_int(stmt, 15),
        .fire_at = sql_column_int(stmt, 16),
        .fire_backfill = sql_column_int(stmt, 17),
        .header = column_bytes(stmt, 18, arena),
    };
    size_t length = 0;
    const char *id = sql_column_text(stmt, 1, &length);
    CHECK(length <= ID_LENGTH);
    memcpy(row->id.text, id, length);
}

/* Runs packed into the row, in order of seq. */
static bool unpack_runs(struct bytes packed,
                        struct execution_row *row,
                        size_t *capacity,
                        struct arena *arena,
                        struct error *err)
{
    VEC(struct run_row) runs = { 0 };
    struct unpack in = unpack_start(packed.at, packed.length);
    while (unpack_left(&in) > 0 && !in.bad) {
        struct run_row run = { .seq = (uint32_t)unpack_max(&in, UINT32_MAX) };
        run.body.at = unpack_bytes(&in, &run.body.length);
        if (!in.bad)
            *VEC_PUSH_ARENA(arena, &runs) = run;
    }
    if (in.bad)
        return error_set(err, ERR_INTERNAL, "task runs of execution '%s' are damaged",
                         row->id.text);
    row->runs = runs.items;
    row->runs_count = runs.count;
    *capacity = runs.capacity;
    return true;
}

/* A run from the table wins over a packed one; without a body it takes it away. */
static void merge_run(struct execution_row *row,
                      size_t *capacity,
                      const struct run_row *run,
                      struct arena *arena)
{
    for (size_t i = 0; i < row->runs_count; i++) {
        if (row->runs[i].seq != run->seq)
            continue;
        if (run->body.at != NULL) {
            row->runs[i] = *run;
        } else {
            row->runs_count--;
            memmove(&row->runs[i], &row->runs[i + 1], (row->runs_count - i) * sizeof(*row->runs));
        }
        return;
    }
    if (run->body.at == NULL)
        return;
    row->runs = vec_grow_arena(arena, row->runs, capacity, row->runs_count, sizeof(*row->runs));
    row->runs[row->runs_count++] = *run;
}

static int compare_runs(const void *a, const void *b)
{
    uint32_t x = ((const struct run_row *)a)->seq;
    uint32_t y = ((const struct run_row *)b)->seq;
    return x < y ? -1 : x > y;
}

static bool read_runs(struct sqlite_reader *reader,
                      struct arena *arena,
                      struct bytes packed,
                      struct execution_row *row,
                      struct error *err)
{
    size_t capacity = 0;
    bool has_packed = packed.length > 0;
    if (has_packed && !unpack_runs(packed, row, &capacity, arena, err))
        return false;
    struct sql_stmt *stmt =
        sql_prepare(reader->sql, "SELECT seq, body FROM run WHERE execution = ? ORDER BY seq", err);
    if (stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, row->key);
    bool ok = true;
    bool is_row = false;
    while ((ok = sql_step(stmt, &is_row, err)) && is_row) {
        struct run_row run = { .seq = (uint32_t)sql_column_int(stmt, 0),
                               .body = column_bytes(stmt, 1, arena) };
        if (has_packed) {
            merge_run(row, &capacity, &run, arena);
        } else if (run.body.at != NULL) {
            row->runs =
                vec_grow_arena(arena, row->runs, &capacity, row->runs_count, sizeof(*row->runs));
            row->runs[row->runs_count++] = run;
        }
    }
    sql_done(stmt);
    if (has_packed && row->runs_count > 1)
        qsort(row->runs, row->runs_count, sizeof(*row->runs), compare_runs);
    return ok;
}

/*
 * All rows of a prepared statement over EXECUTION_COLUMNS; with_runs: e.runs follows them. The runs
 * are read after the statement has ended, so that a list holds one read position at a time.
 */
static bool list_rows(struct builder *builder,
                      bool with_runs,
                      struct execution_row **out,
                      size_t *count,
                      struct error *err)
{
    struct arena *arena = builder->arena;
    struct sql_stmt *stmt = prepare(builder, err);
    if (stmt == NULL)
        return false;
    VEC(struct execution_row) rows = { 0 };
    VEC(struct bytes) packed = { 0 };
    bool ok = true;
    bool is_row = false;
    while ((ok = sql_step(stmt, &is_row, err)) && is_row) {
        read_execution(stmt, arena, VEC_PUSH_ARENA(arena, &rows));
        if (with_runs)
            *VEC_PUSH_ARENA(arena, &packed) = column_bytes(stmt, EXECUTION_RUNS, arena);
    }
    sql_done(stmt);
    for (size_t i = 0; i < packed.count && ok; i++)
        ok = read_runs(builder->reader, arena, packed.items[i], &rows.items[i], err);
    if (ok) {
        *out = rows.items;
        *count = rows.count;
    }
    return ok;
}

static bool list_executions(struct builder *builder,
                            bool with_runs,
                            struct execution_row **out,
                            size_t *count,
                            struct error *err)
{
    bool is_own = false;
    if (!with_runs)
        return list_rows(builder, false, out, count, err);
    if (!snapshot_begin(builder->reader, &is_own, err))
        return false;
    bool ok = list_rows(builder, true, out, count, err);
    snapshot_end(builder->reader, is_own);
    return ok;
}

bool sqlite_execution_get(struct store_reader *base,
                          struct arena *arena,
                          const char *id,
                          struct execution_row *out,
                          struct error *err)
{
    size_t length = strlen(id);
    if (length > ID_LENGTH || length < 4)
        return not_found(err, "execution", id);
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT " EXECUTION_COLUMNS ", e.runs" EXECUTION_FROM " WHERE e.id ");
    if (length == ID_LENGTH) {
        add(&builder, "= ");
        add_text(&builder, id);
    } else {
        add(&builder, ">= ");
        add_text(&builder, id);
        add(&builder, " AND e.id < ");
        add_text(&builder, after_prefix(arena, id));
        add(&builder, " LIMIT 2");
    }
    struct execution_row *rows = NULL;
    size_t count = 0;
    if (!list_executions(&builder, true, &rows, &count, err))
        return false;
    if (count == 0)
        return not_found(err, "execution", id);
    if (count > 1)
        return error_set(err, ERR_CONFLICT, "several executions begin with '%s'", id);
    *out = rows[0];
    return true;
}

bool sqlite_execution_by_key(struct store_reader *base,
                             struct arena *arena,
                             int64_t key,
                             struct execution_row *out,
                             struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT " EXECUTION_COLUMNS ", e.runs" EXECUTION_FROM " WHERE e.key = ");
    add_int(&builder, key);
    struct execution_row *rows = NULL;
    size_t count = 0;
    if (!list_executions(&builder, true, &rows, &count, err))
        return false;
    if (count == 0)
        return error_set(err, ERR_NOT_FOUND, "execution number %lld does not exist",
                         (long long)key);
    *out = rows[0];
    return true;
}

bool sqlite_execution_children(struct store_reader *base,
                               struct arena *arena,
                               const char *cause_id,
                               bool live_only,
                               int64_t after,
                               size_t limit,
                               struct execution_row **out,
                               size_t *count,
                               struct error *err)
{
    struct builder builder = build(reader_of(base), arena,
                                   "SELECT " EXECUTION_COLUMNS EXECUTION_FROM
                                   " WHERE e.cause_id IS NOT NULL AND e.cause_id = ");
    add_text(&builder, cause_id);
    if (live_only)
        add(&builder, " AND e.live > 0");
    add(&builder, " AND e.key > ");
    add_int(&builder, after);
    add(&builder, " ORDER BY e.key LIMIT ");
    add_int(&builder, (int64_t)limit);
    return list_executions(&builder, false, out, count, err);
}

bool sqlite_execution_active(struct store_reader *base,
                             struct arena *arena,
                             int64_t after,
                             size_t limit,
                             struct execution_row **out,
                             size_t *count,
                             struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT " EXECUTION_COLUMNS ", e.runs FROM execution e INDEXED BY execution_active"
              " JOIN flow f ON f.key = e.flow WHERE e.live = 1 AND e.key > ");
    add_int(&builder, after);
    add(&builder, " ORDER BY e.key LIMIT ");
    add_int(&builder, (int64_t)limit);
    return list_executions(&builder, true, out, count, err);
}

bool sqlite_execution_waking(struct store_reader *base,
                             struct arena *arena,
                             usec_t after_at,
                             int64_t after_key,
                             usec_t until,
                             size_t limit,
                             struct execution_row **out,
                             size_t *count,
                             struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT " EXECUTION_COLUMNS " FROM execution e INDEXED BY execution_waking"
              " JOIN flow f ON f.key = e.flow WHERE e.live = 2 AND e.wake_at > 0 AND (e.wake_at, "
              "e.key) > (");
    add_int(&builder, after_at);
    add(&builder, ", ");
    add_int(&builder, after_key);
    add(&builder, ") AND e.wake_at <= ");
    add_int(&builder, until);
    add(&builder, " ORDER BY e.wake_at, e.key LIMIT ");
    add_int(&builder, (int64_t)limit);
    return list_executions(&builder, false, out, count, err);
}

bool sqlite_execution_expired(struct store_reader *base,
                              struct arena *arena,
                              usec_t before,
                              size_t limit,
                              struct execution_row **out,
                              size_t *count,
                              struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT " EXECUTION_COLUMNS EXECUTION_FROM " WHERE e.live = 0 AND e.ended_at < ");
    add_int(&builder, before);
    add(&builder, " AND e.created_at < "); // what began later cannot have ended before
    add_int(&builder, before);
    add(&builder, " ORDER BY e.created_at LIMIT ");
    add_int(&builder, (int64_t)limit);
    return list_executions(&builder, false, out, count, err);
}

/* ---- searches over executions ---- */

/* States that a filter leaves, as a mask of enum state. */
static uint32_t filter_states(const struct filter *filter)
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < STATE_COUNT; i++)
        if (filter_matches_text(filter, states[i].name))
            mask |= BIT(i);
    return mask;
}

static void add_states(struct builder *builder, uint32_t mask)
{
    add(builder, "(");
    const char *comma = "";
    for (unsigned i = 0; i < STATE_COUNT; i++) {
        if ((mask & BIT(i)) == 0)
            continue;
        buf_printf(builder->text, "%s%u", comma, i);
        comma = ", ";
    }
    add(builder, ")");
}

static void add_kind_filter(struct builder *builder, const struct filter *filter)
{
    static const char *const names[] = { "NORMAL", "TEST", "PLAYGROUND", "LOOP" };
    add(builder, " AND e.kind IN (");
    const char *comma = "";
    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        if (!filter_matches_text(filter, names[i]))
            continue;
        buf_printf(builder->text, "%s%u", comma, i);
        comma = ", ";
    }
    add(builder, ")");
}

/* The index narrows; the check afterwards is exact (hashes may collide). */
static void add_label_filter(struct builder *builder, const struct filter *filter)
{
    builder->needs_check = true;
    const char *value = filter->values_count > 0 ? filter->values[0] : NULL;
    struct label label = { .key = filter->key, .value = value };
    if (filter->match != MATCH_EQUAL || value == NULL || !sqlite_label_is_indexed(&label, ""))
        return;
    add(builder, " AND (e.key IN (SELECT execution FROM label WHERE hash = ");
    add_int(builder, sqlite_label_hash(filter->key, value));
    add(builder, ")");
    if (strcmp(filter->key, "system.correlationId") == 0) {
        add(builder, " OR e.id = ");
        add_text(builder, value);
    }
    add(builder, ")");
}

static void add_execution_filter(struct builder *builder, const struct filter *filter)
{
    const struct {
        enum field field;
        const char *column;
        bool is_time;
    } columns[] = {
        { FIELD_NAMESPACE, "f.namespace", false }, { FIELD_FLOW, "f.id", false },
        { FIELD_CAUSE, "e.cause_id", false },      { FIELD_TRIGGER, "e.trigger_id", false },
        { FIELD_EXECUTION, "e.id", false },        { FIELD_ID, "e.id", false },
        { FIELD_START, "e.created_at", true },     { FIELD_CREATED, "e.created_at", true },
    };
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        if (columns[i].field != filter->field)
            continue;
        bool exact = columns[i].is_time ? add_time_filter(builder, columns[i].column, filter)
                                        : add_text_filter(builder, columns[i].column, filter);
        builder->needs_check |= !exact;
        return;
    }
    if (filter->field == FIELD_STATE) {
        add(builder, " AND e.state IN ");
        add_states(builder, filter_states(filter));
    } else if (filter->field == FIELD_KIND) {
        add_kind_filter(builder, filter);
    } else if (filter->field == FIELD_END) {
        add(builder, " AND e.ended_at > 0");
        builder->needs_check |= !add_time_filter(builder, "e.ended_at", filter);
    } else if (filter->field == FIELD_LABEL) {
        add_label_filter(builder, filter);
    } else {
        builder->needs_check |= filter->field == FIELD_TEXT;
    }
}

static const char *execution_order(enum field sort)
{
    if (sort == FIELD_ID || sort == FIELD_EXECUTION)
        return "e.id";
    if (sort == FIELD_NAMESPACE)
        return "f.namespace";
    if (sort == FIELD_FLOW)
        return "f.id";
    if (sort == FIELD_STATE)
        return "e.state";
    if (sort == FIELD_END)
        return "e.ended_at";
    if (sort == FIELD_DURATION)
        return "CASE WHEN e.ended_at > 0 THEN e.ended_at - e.created_at END";
    return "e.created_at";
}

/* Has exactly one flow been asked for? Then its own index gives the rows in order. */
static bool asks_one_flow(const struct query *query)
{
    bool has_namespace = false;
    bool has_flow = false;
    for (size_t i = 0; i < query->filters_count; i++) {
        const struct filter *filter = &query->filters[i];
        has_namespace |= filter->field == FIELD_NAMESPACE && filter->match == MATCH_EQUAL;
        has_flow |= filter->field == FIELD_FLOW && filter->match == MATCH_EQUAL;
    }
    return has_namespace && has_flow;
}

/*
 * FROM and WHERE. CROSS JOIN fixes the order of loops: flow first when one is asked for, so that
 * execution_flow gives its executions by date; otherwise executions by date first, which stops
 * after a page instead of collecting all rows of many flows.
 */
static struct builder build_search(struct sqlite_reader *reader,
                                   struct arena *arena,
                                   const char *columns,
                                   const struct query *query)
{
    struct builder builder = build(reader, arena, columns);
    add(&builder, asks_one_flow(query)
                      ? " FROM flow f CROSS JOIN execution e ON e.flow = f.key WHERE 1"
                      : " FROM execution e CROSS JOIN flow f ON f.key = e.flow WHERE 1");
    for (size_t i = 0; i < query->filters_count; i++)
        add_execution_filter(&builder, &query->filters[i]);
    return builder;
}

/* ---- totals without visiting what ended long ago ---- */

/* What `ended` can answer: namespaces and flows, states, and a range of start dates. */
struct counted_query {
    usec_t from;  /* first instant that counts */
    usec_t until; /* first that does not, USEC_NEVER none */
    uint32_t states;
};

static bool as_counted(const struct query *query, struct counted_query *out)
{
    *out = (struct counted_query){ .until = USEC_NEVER, .states = UINT32_MAX };
    for (size_t i = 0; i < query->filters_count; i++) {
        const struct filter *filter = &query->filters[i];
        if (filter->field == FIELD_STATE) {
            out->states &= filter_states(filter);
        } else if (filter->field == FIELD_START || filter->field == FIELD_CREATED) {
            usec_t next = filter->at < USEC_NEVER ? filter->at + 1 : USEC_NEVER;
            if (filter->match == MATCH_GREATER || filter->match == MATCH_GREATER_EQUAL) {
                usec_t from = filter->match == MATCH_GREATER ? next : filter->at;
                out->from = from > out->from ? from : out->from;
            } else if (filter->match == MATCH_LESS || filter->match == MATCH_LESS_EQUAL) {
                usec_t until = filter->match == MATCH_LESS ? filter->at : next;
                out->until = until < out->until ? until : out->until;
            } else {
                return false;
            }
        } else if (filter->field != FIELD_NAMESPACE && filter->field != FIELD_FLOW) {
            return false;
        }
    }
    return true;
}

static void add_flow_filters(struct builder *builder, const struct query *query)
{
    for (size_t i = 0; i < query->filters_count; i++) {
        const struct filter *filter = &query->filters[i];
        if (filter->field == FIELD_NAMESPACE || filter->field == FIELD_FLOW)
            builder->needs_check |= !add_text_filter(
                builder, filter->field == FIELD_NAMESPACE ? "f.namespace" : "f.id", filter);
    }
}

/* Number of ended executions with created_at in [from, until), counted row by row. */
static bool count_span(struct sqlite_reader *reader,
                       struct arena *arena,
                       const struct query *query,
                       uint32_t mask,
                       usec_t from,
                       usec_t until,
                       int64_t *sum,
                       struct error *err)
{
    if (from >= until)
        return true;
    struct builder builder = build(reader, arena,
                                   "SELECT count(*) FROM execution e INDEXED BY execution_created"
                                   " CROSS JOIN flow f ON f.key = e.flow WHERE e.created_at >= ");
    add_int(&builder, from);
    add(&builder, " AND e.created_at < ");
    add_int(&builder, until);
    add(&builder, " AND e.state IN ");
    add_states(&builder, mask);
    add_flow_filters(&builder, query);
    return one_int(&builder, sum, err);
}

static bool count_fast(struct sqlite_reader *reader,
                       struct arena *arena,
                       const struct query *query,
                       const struct counted_query *counted,
                       int64_t *total,
                       struct error *err)
{
    uint32_t terminal = 0;
    for (unsigned i = 0; i < STATE_COUNT; i++)
        if (states[i].is_terminal)
            terminal |= BIT(i);
    uint32_t ended = counted->states & terminal;
    uint32_t open = counted->states & ~terminal;
    usec_t from = counted->from > 0 ? counted->from : 0;
    usec_t first_day = (from + USEC_DAY - 1) / USEC_DAY * USEC_DAY;
    usec_t end_day =
        counted->until == USEC_NEVER ? USEC_NEVER : counted->until - counted->until % USEC_DAY;
    int64_t sum = 0;

    if (open != 0) {
        struct builder builder = build(reader, arena,
                                       "SELECT count(*) FROM execution e INDEXED BY execution_state"
                                       " CROSS JOIN flow f ON f.key = e.flow"
                                       " WHERE e.state <> 9 AND e.created_at >= ");
        add_int(&builder, from);
        add(&builder, " AND e.created_at < ");
        add_int(&builder, counted->until);
        add(&builder, " AND e.state IN ");
        add_states(&builder, open);
        add_flow_filters(&builder, query);
        if (!one_int(&builder, &sum, err))
            return false;
    }
    if (ended != 0 && first_day >= end_day) {
        if (!count_span(reader, arena, query, ended, from, counted->until, &sum, err))
            return false;
    } else if (ended != 0) {
        struct builder builder = build(reader, arena,
                                       "SELECT ifnull(sum(c.count), 0) FROM ended c"
                                       " CROSS JOIN flow f ON f.key = c.flow WHERE c.day >= ");
        add_int(&builder, first_day);
        add(&builder, " AND c.day < ");
        add_int(&builder, end_day);
        add(&builder, " AND c.state IN ");
        add_states(&builder, ended);
        add_flow_filters(&builder, query);
        if (!one_int(&builder, &sum, err) ||
            !count_span(reader, arena, query, ended, from, first_day, &sum, err) ||
            (end_day != USEC_NEVER &&
             !count_span(reader, arena, query, ended, end_day, counted->until, &sum, err)))
            return false;
    }
    *total = sum;
    return true;
}

static bool count_executions(struct sqlite_reader *reader,
                             struct arena *arena,
                             const struct query *query,
                             int64_t *total,
                             struct error *err)
{
    struct counted_query counted;
    if (as_counted(query, &counted))
        return count_fast(reader, arena, query, &counted, total, err);
    struct builder builder = build_search(reader, arena, "SELECT count(*)", query);
    int64_t sum = 0;
    bool ok = one_int(&builder, &sum, err);
    if (ok)
        *total = sum;
    return ok;
}

/*
 * Pages through rows that need a look each: skips `offset`, keeps `limit`, and goes on to the end
 * only when the total is wanted.
 */
static bool search_checked(struct builder *builder,
                           const struct query *query,
                           struct execution_row **out,
                           size_t *count,
                           int64_t *total,
                           struct error *err)
{
    struct sql_stmt *stmt = prepare(builder, err);
    if (stmt == NULL)
        return false;
    VEC(struct execution_row) rows = { 0 };
    struct arena *arena = builder->arena;
    size_t matched = 0;
    bool ok = true;
    bool is_row = false;
    while ((total != NULL || rows.count < query->limit) && (ok = sql_step(stmt, &is_row, err)) &&
           is_row) {
        struct arena_mark mark = arena_mark(arena);
        struct execution_row row;
        read_execution(stmt, arena, &row);
        bool matches = query_matches_execution(query, &row);
        if (matches && matched++ >= query->offset && rows.count < query->limit)
            *VEC_PUSH_ARENA(arena, &rows) = row;
        else
            arena_rewind(arena, mark);
    }
    sql_done(stmt);
    if (!ok)
        return false;
    *out = rows.items;
    *count = rows.count;
    if (total != NULL)
        *total = (int64_t)matched;
    return true;
}

static bool read_runs_of_all(struct sqlite_reader *reader,
                             struct arena *arena,
                             const struct query *query,
                             struct execution_row *rows,
                             size_t count,
                             struct error *err)
{
    struct sql_stmt *stmt =
        sql_prepare(reader->sql, "SELECT runs FROM execution WHERE key = ?", err);
    if (stmt == NULL)
        return false;
    bool ok = true;
    size_t bytes = 0;
    for (size_t i = 0; i < count && ok; i++) {
        sql_bind_int(stmt, 1, rows[i].key);
        bool is_row = false;
        struct bytes packed = { 0 };
        ok = sql_step(stmt, &is_row, err);
        if (ok && is_row)
            packed = column_bytes(stmt, 0, arena);
        sql_reset(stmt);
        ok = ok && read_runs(reader, arena, packed, &rows[i], err) &&
             query_takes_runs(query, &rows[i], &bytes, err);
    }
    sql_done(stmt);
    return ok;
}

static bool search(struct store_reader *base,
                   struct arena *arena,
                   const struct query *query,
                   bool with_runs,
                   struct execution_row **out,
                   size_t *count,
                   int64_t *total,
                   struct error *err)
{
    struct sqlite_reader *reader = reader_of(base);
    struct builder builder = build_search(reader, arena, "SELECT " EXECUTION_COLUMNS, query);
    bool is_default = query->sort == FIELD_COUNT;
    const char *direction = is_default || query->descending ? "DESC" : "ASC";
    buf_printf(builder.text, " ORDER BY %s %s, e.key %s",
               execution_order(is_default ? FIELD_START : query->sort), direction, direction);

    struct execution_row *rows = NULL;
    size_t found = 0;
    if (builder.needs_check) {
        if (!search_checked(&builder, query, &rows, &found, total, err))
            return false;
    } else {
        add(&builder, " LIMIT ");
        add_int(&builder, (int64_t)query->limit);
        add(&builder, " OFFSET ");
        add_int(&builder, (int64_t)query->offset);
        if (query->limit > 0 && !list_executions(&builder, false, &rows, &found, err))
            return false;
        if (total != NULL && !count_executions(reader, arena, query, total, err))
            return false;
    }
    if (with_runs && !read_runs_of_all(reader, arena, query, rows, found, err))
        return false;
    *out = rows;
    *count = found;
    return true;
}

bool sqlite_execution_search(struct store_reader *base,
                             struct arena *arena,
                             const struct query *query,
                             bool with_runs,
                             struct execution_row **out,
                             size_t *count,
                             int64_t *total,
                             struct error *err)
{
    bool is_own = false;
    if (!snapshot_begin(reader_of(base), &is_own, err))
        return false;
    bool ok = search(base, arena, query, with_runs, out, count, total, err);
    snapshot_end(reader_of(base), is_own);
    return ok;
}

/* ---- slots, queue, numbers ---- */

bool sqlite_slots(struct store_reader *base,
                  struct arena *arena,
                  struct count_row **out,
                  size_t *count,
                  struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT f.namespace, f.id, count(*) FROM execution e INDEXED BY execution_slot"
              " JOIN flow f ON f.key = e.flow WHERE e.slot = 1 GROUP BY e.flow");
    struct sql_stmt *stmt = prepare(&builder, err);
    if (stmt == NULL)
        return false;
    VEC(struct count_row) rows = { 0 };
    bool ok = true;
    bool is_row = false;
    while ((ok = sql_step(stmt, &is_row, err)) && is_row)
        *VEC_PUSH_ARENA(arena, &rows) = (struct count_row){
            .namespace = column_text(stmt, 0, arena),
            .flow_id = column_text(stmt, 1, arena),
            .count = sql_column_int(stmt, 2),
        };
    sql_done(stmt);
    if (ok) {
        *out = rows.items;
        *count = rows.count;
    }
    return ok;
}

bool sqlite_queued(struct store_reader *base,
                   struct arena *arena,
                   const char *namespace,
                   const char *flow_id,
                   size_t limit,
                   struct queued_row **out,
                   size_t *count,
                   struct error *err)
{
    struct builder builder = build(reader_of(base), arena,
                                   "SELECT q.execution, f.namespace, f.id, q.queued_at"
                                   " FROM queued q JOIN flow f ON f.key = q.flow WHERE 1");
    if (namespace != NULL) {
        add(&builder, " AND f.namespace = ");
        add_text(&builder, namespace);
        add(&builder, " AND f.id = ");
        add_text(&builder, flow_id);
    }
    add(&builder, " ORDER BY q.queued_at, q.execution LIMIT ");
    add_int(&builder, (int64_t)limit);
    struct sql_stmt *stmt = prepare(&builder, err);
    if (stmt == NULL)
        return false;
    VEC(struct queued_row) rows = { 0 };
    bool ok = true;
    bool is_row = false;
    while ((ok = sql_step(stmt, &is_row, err)) && is_row)
        *VEC_PUSH_ARENA(arena, &rows) = (struct queued_row){
            .execution = sql_column_int(stmt, 0),
            .namespace = column_text(stmt, 1, arena),
            .flow_id = column_text(stmt, 2, arena),
            .queued_at = sql_column_int(stmt, 3),
        };
    sql_done(stmt);
    if (ok) {
        *out = rows.items;
        *count = rows.count;
    }
    return ok;
}

bool sqlite_counts(struct store_reader *base,
                   struct arena *arena,
                   usec_t from,
                   usec_t until,
                   struct count_row **out,
                   size_t *count,
                   struct error *err)
{
    struct builder builder =
        build(reader_of(base), arena,
              "SELECT f.namespace, f.id, c.state, c.day, c.count FROM ended c"
              " JOIN flow f ON f.key = c.flow WHERE c.count <> 0 AND c.day >= ");
    add_int(&builder, from);
    add(&builder, " AND c.day < ");
    add_int(&builder, until);
    add(&builder, " ORDER BY c.day, f.namespace, f.id, c.state");
    struct sql_stmt *stmt = prepare(&builder, err);
    if (stmt == NULL)
        return false;
    VEC(struct count_row) rows = { 0 };
    bool ok = true;
    bool is_row = false;
    while ((ok = sql_step(stmt, &is_row, err)) && is_row)
        *VEC_PUSH_ARENA(arena, &rows) = (struct count_row){
            .namespace = column_text(stmt, 0, arena),
            .flow_id = column_text(stmt, 1, arena),
            .state = (enum state)sql_column_int(stmt, 2),
            .day = sql_column_int(stmt, 3),
            .count = sql_column_int(stmt, 4),
        };
    sql_done(stmt);
    if (ok) {
        *out = rows.items;
        *count = rows.count;
    }
    return ok;
}
