/* SPDX-License-Identifier: Apache-2.0 */
/* Memory store, reading side. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "runtime/store/memory_internal.h"

struct memory_reader {
    struct store_reader base;
    struct memory_store *store;
    bool is_begun;
};

/* The store, locked; unlock with leave(). */
static struct memory_store *enter(struct store_reader *base)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    if (!reader->is_begun)
        pthread_mutex_lock(&reader->store->lock);
    return reader->store;
}

static void leave(struct store_reader *base)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    if (!reader->is_begun)
        pthread_mutex_unlock(&reader->store->lock);
}

static bool memory_begin(struct store_reader *base, struct error *err)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    (void)err;
    pthread_mutex_lock(&reader->store->lock);
    reader->is_begun = true;
    return true;
}

static void memory_end(struct store_reader *base)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    reader->is_begun = false;
    pthread_mutex_unlock(&reader->store->lock);
}

/* An answer under way: pointers to rows, still the store's, that are copied at the end. */
struct picks {
    VEC(const void *) rows;
};

static void pick(struct picks *picks, const void *row)
{
    *VEC_PUSH(&picks->rows) = row;
}

/* Leaves the page of a query; *total gets how many there were. */
static void page(struct picks *picks, const struct query *query, int64_t *total)
{
    size_t count = picks->rows.count;
    if (total != NULL)
        *total = (int64_t)count;
    size_t first = query->offset < count ? query->offset : count;
    size_t kept = count - first < query->limit ? count - first : query->limit;
    if (kept > 0)
        memmove(picks->rows.items, picks->rows.items + first, kept * sizeof(*picks->rows.items));
    picks->rows.count = kept;
}

static bool answer(bool found, struct error *err, const char *what, const char *name)
{
    return found || error_set(err, ERR_NOT_FOUND, "%s '%s' does not exist", what, name);
}

/* ---- executions ---- */

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

static bool memory_execution_get(struct store_reader *base,
                                 struct arena *arena,
                                 const char *id,
                                 struct execution_row *out,
                                 struct error *err)
{
    struct memory_store *store = enter(base);
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
    leave(base);
    if (found > 1)
        return error_set(err, ERR_CONFLICT, "several executions begin with '%s'", id);
    return answer(found == 1, err, "execution", id);
}

static bool memory_execution_by_key(struct store_reader *base,
                                    struct arena *arena,
                                    int64_t key,
                                    struct execution_row *out,
                                    struct error *err)
{
    const struct stored_execution *stored = execution_of(enter(base), key);
    bool found = stored != NULL;
    if (found)
        answer_execution(arena, stored, true, out);
    leave(base);
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

static bool memory_execution_search(struct store_reader *base,
                                    struct arena *arena,
                                    const struct query *query,
                                    bool with_runs,
                                    struct execution_row **out,
                                    size_t *count,
                                    int64_t *total,
                                    struct error *err)
{
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (query_matches_execution(query, &stored->row))
            pick(&picks, stored);
    }
    bool is_default = query->sort == FIELD_COUNT;
    struct order order = { .field = is_default ? FIELD_START : query->sort,
                           .descending = is_default || query->descending };
    if (picks.rows.count > 1)
        qsort_r(picks.rows.items, picks.rows.count, sizeof(void *), compare_found, &order);
    page(&picks, query, total);
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
    leave(base);
    return ok;
}

static bool memory_execution_children(struct store_reader *base,
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
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count && picks.rows.count < limit; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.key > after && str_eq(stored->row.cause_id, cause_id) &&
            (!live_only || stored->row.live != LIVE_ENDED))
            pick(&picks, stored);
    }
    answer_executions(arena, &picks, false, out, count);
    leave(base);
    return true;
}

