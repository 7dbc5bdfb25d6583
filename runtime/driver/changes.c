/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of flows, files, keys and documents: all of a request or nothing (law 5).
 *
 * First every item is compared with what is stored and may be refused; then all are written.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"

/* Keys remembered per turn; a larger batch lets nothing else into its commit. */
#define CHANGED_MAX 2000U

/* ---- collisions ---- */

static const char *change_key(struct arena *arena, char kind, const char *a, const char *b)
{
    return arena_printf(arena, "%c%s\n%s", kind, a, b);
}

static size_t items_of(const struct change_request *change)
{
    return change->flows_count + change->kv_count + change->files_count + change->documents_count;
}

/* Calls fn for the key of each item until it returns true. */
static bool any_key(struct driver *driver,
                    const struct change_request *change,
                    bool (*fn)(struct driver *driver, const char *key))
{
    struct arena *arena = driver->arena;
    for (size_t i = 0; i < change->flows_count; i++)
        if (fn(driver, change_key(arena, 'f', change->flows[i].namespace, change->flows[i].id)))
            return true;
    for (size_t i = 0; i < change->kv_count; i++)
        if (fn(driver, change_key(arena, 'k', change->kv[i].row.namespace, change->kv[i].row.key)))
            return true;
    // A file may be a folder of others: all of a namespace count as one.
    for (size_t i = 0; i < change->files_count; i++)
        if (fn(driver, change_key(arena, 'n', change->files[i].row.namespace, "")))
            return true;
    for (size_t i = 0; i < change->documents_count; i++)
        if (fn(driver, change_key(arena, 'd', change->documents[i].row.collection,
                                  change->documents[i].row.key)))
            return true;
    return false;
}

static bool is_changed(struct driver *driver, const char *key)
{
    return map_has(&driver->changed, key);
}

static bool remember(struct driver *driver, const char *key)
{
    map_put(&driver->changed, key, driver);
    return false;
}

bool changes_collide(struct driver *driver, const struct driver_request *request)
{
    if (request->type == REQUEST_TRIGGER) // states of triggers are compared with the store too
        return driver->commit.triggers.count > 0;
    if (request->type != REQUEST_CHANGE)
        return false;
    if (driver->changed_many)
        return true;
    // Saving a flow looks at the stored states of its triggers.
    if (request->change.flows_count > 0 && driver->commit.triggers.count > 0)
        return true;
    return driver->changed.count > 0 && any_key(driver, &request->change, is_changed);
}

static void remember_all(struct driver *driver, const struct change_request *change)
{
    if (items_of(change) + driver->changed.count > CHANGED_MAX)
        driver->changed_many = true;
    else
        (void)any_key(driver, change, remember);
}

/* ---- flows ---- */

/* What is decided about one flow: the revision to write, or nothing. */
struct flow_plan {
    struct flow_row row;
    bool writes;
};

static bool check_flow(struct driver *driver,
                       struct flow_change *change,
                       const struct origin *origin,
                       struct flow_plan *plan,
                       struct error *err)
{
    struct flow_row latest = { 0 };
    struct error absent = { 0 };
    bool exists = driver->reader->ops->flow_get(driver->reader, driver->arena, change->namespace,
                                                change->id, 0, true, &latest, &absent);
    if (!exists && absent.code != ERR_NOT_FOUND) {
        *err = absent;
        return false;
    }
    bool is_there = exists && !latest.deleted;
    if (change->mode == CHANGE_NEW && is_there)
        return error_set(err, ERR_CONFLICT, "Flow id already exists");
    if ((change->mode == CHANGE_EXISTING || change->is_delete) && !is_there) {
        if (change->is_delete && change->mode == CHANGE_ANY)
            return true; // gone already
        return error_set(err, ERR_NOT_FOUND, "flow '%s/%s' does not exist", change->namespace,
                         change->id);
    }
    if (change->expected_revision != 0 && latest.revision != change->expected_revision)
        return error_set(err, ERR_CONFLICT, "flow '%s/%s' is at revision %lld, not %lld",
                         change->namespace, change->id, (long long)latest.revision,
                         (long long)change->expected_revision);
    change->result = (struct change_result){ .revision = latest.revision };
    bool is_same = is_there && !change->is_delete && latest.disabled == change->disabled &&
                   flow_source_equal(latest.source, change->source);
    if (is_same)
        return true;
    change->result = (struct change_result){ .changed = true,
                                             .is_created = !is_there,
                                             .revision = latest.revision + 1 };
    plan->writes = true;
    plan->row = (struct flow_row){
        .namespace = change->namespace,
        .id = change->id,
        .revision = latest.revision + 1,
        .source = change->is_delete ? latest.source : change->source,
        .source_length = change->is_delete ? latest.source_length : change->source_length,
        .digest = change->is_delete ? latest.digest : change->digest,
        .labels = change->is_delete ? latest.labels : change->labels,
        .description = change->is_delete ? latest.description : change->description,
        .disabled = change->is_delete ? latest.disabled : change->disabled,
        .deleted = change->is_delete,
        .updated_at = driver->now,
        .origin = *origin,
    };
    return true;
}

