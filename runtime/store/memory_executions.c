/* SPDX-License-Identifier: Apache-2.0 */
/* Memory store: reading executions, slots, queues and numbers. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "runtime/store/memory_internal.h"

static void answer_execution(struct arena *arena,
                             const struct stored_execution *stored,
                             bool with_runs,
                             struct execution_row *out)
{
    *out = stored->row;
    copy_execution(arena, out, false);
    if (!with_runs || stored->runs.count == 0)
        return;
    out->runs = ARENA_ARRAY(arena, stored->runs.count, struct run_row);
    out->runs_count = stored->runs.count;
    for (size_t i = 0; i < stored->runs.count; i++) {
        out->runs[i] = ((struct stored_run *)stored->runs.rows[i])->row;
        out->runs[i].body = copy_bytes(arena, out->runs[i].body);
    }
}

static void answer_executions(struct arena *arena,
                              struct picks *picks,
                              bool with_runs,
                              struct execution_row **out,
                              size_t *count)
{
    *count = picks->rows.count;
    *out = ARENA_ARRAY(arena, picks->rows.count, struct execution_row);
    for (size_t i = 0; i < picks->rows.count; i++)
        answer_execution(arena, picks->rows.items[i], with_runs, &(*out)[i]);
    VEC_FREE(&picks->rows);
}

bool memory_execution_get(struct store_reader *base,
                          struct arena *arena,
                          const char *id,
                          struct execution_row *out,
                          struct error *err)
{
    struct memory_store *store = memory_enter(base);
    size_t found = 0;
    const struct stored_execution *match = map_find(&store->executions_by_id, id);
    if (match != NULL)
        found = 1;
    for (size_t i = 0; i < store->executions.count && match == NULL && strlen(id) >= 4; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (str_starts(stored->row.id.text, id))
            found++;
    }
    for (size_t i = 0; i < store->executions.count && match == NULL && found == 1; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (str_starts(stored->row.id.text, id))
            match = stored;
    }
    if (found == 1)
        answer_execution(arena, match, true, out);
    memory_leave(base);
    if (found > 1)
        return error_set(err, ERR_CONFLICT, "several executions begin with '%s'", id);
    return memory_answer(found == 1, err, "execution", id);
}

bool memory_execution_by_key(struct store_reader *base,
                             struct arena *arena,
                             int64_t key,
                             struct execution_row *out,
                             struct error *err)
{
    const struct stored_execution *stored = execution_of(memory_enter(base), key);
    bool found = stored != NULL;
    if (found)
        answer_execution(arena, stored, true, out);
    memory_leave(base);
    return found ||
           error_set(err, ERR_NOT_FOUND, "execution number %lld does not exist", (long long)key);
}

/* Order of a search. */
struct order {
    enum field field;
    bool descending;
};

static usec_t duration_of(const struct execution_row *row)
{
    return row->ended_at > 0 ? row->ended_at - row->created_at : -1;
}

static int compare_by(enum field field,
                      const struct execution_row *x,
                      const struct execution_row *y)
{
    if (field == FIELD_ID || field == FIELD_EXECUTION)
        return strcmp(x->id.text, y->id.text);
    if (field == FIELD_NAMESPACE)
        return strcmp(x->namespace, y->namespace);
    if (field == FIELD_FLOW)
        return strcmp(x->flow_id, y->flow_id);
    if (field == FIELD_STATE)
        return (int)x->state - (int)y->state;
    if (field == FIELD_END)
        return compare_ints(x->ended_at, y->ended_at);
    if (field == FIELD_DURATION)
        return compare_ints(duration_of(x), duration_of(y));
    return compare_ints(x->created_at, y->created_at);
}

static int compare_found(const void *a, const void *b, void *data)
{
    const struct order *order = data;
    const struct execution_row *x = &(*(const struct stored_execution *const *)a)->row;
    const struct execution_row *y = &(*(const struct stored_execution *const *)b)->row;
    int result = first_difference(compare_by(order->field, x, y), compare_ints(x->key, y->key));
    return order->descending ? -result : result;
}

