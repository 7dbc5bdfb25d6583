/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite store, writing side. Statements are prepared once and kept; a commit binds, steps and
 * resets them, nothing more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/pack.h"
#include "base/str.h"
#include "runtime/store/logstore.h"
#include "runtime/store/sqlite_internal.h"

/* Known flow keys; the map starts over when it is full, so that memory has a bound. */
#define FLOW_KEYS_MAX 100000U

/*
 * Executions that are created and finished in one commit keep their runs in their own row up to
 * this size: one row instead of one per run, while reading the row for a list stays cheap.
 */
#define PACKED_RUNS_MAX ((size_t)16 * 1024)

/* The WAL is checkpointed in the background once it has this many pages (4 MiB). */
#define CHECKPOINT_PAGES 1000

/* Expired cache entries deleted whenever one is added. */
#define EXPIRED_STEP 10

_Static_assert(STATE_SUCCESS == 9, "the schema's indexes name this state by its number");

enum stmt {
    STMT_NUMBER,
    STMT_HIGHEST,
    STMT_FLOW_FIND,
    STMT_FLOW_ADD,
    STMT_FLOW_NEW,
    STMT_FLOW_SET,
    STMT_REVISION_ADD,
    STMT_REVISION_DELETE,
    STMT_FLOW_RESET,
    STMT_BODY_FIND,
    STMT_BODY_ADD,
    STMT_BODY_SWEEP,
    STMT_EXECUTION_ADD,
    STMT_EXECUTION_SET,
    STMT_EXECUTION_STAY,
    STMT_EXECUTION_HEADER,
    STMT_EXECUTION_DELETE,
    STMT_RUN_PUT,
    STMT_RUN_DELETE,
    STMT_RUN_TOMBSTONE,
    STMT_RUNS_DELETE,
    STMT_LABEL_ADD,
    STMT_LABEL_DELETE,
    STMT_ENDED_ADD,
    STMT_QUEUED_PUT,
    STMT_QUEUED_DELETE,
    STMT_LOG_ADD,
    STMT_LOG_SET,
    STMT_LOG_DELETE,
    STMT_LOGS_DELETE,
    STMT_METRIC_ADD,
    STMT_METRICS_DELETE,
    STMT_TRIGGER_PUT,
    STMT_TRIGGER_ADVANCE,
    STMT_TRIGGER_DELETE,
    STMT_KV_PUT,
    STMT_KV_DELETE,
    STMT_KV_KEEP,
    STMT_KV_TRIM,
    STMT_KV_FORGET,
    STMT_FILE_PUT,
    STMT_FILE_DELETE,
    STMT_DOCUMENT_PUT,
    STMT_DOCUMENT_DELETE,
    STMT_OUTBOX_PUT,
    STMT_OUTBOX_DELETE,
    STMT_WINDOW_PUT,
    STMT_WINDOW_DELETE,
    STMT_CACHE_PUT,
    STMT_CACHE_DELETE,
    STMT_CACHE_EXPIRE,
    STMT_COUNT,
};

