/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/target_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/git.h"
#include "base/oid.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/wire.h"
#include "reconciler/notes.h"
#include "reconciler/reconcile.h"
#include "reconciler/target.h"
#include "runtime/driver/driver.h"
#include "runtime/storage/storage.h"
#include "runtime/store/store.h"

/* Executions under way that a plan counts; more are said to be so many. */
#define RUNNING_MAX 1000U

struct target_store {
    struct target target; /* first */
    struct runtime *runtime;
    struct store_reader *reader;
};

static struct target_store *self_of(struct target *target)
{
    return (struct target_store *)target;
}

/* ---- reading ---- */

static bool begin(struct target *target, struct error *err)
{
    struct store_reader *reader = self_of(target)->reader;
    return reader->ops->begin(reader, err);
}

static void end(struct target *target)
{
    struct store_reader *reader = self_of(target)->reader;
    reader->ops->end(reader);
}

/* Nothing there is an answer, not a failure. */
static bool is_absent(struct error *inner, bool ok, struct error *err)
{
    if (!ok && inner->code != ERR_NOT_FOUND && err != NULL)
        *err = *inner;
    return ok || inner->code == ERR_NOT_FOUND;
}

static void put_origin(struct live_object *out, const struct origin *origin, usec_t updated_at)
{
    out->actor = origin->actor;
    out->channel = origin->channel;
    out->source = origin->source;
    out->updated_at = updated_at;
}

static bool live_flow(struct target_store *self,
                      struct arena *arena,
                      int64_t revision,
                      bool with_text,
                      struct live_object *out,
                      struct error *err)
{
    struct flow_row row = { 0 };
    struct error inner = { 0 };
    bool ok = self->reader->ops->flow_get(self->reader, arena, out->key.namespace, out->key.name,
                                          revision, true, &row, &inner);
    if (!ok)
        return is_absent(&inner, ok, err);
    out->last_revision = row.revision;
    if (row.deleted)
        return true;
    out->digest = row.digest;
    out->revision = row.revision;
    out->disabled = row.disabled;
    out->text = with_text ? row.source : NULL;
    out->length = row.source_length;
    put_origin(out, &row.origin, row.updated_at);
    return true;
}

static bool live_file(struct target_store *self,
                      struct arena *arena,
                      struct live_object *out,
                      struct error *err)
{
    struct file_row row = { 0 };
    struct error inner = { 0 };
    bool ok =
        self->reader->ops->file_get(self->reader, arena, out->key.namespace,
                                    arena_printf(arena, "/%s", out->key.name), 0, &row, &inner);
    if (!ok)
        return is_absent(&inner, ok, err);
    out->digest = row.digest;
    out->revision = row.revision;
    out->last_revision = row.revision;
    out->length = (size_t)row.size;
    put_origin(out, &row.origin, row.updated_at);
    return true;
}

static bool live_kv(struct target_store *self,
                    struct arena *arena,
                    bool with_text,
                    struct live_object *out,
                    struct error *err)
{
    struct kv_row row = { 0 };
    struct error inner = { 0 };
    bool ok = self->reader->ops->kv_get(self->reader, arena, out->key.namespace, out->key.name,
                                        &row, &inner);
    if (!ok)
        return is_absent(&inner, ok, err);
    if (row.expires_at <= clock_now())
        return true;
    out->digest = object_kv_digest(arena, row.type, row.description, row.value);
    out->revision = row.revision;
    out->last_revision = row.revision;
    out->text = with_text ? row.value : NULL;
    out->length = strlen(row.value);
    put_origin(out, &row.origin, row.updated_at);
    return true;
}

static bool live(struct target *target,
                 struct arena *arena,
                 const struct object_key *key,
                 int64_t revision,
                 bool with_text,
                 struct live_object *out,
                 struct error *err)
{
    struct target_store *self = self_of(target);
    *out = (struct live_object){ .key = *key };
    switch (key->kind) {
    case OBJECT_FLOW:
        return live_flow(self, arena, revision, with_text, out, err);
    case OBJECT_FILE:
        return live_file(self, arena, out, err);
    case OBJECT_KV:
        return live_kv(self, arena, with_text, out, err);
    }
    return false;
}

static struct note note_of(const struct document_row *row)
{
    return (struct note){
        .key = row->key,
        .body = row->body.at,
        .length = row->body.length,
        .at = row->at,
    };
}

static bool note(struct target *target,
                 struct arena *arena,
                 const char *collection,
                 const char *key,
                 struct note *out,
                 struct error *err)
{
    struct store_reader *reader = self_of(target)->reader;
    struct document_row row = { 0 };
    if (!reader->ops->document_get(reader, arena, collection, key, &row, err))
        return false;
    *out = note_of(&row);
    return true;
}