static bool memory_execution_active(struct store_reader *base,
                                    struct arena *arena,
                                    int64_t after,
                                    size_t limit,
                                    struct execution_row **out,
                                    size_t *count,
                                    struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count && picks.rows.count < limit; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.key > after && stored->row.live == LIVE_ACTIVE)
            pick(&picks, stored);
    }
    answer_executions(arena, &picks, true, out, count);
    leave(base);
    return true;
}

static int compare_wakes(const void *a, const void *b)
{
    const struct execution_row *x = &(*(const struct stored_execution *const *)a)->row;
    const struct execution_row *y = &(*(const struct stored_execution *const *)b)->row;
    return first_difference(compare_ints(x->wake_at, y->wake_at), compare_ints(x->key, y->key));
}

static bool memory_execution_waking(struct store_reader *base,
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
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        const struct execution_row *row = &stored->row;
        bool is_after =
            row->wake_at > after_at || (row->wake_at == after_at && row->key > after_key);
        if (row->live == LIVE_PARKED && row->wake_at > 0 && row->wake_at <= until && is_after)
            pick(&picks, stored);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_wakes);
    if (picks.rows.count > limit)
        picks.rows.count = limit;
    answer_executions(arena, &picks, false, out, count);
    leave(base);
    return true;
}

static int compare_created(const void *a, const void *b)
{
    const struct execution_row *x = &(*(const struct stored_execution *const *)a)->row;
    const struct execution_row *y = &(*(const struct stored_execution *const *)b)->row;
    return first_difference(compare_ints(x->created_at, y->created_at),
                            compare_ints(x->key, y->key));
}

static bool memory_execution_expired(struct store_reader *base,
                                     struct arena *arena,
                                     usec_t before,
                                     size_t limit,
                                     struct execution_row **out,
                                     size_t *count,
                                     struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.live == LIVE_ENDED && stored->row.ended_at < before &&
            stored->row.created_at < before)
            pick(&picks, stored);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_created);
    if (picks.rows.count > limit)
        picks.rows.count = limit;
    answer_executions(arena, &picks, false, out, count);
    leave(base);
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

static bool memory_slots(struct store_reader *base,
                         struct arena *arena,
                         struct count_row **out,
                         size_t *count,
                         struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct count_row *rows = NULL;
    size_t found = 0;
    size_t capacity = 0;
    for (size_t i = 0; i < store->executions.count; i++) {
        const struct stored_execution *stored = store->executions.rows[i];
        if (stored->row.holds_slot)
            count_one(arena, &rows, &found, &capacity, &stored->row, STATE_CREATED, 0);
    }
    leave(base);
    *out = rows;
    *count = found;
    return true;
}