static const char *const statement_texts[STMT_COUNT] = {
    [STMT_NUMBER] = "UPDATE meta SET value = ?1 WHERE name = 'commit' AND value = ?1 - 1",
    [STMT_HIGHEST] = "INSERT INTO meta (name, value) VALUES (?1, ?2)"
                     " ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
    [STMT_FLOW_FIND] = "SELECT key FROM flow WHERE namespace = ?1 AND id = ?2",
    [STMT_FLOW_ADD] = "INSERT INTO flow (namespace, id) VALUES (?1, ?2)",
    [STMT_FLOW_NEW] = "INSERT INTO flow (key, revision, deleted, disabled, body, digest, labels,"
                      " description, updated_at, actor, channel, source, commit_id, namespace, id)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    [STMT_FLOW_SET] =
        "UPDATE flow SET revision = ?2, deleted = ?3, disabled = ?4, body = ?5, digest = ?6,"
        " labels = ?7, description = ?8, updated_at = ?9, actor = ?10, channel = ?11,"
        " source = ?12, commit_id = ?13 WHERE key = ?1",
    [STMT_REVISION_ADD] =
        "INSERT INTO flow_revision (flow, revision, deleted, disabled, body, digest, labels,"
        " description, updated_at, actor, channel, source, commit_id)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [STMT_REVISION_DELETE] = "DELETE FROM flow_revision WHERE flow = ?1 AND revision = ?2",
    [STMT_FLOW_RESET] =
        "UPDATE flow SET (revision, deleted, disabled, body, digest, labels, description,"
        " updated_at, actor, channel, source, commit_id) ="
        " (SELECT revision, deleted, disabled, body, digest, labels, description, updated_at,"
        "  actor, channel, source, commit_id FROM flow_revision WHERE flow = ?1"
        "  ORDER BY revision DESC LIMIT 1)"
        " WHERE key = ?1 AND EXISTS (SELECT 1 FROM flow_revision WHERE flow = ?1)",
    [STMT_BODY_FIND] = "SELECT key FROM body WHERE digest = ?1",
    [STMT_BODY_ADD] = "INSERT INTO body (digest, text) VALUES (?1, ?2)",
    [STMT_BODY_SWEEP] = "DELETE FROM body WHERE key NOT IN (SELECT body FROM flow_revision)",
    [STMT_EXECUTION_ADD] =
        "INSERT INTO execution (key, id, flow, revision, state, kind, live, slot, created_at,"
        " ended_at, wake_at, trigger_id, cause_id, parent_id, fire_trigger, fire_at,"
        " fire_backfill, header, runs)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"
        " ?18, ?19)",
    [STMT_EXECUTION_SET] =
        "UPDATE execution SET revision = ?2, state = ?3, live = ?4, slot = ?5, ended_at = ?6,"
        " wake_at = ?7, header = ?8, created_at = ?9, parent_id = ?10 WHERE key = ?1",
    // the same parameters, but no column that is in an index: those would be written again
    [STMT_EXECUTION_STAY] = "UPDATE execution SET revision = ?2, ended_at = ?6, header = ?8,"
                            " parent_id = ?10 WHERE key = ?1",
    [STMT_EXECUTION_HEADER] = "SELECT header FROM execution WHERE key = ?1",
    [STMT_EXECUTION_DELETE] = "DELETE FROM execution WHERE key = ?1",
    [STMT_RUN_PUT] = "INSERT OR REPLACE INTO run (execution, seq, body) VALUES (?1, ?2, ?3)",
    [STMT_RUN_DELETE] = "DELETE FROM run WHERE execution = ?1 AND seq = ?2",
    [STMT_RUN_TOMBSTONE] = "INSERT INTO run (execution, seq, body) SELECT ?1, ?2, NULL"
                           " FROM execution WHERE key = ?1 AND runs IS NOT NULL",
    [STMT_RUNS_DELETE] = "DELETE FROM run WHERE execution = ?1",
    [STMT_LABEL_ADD] = "INSERT OR IGNORE INTO label (hash, execution) VALUES (?1, ?2)",
    [STMT_LABEL_DELETE] = "DELETE FROM label WHERE hash = ?1 AND execution = ?2",
    [STMT_ENDED_ADD] = "INSERT INTO ended (day, flow, state, count) VALUES (?1, ?2, ?3, ?4)"
                       " ON CONFLICT DO UPDATE SET count = count + excluded.count",
    [STMT_QUEUED_PUT] =
        "INSERT OR REPLACE INTO queued (execution, flow, queued_at) VALUES (?1, ?2, ?3)",
    [STMT_QUEUED_DELETE] = "DELETE FROM queued WHERE execution = ?1",
    [STMT_LOG_ADD] =
        "INSERT INTO log (execution, execution_id, flow, trigger_id, first_at, last_at, levels,"
        " lines, file_at, file_length, body)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [STMT_LOG_SET] = "UPDATE log SET first_at = ?2, last_at = ?3, levels = ?4, lines = ?5,"
                     " body = ?6 WHERE key = ?1",
    [STMT_LOG_DELETE] = "DELETE FROM log WHERE key = ?1",
    [STMT_LOGS_DELETE] = "DELETE FROM log WHERE execution = ?1",
    [STMT_METRIC_ADD] =
        "INSERT INTO metric (execution, execution_id, flow, task_id, run_id, type, name, value,"
        " tags, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [STMT_METRICS_DELETE] = "DELETE FROM metric WHERE execution = ?1",
    [STMT_TRIGGER_PUT] =
        "INSERT INTO trigger (key, flow, trigger_id, kind, type, spec, revision, date,"
        " next_at, evaluating_at, worker_id, execution_id, stop_after, disabled, is_off,"
        " allow_concurrent, backfill_start, backfill_end, backfill_current, backfill_previous,"
        " backfill_paused, backfill_inputs, backfill_labels, updated_at, backfill_id)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"
        " ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)"
        " ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, type = excluded.type,"
        " spec = excluded.spec, revision = excluded.revision, date = excluded.date,"
        " next_at = excluded.next_at, evaluating_at = excluded.evaluating_at,"
        " worker_id = excluded.worker_id, execution_id = excluded.execution_id,"
        " stop_after = excluded.stop_after, disabled = excluded.disabled,"
        " is_off = excluded.is_off, allow_concurrent = excluded.allow_concurrent,"
        " backfill_start = excluded.backfill_start, backfill_end = excluded.backfill_end,"
        " backfill_current = excluded.backfill_current,"
        " backfill_previous = excluded.backfill_previous,"
        " backfill_paused = excluded.backfill_paused,"
        " backfill_inputs = excluded.backfill_inputs,"
        " backfill_labels = excluded.backfill_labels, updated_at = excluded.updated_at,"
        " backfill_id = excluded.backfill_id",
    [STMT_TRIGGER_ADVANCE] = "UPDATE trigger SET date = ?2, next_at = ?3, execution_id = ?4,"
                             " updated_at = ?5 WHERE key = ?1",
    [STMT_TRIGGER_DELETE] = "DELETE FROM trigger WHERE key = ?1",
    [STMT_KV_PUT] =
        "INSERT OR REPLACE INTO kv (namespace, name, type, value, description, revision,"
        " created_at, updated_at, expires_at, actor, channel, source, commit_id)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [STMT_KV_DELETE] = "DELETE FROM kv WHERE namespace = ?1 AND name = ?2",
    [STMT_KV_KEEP] =
        "INSERT OR REPLACE INTO kv_version (namespace, name, type, value, description, revision,"
        " created_at, updated_at, expires_at, actor, channel, source, commit_id)"
        " SELECT namespace, name, type, value, description, revision, created_at, updated_at,"
        " expires_at, actor, channel, source, commit_id FROM kv"
        " WHERE namespace = ?1 AND name = ?2 AND revision < ?3",
    [STMT_KV_TRIM] = "DELETE FROM kv_version WHERE namespace = ?1 AND name = ?2 AND revision < ?3",
    [STMT_KV_FORGET] =
        "DELETE FROM kv_version WHERE namespace = ?1 AND name = ?2 AND revision = ?3",
    [STMT_FILE_PUT] =
        "INSERT OR REPLACE INTO file (namespace, path, revision, is_folder, deleted, size,"
        " digest, content, created_at, updated_at, actor, channel, source, commit_id)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [STMT_FILE_DELETE] = "DELETE FROM file WHERE namespace = ?1 AND path = ?2 AND revision = ?3",
    [STMT_DOCUMENT_PUT] =
        "INSERT OR REPLACE INTO document (collection, name, at, body) VALUES (?1, ?2, ?3, ?4)",
    [STMT_DOCUMENT_DELETE] = "DELETE FROM document WHERE collection = ?1 AND name = ?2",
    [STMT_OUTBOX_PUT] =
        "INSERT OR REPLACE INTO outbox (key, topic, order_key, due_at, attempts, body)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [STMT_OUTBOX_DELETE] = "DELETE FROM outbox WHERE key = ?1",
    [STMT_WINDOW_PUT] =
        "INSERT OR REPLACE INTO \"window\" (flow, window_id, start_at, end_at, body)"
        " VALUES (?1, ?2, ?3, ?4, ?5)",
    [STMT_WINDOW_DELETE] = "DELETE FROM \"window\" WHERE flow = ?1 AND window_id = ?2",
    [STMT_CACHE_PUT] = "INSERT OR REPLACE INTO cache (flow, name, created_at, expires_at, body)"
                       " VALUES (?1, ?2, ?3, ?4, ?5)",
    [STMT_CACHE_DELETE] = "DELETE FROM cache WHERE flow = ?1 AND name = ?2",
    [STMT_CACHE_EXPIRE] = "DELETE FROM cache WHERE rowid IN (SELECT rowid FROM cache"
                          " WHERE expires_at <= ?1 LIMIT ?2)",
};

/* A change of the number of ended executions. */
struct ended {
    usec_t day;
    int64_t flow;
    enum state state;
    int64_t change;
};

struct sqlite_store {
    struct store base;
    char *path;
    int lock_fd;
    struct sql *writer; /* of the driver's thread */
    struct sql *keeper; /* of the thread that calls maintain() */
    struct sql_stmt *statements[STMT_COUNT];
    struct map flow_keys; /* "namespace/id" -> key, as a pointer */
    struct buf flow_name;
    struct buf packed;
    VEC(struct ended) ended;
};

/* ---- binding ---- */

static struct sql_stmt *statement(struct sqlite_store *store, enum stmt which, struct error *err)
{
    struct sql_stmt **kept = &store->statements[which];
    if (*kept == NULL)
        *kept = sql_prepare(store->writer, statement_texts[which], err);
    return *kept;
}

static void bind_origin(struct sql_stmt *stmt, int from, const struct origin *origin)
{
    sql_bind_text(stmt, from, origin->actor);
    sql_bind_text(stmt, from + 1, origin->channel);
    sql_bind_text(stmt, from + 2, origin->source);
    sql_bind_text(stmt, from + 3, origin->commit);
}

/* Runs a statement with up to three numbers. */
static bool run_ints(struct sqlite_store *store,
                     enum stmt which,
                     const int64_t *numbers,
                     int count,
                     struct error *err)
{
    struct sql_stmt *stmt = statement(store, which, err);
    if (stmt == NULL)
        return false;
    for (int i = 0; i < count; i++)
        sql_bind_int(stmt, i + 1, numbers[i]);
    return sql_run(stmt, err);
}