static void write_flow(struct driver *driver,
                       const struct flow_change *change,
                       const struct flow_plan *plan)
{
    if (!plan->writes)
        return;
    *VEC_PUSH(&driver->commit.flows) = plan->row;
    triggers_save(driver, change, plan->row.revision);
    *VEC_PUSH(&driver->changed_flows) =
        (struct flow_name){ .namespace = check_strdup(change->namespace),
                            .id = check_strdup(change->id) };
}

/*
 * The latest revision stays: its triggers are running, and the next revision counts on from it, so
 * that a number never means two sources.
 */
static bool purge_revisions(struct driver *driver, struct change_request *change, struct error *err)
{
    struct store_reader *reader = driver->reader;
    struct flow_row row;
    for (size_t i = 0; i < change->flows_count; i++) {
        const struct flow_change *flow = &change->flows[i];
        int64_t revision = flow->result.revision;
        change->failed = i;
        if (!reader->ops->flow_get(reader, driver->arena, flow->namespace, flow->id, revision, true,
                                   &row, err) ||
            !reader->ops->flow_get(reader, driver->arena, flow->namespace, flow->id, 0, true, &row,
                                   err))
            return false;
        if (row.revision == revision)
            return error_set(err, ERR_CONFLICT, "revision %lld of flow '%s/%s' is the latest one",
                             (long long)revision, flow->namespace, flow->id);
    }
    for (size_t i = 0; i < change->flows_count; i++) {
        struct flow_change *flow = &change->flows[i];
        *VEC_PUSH(&driver->commit.flow_purges) = (struct commit_flow_purge){
            .namespace = flow->namespace, .id = flow->id, .revision = flow->result.revision
        };
        *VEC_PUSH(&driver->changed_flows) =
            (struct flow_name){ .namespace = check_strdup(flow->namespace),
                                .id = check_strdup(flow->id) };
        flow->result.changed = true;
    }
    return true;
}

/* ---- keys ---- */

static bool check_kv(struct driver *driver,
                     struct kv_change *change,
                     const struct origin *origin,
                     struct error *err)
{
    struct kv_row latest = { 0 };
    struct error absent = { 0 };
    if (change->forgets) {
        change->result =
            (struct change_result){ .changed = true, .revision = change->row.revision };
        return true;
    }
    bool exists = driver->reader->ops->kv_get(driver->reader, driver->arena, change->row.namespace,
                                              change->row.key, &latest, &absent);
    if (!exists && absent.code != ERR_NOT_FOUND) {
        *err = absent;
        return false;
    }
    bool is_there = exists && latest.expires_at > driver->now;
    if (change->mode == CHANGE_NEW && is_there)
        return error_set(err, ERR_CONFLICT, "key '%s' exists in namespace '%s' already",
                         change->row.key, change->row.namespace);
    if (change->mode == CHANGE_EXISTING && !is_there)
        return error_set(err, ERR_NOT_FOUND, "no value found for key '%s' in namespace '%s'",
                         change->row.key, change->row.namespace);
    change->result = (struct change_result){
        .changed = change->is_delete ? is_there : true,
        .is_created = !is_there && !change->is_delete,
        .revision = latest.revision + (change->is_delete ? 0 : 1),
    };
    change->row.revision = latest.revision + 1;
    change->row.created_at = is_there ? latest.created_at : driver->now;
    change->row.updated_at = driver->now;
    if (change->row.expires_at == 0)
        change->row.expires_at = USEC_NEVER;
    change->row.origin = *origin;
    return true;
}