static bool memory_counts(struct store_reader *base,
                          struct arena *arena,
                          usec_t from,
                          usec_t until,
                          struct count_row **out,
                          size_t *count,
                          struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
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
    leave(base);
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

static bool memory_queued(struct store_reader *base,
                          struct arena *arena,
                          const char *namespace,
                          const char *flow_id,
                          size_t limit,
                          struct queued_row **out,
                          size_t *count,
                          struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->queued.count; i++) {
        const struct stored_queued *stored = store->queued.rows[i];
        if (namespace == NULL ||
            (str_eq(stored->row.namespace, namespace) && str_eq(stored->row.flow_id, flow_id)))
            pick(&picks, stored);
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
    leave(base);
    return true;
}

/* ---- everything else ---- */

/* Copies of the picked rows, as an answer. */
#define ANSWER_ROWS(name, type, ...)                                                               \
    do {                                                                                           \
        *count = picks.rows.count;                                                                 \
        *out = ARENA_ARRAY(arena, picks.rows.count, struct type);                                  \
        for (size_t i = 0; i < picks.rows.count; i++) {                                            \
            (*out)[i] = ((const struct stored_##name *)picks.rows.items[i])->row;                  \
            copy_##name(arena, &(*out)[i] __VA_ARGS__);                                            \
        }                                                                                          \
        VEC_FREE(&picks.rows);                                                                     \
    } while (0)

static bool memory_flow_get(struct store_reader *base,
                            struct arena *arena,
                            const char *namespace,
                            const char *id,
                            int64_t revision,
                            bool allow_deleted,
                            struct flow_row *out,
                            struct error *err)
{
    struct memory_store *store = enter(base);
    size_t count = 0;
    size_t first = flow_span(store, namespace, id, &count);
    const struct flow_row *found = NULL;
    for (size_t i = first; i < first + count; i++) {
        const struct stored_flow *flow = store->flows.rows[i];
        if (revision == 0 || flow->row.revision == revision)
            found = &flow->row;
    }
    if (found != NULL && revision == 0 && found->deleted && !allow_deleted)
        found = NULL;
    if (found != NULL) {
        *out = *found;
        copy_flow(arena, out, true);
    }
    leave(base);
    return found != NULL || error_set(err, ERR_NOT_FOUND, "flow '%s/%s' does not exist%s",
                                      namespace, id, revision > 0 ? " in that revision" : "");
}

static int compare_flow_order(const void *a, const void *b, void *data)
{
    const struct query *query = data;
    const struct flow_row *x = &(*(const struct stored_flow *const *)a)->row;
    const struct flow_row *y = &(*(const struct stored_flow *const *)b)->row;
    int wanted = 0;
    if (query->sort == FIELD_ID || query->sort == FIELD_FLOW)
        wanted = strcmp(x->id, y->id);
    else if (query->sort == FIELD_UPDATED)
        wanted = compare_ints(x->updated_at, y->updated_at);
    else if (query->sort == FIELD_NAMESPACE)
        wanted = strcmp(x->namespace, y->namespace);
    if (wanted != 0)
        return query->descending ? -wanted : wanted;
    return first_difference(strcmp(x->namespace, y->namespace), strcmp(x->id, y->id));
}

static void sort_picks(struct picks *picks,
                       int (*compare)(const void *, const void *, void *),
                       const struct query *query)
{
    struct query copy = *query; // qsort_r() takes no const
    if (picks->rows.count > 1)
        qsort_r(picks->rows.items, picks->rows.count, sizeof(void *), compare, &copy);
}

static bool memory_flow_search(struct store_reader *base,
                               struct arena *arena,
                               const struct query *query,
                               bool with_source,
                               struct flow_row **out,
                               size_t *count,
                               int64_t *total,
                               struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->flows.count; i++) {
        const struct stored_flow *flow = store->flows.rows[i];
        const struct stored_flow *next =
            i + 1 < store->flows.count ? store->flows.rows[i + 1] : NULL;
        bool is_latest = next == NULL || !str_eq(next->row.namespace, flow->row.namespace) ||
                         !str_eq(next->row.id, flow->row.id);
        if (is_latest && !flow->row.deleted && query_matches_flow(query, &flow->row))
            pick(&picks, flow);
    }
    sort_picks(&picks, compare_flow_order, query);
    page(&picks, query, total);
#define AND_SOURCE , with_source
    ANSWER_ROWS(flow, flow_row, AND_SOURCE);
    leave(base);
    return true;
}

static bool memory_flow_revisions(struct store_reader *base,
                                  struct arena *arena,
                                  const char *namespace,
                                  const char *id,
                                  bool with_source,
                                  struct flow_row **out,
                                  size_t *count,
                                  struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    size_t found = 0;
    size_t first = flow_span(store, namespace, id, &found);
    struct picks picks = { 0 };
    for (size_t i = first; i < first + found; i++)
        pick(&picks, store->flows.rows[i]);
    ANSWER_ROWS(flow, flow_row, AND_SOURCE);
    leave(base);
    return true;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool memory_namespaces(struct store_reader *base,
                              struct arena *arena,
                              const char *text,
                              const char ***out,
                              size_t *count,
                              struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    VEC(const char *) names = { 0 };
    for (size_t i = 0; i < store->flows.count; i++) {
        const struct stored_flow *flow = store->flows.rows[i];
        struct flow_row latest;
        if (!flow->row.deleted) {
            size_t revisions = 0;
            size_t first = flow_span(store, flow->row.namespace, flow->row.id, &revisions);
            latest = ((struct stored_flow *)store->flows.rows[first + revisions - 1])->row;
            if (!latest.deleted)
                *VEC_PUSH_ARENA(arena, &names) = arena_strdup(arena, flow->row.namespace);
        }
    }
    for (size_t i = 0; i < store->kv.count; i++)
        *VEC_PUSH_ARENA(arena, &names) =
            arena_strdup(arena, ((struct stored_kv *)store->kv.rows[i])->row.namespace);
    for (size_t i = 0; i < store->files.count; i++)
        *VEC_PUSH_ARENA(arena, &names) =
            arena_strdup(arena, ((struct stored_file *)store->files.rows[i])->row.namespace);
    leave(base);
    if (names.count > 1)
        qsort(names.items, names.count, sizeof(*names.items), compare_texts);
    size_t kept = 0;
    for (size_t i = 0; i < names.count; i++)
        if ((kept == 0 || !str_eq(names.items[kept - 1], names.items[i])) &&
            (text == NULL || text_contains(names.items[i], text)))
            names.items[kept++] = names.items[i];
    *out = names.items;
    *count = kept;
    return true;
}

static bool memory_trigger_get(struct store_reader *base,
                               struct arena *arena,
                               const char *namespace,
                               const char *flow_id,
                               const char *trigger_id,
                               struct trigger_state *out,
                               struct error *err)
{
    struct memory_store *store = enter(base);
    bool found = false;
    for (size_t i = 0; i < store->triggers.count && !found; i++) {
        const struct trigger_state *row = &((struct stored_trigger *)store->triggers.rows[i])->row;
        found = str_eq(row->namespace, namespace) && str_eq(row->flow_id, flow_id) &&
                str_eq(row->trigger_id, trigger_id);
        if (found) {
            *out = *row;
            copy_trigger(arena, out);
        }
    }
    leave(base);
    return found || error_set(err, ERR_NOT_FOUND, "trigger '%s' of flow '%s/%s' does not exist",
                              trigger_id, namespace, flow_id);
}

static bool memory_trigger_by_key(struct store_reader *base,
                                  struct arena *arena,
                                  int64_t key,
                                  struct trigger_state *out,
                                  struct error *err)
{
    struct stored_trigger like = { .row.key = key };
    const struct stored_trigger *stored = table_find(&enter(base)->triggers, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_trigger(arena, out);
    }
    leave(base);
    return found ||
           error_set(err, ERR_NOT_FOUND, "trigger number %lld does not exist", (long long)key);
}

static int compare_optional(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

static int compare_trigger_order(const void *a, const void *b, void *data)
{
    const struct query *query = data;
    const struct trigger_state *x = &(*(const struct stored_trigger *const *)a)->row;
    const struct trigger_state *y = &(*(const struct stored_trigger *const *)b)->row;
    int wanted = 0;
    if (query->sort == FIELD_NAMESPACE)
        wanted = strcmp(x->namespace, y->namespace);
    else if (query->sort == FIELD_FLOW)
        wanted = strcmp(x->flow_id, y->flow_id);
    else if (query->sort == FIELD_TRIGGER)
        wanted = strcmp(x->trigger_id, y->trigger_id);
    else if (query->sort == FIELD_EXECUTION)
        wanted = compare_optional(x->execution_id, y->execution_id);
    else if (query->sort == FIELD_NEXT)
        wanted = compare_ints(x->next_at, y->next_at);
    else if (query->sort == FIELD_UPDATED)
        wanted = compare_ints(x->updated_at, y->updated_at);
    if (wanted != 0)
        return query->descending ? -wanted : wanted;
    int names =
        first_difference(strcmp(x->namespace, y->namespace), strcmp(x->flow_id, y->flow_id));
    return first_difference(names, strcmp(x->trigger_id, y->trigger_id));
}

static bool memory_trigger_search(struct store_reader *base,
                                  struct arena *arena,
                                  const struct query *query,
                                  struct trigger_state **out,
                                  size_t *count,
                                  int64_t *total,
                                  struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->triggers.count; i++) {
        const struct stored_trigger *trigger = store->triggers.rows[i];
        if (query_matches_trigger(query, &trigger->row))
            pick(&picks, trigger);
    }
    sort_picks(&picks, compare_trigger_order, query);
    page(&picks, query, total);
    ANSWER_ROWS(trigger, trigger_state, );
    leave(base);
    return true;
}

static bool memory_trigger_all(struct store_reader *base,
                               struct arena *arena,
                               int64_t after,
                               size_t limit,
                               struct trigger_state **out,
                               size_t *count,
                               struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->triggers.count && picks.rows.count < limit; i++) {
        const struct stored_trigger *trigger = store->triggers.rows[i];
        if (trigger->row.key > after)
            pick(&picks, trigger);
    }
    ANSWER_ROWS(trigger, trigger_state, );
    leave(base);
    return true;
}

static bool memory_kv_get(struct store_reader *base,
                          struct arena *arena,
                          const char *namespace,
                          const char *key,
                          struct kv_row *out,
                          struct error *err)
{
    struct stored_kv like = { .row = { .namespace = namespace, .key = key } };
    const struct stored_kv *stored = table_find(&enter(base)->kv, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_kv(arena, out);
    }
    leave(base);
    return found || error_set(err, ERR_NOT_FOUND, "no value found for key '%s' in namespace '%s'",
                              key, namespace);
}

static int compare_kv_order(const void *a, const void *b, void *data)
{
    const struct query *query = data;
    const struct kv_row *x = &(*(const struct stored_kv *const *)a)->row;
    const struct kv_row *y = &(*(const struct stored_kv *const *)b)->row;
    int wanted = 0;
    if (query->sort == FIELD_KEY)
        wanted = strcmp(x->key, y->key);
    else if (query->sort == FIELD_NAMESPACE)
        wanted = strcmp(x->namespace, y->namespace);
    else if (query->sort == FIELD_UPDATED)
        wanted = compare_ints(x->updated_at, y->updated_at);
    else if (query->sort == FIELD_CREATED)
        wanted = compare_ints(x->created_at, y->created_at);
    else if (query->sort == FIELD_EXPIRES)
        wanted = compare_ints(x->expires_at, y->expires_at);
    if (wanted != 0)
        return query->descending ? -wanted : wanted;
    return first_difference(strcmp(x->namespace, y->namespace), strcmp(x->key, y->key));
}

static bool memory_kv_search(struct store_reader *base,
                             struct arena *arena,
                             const struct query *query,
                             struct kv_row **out,
                             size_t *count,
                             int64_t *total,
                             struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->kv.count; i++) {
        const struct stored_kv *kv = store->kv.rows[i];
        if (query_matches_kv(query, &kv->row))
            pick(&picks, kv);
    }
    sort_picks(&picks, compare_kv_order, query);
    page(&picks, query, total);
    ANSWER_ROWS(kv, kv_row, );
    leave(base);
    return true;
}

static bool memory_kv_versions(struct store_reader *base,
                               struct arena *arena,
                               const struct kv_row *after,
                               size_t limit,
                               struct kv_row **out,
                               size_t *count,
                               struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    size_t at = 0;
    if (after != NULL) {
        struct stored_kv like = { .row = *after };
        like.row.revision--; // the newest come first
        at = table_lower(&store->kv_versions, &like);
    }
    for (; at < store->kv_versions.count && picks.rows.count < limit; at++)
        pick(&picks, store->kv_versions.rows[at]);
    ANSWER_ROWS(kv, kv_row, );
    leave(base);
    return true;
}

static bool memory_file_get(struct store_reader *base,
                            struct arena *arena,
                            const char *namespace,
                            const char *path,
                            int64_t revision,
                            struct file_row *out,
                            struct error *err)
{
    struct memory_store *store = enter(base);
    const struct file_row *found = NULL;
    for (size_t i = 0; i < store->files.count; i++) {
        const struct file_row *row = &((struct stored_file *)store->files.rows[i])->row;
        if (str_eq(row->namespace, namespace) && str_eq(row->path, path) &&
            (revision == 0 || row->revision == revision))
            found = row;
    }
    if (found != NULL && revision == 0 && found->deleted)
        found = NULL;
    if (found != NULL) {
        *out = *found;
        copy_file(arena, out);
    }
    leave(base);
    return found != NULL ||
           error_set(err, ERR_NOT_FOUND, "file '%s' does not exist in namespace '%s'", path,
                     namespace);
}

static bool is_latest_file(const struct memory_store *store, size_t at)
{
    if (at + 1 == store->files.count)
        return true;
    const struct file_row *row = &((struct stored_file *)store->files.rows[at])->row;
    const struct file_row *next = &((struct stored_file *)store->files.rows[at + 1])->row;
    return !str_eq(row->namespace, next->namespace) || !str_eq(row->path, next->path);
}

static bool memory_file_list(struct store_reader *base,
                             struct arena *arena,
                             const char *namespace,
                             const char *folder,
                             struct file_row **out,
                             size_t *count,
                             struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    size_t length = str_eq(folder, "/") ? 0 : strlen(folder);
    for (size_t i = 0; i < store->files.count; i++) {
        const struct stored_file *file = store->files.rows[i];
        if (str_eq(file->row.namespace, namespace) && !file->row.deleted &&
            is_latest_file(store, i) && strncmp(file->row.path, folder, length) == 0 &&
            file->row.path[length] == '/')
            pick(&picks, file);
    }
    ANSWER_ROWS(file, file_row, );
    leave(base);
    return true;
}

static bool memory_file_revisions(struct store_reader *base,
                                  struct arena *arena,
                                  const char *namespace,
                                  const char *path,
                                  struct file_row **out,
                                  size_t *count,
                                  struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->files.count; i++) {
        const struct stored_file *file = store->files.rows[i];
        if (str_eq(file->row.namespace, namespace) &&
            (path == NULL || str_eq(file->row.path, path)))
            pick(&picks, file);
    }
    ANSWER_ROWS(file, file_row, );
    leave(base);
    return true;
}