/* Remembers a key whose row is deleted, so that no other row ever gets it. */
static bool retire_key(struct sqlite_store *store, const char *what, int64_t key, struct error *err)
{
    struct sql_stmt *stmt = statement(store, STMT_HIGHEST, err);
    if (stmt == NULL)
        return false;
    sql_bind_text(stmt, 1, what);
    sql_bind_int(stmt, 2, key);
    return sql_run(stmt, err);
}

/* First column of the first row; *found tells whether there was one. */
static bool find_key(
    struct sqlite_store *store, struct sql_stmt *stmt, int64_t *key, bool *found, struct error *err)
{
    (void)store; // the statement knows its connection
    if (!sql_step(stmt, found, err)) {
        sql_reset(stmt);
        return false;
    }
    if (*found)
        *key = sql_column_int(stmt, 0);
    sql_reset(stmt);
    return true;
}

/* ---- flows ---- */

/* Key of a flow that has a row; 0 when it has none. False and err on failure. */
static bool known_flow_key(struct sqlite_store *store,
                           const char *namespace,
                           const char *id,
                           int64_t *key,
                           struct error *err)
{
    struct buf *name = &store->flow_name;
    buf_clear(name);
    buf_puts(name, namespace);
    buf_putc(name, '/'); // in no namespace
    buf_puts(name, id);
    void *known = map_find_bytes(&store->flow_keys, name->bytes, name->length);
    *key = (int64_t)(intptr_t)known;
    if (known != NULL)
        return true;
    struct sql_stmt *find = statement(store, STMT_FLOW_FIND, err);
    if (find == NULL)
        return false;
    sql_bind_text(find, 1, namespace);
    sql_bind_text(find, 2, id);
    bool found = false;
    return find_key(store, find, key, &found, err);
}

/* Of the flow that known_flow_key() was asked for last. */
static void remember_flow_key(struct sqlite_store *store, int64_t key)
{
    const struct buf *name = &store->flow_name;
    if (store->flow_keys.count >= FLOW_KEYS_MAX)
        map_free(&store->flow_keys);
    map_put_bytes(&store->flow_keys, name->bytes, name->length, (void *)(intptr_t)key);
}

/* Key of a flow, which gets a row when it has none; 0 and err on failure. */
static int64_t flow_key(struct sqlite_store *store,
                        const char *namespace,
                        const char *id,
                        struct error *err)
{
    int64_t key = 0;
    struct sql_stmt *add = statement(store, STMT_FLOW_ADD, err);
    if (add == NULL || !known_flow_key(store, namespace, id, &key, err))
        return 0;
    if (key == 0) {
        sql_bind_text(add, 1, namespace);
        sql_bind_text(add, 2, id);
        if (!sql_run(add, err))
            return 0;
        key = sql_last_key(store->writer);
    }
    remember_flow_key(store, key);
    return key;
}

/* Key of a body; it is stored once, whoever uses it. */
static bool body_key(struct sqlite_store *store,
                     const struct flow_row *row,
                     int64_t *key,
                     struct error *err)
{
    struct sql_stmt *find = statement(store, STMT_BODY_FIND, err);
    struct sql_stmt *add = statement(store, STMT_BODY_ADD, err);
    if (find == NULL || add == NULL)
        return false;
    sql_bind_text(find, 1, row->digest);
    bool found = false;
    if (!find_key(store, find, key, &found, err))
        return false;
    if (found)
        return true;
    CHECK(row->source != NULL); // only a known body may be left out
    sql_bind_text(add, 1, row->digest);
    sql_bind_blob(add, 2, row->source, row->source_length);
    if (!sql_run(add, err))
        return false;
    *key = sql_last_key(store->writer);
    return true;
}

/* Binds ?1 to ?13; flow 0: its row is new and gets a key. */
static void bind_revision(struct sql_stmt *stmt,
                          int64_t flow,
                          int64_t body,
                          const struct flow_row *row)
{
    if (flow == 0)
        sql_bind_null(stmt, 1);
    else
        sql_bind_int(stmt, 1, flow);
    sql_bind_int(stmt, 2, row->revision);
    sql_bind_int(stmt, 3, row->deleted);
    sql_bind_int(stmt, 4, row->disabled);
    sql_bind_int(stmt, 5, body);
    sql_bind_text(stmt, 6, row->digest);
    sql_bind_text(stmt, 7, row->labels);
    sql_bind_text(stmt, 8, row->description);
    sql_bind_int(stmt, 9, row->updated_at);
    bind_origin(stmt, 10, &row->origin);
}

static bool put_flow(struct sqlite_store *store,
                     const struct flow_row *row,
                     int64_t body,
                     struct error *err)
{
    int64_t flow = 0;
    if (!known_flow_key(store, row->namespace, row->id, &flow, err))
        return false;
    struct sql_stmt *head = statement(store, flow == 0 ? STMT_FLOW_NEW : STMT_FLOW_SET, err);
    struct sql_stmt *revision = statement(store, STMT_REVISION_ADD, err);
    if (head == NULL || revision == NULL)
        return false;
    bind_revision(head, flow, body, row);
    if (flow == 0) {
        sql_bind_text(head, 14, row->namespace);
        sql_bind_text(head, 15, row->id);
    }
    if (!sql_run(head, err))
        return false;
    if (flow == 0)
        flow = sql_last_key(store->writer);
    remember_flow_key(store, flow);
    bind_revision(revision, flow, body, row);
    return sql_run(revision, err);
}

/* A flow of a commit, and where its body is. */
struct flow_body {
    const struct flow_row *row;
    int64_t key;
};

static int compare_bodies(const void *a, const void *b)
{
    const struct flow_body *const *x = a;
    const struct flow_body *const *y = b;
    return strcmp((*x)->row->digest, (*y)->row->digest);
}

/*
 * Bodies go in by digest: in the order of the flows each would touch another page of the index, and
 * a commit of many flows would write every page of it many times.
 */
static bool put_bodies(struct sqlite_store *store,
                       struct flow_body *bodies,
                       size_t count,
                       struct error *err)
{
    struct flow_body **sorted = check_calloc(count, sizeof(struct flow_body *));
    for (size_t i = 0; i < count; i++)
        sorted[i] = &bodies[i];
    qsort(sorted, count, sizeof(struct flow_body *), compare_bodies);
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++)
        ok = body_key(store, sorted[i]->row, &sorted[i]->key, err);
    free(sorted);
    return ok;
}

static bool put_flows(struct sqlite_store *store, const struct commit *commit, struct error *err)
{
    size_t count = commit->flows.count;
    if (count == 0)
        return true;
    struct flow_body *bodies = check_calloc(count, sizeof(struct flow_body));
    for (size_t i = 0; i < count; i++)
        bodies[i].row = &commit->flows.items[i];
    bool ok = put_bodies(store, bodies, count, err);
    for (size_t i = 0; i < count && ok; i++)
        ok = put_flow(store, bodies[i].row, bodies[i].key, err);
    free(bodies);
    return ok;
}

