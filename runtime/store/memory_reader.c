/* SPDX-License-Identifier: Apache-2.0 */
/* Memory store, reading side. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "runtime/store/memory_internal.h"

struct memory_store *memory_enter(struct store_reader *base)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    if (!reader->is_begun)
        pthread_mutex_lock(&reader->store->lock);
    return reader->store;
}

void memory_leave(struct store_reader *base)
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

void picks_add(struct picks *picks, const void *row)
{
    *VEC_PUSH(&picks->rows) = row;
}

void picks_page(struct picks *picks, const struct query *query, int64_t *total)
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

bool memory_answer(bool found, struct error *err, const char *what, const char *name)
{
    return found || error_set(err, ERR_NOT_FOUND, "%s '%s' does not exist", what, name);
}

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
    struct memory_store *store = memory_enter(base);
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
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->flows.count; i++) {
        const struct stored_flow *flow = store->flows.rows[i];
        const struct stored_flow *next =
            i + 1 < store->flows.count ? store->flows.rows[i + 1] : NULL;
        bool is_latest = next == NULL || !str_eq(next->row.namespace, flow->row.namespace) ||
                         !str_eq(next->row.id, flow->row.id);
        if (is_latest && !flow->row.deleted && query_matches_flow(query, &flow->row))
            picks_add(&picks, flow);
    }
    sort_picks(&picks, compare_flow_order, query);
    picks_page(&picks, query, total);
#define AND_SOURCE , with_source
    ANSWER_ROWS(flow, flow_row, AND_SOURCE);
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    size_t found = 0;
    size_t first = flow_span(store, namespace, id, &found);
    struct picks picks = { 0 };
    for (size_t i = first; i < first + found; i++)
        picks_add(&picks, store->flows.rows[i]);
    ANSWER_ROWS(flow, flow_row, AND_SOURCE);
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
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
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
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
    memory_leave(base);
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
    const struct stored_trigger *stored = table_find(&memory_enter(base)->triggers, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_trigger(arena, out);
    }
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->triggers.count; i++) {
        const struct stored_trigger *trigger = store->triggers.rows[i];
        if (query_matches_trigger(query, &trigger->row))
            picks_add(&picks, trigger);
    }
    sort_picks(&picks, compare_trigger_order, query);
    picks_page(&picks, query, total);
    ANSWER_ROWS(trigger, trigger_state, );
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->triggers.count && picks.rows.count < limit; i++) {
        const struct stored_trigger *trigger = store->triggers.rows[i];
        if (trigger->row.key > after)
            picks_add(&picks, trigger);
    }
    ANSWER_ROWS(trigger, trigger_state, );
    memory_leave(base);
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
    const struct stored_kv *stored = table_find(&memory_enter(base)->kv, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_kv(arena, out);
    }
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->kv.count; i++) {
        const struct stored_kv *kv = store->kv.rows[i];
        if (query_matches_kv(query, &kv->row))
            picks_add(&picks, kv);
    }
    sort_picks(&picks, compare_kv_order, query);
    picks_page(&picks, query, total);
    ANSWER_ROWS(kv, kv_row, );
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    size_t at = 0;
    if (after != NULL) {
        struct stored_kv like = { .row = *after };
        like.row.revision--; // the newest come first
        at = table_lower(&store->kv_versions, &like);
    }
    for (; at < store->kv_versions.count && picks.rows.count < limit; at++)
        picks_add(&picks, store->kv_versions.rows[at]);
    ANSWER_ROWS(kv, kv_row, );
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
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
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    size_t length = str_eq(folder, "/") ? 0 : strlen(folder);
    for (size_t i = 0; i < store->files.count; i++) {
        const struct stored_file *file = store->files.rows[i];
        if (str_eq(file->row.namespace, namespace) && !file->row.deleted &&
            is_latest_file(store, i) && strncmp(file->row.path, folder, length) == 0 &&
            file->row.path[length] == '/')
            picks_add(&picks, file);
    }
    ANSWER_ROWS(file, file_row, );
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->files.count; i++) {
        const struct stored_file *file = store->files.rows[i];
        if (str_eq(file->row.namespace, namespace) &&
            (path == NULL || str_eq(file->row.path, path)))
            picks_add(&picks, file);
    }
    ANSWER_ROWS(file, file_row, );
    memory_leave(base);
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
    const struct stored_document *stored = table_find(&memory_enter(base)->documents, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_document(arena, out);
    }
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->documents.count && picks.rows.count < limit; i++) {
        const struct stored_document *document = store->documents.rows[i];
        if (str_eq(document->row.collection, collection) &&
            (prefix == NULL || str_starts(document->row.key, prefix)) &&
            (after == NULL || strcmp(document->row.key, after) > 0))
            picks_add(&picks, document);
    }
    ANSWER_ROWS(document, document_row, );
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->documents.count; i++) {
        const struct stored_document *document = store->documents.rows[i];
        if (str_eq(document->row.collection, collection) && document->row.at < before)
            picks_add(&picks, document);
    }
    if (picks.rows.count > 1)
        qsort(picks.rows.items, picks.rows.count, sizeof(void *), compare_recent);
    if (picks.rows.count > limit)
        picks.rows.count = limit;
    ANSWER_ROWS(document, document_row, );
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->outbox.count && picks.rows.count < limit; i++) {
        const struct stored_outbox *outbox = store->outbox.rows[i];
        if (str_eq(outbox->row.topic, topic) && outbox->row.due_at <= now &&
            (outbox->row.order_key == NULL || !has_earlier(store, &outbox->row)))
            picks_add(&picks, outbox);
    }
    ANSWER_ROWS(outbox, outbox_row, );
    memory_leave(base);
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
    const struct stored_window *stored = table_find(&memory_enter(base)->windows, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_window(arena, out);
    }
    memory_leave(base);
    return memory_answer(found, err, "window", window_id);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->windows.count && picks.rows.count < limit; i++) {
        const struct stored_window *window = store->windows.rows[i];
        if (window->row.end_at < now)
            picks_add(&picks, window);
    }
    ANSWER_ROWS(window, window_row, );
    memory_leave(base);
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
    const struct stored_cache *stored = table_find(&memory_enter(base)->cache, &like);
    bool found = stored != NULL;
    if (found) {
        *out = stored->row;
        copy_cache(arena, out);
    }
    memory_leave(base);
    return memory_answer(found, err, "cache entry", key);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t n = 0; n < store->logs.count && picks.rows.count < limit; n++) {
        const struct stored_log *log =
            store->logs.rows[newest_first ? store->logs.count - 1 - n : n];
        bool is_after =
            newest_first ? after_key == 0 || log->row.key < after_key : log->row.key > after_key;
        if (is_after && (execution == 0 || log->row.execution == execution) &&
            query_may_match_block(query, &log->row))
            picks_add(&picks, log);
    }
    ANSWER_ROWS(log, log_row, );
    memory_leave(base);
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
    struct memory_store *store = memory_enter(base);
    struct picks picks = { 0 };
    for (size_t i = 0; i < store->metrics.count; i++) {
        const struct stored_metric *metric = store->metrics.items[i];
        if ((execution == 0 || metric->row.execution == execution) &&
            query_matches_metric(query, &metric->row))
            picks_add(&picks, metric);
    }
    if (query->sort != FIELD_COUNT)
        sort_picks(&picks, compare_metric_order, query);
    picks_page(&picks, query, total);
    ANSWER_ROWS(metric, metric_row, );
    memory_leave(base);
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