static bool memory_document_get(struct store_reader *base,
                                struct arena *arena,
                                const char *collection,
                                const char *key,
                                struct document_row *out,
                                struct error *err)
{
    struct stored_document like = { .row = { .collection = collection, .key = key } };
    const struct stored_document *stored = table_find(&enter(base)->documents, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_document(arena, out);
    }
    leave(base);
    return found || error_set(err, ERR_NOT_FOUND, "'%s' does not exist in '%s'", key, collection);
}

static bool memory_document_list(struct store_reader *base,
                                 struct arena *arena,
                                 const char *collection,
                                 const char *prefix,
                                 const char *after,
                                 size_t limit,
                                 struct document_row **out,
                                 size_t *count,
                                 struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->documents.count && picks.rows.count < limit; i++) {
        const struct stored_document *document = store->documents.rows[i];
        if (str_eq(document->row.collection, collection) &&
            (prefix == NULL || str_starts(document->row.key, prefix)) &&
            (after == NULL || strcmp(document->row.key, after) > 0))
            pick(&picks, document);
    }
    ANSWER_ROWS(document, document_row, );
    leave(base);
    return true;
}

static int compare_recent(const void *a, const void *b)
{
    const struct document_row *x = &(*(const struct stored_document *const *)a)->row;
    const struct document_row *y = &(*(const struct stored_document *const *)b)->row;
    return first_difference(compare_ints(y->at, x->at), strcmp(x->key, y->key));
}