bool memory_execution_search(struct store_reader *base,
                             struct arena *arena,
                             const struct query *query,
                             bool with_runs,
                             struct execution_row **out,
                             size_t *count,
                             int64_t *total,
                             struct error *err)
{
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (query_matches_execution(query, &stored->row))
            picks_add(&picks, stored);
    }
    bool is_default = query->sort == FIELD_COUNT;
    struct order order = { .field = is_default ? FIELD_START : query->sort,
                           .descending = is_default || query->descending };
    if (picks.rows.count > 1)
        qsort_r(picks.rows.items, picks.rows.count, sizeof(void *), compare_found, &order);
    picks_page(&picks, query, total);
    bool ok = true;
    size_t bytes = 0;
    struct execution_row *rows = ARENA_ARRAY(arena, picks.rows.count, struct execution_row);
    for (size_t i = 0; i < picks.rows.count && ok; i++) {
        answer_execution(arena, picks.rows.items[i], with_runs, &rows[i]);
        ok = query_takes_runs(query, &rows[i], &bytes, err);
    }
    if (ok) {
        *out = rows;
        *count = picks.rows.count;
    }
    VEC_FREE(&picks.rows);
    memory_leave(base);
    return ok;
}

bool memory_execution_children(struct store_reader *base,
                               struct arena *arena,
                               const char *cause_id,
                               bool live_only,
                               int64_t after,
                               size_t limit,
                               struct execution_row **out,
                               size_t *count,
                               struct error *err)
{
    (void)err;
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count && picks.rows.count < limit; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.key > after && str_eq(stored->row.cause_id, cause_id) &&
            (!live_only || stored->row.live != LIVE_ENDED))
            picks_add(&picks, stored);
    }
    answer_executions(arena, &picks, false, out, count);
    memory_leave(base);
    return true;
}

bool memory_execution_active(struct store_reader *base,
                             struct arena *arena,
                             int64_t after,
                             size_t limit,
                             struct execution_row **out,
                             size_t *count,
                             struct error *err)
{
    (void)err;
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count && picks.rows.count < limit; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.key > after && stored->row.live == LIVE_ACTIVE)
            picks_add(&picks, stored);
    }
    answer_executions(arena, &picks, true, out, count);
    memory_leave(base);
    return true;
}

static int compare_wakes(const void *a, const void *b)
{
    const struct execution_row *x = &(*(const struct stored_execution *const *)a)->row;
    const struct execution_row *y = &(*(const struct stored_execution *const *)b)->row;
    return first_difference(compare_ints(x->wake_at, y->wake_at), compare_ints(x->key, y->key));
}

bool memory_execution_waking(struct store_reader *base,
                             struct arena *arena,
                             usec_t after_at,
                             int64_t after_key,
                             usec_t until,
                             size_t limit,
                             struct execution_row **out,
                             size_t *count,
                             struct error *err)
{
    (void)err;
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        const struct execution_row *row = &stored->row;
        bool is_after =
            row->wake_at > after_at || (row->wake_at == after_at && row->key > after_key);
        if (row->live == LIVE_PARKED && row->wake_at > 0 && row->wake_at <= until && is_after)
            picks_add(&picks, stored);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_wakes);
    if (picks.rows.count > limit)
        picks.rows.count = limit;
    answer_executions(arena, &picks, false, out, count);
    memory_leave(base);
    return true;
}

static int compare_created(const void *a, const void *b)
{
    const struct execution_row *x = &(*(const struct stored_execution *const *)a)->row;
    const struct execution_row *y = &(*(const struct stored_execution *const *)b)->row;
    return first_difference(compare_ints(x->created_at, y->created_at),
                            compare_ints(x->key, y->key));
}

bool memory_execution_expired(struct store_reader *base,
                              struct arena *arena,
                              usec_t before,
                              size_t limit,
                              struct execution_row **out,
                              size_t *count,
                              struct error *err)
{
    (void)err;
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.live == LIVE_ENDED && stored->row.ended_at < before &&
            stored->row.created_at < before)
            picks_add(&picks, stored);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_created);
    if (picks.rows.count > limit)
        picks.rows.count = limit;
    answer_executions(arena, &picks, false, out, count);
    memory_leave(base);
    return true;
}