static void write_kv(struct driver *driver, const struct kv_change *change)
{
    *VEC_PUSH(&driver->commit.kv) =
        (struct commit_kv){ .row = change->row,
                            .is_removed = change->is_delete || change->forgets,
                            .is_version = change->forgets };
}

/* ---- namespace files ---- */

static int64_t last_revision(struct driver *driver, const struct file_row *row, struct error *err)
{
    struct file_row *rows = NULL;
    size_t count = 0;
    if (!driver->reader->ops->file_revisions(driver->reader, driver->arena, row->namespace,
                                             row->path, &rows, &count, err))
        return -1;
    return count == 0 ? 0 : rows[count - 1].revision;
}

static bool check_file(struct driver *driver,
                       struct file_change *change,
                       const struct origin *origin,
                       struct error *err)
{
    if (change->forgets) {
        change->result =
            (struct change_result){ .changed = true, .revision = change->row.revision };
        return true;
    }
    struct file_row latest = { 0 };
    struct error absent = { 0 };
    bool is_there =
        driver->reader->ops->file_get(driver->reader, driver->arena, change->row.namespace,
                                      change->row.path, 0, &latest, &absent);
    if (!is_there && absent.code != ERR_NOT_FOUND) {
        *err = absent;
        return false;
    }
    int64_t last = is_there ? latest.revision : last_revision(driver, &change->row, err);
    if (last < 0)
        return false;
    if (is_there && !change->is_delete && latest.is_folder != change->row.is_folder)
        return error_set(err, ERR_CONFLICT, "'%s' is a %s", change->row.path,
                         latest.is_folder ? "folder" : "file");
    bool is_same = change->is_delete ? !is_there
                                     : is_there && (change->row.is_folder ||
                                                    str_eq(latest.digest, change->row.digest));
    change->result = (struct change_result){
        .changed = !is_same,
        .is_created = !is_there && !change->is_delete,
        .revision = last + (is_same ? 0 : 1),
    };
    change->row.revision = last + 1;
    change->row.created_at = is_there ? latest.created_at : driver->now;
    change->row.updated_at = driver->now;
    change->row.origin = *origin;
    if (change->is_delete) {
        change->row.deleted = true;
        change->row.is_folder = latest.is_folder;
        change->row.digest = latest.digest;
        change->row.content = NULL;
        change->row.size = 0;
    }
    return true;
}

static void write_file(struct driver *driver, const struct file_change *change)
{
    if (change->result.changed)
        *VEC_PUSH(&driver->commit.files) =
            (struct commit_file){ .row = change->row, .is_removed = change->forgets };
}

/* ---- documents, outbox ---- */

static bool check_document(struct driver *driver,
                           const struct document_change *change,
                           struct error *err)
{
    if (change->expected_digest == NULL)
        return true;
    struct document_row row;
    struct error absent = { 0 };
    bool exists = driver->reader->ops->document_get(
        driver->reader, driver->arena, change->row.collection, change->row.key, &row, &absent);
    if (!exists && absent.code != ERR_NOT_FOUND) {
        *err = absent;
        return false;
    }
    const char *digest =
        exists ? digest_sha256_hex(driver->arena, row.body.at, row.body.length) : "";
    return strcmp(digest, change->expected_digest) == 0 ||
           error_set(err, ERR_CONFLICT, "'%s' in '%s' was changed meanwhile", change->row.key,
                     change->row.collection);
}

static void write_rest(struct driver *driver, struct change_request *change)
{
    for (size_t i = 0; i < change->documents_count; i++)
        *VEC_PUSH(&driver->commit.documents) =
            (struct commit_document){ .row = change->documents[i].row,
                                      .is_removed = change->documents[i].is_delete };
    for (size_t i = 0; i < change->outbox_count; i++) {
        change->outbox[i].key = ++driver->numbers.outbox;
        *VEC_PUSH(&driver->commit.outbox) = (struct commit_outbox){ .row = change->outbox[i] };
    }
    for (size_t i = 0; i < change->outbox_done_count; i++)
        *VEC_PUSH(&driver->commit.outbox) =
            (struct commit_outbox){ .row = { .key = change->outbox_done[i] }, .is_removed = true };
    for (size_t i = 0; i < change->outbox_later_count; i++)
        *VEC_PUSH(&driver->commit.outbox) =
            (struct commit_outbox){ .row = change->outbox_later[i] };
}