static bool memory_document_recent(struct store_reader *base,
                                   struct arena *arena,
                                   const char *collection,
                                   usec_t before,
                                   size_t limit,
                                   struct document_row **out,
                                   size_t *count,
                                   struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->documents.count; i++) {
        const struct stored_document *document = store->documents.rows[i];
        if (str_eq(document->row.collection, collection) && document->row.at < before)
            pick(&picks, document);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_recent);
    if (picks.rows.count > limit)
        picks.rows.count = limit;
    ANSWER_ROWS(document, document_row, );
    leave(base);
    return true;
}

static bool has_earlier(const struct memory_store *store, const struct outbox_row *row)
{
    for (size_t i = 0; i < store->outbox.count; i++) {
        const struct outbox_row *other = &((struct stored_outbox *)store->outbox.rows[i])->row;
        if (other->key >= row->key)
            return false;
        if (str_eq(other->topic, row->topic) && other->order_key != NULL &&
            str_eq(other->order_key, row->order_key))
            return true;
    }
    return false;
}

static bool memory_outbox_due(struct store_reader *base,
                              struct arena *arena,
                              const char *topic,
                              usec_t now,
                              size_t limit,
                              struct outbox_row **out,
                              size_t *count,
                              struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->outbox.count && picks.rows.count < limit; i++) {
        const struct stored_outbox *outbox = store->outbox.rows[i];
        if (str_eq(outbox->row.topic, topic) && outbox->row.due_at <= now &&
            (outbox->row.order_key == NULL || !has_earlier(store, &outbox->row)))
            pick(&picks, outbox);
    }
    ANSWER_ROWS(outbox, outbox_row, );
    leave(base);
    return true;
}