static bool purge_flow(struct sqlite_store *store,
                       const struct commit_flow_purge *purge,
                       struct error *err)
{
    int64_t flow = flow_key(store, purge->namespace, purge->id, err);
    return flow != 0 &&
           run_ints(store, STMT_REVISION_DELETE, (int64_t[]){ flow, purge->revision }, 2, err) &&
           run_ints(store, STMT_FLOW_RESET, &flow, 1, err) &&
           run_ints(store, STMT_BODY_SWEEP, NULL, 0, err);
}

/* ---- executions ---- */

void sqlite_runs_pack(struct buf *out, uint32_t seq, const void *bytes, size_t length)
{
    pack_uint(out, seq);
    pack_bytes(out, bytes, length);
}

int64_t sqlite_label_hash(const char *key, const char *value)
{
    uint64_t hash = map_hash(key, strlen(key) + 1);
    return (int64_t)(hash * 31 + map_hash(value, strlen(value)));
}

bool sqlite_label_is_indexed(const struct label *label, const char *execution_id)
{
    if (strcmp(label->key, "system.correlationId") == 0)
        return strcmp(label->value, execution_id) != 0;
    return strcmp(label->key, "system.from") != 0;
}

static bool put_labels(struct sqlite_store *store,
                       enum stmt which,
                       int64_t key,
                       const char *execution_id,
                       const struct label *labels,
                       size_t count,
                       struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!sqlite_label_is_indexed(&labels[i], execution_id))
            continue;
        int64_t hash = sqlite_label_hash(labels[i].key, labels[i].value);
        if (!run_ints(store, which, (int64_t[]){ hash, key }, 2, err))
            return false;
    }
    return true;
}

/* Takes the labels that the stored header names out of the index. */
static bool drop_labels(struct sqlite_store *store,
                        const struct execution_row *row,
                        struct error *err)
{
    struct sql_stmt *find = statement(store, STMT_EXECUTION_HEADER, err);
    if (find == NULL)
        return false;
    sql_bind_int(find, 1, row->key);
    bool found = false;
    struct execution *old = NULL;
    bool ok = sql_step(find, &found, err);
    if (ok && found) {
        size_t length = 0;
        const void *header = sql_column_blob(find, 0, &length);
        old = execution_decode(header, length, NULL, NULL); // damaged: nothing to find
    }
    sql_reset(find);
    if (ok && old != NULL)
        ok = put_labels(store, STMT_LABEL_DELETE, row->key, row->id.text, old->labels.items,
                        old->labels.count, err);
    execution_free(old);
    return ok;
}

static void count_ended(struct sqlite_store *store,
                        const struct execution_row *row,
                        int64_t flow,
                        enum state state,
                        int64_t change)
{
    if (state == STATE_COUNT || !states[state].is_terminal)
        return;
    *VEC_PUSH(&store->ended) = (struct ended){
        .day = row->created_at - row->created_at % USEC_DAY,
        .flow = flow,
        .state = state,
        .change = change,
    };
}

static int compare_ended(const void *a, const void *b)
{
    const struct ended *x = a;
    const struct ended *y = b;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    if (x->flow != y->flow)
        return x->flow < y->flow ? -1 : 1;
    return (int)x->state - (int)y->state;
}

/* One row per (day, flow, state) and commit, whatever the number of executions. */
static bool put_ended(struct sqlite_store *store, struct error *err)
{
    if (store->ended.count == 0)
        return true;
    qsort(store->ended.items, store->ended.count, sizeof(struct ended), compare_ended);
    for (size_t i = 0; i < store->ended.count;) {
        const struct ended *first = &store->ended.items[i];
        int64_t change = 0;
        for (; i < store->ended.count && compare_ended(first, &store->ended.items[i]) == 0; i++)
            change += store->ended.items[i].change;
        int64_t numbers[] = { first->day, first->flow, (int64_t)first->state, change };
        if (change != 0 && !run_ints(store, STMT_ENDED_ADD, numbers, 4, err))
            return false;
    }
    return true;
}

/* Bytes of all runs of the execution in this commit. */
static size_t runs_bytes(const struct commit *commit, uint32_t index, size_t first)
{
    size_t bytes = 0;
    for (size_t i = first; i < commit->runs.count && commit->runs.items[i].execution == index; i++)
        bytes += commit->runs.items[i].length;
    return bytes;
}

static bool put_run(struct sqlite_store *store,
                    const struct commit *commit,
                    int64_t key,
                    const struct commit_run *run,
                    struct error *err)
{
    if (run->is_removed) {
        int64_t numbers[] = { key, run->seq };
        return run_ints(store, STMT_RUN_DELETE, numbers, 2, err) &&
               run_ints(store, STMT_RUN_TOMBSTONE, numbers, 2, err);
    }
    struct sql_stmt *stmt = statement(store, STMT_RUN_PUT, err);
    if (stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, key);
    sql_bind_int(stmt, 2, run->seq);
    sql_bind_blob(stmt, 3, commit->bytes.bytes + run->at, run->length);
    return sql_run(stmt, err);
}

static bool add_execution(struct sqlite_store *store,
                          const struct commit *commit,
                          const struct commit_execution *change,
                          int64_t flow,
                          bool with_runs,
                          struct error *err)
{
    const struct execution_row *row = &change->row;
    struct sql_stmt *stmt = statement(store, STMT_EXECUTION_ADD, err);
    if (stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, row->key);
    sql_bind_text_n(stmt, 2, row->id.text, strlen(row->id.text));
    sql_bind_int(stmt, 3, flow);
    sql_bind_int(stmt, 4, row->revision);
    sql_bind_int(stmt, 5, (int64_t)row->state);
    sql_bind_int(stmt, 6, (int64_t)row->kind);
    sql_bind_int(stmt, 7, (int64_t)row->live);
    sql_bind_int(stmt, 8, row->holds_slot);
    sql_bind_int(stmt, 9, row->created_at);
    sql_bind_int(stmt, 10, row->ended_at);
    sql_bind_int(stmt, 11, row->wake_at);
    sql_bind_text(stmt, 12, row->trigger_id);
    sql_bind_text(stmt, 13, row->cause_id);
    sql_bind_text(stmt, 14, row->parent_id);
    if (row->fire_trigger != 0) {
        sql_bind_int(stmt, 15, row->fire_trigger);
        sql_bind_int(stmt, 16, row->fire_at);
        sql_bind_int(stmt, 17, row->fire_backfill);
    } else {
        sql_bind_null(stmt, 15);
        sql_bind_null(stmt, 16);
        sql_bind_null(stmt, 17);
    }
    sql_bind_blob(stmt, 18, commit->bytes.bytes + change->header_at, change->header_length);
    if (with_runs)
        sql_bind_blob(stmt, 19, store->packed.bytes, store->packed.length);
    else
        sql_bind_null(stmt, 19);
    return sql_run(stmt, err);
}