static struct note *notes_of(struct arena *arena, const struct document_row *rows, size_t count)
{
    struct note *list = ARENA_ARRAY(arena, count, struct note);
    for (size_t i = 0; i < count; i++)
        list[i] = note_of(&rows[i]);
    return list;
}

static bool notes(struct target *target,
                  struct arena *arena,
                  const char *collection,
                  const char *prefix,
                  const char *after,
                  size_t limit,
                  struct note **out,
                  size_t *count,
                  struct error *err)
{
    struct store_reader *reader = self_of(target)->reader;
    struct document_row *rows = NULL;
    if (!reader->ops->document_list(reader, arena, collection, prefix, after, limit, &rows, count,
                                    err))
        return false;
    *out = notes_of(arena, rows, *count);
    return true;
}

static bool notes_recent(struct target *target,
                         struct arena *arena,
                         const char *collection,
                         usec_t before,
                         size_t limit,
                         struct note **out,
                         size_t *count,
                         struct error *err)
{
    struct store_reader *reader = self_of(target)->reader;
    struct document_row *rows = NULL;
    if (!reader->ops->document_recent(reader, arena, collection, before, limit, &rows, count, err))
        return false;
    *out = notes_of(arena, rows, *count);
    return true;
}

static bool running(struct target *target,
                    const struct object_key *flow,
                    struct target_running *out,
                    struct error *err)
{
    static const char *const ended[] = {
        "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED",
    };
    struct store_reader *reader = self_of(target)->reader;
    AUTO_ARENA struct arena *scratch = arena_new();
    struct filter filters[] = {
        { .field = FIELD_NAMESPACE,
          .match = MATCH_EQUAL,
          .values = &flow->namespace,
          .values_count = 1 },
        { .field = FIELD_FLOW, .match = MATCH_EQUAL, .values = &flow->name, .values_count = 1 },
        { .field = FIELD_STATE,
          .match = MATCH_NOT_IN,
          .values = ended,
          .values_count = COUNT_OF(ended) },
    };
    struct query query = {
        .filters = filters,
        .filters_count = COUNT_OF(filters),
        .sort = FIELD_COUNT,
        .descending = true,
        .limit = RUNNING_MAX,
    };
    struct execution_row *rows = NULL;
    size_t count = 0;
    if (!reader->ops->execution_search(reader, scratch, &query, false, &rows, &count, NULL, err))
        return false;
    *out = (struct target_running){ .count = count };
    for (size_t i = 0; i < count; i++) {
        out->is_mixed = out->is_mixed || rows[i].revision != rows[0].revision;
        if (rows[i].revision > out->revision)
            out->revision = rows[i].revision;
    }
    return true;
}

/* ---- changing ---- */

static const void *prepare(struct target *target, struct arena *arena, const struct flow *flow)
{
    struct flow_change *change = ARENA_NEW(arena, struct flow_change);
    flow_change_outline(arena, flow, self_of(target)->runtime->zone, change);
    return change;
}

/* Where the result of an object is found after the commit. */
struct batch {
    struct arena *arena;
    struct change_request *change;
    const struct change_result **results; /* one per object */
};

static bool add_flow(struct batch *batch, size_t at, const struct object_change *object)
{
    struct flow_change *change = &batch->change->flows[batch->change->flows_count++];
    const struct desired_object *desired = object->desired;
    if (desired == NULL) {
        change->is_delete = true;
    } else {
        *change = *(const struct flow_change *)desired->prepared;
        change->source = desired->text;
        change->source_length = desired->length;
        change->digest = desired->digest;
    }
    change->namespace = object->key.namespace;
    change->id = object->key.name;
    change->mode = object->live_revision == 0 ? CHANGE_NEW : CHANGE_EXISTING;
    change->expected_revision = object->live_revision;
    batch->results[at] = &change->result;
    return true;
}

static bool add_kv(struct batch *batch, size_t at, const struct object_change *object)
{
    struct kv_change *change = &batch->change->kv[batch->change->kv_count++];
    const struct desired_object *desired = object->desired;
    change->row.namespace = object->key.namespace;
    change->row.key = object->key.name;
    change->is_delete = desired == NULL;
    if (desired != NULL) {
        change->row.type = desired->type;
        change->row.value = desired->text;
        change->row.description = desired->description;
        change->row.expires_at =
            desired->ttl == USEC_NEVER ? USEC_NEVER : clock_now() + desired->ttl;
    }
    batch->results[at] = &change->result;
    return true;
}