static bool memory_window_get(struct store_reader *base,
                              struct arena *arena,
                              const char *namespace,
                              const char *flow_id,
                              const char *window_id,
                              struct window_row *out,
                              struct error *err)
{
    struct stored_window like = {
        .row = { .namespace = namespace, .flow_id = flow_id, .window_id = window_id }
    };
    const struct stored_window *stored = table_find(&enter(base)->windows, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_window(arena, out);
    }
    leave(base);
    return answer(found, err, "window", window_id);
}

static bool memory_window_expired(struct store_reader *base,
                                  struct arena *arena,
                                  usec_t now,
                                  size_t limit,
                                  struct window_row **out,
                                  size_t *count,
                                  struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->windows.count && picks.rows.count < limit; i++) {
        const struct stored_window *window = store->windows.rows[i];
        if (window->row.end_at < now)
            pick(&picks, window);
    }
    ANSWER_ROWS(window, window_row, );
    leave(base);
    return true;
}

static bool memory_cache_get(struct store_reader *base,
                             struct arena *arena,
                             const char *namespace,
                             const char *flow_id,
                             const char *key,
                             struct cache_row *out,
                             struct error *err)
{
    struct stored_cache like = { .row = {
                                     .namespace = namespace, .flow_id = flow_id, .key = key } };
    const struct stored_cache *stored = table_find(&enter(base)->cache, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_cache(arena, out);
    }
    leave(base);
    return answer(found, err, "cache entry", key);
}