static bool set_execution(struct sqlite_store *store,
                          const struct commit *commit,
                          const struct commit_execution *change,
                          struct error *err)
{
    const struct execution_row *row = &change->row;
    struct sql_stmt *stmt =
        statement(store, change->stays ? STMT_EXECUTION_STAY : STMT_EXECUTION_SET, err);
    if (stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, row->key);
    sql_bind_int(stmt, 2, row->revision);
    sql_bind_int(stmt, 6, row->ended_at);
    sql_bind_blob(stmt, 8, commit->bytes.bytes + change->header_at, change->header_length);
    sql_bind_text(stmt, 10, row->parent_id);
    if (!change->stays) {
        sql_bind_int(stmt, 3, (int64_t)row->state);
        sql_bind_int(stmt, 4, (int64_t)row->live);
        sql_bind_int(stmt, 5, row->holds_slot);
        sql_bind_int(stmt, 7, row->wake_at);
        sql_bind_int(stmt, 9, row->created_at);
    }
    if (!sql_run(stmt, err))
        return false;
    if (sql_changes(store->writer) != 1)
        return error_set(err, ERR_CONFLICT, "execution '%s' is not stored", row->id.text);
    return true;
}

static bool delete_execution(struct sqlite_store *store,
                             const struct commit_execution *change,
                             struct error *err)
{
    const int64_t *key = &change->row.key;
    return retire_key(store, "execution", *key, err) && drop_labels(store, &change->row, err) &&
           run_ints(store, STMT_RUNS_DELETE, key, 1, err) &&
           run_ints(store, STMT_QUEUED_DELETE, key, 1, err) &&
           (!change->removes_logs || run_ints(store, STMT_LOGS_DELETE, key, 1, err)) &&
           (!change->removes_metrics || run_ints(store, STMT_METRICS_DELETE, key, 1, err)) &&
           run_ints(store, STMT_EXECUTION_DELETE, key, 1, err);
}

static bool put_execution(struct sqlite_store *store,
                          const struct commit *commit,
                          uint32_t index,
                          size_t *next_run,
                          struct error *err)
{
    const struct commit_execution *change = &commit->executions.items[index];
    const struct execution_row *row = &change->row;
    size_t first = *next_run;
    size_t last = first;
    while (last < commit->runs.count && commit->runs.items[last].execution == index)
        last++;
    *next_run = last;

    int64_t flow = flow_key(store, row->namespace, row->flow_id, err);
    if (flow == 0)
        return false;
    if (change->is_removed) {
        if (!delete_execution(store, change, err))
            return false;
        if (sql_changes(store->writer) == 1) // else it was removed, and not counted, before
            count_ended(store, row, flow, change->counted, -1);
        return true;
    }
    count_ended(store, row, flow, change->counted, -1);
    count_ended(store, row, flow, row->state, 1);

    bool packs = change->is_new && row->live == LIVE_ENDED &&
                 runs_bytes(commit, index, first) <= PACKED_RUNS_MAX;
    if (packs) {
        buf_clear(&store->packed);
        for (size_t i = first; i < last; i++) {
            const struct commit_run *run = &commit->runs.items[i];
            if (!run->is_removed)
                sqlite_runs_pack(&store->packed, run->seq, commit->bytes.bytes + run->at,
                                 run->length);
        }
    }
    if (!change->is_new && change->labels_changed && !drop_labels(store, row, err))
        return false;
    bool ok = change->is_new ? add_execution(store, commit, change, flow, packs, err)
                             : set_execution(store, commit, change, err);
    if (ok && (change->is_new || change->labels_changed))
        ok = put_labels(store, STMT_LABEL_ADD, row->key, row->id.text, row->labels,
                        row->labels_count, err);
    for (size_t i = first; i < last && ok && !packs; i++)
        ok = put_run(store, commit, row->key, &commit->runs.items[i], err);
    return ok;
}

static bool put_executions(struct sqlite_store *store,
                           const struct commit *commit,
                           struct error *err)
{
    store->ended.count = 0;
    size_t next_run = 0;
    for (size_t i = 0; i < commit->executions.count; i++)
        if (!put_execution(store, commit, (uint32_t)i, &next_run, err))
            return false;
    CHECK(next_run == commit->runs.count); // runs stand in the order of their executions
    return put_ended(store, err);
}

/* ---- logs and metrics ---- */

static bool add_log(struct sqlite_store *store, const struct log_row *row, struct error *err)
{
    int64_t flow = flow_key(store, row->namespace, row->flow_id, err);
    struct sql_stmt *stmt = statement(store, STMT_LOG_ADD, err);
    if (flow == 0 || stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, row->execution);
    sql_bind_text(stmt, 2, row->execution != 0 ? row->execution_id.text : NULL);
    sql_bind_int(stmt, 3, flow);
    sql_bind_text(stmt, 4, row->trigger_id);
    sql_bind_int(stmt, 5, row->first_at);
    sql_bind_int(stmt, 6, row->last_at);
    sql_bind_int(stmt, 7, row->levels);
    sql_bind_int(stmt, 8, row->lines);
    sql_bind_int(stmt, 9, row->file_at);
    sql_bind_int(stmt, 10, row->file_length);
    if (row->body.length > 0)
        sql_bind_blob(stmt, 11, row->body.at, row->body.length);
    else
        sql_bind_null(stmt, 11);
    return sql_run(stmt, err);
}

static bool add_metric(struct sqlite_store *store, const struct metric_row *row, struct error *err)
{
    int64_t flow = flow_key(store, row->namespace, row->flow_id, err);
    struct sql_stmt *stmt = statement(store, STMT_METRIC_ADD, err);
    if (flow == 0 || stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, row->execution);
    sql_bind_text(stmt, 2, row->execution_id.text);
    sql_bind_int(stmt, 3, flow);
    sql_bind_text(stmt, 4, row->task_id);
    sql_bind_text(stmt, 5, row->run_id);
    sql_bind_text(stmt, 6, row->type);
    sql_bind_text(stmt, 7, row->name);
    sql_bind_double(stmt, 8, row->value);
    sql_bind_text(stmt, 9, row->tags);
    sql_bind_int(stmt, 10, row->at);
    return sql_run(stmt, err);
}

/* Rewrites an inline block without the lines that a purge names. */
static bool thin_log(struct sqlite_store *store,
                     const struct log_row *row,
                     const struct commit_log_purge *purge,
                     struct error *err)
{
    struct log_row kept = *row;
    bool is_empty = false;
    struct buf body = { 0 };
    if (!log_block_thin(&kept, purge, &body, &is_empty)) {
        buf_free(&body);
        return true; // damaged: goes with its execution
    }
    bool ok = true;
    if (is_empty) {
        ok = run_ints(store, STMT_LOG_DELETE, &row->key, 1, err);
    } else {
        struct sql_stmt *stmt = statement(store, STMT_LOG_SET, err);
        ok = stmt != NULL;
        if (ok) {
            sql_bind_int(stmt, 1, row->key);
            sql_bind_int(stmt, 2, kept.first_at);
            sql_bind_int(stmt, 3, kept.last_at);
            sql_bind_int(stmt, 4, kept.levels);
            sql_bind_int(stmt, 5, kept.lines);
            sql_bind_blob(stmt, 6, body.bytes, body.length);
            ok = sql_run(stmt, err);
        }
    }
    buf_free(&body);
    return ok;
}