/* Adds one to the row of (flow, state, day), which is made when it is not there. */
static void count_one(struct arena *arena,
                      struct count_row **rows,
                      size_t *count,
                      size_t *capacity,
                      const struct execution_row *row,
                      enum state state,
                      usec_t day)
{
    for (size_t i = 0; i < *count; i++) {
        struct count_row *known = &(*rows)[i];
        if (known->day == day && known->state == state &&
            str_eq(known->namespace, row->namespace) && str_eq(known->flow_id, row->flow_id)) {
            known->count++;
            return;
        }
    }
    *rows = vec_grow_arena(arena, *rows, capacity, *count, sizeof(**rows));
    (*rows)[(*count)++] = (struct count_row){
        .namespace = arena_strdup(arena, row->namespace),
        .flow_id = arena_strdup(arena, row->flow_id),
        .state = state,
        .day = day,
        .count = 1,
    };
}

static int compare_counts(const void *a, const void *b)
{
    const struct count_row *x = a;
    const struct count_row *y = b;
    int names =
        first_difference(strcmp(x->namespace, y->namespace), strcmp(x->flow_id, y->flow_id));
    return first_difference(compare_ints(x->day, y->day),
                            first_difference(names, (int)x->state - (int)y->state));
}

bool memory_slots(struct store_reader *base,
                  struct arena *arena,
                  struct count_row **out,
                  size_t *count,
                  struct error *err)
{
    (void)err;
    struct memory_store *store = memory_enter(base);
    struct count_row *rows = NULL;
    size_t found = 0;
    size_t capacity = 0;
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.holds_slot)
            count_one(arena, &rows, &found, &capacity, &stored->row, STATE_CREATED, 0);
    }
    memory_leave(base);
    *out = rows;
    *count = found;
    return true;
}

bool memory_counts(struct store_reader *base,
                   struct arena *arena,
                   usec_t from,
                   usec_t until,
                   struct count_row **out,
                   size_t *count,
                   struct error *err)
{
    (void)err;
    struct memory_store *store = memory_enter(base);
    struct count_row *rows = NULL;
    size_t found = 0;
    size_t capacity = 0;
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct execution_row *row =
            &((struct stored_execution *)store->executions.rows[i])->row;
        usec_t day = row->created_at - row->created_at % USEC_DAY;
        if (states[row->state].is_terminal && day >= from && day < until)
            count_one(arena, &rows, &found, &capacity, row, row->state, day);
    }
    memory_leave(base);
    if (found > 1)
        qsort(rows, found, sizeof(*rows), compare_counts);
    *out = rows;
    *count = found;
    return true;
}

static int compare_queue(const void *a, const void *b)
{
    const struct queued_row *x = &(*(const struct stored_queued *const *)a)->row;
    const struct queued_row *y = &(*(const struct stored_queued *const *)b)->row;
    return first_difference(compare_ints(x->queued_at, y->queued_at),
                            compare_ints(x->execution, y->execution));
}

bool memory_queued(struct store_reader *base,
                   struct arena *arena,
                   const char *namespace,
                   const char *flow_id,
                   size_t limit,
                   struct queued_row **out,
                   size_t *count,
                   struct error *err)
{
    (void)err;
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->queued.count; i++) {
        const struct stored_queued *stored = store->queued.rows[i];
        if (namespace == NULL ||
            (str_eq(stored->row.namespace, namespace) && str_eq(stored->row.flow_id, flow_id)))
            picks_add(&picks, stored);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_queue);
    *count = picks.rows.count < limit ? picks.rows.count : limit;
    *out = ARENA_ARRAY(arena, *count, struct queued_row);
    for (size_t i = 0; i < *count; i++) {
        (*out)[i] = ((const struct stored_queued *)picks.rows.items[i])->row;
        copy_queued(arena, &(*out)[i]);
    }
    VEC_FREE(&picks.rows);
    memory_leave(base);
    return true;
}