/* ---- all of it ---- */

/*
 * Each item is compared with the store, not with the items before it: one that is named twice would
 * be given one revision twice.
 */
static bool check_once(struct driver *driver,
                       const struct change_request *change,
                       struct error *err)
{
    if (items_of(change) < 2)
        return true;
    struct arena *arena = driver->arena;
    struct map seen = { 0 };
    const char *twice = NULL;
    for (size_t i = 0; i < change->flows_count && twice == NULL; i++) {
        const struct flow_change *flow = &change->flows[i];
        const char *key = change_key(arena, 'f', flow->namespace, flow->id);
        if (map_put(&seen, key, driver) != NULL)
            twice = arena_printf(arena, "flow '%s/%s'", flow->namespace, flow->id);
    }
    for (size_t i = 0; i < change->kv_count && twice == NULL; i++) {
        const struct kv_row *row = &change->kv[i].row;
        if (change->kv[i].forgets) // any number of versions
            continue;
        const char *key = change_key(arena, 'k', row->namespace, row->key);
        if (map_put(&seen, key, driver) != NULL)
            twice = arena_printf(arena, "key '%s' of namespace '%s'", row->key, row->namespace);
    }
    for (size_t i = 0; i < change->files_count && twice == NULL; i++) {
        const struct file_row *row = &change->files[i].row;
        if (change->files[i].forgets) // any number of revisions
            continue;
        const char *key = change_key(arena, 'n', row->namespace, row->path);
        if (map_put(&seen, key, driver) != NULL)
            twice = arena_printf(arena, "file '%s' of namespace '%s'", row->path, row->namespace);
    }
    map_free(&seen);
    return twice == NULL || error_set(err, ERR_INVALID, "%s occurs twice in one change", twice);
}

static bool check_each(struct driver *driver,
                       struct change_request *change,
                       struct flow_plan *plans,
                       struct error *err)
{
    const struct origin *origin = &change->origin;
    change->failed = 0;
    if (!check_once(driver, change, err))
        return false;
    for (size_t i = 0; i < change->flows_count; i++) {
        change->failed = i;
        if (!check_flow(driver, &change->flows[i], origin, &plans[i], err))
            return false;
    }
    for (size_t i = 0; i < change->kv_count; i++) {
        change->failed = i;
        if (!check_kv(driver, &change->kv[i], origin, err))
            return false;
    }
    for (size_t i = 0; i < change->files_count; i++) {
        change->failed = i;
        if (!check_file(driver, &change->files[i], origin, err))
            return false;
    }
    for (size_t i = 0; i < change->documents_count; i++) {
        change->failed = i;
        if (!check_document(driver, &change->documents[i], err))
            return false;
    }
    return true;
}

/* One read transaction for all. */
static bool check_all(struct driver *driver,
                      struct change_request *change,
                      struct flow_plan *plans,
                      struct error *err)
{
    return driver_read(driver, err) && check_each(driver, change, plans, err);
}

static void write_all(struct driver *driver,
                      struct change_request *change,
                      const struct flow_plan *plans)
{
    for (int deletes = 1; deletes >= 0; deletes--) {
        for (size_t i = 0; i < change->flows_count; i++)
            if (change->flows[i].is_delete == deletes)
                write_flow(driver, &change->flows[i], &plans[i]);
        for (size_t i = 0; i < change->kv_count; i++)
            if (change->kv[i].is_delete == deletes)
                write_kv(driver, &change->kv[i]);
        for (size_t i = 0; i < change->files_count; i++)
            if (change->files[i].is_delete == deletes)
                write_file(driver, &change->files[i]);
    }
    write_rest(driver, change);
}