/* WHERE of a purge; the parameters are numbered alike in every variant. */
static void purge_where(struct buf *sql, const struct commit_log_purge *purge, const char *time)
{
    buf_puts(sql, " WHERE 1");
    if (purge->execution != 0)
        buf_puts(sql, " AND execution = ?1");
    else if (purge->execution_id != NULL)
        buf_puts(sql, " AND execution_id = ?1");
    if (purge->namespace != NULL) {
        buf_puts(sql, " AND flow IN (SELECT key FROM flow WHERE (namespace = ?2");
        if (purge->with_children) // '/' follows '.'
            buf_puts(sql, " OR (namespace >= ?2 || '.' AND namespace < ?2 || '/')");
        buf_puts(sql, purge->flow_id != NULL ? ") AND id = ?3)" : "))");
    }
    if (purge->before != 0)
        buf_printf(sql, " AND %s < ?4", time);
    if (purge->after != 0)
        buf_printf(sql, " AND %s >= ?5", time[0] == 'l' ? "first_at" : time);
}

static void purge_bind(struct sql_stmt *stmt, const struct commit_log_purge *purge)
{
    int count = sql_parameters(stmt);
    if (purge->execution != 0)
        sql_bind_int(stmt, 1, purge->execution);
    else if (purge->execution_id != NULL)
        sql_bind_text(stmt, 1, purge->execution_id);
    if (purge->namespace != NULL)
        sql_bind_text(stmt, 2, purge->namespace);
    if (purge->namespace != NULL && purge->flow_id != NULL)
        sql_bind_text(stmt, 3, purge->flow_id);
    if (purge->before != 0)
        sql_bind_int(stmt, 4, purge->before);
    if (purge->after != 0 && count >= 5)
        sql_bind_int(stmt, 5, purge->after);
}

static bool purge_lines(struct sqlite_store *store,
                        const struct commit_log_purge *purge,
                        struct error *err)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf sql = { 0 };
    buf_puts(&sql, "SELECT key, first_at, last_at, levels, lines, file_at, body FROM log");
    purge_where(&sql, purge, "last_at");
    if (purge->trigger_id != NULL)
        buf_puts(&sql, " AND trigger_id = ?6");
    struct sql_stmt *stmt = sql_prepare(store->writer, buf_text(&sql), err);
    if (stmt == NULL) {
        buf_free(&sql);
        return false;
    }
    purge_bind(stmt, purge);
    if (purge->trigger_id != NULL)
        sql_bind_text(stmt, 6, purge->trigger_id);

    VEC(struct log_row) rows = { 0 };
    bool ok = true;
    bool is_row = false;
    while ((ok = sql_step(stmt, &is_row, err)) && is_row) {
        struct log_row *row = VEC_PUSH_ARENA(arena, &rows);
        row->key = sql_column_int(stmt, 0);
        row->first_at = sql_column_int(stmt, 1);
        row->last_at = sql_column_int(stmt, 2);
        row->levels = (uint32_t)sql_column_int(stmt, 3);
        row->lines = (uint32_t)sql_column_int(stmt, 4);
        row->file_at = sql_column_int(stmt, 5);
        if (!log_purge_is_whole(purge, row->levels) && row->file_at < 0)
            row->body.at = sql_column_dup_blob(stmt, 6, arena, &row->body.length);
    }
    sql_done(stmt);
    for (size_t i = 0; i < rows.count && ok; i++) {
        const struct log_row *row = &rows.items[i];
        if (log_purge_is_whole(purge, row->levels))
            ok = run_ints(store, STMT_LOG_DELETE, &row->key, 1, err);
        else if (row->body.at != NULL)
            ok = thin_log(store, row, purge, err);
    }

    buf_free(&sql);
    return ok;
}

static bool purge_metrics(struct sqlite_store *store,
                          const struct commit_log_purge *purge,
                          struct error *err)
{
    struct buf sql = { 0 };
    buf_puts(&sql, "DELETE FROM metric");
    purge_where(&sql, purge, "at");
    struct sql_stmt *stmt = sql_prepare(store->writer, buf_text(&sql), err);
    bool ok = stmt != NULL;
    if (ok) {
        purge_bind(stmt, purge);
        ok = sql_run(stmt, err);
        sql_done(stmt);
    }
    buf_free(&sql);
    return ok;
}

static bool purge_logs(struct sqlite_store *store,
                       const struct commit_log_purge *purge,
                       struct error *err)
{
    return (purge->keeps_lines || purge_lines(store, purge, err)) &&
           (!purge->metrics_too || purge_metrics(store, purge, err));
}

/* ---- the rest ---- */

static void bind_backfill(struct sql_stmt *stmt, int from, const struct backfill *backfill)
{
    sql_bind_int(stmt, from, backfill->start);
    if (backfill->start == 0) {
        for (int i = 1; i < 7; i++)
            sql_bind_null(stmt, from + i);
        return;
    }
    sql_bind_int(stmt, from + 1, backfill->end);
    sql_bind_int(stmt, from + 2, backfill->current);
    sql_bind_int(stmt, from + 3, backfill->previous_next);
    sql_bind_int(stmt, from + 4, backfill->paused);
    sql_bind_text(stmt, from + 5, backfill->inputs);
    sql_bind_text(stmt, from + 6, backfill->labels);
}

static bool advance_trigger(struct sqlite_store *store,
                            const struct trigger_state *row,
                            struct error *err)
{
    struct sql_stmt *stmt = statement(store, STMT_TRIGGER_ADVANCE, err);
    if (stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, row->key);
    sql_bind_int(stmt, 2, row->date);
    sql_bind_int(stmt, 3, row->next_at);
    sql_bind_text(stmt, 4, row->execution_id);
    sql_bind_int(stmt, 5, row->updated_at);
    return sql_run(stmt, err);
}

static bool put_trigger(struct sqlite_store *store,
                        const struct commit_trigger *change,
                        struct error *err)
{
    const struct trigger_state *row = &change->row;
    if (change->is_removed)
        return retire_key(store, "trigger", row->key, err) &&
               run_ints(store, STMT_TRIGGER_DELETE, &row->key, 1, err);
    if (change->is_advance)
        return advance_trigger(store, row, err);
    int64_t flow = flow_key(store, row->namespace, row->flow_id, err);
    struct sql_stmt *stmt = statement(store, STMT_TRIGGER_PUT, err);
    if (flow == 0 || stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, row->key);
    sql_bind_int(stmt, 2, flow);
    sql_bind_text(stmt, 3, row->trigger_id);
    sql_bind_int(stmt, 4, (int64_t)row->kind);
    sql_bind_text(stmt, 5, row->type);
    sql_bind_text(stmt, 6, row->spec);
    sql_bind_int(stmt, 7, row->revision);
    sql_bind_int(stmt, 8, row->date);
    sql_bind_int(stmt, 9, row->next_at);
    sql_bind_int(stmt, 10, row->evaluating_at);
    sql_bind_text(stmt, 11, row->worker_id);
    sql_bind_text(stmt, 12, row->execution_id);
    sql_bind_text(stmt, 13, row->stop_after);
    sql_bind_int(stmt, 14, row->disabled);
    sql_bind_int(stmt, 15, row->is_off);
    sql_bind_int(stmt, 16, row->allow_concurrent);
    bind_backfill(stmt, 17, &row->backfill);
    sql_bind_int(stmt, 24, row->updated_at);
    sql_bind_int(stmt, 25, row->backfill.start == 0 ? 0 : row->backfill.id);
    return sql_run(stmt, err);
}

