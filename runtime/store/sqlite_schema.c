/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/error.h"
#include "runtime/store/sqlite_internal.h"

/* "weir" in ASCII: tells our databases from others. */
#define APPLICATION_ID 0x77656972

/* Text run on the way to a version. */
struct step {
    int64_t version;
    const char *text;
};

/*
 * Never changed once released; to change the schema, add rows with the next version.
 *
 * Executions: `key` grows with creation, so new rows are appended at the right edge of the table
 * and of the indexes on id and time. Indexes that few rows need are partial. state 9 is SUCCESS:
 * the many that went well need no index by state (the numbers are in `ended`).
 */
static const struct step steps[] = {
    { 1, "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
         "INSERT INTO meta VALUES ('commit', 0);" },
    { 1, "CREATE TABLE flow ("
         "  key INTEGER PRIMARY KEY, namespace TEXT NOT NULL, id TEXT NOT NULL,"
         "  revision INTEGER NOT NULL DEFAULT 0,"
         "  deleted INTEGER NOT NULL DEFAULT 0, disabled INTEGER NOT NULL DEFAULT 0,"
         "  body INTEGER, digest TEXT, labels TEXT, description TEXT, updated_at INTEGER,"
         "  actor TEXT, channel TEXT, source TEXT, commit_id TEXT,"
         "  UNIQUE (namespace, id));"
         "CREATE TABLE flow_revision ("
         "  flow INTEGER NOT NULL, revision INTEGER NOT NULL,"
         "  deleted INTEGER NOT NULL, disabled INTEGER NOT NULL,"
         "  body INTEGER NOT NULL, digest TEXT NOT NULL, labels TEXT, description TEXT,"
         "  updated_at INTEGER NOT NULL,"
         "  actor TEXT, channel TEXT, source TEXT, commit_id TEXT,"
         "  PRIMARY KEY (flow, revision)) WITHOUT ROWID;"
         "CREATE TABLE body (key INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, text BLOB NOT "
         "NULL);" },
    { 1, "CREATE TABLE execution ("
         "  key INTEGER PRIMARY KEY, id TEXT NOT NULL, flow INTEGER NOT NULL,"
         "  revision INTEGER NOT NULL, state INTEGER NOT NULL, kind INTEGER NOT NULL,"
         "  live INTEGER NOT NULL, slot INTEGER NOT NULL,"
         "  created_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, wake_at INTEGER NOT NULL,"
         "  trigger_id TEXT, cause_id TEXT, parent_id TEXT,"
         "  fire_trigger INTEGER, fire_at INTEGER, fire_backfill INTEGER,"
         "  header BLOB NOT NULL, runs BLOB);"
         "CREATE UNIQUE INDEX execution_id ON execution (id);"
         "CREATE INDEX execution_created ON execution (created_at, flow, state);"
         "CREATE INDEX execution_flow ON execution (flow, created_at);"
         "CREATE INDEX execution_state ON execution (state, created_at) WHERE state <> 9;"
         "CREATE INDEX execution_active ON execution (key) WHERE live = 1;"
         "CREATE INDEX execution_waking ON execution (wake_at) WHERE live = 2 AND wake_at > 0;"
         "CREATE INDEX execution_slot ON execution (flow) WHERE slot = 1;"
         "CREATE INDEX execution_cause ON execution (cause_id) WHERE cause_id IS NOT NULL;"
         "CREATE UNIQUE INDEX execution_fire ON execution (fire_trigger, fire_at, fire_backfill)"
         "  WHERE fire_trigger IS NOT NULL;"
         "CREATE TABLE run (execution INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB,"
         "  PRIMARY KEY (execution, seq)) WITHOUT ROWID;"
         "CREATE TABLE label (hash INTEGER NOT NULL, execution INTEGER NOT NULL,"
         "  PRIMARY KEY (hash, execution)) WITHOUT ROWID;"
         "CREATE TABLE ended (day INTEGER NOT NULL, flow INTEGER NOT NULL, state INTEGER NOT NULL,"
         "  count INTEGER NOT NULL, PRIMARY KEY (day, flow, state)) WITHOUT ROWID;"
         "CREATE TABLE queued (execution INTEGER PRIMARY KEY, flow INTEGER NOT NULL,"
         "  queued_at INTEGER NOT NULL);"
         "CREATE INDEX queued_flow ON queued (flow, queued_at, execution);" },
    { 1, "CREATE TABLE log ("
         "  key INTEGER PRIMARY KEY, execution INTEGER NOT NULL, execution_id TEXT,"
         "  flow INTEGER NOT NULL, trigger_id TEXT,"
         "  first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,"
         "  levels INTEGER NOT NULL, lines INTEGER NOT NULL,"
         "  file_at INTEGER NOT NULL, file_length INTEGER NOT NULL, body BLOB);"
         "CREATE INDEX log_execution ON log (execution);"
         "CREATE TABLE metric ("
         "  key INTEGER PRIMARY KEY, execution INTEGER NOT NULL, execution_id TEXT NOT NULL,"
         "  flow INTEGER NOT NULL, task_id TEXT, run_id TEXT, type TEXT NOT NULL,"
         "  name TEXT NOT NULL, value REAL NOT NULL, tags TEXT, at INTEGER NOT NULL);"
         "CREATE INDEX metric_execution ON metric (execution);"
         "CREATE INDEX metric_flow ON metric (flow, at);" },
    { 1, "CREATE TABLE trigger ("
         "  key INTEGER PRIMARY KEY, flow INTEGER NOT NULL, trigger_id TEXT NOT NULL,"
         "  kind INTEGER NOT NULL, type TEXT NOT NULL, spec TEXT, revision INTEGER NOT NULL,"
         "  date INTEGER NOT NULL, next_at INTEGER NOT NULL, evaluating_at INTEGER NOT NULL,"
         "  worker_id TEXT, execution_id TEXT, stop_after TEXT,"
         "  disabled INTEGER NOT NULL, is_off INTEGER NOT NULL, allow_concurrent INTEGER NOT NULL,"
         "  backfill_start INTEGER NOT NULL, backfill_end INTEGER, backfill_current INTEGER,"
         "  backfill_previous INTEGER, backfill_paused INTEGER, backfill_inputs TEXT,"
         "  backfill_labels TEXT, updated_at INTEGER NOT NULL,"
         "  UNIQUE (flow, trigger_id));" },
    { 1, "CREATE TABLE kv ("
         "  namespace TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, value TEXT NOT NULL,"
         "  description TEXT, revision INTEGER NOT NULL, created_at INTEGER NOT NULL,"
         "  updated_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
         "  actor TEXT, channel TEXT, source TEXT, commit_id TEXT,"
         "  UNIQUE (namespace, name));"
         "CREATE TABLE file ("
         "  namespace TEXT NOT NULL, path TEXT NOT NULL, revision INTEGER NOT NULL,"
         "  is_folder INTEGER NOT NULL, deleted INTEGER NOT NULL, size INTEGER NOT NULL,"
         "  digest TEXT, content TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
         "  actor TEXT, channel TEXT, source TEXT, commit_id TEXT,"
         "  PRIMARY KEY (namespace, path, revision)) WITHOUT ROWID;"
         "CREATE TABLE document ("
         "  collection TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL,"
         "  UNIQUE (collection, name));"
         "CREATE INDEX document_at ON document (collection, at);"
         "CREATE TABLE outbox ("
         "  key INTEGER PRIMARY KEY, topic TEXT NOT NULL, order_key TEXT, due_at INTEGER NOT NULL,"
         "  attempts INTEGER NOT NULL, body BLOB NOT NULL);"
         "CREATE INDEX outbox_topic ON outbox (topic, key);"
         "CREATE TABLE \"window\" ("
         "  flow INTEGER NOT NULL, window_id TEXT NOT NULL, start_at INTEGER NOT NULL,"
         "  end_at INTEGER NOT NULL, body BLOB NOT NULL,"
         "  PRIMARY KEY (flow, window_id)) WITHOUT ROWID;"
         "CREATE TABLE cache ("
         "  flow INTEGER NOT NULL, name TEXT NOT NULL, created_at INTEGER NOT NULL,"
         "  expires_at INTEGER NOT NULL, body BLOB NOT NULL,"
         "  UNIQUE (flow, name));"
         "CREATE INDEX cache_expires ON cache (expires_at);" },
    { 2, "ALTER TABLE trigger ADD COLUMN backfill_id INTEGER NOT NULL DEFAULT 0;"
         "UPDATE trigger SET backfill_id = backfill_start;" },
    { 3, "CREATE TABLE kv_version ("
         "  namespace TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, value TEXT NOT NULL,"
         "  description TEXT, revision INTEGER NOT NULL, created_at INTEGER NOT NULL,"
         "  updated_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
         "  actor TEXT, channel TEXT, source TEXT, commit_id TEXT);"
         "CREATE UNIQUE INDEX kv_version_key ON kv_version (namespace, name, revision DESC);" },
};