/* The content goes to the storage first, under its digest: a commit that fails leaves it unused. */
static bool add_file(struct target_store *self,
                     struct batch *batch,
                     size_t at,
                     const struct object_change *object,
                     struct git_repo *repo,
                     struct error *err)
{
    struct file_change *change = &batch->change->files[batch->change->files_count++];
    const struct desired_object *desired = object->desired;
    change->row.namespace = object->key.namespace;
    change->row.path = arena_printf(batch->arena, "/%s", object->key.name);
    change->is_delete = desired == NULL;
    batch->results[at] = &change->result;
    if (desired == NULL)
        return true;
    change->row.size = (int64_t)desired->length;
    change->row.digest = desired->digest;
    change->row.content =
        storage_content_path(batch->arena, object->key.namespace, desired->digest);
    AUTO_ARENA struct arena *scratch = arena_new();
    size_t length = 0;
    const char *bytes =
        git_repo_blob(repo, scratch, &desired->blob, NAMESPACE_FILE_BYTES_MAX, &length, err);
    if (bytes == NULL)
        return error_wrap(err, "file '%s'", desired->path);
    struct storage *storage = self->runtime->storage;
    return storage->ops->put_bytes(storage, change->row.content, bytes, length, 0, err);
}

static bool add_objects(struct target_store *self,
                        struct batch *batch,
                        const struct target_batch *wanted,
                        struct error *err)
{
    for (size_t i = 0; i < wanted->objects_count; i++) {
        const struct object_change *object = &wanted->objects[i];
        bool ok = false;
        switch (object->key.kind) {
        case OBJECT_FLOW:
            ok = add_flow(batch, i, object);
            break;
        case OBJECT_KV:
            ok = add_kv(batch, i, object);
            break;
        case OBJECT_FILE:
            ok = add_file(self, batch, i, object, wanted->repo, err);
            break;
        }
        if (!ok)
            return false;
    }
    return true;
}

static void add_notes(struct batch *batch, const struct target_batch *wanted)
{
    for (size_t i = 0; i < wanted->notes_count; i++) {
        const struct note_change *note_change = &wanted->notes[i];
        struct document_change *change =
            &batch->change->documents[batch->change->documents_count++];
        *change = (struct document_change){
            .is_delete = note_change->body == NULL,
            .row = {
                .collection = note_change->collection,
                .key = note_change->key,
                .at = note_change->at,
                .body = { note_change->body, note_change->length },
            },
            .expected_digest = note_change->expected,
        };
    }
}

static bool apply(struct target *target,
                  const struct target_batch *wanted,
                  int64_t *revisions,
                  struct error *err)
{
    struct target_store *self = self_of(target);
    AUTO_ARENA struct arena *arena = arena_new();
    size_t count = wanted->objects_count;
    struct driver_request request = { .type = REQUEST_CHANGE, .arena = arena };
    struct batch batch = {
        .arena = arena,
        .change = &request.change,
        .results = ARENA_ARRAY(arena, count + 1, const struct change_result *),
    };
    request.change = (struct change_request){
        .origin = {
            .actor = wanted->actor,
            .channel = "git",
            .source = wanted->source,
            .commit = wanted->commit,
        },
        .flows = ARENA_ARRAY(arena, count + 1, struct flow_change),
        .kv = ARENA_ARRAY(arena, count + 1, struct kv_change),
        .files = ARENA_ARRAY(arena, count + 1, struct file_change),
        .documents = ARENA_ARRAY(arena, wanted->notes_count + 1, struct document_change),
    };
    if (!add_objects(self, &batch, wanted, err))
        return false;
    add_notes(&batch, wanted);
    if (!driver_call(self->runtime->driver, &request, err))
        return false;
    for (size_t i = 0; i < count; i++)
        revisions[i] = wanted->objects[i].desired == NULL ? 0 : batch.results[i]->revision;
    return true;
}

static void free_target(struct target *target)
{
    struct target_store *self = self_of(target);
    store_reader_free(self->reader);
    free(self);
}

static const struct target_ops ops = {
    .begin = begin,
    .end = end,
    .live = live,
    .note = note,
    .notes = notes,
    .notes_recent = notes_recent,
    .running = running,
    .prepare = prepare,
    .apply = apply,
    .free = free_target,
};

struct target *target_store_new(struct runtime *runtime, struct error *err)
{
    struct store_reader *reader = store_reader_open(runtime->store, err);
    if (reader == NULL)
        return NULL;
    struct target_store *self = check_calloc(1, sizeof(*self));
    self->target.ops = &ops;
    self->runtime = runtime;
    self->reader = reader;
    return &self->target;
}

bool target_store_applied(struct runtime *runtime, const char *source, struct oid *out)
{
    AUTO(target_freep) struct target *target = target_store_new(runtime, NULL);
    if (target == NULL)
        return false;
    AUTO_ARENA struct arena *scratch = arena_new();
    struct head_note head;
    if (!head_note_load(target, scratch, source, &head, NULL))
        return false;
    *out = head.commit;
    return true;
}