/* Of one key: `number` is a revision. */
static bool on_versions(struct sqlite_store *store,
                        int statement_,
                        const struct kv_row *row,
                        int64_t number,
                        struct error *err)
{
    struct sql_stmt *stmt = statement(store, statement_, err);
    if (stmt == NULL)
        return false;
    sql_bind_text(stmt, 1, row->namespace);
    sql_bind_text(stmt, 2, row->key);
    sql_bind_int(stmt, 3, number);
    return sql_run(stmt, err);
}

static bool put_kv(struct sqlite_store *store, const struct commit_kv *change, struct error *err)
{
    const struct kv_row *row = &change->row;
    if (change->is_version)
        return on_versions(store, STMT_KV_FORGET, row, row->revision, err);
    if (!change->is_removed && !on_versions(store, STMT_KV_KEEP, row, row->revision, err))
        return false;
    int64_t oldest = change->is_removed ? INT64_MAX : row->revision - KV_VERSIONS_MAX;
    if (!on_versions(store, STMT_KV_TRIM, row, oldest, err))
        return false;
    struct sql_stmt *stmt =
        statement(store, change->is_removed ? STMT_KV_DELETE : STMT_KV_PUT, err);
    if (stmt == NULL)
        return false;
    sql_bind_text(stmt, 1, row->namespace);
    sql_bind_text(stmt, 2, row->key);
    if (change->is_removed)
        return sql_run(stmt, err);
    sql_bind_text(stmt, 3, row->type);
    sql_bind_text(stmt, 4, row->value);
    sql_bind_text(stmt, 5, row->description);
    sql_bind_int(stmt, 6, row->revision);
    sql_bind_int(stmt, 7, row->created_at);
    sql_bind_int(stmt, 8, row->updated_at);
    sql_bind_int(stmt, 9, row->expires_at);
    bind_origin(stmt, 10, &row->origin);
    return sql_run(stmt, err);
}

static bool put_file(struct sqlite_store *store,
                     const struct commit_file *change,
                     struct error *err)
{
    const struct file_row *row = &change->row;
    struct sql_stmt *stmt =
        statement(store, change->is_removed ? STMT_FILE_DELETE : STMT_FILE_PUT, err);
    if (stmt == NULL)
        return false;
    sql_bind_text(stmt, 1, row->namespace);
    sql_bind_text(stmt, 2, row->path);
    sql_bind_int(stmt, 3, row->revision);
    if (change->is_removed)
        return sql_run(stmt, err);
    sql_bind_int(stmt, 4, row->is_folder);
    sql_bind_int(stmt, 5, row->deleted);
    sql_bind_int(stmt, 6, row->size);
    sql_bind_text(stmt, 7, row->digest);
    sql_bind_text(stmt, 8, row->content);
    sql_bind_int(stmt, 9, row->created_at);
    sql_bind_int(stmt, 10, row->updated_at);
    bind_origin(stmt, 11, &row->origin);
    return sql_run(stmt, err);
}

static bool put_document(struct sqlite_store *store,
                         const struct commit_document *change,
                         struct error *err)
{
    const struct document_row *row = &change->row;
    struct sql_stmt *stmt =
        statement(store, change->is_removed ? STMT_DOCUMENT_DELETE : STMT_DOCUMENT_PUT, err);
    if (stmt == NULL)
        return false;
    sql_bind_text(stmt, 1, row->collection);
    sql_bind_text(stmt, 2, row->key);
    if (change->is_removed)
        return sql_run(stmt, err);
    sql_bind_int(stmt, 3, row->at);
    sql_bind_blob(stmt, 4, row->body.length > 0 ? row->body.at : "", row->body.length);
    return sql_run(stmt, err);
}

static bool put_outbox(struct sqlite_store *store,
                       const struct commit_outbox *change,
                       struct error *err)
{
    const struct outbox_row *row = &change->row;
    if (change->is_removed)
        return run_ints(store, STMT_OUTBOX_DELETE, &row->key, 1, err);
    struct sql_stmt *stmt = statement(store, STMT_OUTBOX_PUT, err);
    if (stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, row->key);
    sql_bind_text(stmt, 2, row->topic);
    sql_bind_text(stmt, 3, row->order_key);
    sql_bind_int(stmt, 4, row->due_at);
    sql_bind_int(stmt, 5, row->attempts);
    sql_bind_blob(stmt, 6, row->body.length > 0 ? row->body.at : "", row->body.length);
    return sql_run(stmt, err);
}

static bool put_window(struct sqlite_store *store,
                       const struct commit_window *change,
                       struct error *err)
{
    const struct window_row *row = &change->row;
    int64_t flow = flow_key(store, row->namespace, row->flow_id, err);
    struct sql_stmt *stmt =
        statement(store, change->is_removed ? STMT_WINDOW_DELETE : STMT_WINDOW_PUT, err);
    if (flow == 0 || stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, flow);
    sql_bind_text(stmt, 2, row->window_id);
    if (change->is_removed)
        return sql_run(stmt, err);
    sql_bind_int(stmt, 3, row->start_at);
    sql_bind_int(stmt, 4, row->end_at);
    sql_bind_blob(stmt, 5, row->body.length > 0 ? row->body.at : "", row->body.length);
    return sql_run(stmt, err);
}

static bool put_cache(struct sqlite_store *store,
                      const struct commit_cache *change,
                      struct error *err)
{
    const struct cache_row *row = &change->row;
    int64_t flow = flow_key(store, row->namespace, row->flow_id, err);
    struct sql_stmt *stmt =
        statement(store, change->is_removed ? STMT_CACHE_DELETE : STMT_CACHE_PUT, err);
    if (flow == 0 || stmt == NULL)
        return false;
    sql_bind_int(stmt, 1, flow);
    sql_bind_text(stmt, 2, row->key);
    if (change->is_removed)
        return sql_run(stmt, err);
    sql_bind_int(stmt, 3, row->created_at);
    sql_bind_int(stmt, 4, row->expires_at);
    sql_bind_blob(stmt, 5, row->body.length > 0 ? row->body.at : "", row->body.length);
    int64_t expire[] = { row->created_at, EXPIRED_STEP };
    return sql_run(stmt, err) && run_ints(store, STMT_CACHE_EXPIRE, expire, 2, err);
}

static bool put_queued(struct sqlite_store *store,
                       const struct commit_queued *change,
                       struct error *err)
{
    const struct queued_row *row = &change->row;
    if (change->is_removed)
        return run_ints(store, STMT_QUEUED_DELETE, &row->execution, 1, err);
    int64_t flow = flow_key(store, row->namespace, row->flow_id, err);
    int64_t numbers[] = { row->execution, flow, row->queued_at };
    return flow != 0 && run_ints(store, STMT_QUEUED_PUT, numbers, 3, err);
}

/* ---- commit ---- */