static bool memory_log_rows(struct store_reader *base,
                            struct arena *arena,
                            int64_t execution,
                            const struct query *query,
                            bool newest_first,
                            int64_t after_key,
                            size_t limit,
                            struct log_row **out,
                            size_t *count,
                            struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t n = 0; n < store->logs.count && picks.rows.count < limit; n++) {
        const struct stored_log *log =
            store->logs.rows[newest_first ? store->logs.count - 1 - n : n];
        bool is_after =
            newest_first ? after_key == 0 || log->row.key < after_key : log->row.key > after_key;
        if (is_after && (execution == 0 || log->row.execution == execution) &&
            query_may_match_block(query, &log->row))
            pick(&picks, log);
    }
    ANSWER_ROWS(log, log_row, );
    leave(base);
    return true;
}

static int compare_metric_order(const void *a, const void *b, void *data)
{
    const struct query *query = data;
    const struct metric_row *x = &(*(const struct stored_metric *const *)a)->row;
    const struct metric_row *y = &(*(const struct stored_metric *const *)b)->row;
    int wanted = 0;
    if (query->sort == FIELD_NAMESPACE)
        wanted = strcmp(x->namespace, y->namespace);
    else if (query->sort == FIELD_FLOW)
        wanted = strcmp(x->flow_id, y->flow_id);
    else if (query->sort == FIELD_TASK)
        wanted = compare_optional(x->task_id, y->task_id);
    else if (query->sort == FIELD_RUN)
        wanted = compare_optional(x->run_id, y->run_id);
    else if (query->sort == FIELD_NAME)
        wanted = strcmp(x->name, y->name);
    else if (query->sort == FIELD_EXECUTION)
        wanted = strcmp(x->execution_id.text, y->execution_id.text);
    else if (query->sort == FIELD_START)
        wanted = compare_ints(x->at, y->at);
    if (wanted != 0)
        return query->descending ? -wanted : wanted;
    return compare_ints((*(const struct stored_metric *const *)a)->number,
                        (*(const struct stored_metric *const *)b)->number);
}