static bool set_pragma(struct sql *sql, const char *name, int64_t value, struct error *err)
{
    struct buf text = { 0 };
    buf_printf(&text, "PRAGMA %s = %lld", name, (long long)value);
    bool ok = sql_exec(sql, buf_text(&text), err);
    buf_free(&text);
    return ok;
}

/* The newest version: that of the last step. */
static int64_t newest(void)
{
    return steps[COUNT_OF(steps) - 1].version;
}

static bool apply(struct sql *sql, int64_t version, struct error *err)
{
    bool ok = sql_begin(sql, true, err);
    for (size_t i = 0; i < COUNT_OF(steps) && ok; i++)
        if (steps[i].version == version)
            ok = sql_exec(sql, steps[i].text, err);
    ok = ok && set_pragma(sql, "user_version", version, err) &&
         (version > 1 || set_pragma(sql, "application_id", APPLICATION_ID, err)) &&
         sql_commit(sql, err);
    if (!ok) {
        sql_rollback(sql);
        error_wrap(err, "migration of the database to version %lld", (long long)version);
    }
    return ok;
}

bool sqlite_migrate(struct sql *sql, const char *path, struct error *err)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;
    if (!sql_get_int(sql, "PRAGMA application_id", 0, &application, err) ||
        !sql_get_int(sql, "PRAGMA user_version", 0, &version, err) ||
        !sql_get_int(sql, "SELECT count(*) FROM sqlite_master", 0, &tables, err))
        return false;

    bool is_new = application == 0 && version == 0 && tables == 0;
    if (!is_new && application != APPLICATION_ID)
        return error_set(err, ERR_INVALID, "'%s' is a database of another program", path);
    if (version > newest())
        return error_set(err, ERR_INVALID,
                         "database '%s' was written by a newer weir (schema %lld, this one knows "
                         "%lld); use that weir, or restore an older backup",
                         path, (long long)version, (long long)newest());
    while (version < newest())
        if (!apply(sql, ++version, err))
            return false;
    return true;
}