/* Applies one row after the other; stops at the first failure. */
#define PUT_ALL(rows, put)                                                                         \
    for (size_t i_ = 0; i_ < (rows).count; i_++)                                                   \
        if (!put(store, &(rows).items[i_], err))                                                   \
            return false;

static bool put_all(struct sqlite_store *store, const struct commit *commit, struct error *err)
{
    if (!put_flows(store, commit, err))
        return false;
    if (!put_executions(store, commit, err))
        return false;
    PUT_ALL(commit->logs, add_log)
    PUT_ALL(commit->metrics, add_metric)
    PUT_ALL(commit->flow_purges, purge_flow)
    PUT_ALL(commit->triggers, put_trigger)
    PUT_ALL(commit->kv, put_kv)
    PUT_ALL(commit->files, put_file)
    PUT_ALL(commit->documents, put_document)
    PUT_ALL(commit->outbox, put_outbox)
    PUT_ALL(commit->windows, put_window)
    PUT_ALL(commit->cache, put_cache)
    PUT_ALL(commit->queued, put_queued)
    PUT_ALL(commit->log_purges, purge_logs)
    return true;
}

static bool stored_number(struct sqlite_store *store, int64_t *number, struct error *err)
{
    return sql_get_int(store->writer, "SELECT value FROM meta WHERE name = 'commit'", 0, number,
                       err);
}

/* Takes the number, or says that the commit is stored already. */
static bool take_number(struct sqlite_store *store,
                        const struct commit *commit,
                        bool *is_stored,
                        struct error *err)
{
    if (!run_ints(store, STMT_NUMBER, &commit->number, 1, err))
        return false;
    if (sql_changes(store->writer) == 1)
        return true;
    int64_t number = 0;
    if (!stored_number(store, &number, err))
        return false;
    *is_stored = number == commit->number;
    return *is_stored || error_set(err, ERR_CONFLICT,
                                   "database '%s' is at commit %lld, not %lld: another weir "
                                   "has written to it",
                                   store->path, (long long)number, (long long)commit->number - 1);
}

/*
 * A failed COMMIT or an I/O error leaves open whether the WAL holds the commit; its number tells,
 * next time.
 */
static void soften(struct error *err)
{
    if (err != NULL && err->code == ERR_INTERNAL)
        err->code = ERR_UNAVAILABLE;
}

static bool sqlite_commit(struct store *base, const struct commit *commit, struct error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    bool is_stored = false;
    if (!sql_begin(store->writer, true, err))
        return false;
    bool ok = take_number(store, commit, &is_stored, err) &&
              (is_stored || put_all(store, commit, err)) && sql_commit(store->writer, err);
    if (!ok) {
        sql_rollback(store->writer);
        map_free(&store->flow_keys); // it may hold keys that were rolled back
        soften(err);
    }
    return ok;
}

static bool highest_key(struct sqlite_store *store,
                        const char *table,
                        int64_t *out,
                        struct error *err)
{
    struct buf text = { 0 };
    buf_printf(&text,
               "SELECT max(ifnull((SELECT max(key) FROM %s), 0),"
               " ifnull((SELECT value FROM meta WHERE name = '%s'), 0))",
               table, table);
    bool ok = sql_get_int(store->writer, buf_text(&text), 0, out, err);
    buf_free(&text);
    return ok;
}

static bool sqlite_numbers(struct store *base, struct store_numbers *out, struct error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct store_numbers found = { 0 };
    bool ok = stored_number(store, &found.commit, err) &&
              highest_key(store, "execution", &found.execution, err) &&
              highest_key(store, "trigger", &found.trigger, err) &&
              highest_key(store, "outbox", &found.outbox, err);
    if (ok)
        *out = found;
    return ok;
}

static struct store_reader *sqlite_reader(struct store *base, struct error *err)
{
    return sqlite_reader_new(((struct sqlite_store *)base)->path, err);
}

/* ---- housekeeping ---- */

/*
 * Checkpoints move pages in the background, so that no commit pays for it; the WAL then starts over
 * by itself as soon as no reader needs it.
 */
static bool sqlite_maintain(struct store *base, usec_t now)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    (void)now;
    int64_t pages = 0;
    int64_t done = 0;
    if (!sql_checkpoint(store->keeper, SQL_CHECKPOINT_PASSIVE, &pages, &done, NULL))
        return false;
    return pages > CHECKPOINT_PAGES && done < pages;
}

static bool sqlite_check(struct store *base, struct error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    return sql_check_integrity(store->writer, err);
}

/* ---- opening ---- */

/* Holds "<path>.lock" for as long as the store is open; it names the process for the other one. */
static int lock_database(const char *path, struct error *err)
{
    char *name = NULL;
    CHECK(asprintf(&name, "%s.lock", path) > 0);
    AUTO_FD int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fs_error(err, errno, "open", name);
    free(name);
    if (fd < 0)
        return -1;
    char owner[64] = { 0 };
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t length = pread(fd, owner, sizeof(owner) - 1, 0);
        owner[length > 0 ? strcspn(owner, "\n") : 0] = '\0';
        error_set(err, ERR_CONFLICT, "database '%s' is in use by another weir (process %s)", path,
                  owner[0] != '\0' ? owner : "unknown");
        return -1;
    }
    int length = snprintf(owner, sizeof(owner), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, owner, (size_t)length, 0) != length) {
        fs_error(err, errno, "write", path);
        return -1;
    }
    return fd_steal(&fd);
}

static void sqlite_free(struct store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    for (size_t i = 0; i < STMT_COUNT; i++)
        sql_done(store->statements[i]);
    sql_close(store->keeper);
    sql_close(store->writer);
    if (store->lock_fd >= 0)
        (void)close(store->lock_fd);
    map_free(&store->flow_keys);
    buf_free(&store->flow_name);
    buf_free(&store->packed);
    VEC_FREE(&store->ended);
    free(store->path);
    free(store);
}

static const struct store_ops sqlite_ops = {
    .name = "sqlite",
    .commit = sqlite_commit,
    .numbers = sqlite_numbers,
    .reader = sqlite_reader,
    .maintain = sqlite_maintain,
    .check = sqlite_check,
    .free = sqlite_free,
};

struct store *store_sqlite_open(const struct store_sqlite_options *options, struct error *err)
{
    struct sqlite_store *store = check_calloc(1, sizeof(*store));
    store->base.ops = &sqlite_ops;
    store->path = check_strdup(options->path);
    store->lock_fd = lock_database(options->path, err);
    struct sql_options writer = {
        .path = options->path,
        .access = SQL_CREATE,
        .is_volatile = options->is_volatile,
        .no_foreign_keys = true,
        .no_auto_checkpoint = true,
        .cache_bytes = 8 * 1024 * 1024,
    };
    struct sql_options keeper = writer;
    keeper.access = SQL_WRITE;
    keeper.cache_bytes = READER_CACHE_BYTES;
    keeper.busy_timeout = USEC_MSEC; // the writer goes first
    bool ok = store->lock_fd >= 0 && (store->writer = sql_open(&writer, err)) != NULL &&
              sqlite_migrate(store->writer, options->path, err) &&
              (store->keeper = sql_open(&keeper, err)) != NULL;
    if (!ok) {
        sqlite_free(&store->base);
        return NULL;
    }
    return &store->base;
}