static bool memory_metrics(struct store_reader *base,
                           struct arena *arena,
                           int64_t execution,
                           const struct query *query,
                           struct metric_row **out,
                           size_t *count,
                           int64_t *total,
                           struct error *err)
{
    (void)err;
    struct memory_store *store = enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->metrics.count; i++) {
        const struct stored_metric *metric = store->metrics.items[i];
        if ((execution == 0 || metric->row.execution == execution) &&
            query_matches_metric(query, &metric->row))
            pick(&picks, metric);
    }
    if (query->sort != FIELD_COUNT)
        sort_picks(&picks, compare_metric_order, query);
    page(&picks, query, total);
    ANSWER_ROWS(metric, metric_row, );
    leave(base);
    return true;
}

static void memory_reader_free(struct store_reader *base)
{
    free(base);
}

static const struct store_reader_ops memory_reader_ops = {
    .begin = memory_begin,
    .end = memory_end,
    .execution_get = memory_execution_get,
    .execution_by_key = memory_execution_by_key,
    .execution_search = memory_execution_search,
    .execution_children = memory_execution_children,
    .execution_active = memory_execution_active,
    .execution_waking = memory_execution_waking,
    .execution_expired = memory_execution_expired,
    .slots = memory_slots,
    .queued = memory_queued,
    .counts = memory_counts,
    .flow_get = memory_flow_get,
    .flow_search = memory_flow_search,
    .flow_revisions = memory_flow_revisions,
    .namespaces = memory_namespaces,
    .trigger_get = memory_trigger_get,
    .trigger_by_key = memory_trigger_by_key,
    .trigger_search = memory_trigger_search,
    .trigger_all = memory_trigger_all,
    .kv_get = memory_kv_get,
    .kv_search = memory_kv_search,
    .kv_versions = memory_kv_versions,
    .file_get = memory_file_get,
    .file_list = memory_file_list,
    .file_revisions = memory_file_revisions,
    .document_get = memory_document_get,
    .document_list = memory_document_list,
    .document_recent = memory_document_recent,
    .outbox_due = memory_outbox_due,
    .window_get = memory_window_get,
    .window_expired = memory_window_expired,
    .cache_get = memory_cache_get,
    .log_rows = memory_log_rows,
    .metrics = memory_metrics,
    .free = memory_reader_free,
};

struct store_reader *memory_reader_new(struct memory_store *store)
{
    struct memory_reader *reader = check_calloc(1, sizeof(*reader));
    reader->base.ops = &memory_reader_ops;
    reader->store = store;
    return &reader->base;
}