void changes_handle(struct driver *driver, struct driver_request *request)
{
    struct change_request *change = &request->change;
    struct error err = { 0 };
    if (change->purges_revisions) {
        bool ok = purge_revisions(driver, change, &err);
        remember_all(driver, change);
        driver_answer(driver, request, ok ? NULL : &err);
        return;
    }
    struct flow_plan *plans = ARENA_ARRAY(driver->arena, change->flows_count, struct flow_plan);
    if (!check_all(driver, change, plans, &err)) {
        driver_answer(driver, request, &err);
        return;
    }
    write_all(driver, change, plans);
    remember_all(driver, change);
    driver_answer(driver, request, NULL);
}

void changes_committed(struct driver *driver)
{
    map_free(&driver->changed);
    driver->changed_many = false;
    for (size_t i = 0; i < driver->changed_flows.count; i++) {
        struct flow_name *name = &driver->changed_flows.items[i];
        flows_changed(driver, name->namespace, name->id);
        *VEC_PUSH(&driver->releases) = *name;
    }
    driver->changed_flows.count = 0;
}

/* ---- filling a change from a parsed flow ---- */

static const char *labels_json(struct arena *arena, const struct flow *flow)
{
    if (flow->labels_count == 0)
        return NULL;
    struct value_builder builder = value_build(arena);
    for (size_t i = 0; i < flow->labels_count; i++)
        value_put_text(&builder, flow->labels[i].key, flow->labels[i].value);
    return value_to_json(arena, value_build_map(&builder));
}

static struct trigger_change trigger_change_of(struct arena *arena,
                                               const struct flow *flow,
                                               const struct trigger *trigger,
                                               const char *zone,
                                               struct expr_env *env)
{
    struct trigger_change change = {
        .id = arena_strdup(arena, trigger->id),
        .kind = trigger->type != NULL ? trigger->type->trigger_kind : TRIGGER_NONE,
        .type = arena_strdup(arena, trigger->type != NULL ? trigger->type->id : ""),
        .is_off = trigger->disabled || flow->disabled,
        .allow_concurrent = trigger->allow_concurrent,
    };
    if (trigger->stop_after != NULL)
        change.stop_after = value_to_json(arena, trigger->stop_after);
    struct buf spec = { 0 };
    struct error err = { 0 };
    if (spec_write(trigger, zone, env, &spec, &err)) {
        change.spec = buf_dup(&spec, arena);
    } else {
        change.is_off = true;
        log_warn("a trigger cannot be scheduled and is off", LOG_STR("namespace", flow->namespace),
                 LOG_STR("flow", flow->id), LOG_STR("trigger", trigger->id), LOG_ERR(&err));
    }
    buf_free(&spec);
    return change;
}

void flow_change_outline(struct arena *arena,
                         const struct flow *flow,
                         const char *zone,
                         struct flow_change *out)
{
    struct trigger_change *triggers =
        ARENA_ARRAY(arena, flow->triggers_count, struct trigger_change);
    struct value_builder names = value_build(arena);
    value_put_text(&names, "id", flow->id);
    value_put_text(&names, "namespace", flow->namespace);
    struct value_builder context = value_build(arena);
    value_put(&context, "flow", value_build_map(&names));
    value_put(&context, "vars", flow->variables);
    struct expr_env env = { .context = value_build_map(&context),
                            .now = clock_now(),
                            .zone = zone };
    for (size_t i = 0; i < flow->triggers_count; i++)
        triggers[i] = trigger_change_of(arena, flow, &flow->triggers[i], zone, &env);
    out->namespace = arena_strdup(arena, flow->namespace);
    out->id = arena_strdup(arena, flow->id);
    out->labels = labels_json(arena, flow);
    out->description = arena_strdup(arena, flow->description);
    out->disabled = flow->disabled;
    out->concurrency_limit = flow->concurrency_limit;
    out->triggers = triggers;
    out->triggers_count = flow->triggers_count;
}

void flow_change_fill(struct arena *arena,
                      const struct flow *flow,
                      const char *zone,
                      struct flow_change *out)
{
    size_t length = strlen(flow->source);
    flow_change_outline(arena, flow, zone, out);
    out->source = arena_strndup(arena, flow->source, length);
    out->source_length = length;
    out->digest = digest_sha256_hex(arena, flow->source, length);
}
