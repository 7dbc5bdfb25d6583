/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "reconciler/target.h"

struct version {
    char *text; /* NULL for files */
    size_t length;
    char *digest; /* NULL: deleted */
    bool disabled;
    char *actor;
    const char *channel;
    char *source;
    usec_t updated_at;
};

struct live {
    VEC(struct version) versions; /* revision 1 is the first */
    size_t running;
};

struct memory_note {
    char *key;
    char *body;
    size_t length;
    usec_t at;
};

struct collection {
    struct map by_key;
    struct memory_note **sorted; /* NULL: must be made again */
};

struct target_memory {
    struct target target;
    struct map live;        /* text of a key -> struct live */
    struct map collections; /* name -> struct collection */
};

static struct target_memory *self_of(struct target *target)
{
    return (struct target_memory *)target;
}

static struct live *live_find(struct target_memory *self, const struct object_key *key)
{
    struct buf text = { 0 };
    object_key_write(&text, key);
    struct live *live = map_find(&self->live, text.bytes);
    buf_free(&text);
    return live;
}

static struct live *live_make(struct target_memory *self, const struct object_key *key)
{
    struct live *live = live_find(self, key);
    if (live == NULL) {
        struct buf text = { 0 };
        object_key_write(&text, key);
        live = check_calloc(1, sizeof(*live));
        (void)map_put(&self->live, text.bytes, live);
        buf_free(&text);
    }
    return live;
}

static bool memory_live(struct target *target,
                        struct arena *arena,
                        const struct object_key *key,
                        int64_t revision,
                        bool with_text,
                        struct live_object *out,
                        struct error *err)
{
    (void)err; // cannot fail
    const struct live *live = live_find(self_of(target), key);
    size_t count = live == NULL ? 0 : live->versions.count;
    size_t wanted = revision == 0 ? count : (size_t)revision;
    const struct version *version =
        wanted == 0 || wanted > count ? NULL : &live->versions.items[wanted - 1];
    *out = (struct live_object){ .key = *key, .last_revision = (int64_t)count };
    if (version == NULL || version->digest == NULL)
        return true;
    out->digest = arena_strdup(arena, version->digest);
    if (with_text && version->text != NULL)
        out->text = arena_strndup(arena, version->text, version->length);
    out->length = version->length;
    out->revision = (int64_t)wanted;
    out->disabled = version->disabled;
    out->updated_at = version->updated_at;
    out->actor = arena_strdup(arena, version->actor);
    out->channel = version->channel;
    out->source = arena_strdup(arena, version->source);
    return true;
}

/* ---- notes ---- */

static struct collection *collection_find(struct target_memory *self, const char *name)
{
    return map_find(&self->collections, name);
}

static bool memory_note(struct target *target,
                        struct arena *arena,
                        const char *collection,
                        const char *key,
                        struct note *out,
                        struct error *err)
{
    const struct collection *notes = collection_find(self_of(target), collection);
    const struct memory_note *note = notes == NULL ? NULL : map_find(&notes->by_key, key);
    if (note == NULL)
        return error_set(err, ERR_NOT_FOUND, "there is no note '%s' in %s", key, collection);
    *out = (struct note){
        .key = arena_strdup(arena, note->key),
        .body = arena_strndup(arena, note->body, note->length),
        .length = note->length,
        .at = note->at,
    };
    return true;
}

static int by_note_key(const void *a, const void *b)
{
    const struct memory_note *const *one = a;
    const struct memory_note *const *two = b;
    return strcmp((*one)->key, (*two)->key);
}

static int by_note_time(const void *a, const void *b)
{
    const struct memory_note *one = *(const struct memory_note *const *)a;
    const struct memory_note *two = *(const struct memory_note *const *)b;
    if (one->at != two->at)
        return one->at > two->at ? -1 : 1;
    return strcmp(two->key, one->key);
}

static struct memory_note **note_array(const struct collection *notes)
{
    struct memory_note **array = check_calloc(notes->by_key.count + 1, sizeof(*array));
    struct map_slot *slot;
    size_t at = 0;
    size_t count = 0;
    while ((slot = map_next(&notes->by_key, &at)) != NULL)
        array[count++] = slot->value;
    return array;
}

static struct note note_copy(struct arena *arena, const struct memory_note *note)
{
    return (struct note){
        .key = arena_strdup(arena, note->key),
        .body = arena_strndup(arena, note->body, note->length),
        .length = note->length,
        .at = note->at,
    };
}

static bool memory_notes(struct target *target,
                         struct arena *arena,
                         const char *collection,
                         const char *prefix,
                         const char *after,
                         size_t limit,
                         struct note **out,
                         size_t *count,
                         struct error *err)
{
    (void)err; // cannot fail
    *out = ARENA_ARRAY(arena, limit, struct note);
    *count = 0;
    struct collection *notes = collection_find(self_of(target), collection);
    if (notes == NULL)
        return true;
    if (notes->sorted == NULL) {
        notes->sorted = note_array(notes);
        qsort(notes->sorted, notes->by_key.count, sizeof(*notes->sorted), by_note_key);
    }
    size_t low = 0;
    size_t high = notes->by_key.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *key = notes->sorted[middle]->key;
        bool is_before = after != NULL && strcmp(key, after) <= 0;
        if (is_before || (prefix != NULL && strcmp(key, prefix) < 0))
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < notes->by_key.count && *count < limit; low++) {
        if (prefix != NULL && !str_starts(notes->sorted[low]->key, prefix))
            break;
        (*out)[(*count)++] = note_copy(arena, notes->sorted[low]);
    }
    return true;
}

static bool memory_notes_recent(struct target *target,
                                struct arena *arena,
                                const char *collection,
                                usec_t before,
                                size_t limit,
                                struct note **out,
                                size_t *count,
                                struct error *err)
{
    (void)err; // cannot fail
    *out = ARENA_ARRAY(arena, limit, struct note);
    *count = 0;
    const struct collection *notes = collection_find(self_of(target), collection);
    if (notes == NULL)
        return true;
    struct memory_note **array = note_array(notes);
    qsort(array, notes->by_key.count, sizeof(*array), by_note_time);
    for (size_t i = 0; i < notes->by_key.count && *count < limit; i++)
        if (array[i]->at < before)
            (*out)[(*count)++] = note_copy(arena, array[i]);
    free(array);
    return true;
}

static void note_free(struct memory_note *note)
{
    if (note == NULL)
        return;
    free(note->key);
    free(note->body);
    free(note);
}

static void note_apply(struct target_memory *self, const struct note_change *change)
{
    struct collection *notes = collection_find(self, change->collection);
    if (notes == NULL) {
        notes = check_calloc(1, sizeof(*notes));
        (void)map_put(&self->collections, change->collection, notes);
    }
    free(notes->sorted);
    notes->sorted = NULL;
    if (change->body == NULL) {
        note_free(map_remove(&notes->by_key, change->key));
        return;
    }
    struct memory_note *note = check_calloc(1, sizeof(*note));
    note->key = check_strdup(change->key);
    note->body = check_malloc(change->length + 1);
    memcpy(note->body, change->body, change->length);
    note->body[change->length] = '\0';
    note->length = change->length;
    note->at = change->at;
    note_free(map_put(&notes->by_key, change->key, note));
}

static bool note_is_expected(struct target_memory *self, const struct note_change *change)
{
    if (change->expected == NULL)
        return true;
    const struct collection *notes = collection_find(self, change->collection);
    const struct memory_note *note = notes == NULL ? NULL : map_find(&notes->by_key, change->key);
    if (note == NULL)
        return change->expected[0] == '\0';
    struct arena *scratch = arena_new();
    bool is_same = str_eq(digest_sha256_hex(scratch, note->body, note->length), change->expected);
    arena_free(scratch);
    return is_same;
}

/* ---- changing ---- */

static int64_t live_revision(const struct live *live)
{
    size_t count = live == NULL ? 0 : live->versions.count;
    bool is_there = count > 0 && live->versions.items[count - 1].digest != NULL;
    return is_there ? (int64_t)count : 0;
}

static int64_t object_apply(struct target_memory *self,
                            const struct target_batch *batch,
                            const struct object_change *change)
{
    struct live *live = live_make(self, &change->key);
    const struct desired_object *desired = change->desired;
    if (desired == NULL && live_revision(live) == 0)
        return 0;
    struct version *version = VEC_PUSH(&live->versions);
    version->actor = check_strdup(batch->actor);
    version->channel = "git";
    version->source = check_strdup(batch->source);
    if (desired != NULL) {
        version->digest = check_strdup(desired->digest);
        version->disabled = desired->disabled;
        version->length = desired->length;
        if (desired->text != NULL)
            version->text = check_strdup(desired->text);
    }
    return live_revision(live);
}

static bool memory_apply(struct target *target,
                         const struct target_batch *batch,
                         int64_t *revisions,
                         struct error *err)
{
    struct target_memory *self = self_of(target);
    for (size_t i = 0; i < batch->objects_count; i++) {
        const struct object_change *change = &batch->objects[i];
        if (live_revision(live_find(self, &change->key)) != change->live_revision)
            return error_set(err, ERR_CONFLICT, "%s '%s/%s' was changed meanwhile",
                             object_kind_name(change->key.kind), change->key.namespace,
                             change->key.name);
    }
    for (size_t i = 0; i < batch->notes_count; i++)
        if (!note_is_expected(self, &batch->notes[i]))
            return error_set(err, ERR_CONFLICT, "note '%s' in %s was changed meanwhile",
                             batch->notes[i].key, batch->notes[i].collection);
    for (size_t i = 0; i < batch->objects_count; i++)
        revisions[i] = object_apply(self, batch, &batch->objects[i]);
    for (size_t i = 0; i < batch->notes_count; i++)
        note_apply(self, &batch->notes[i]);
    return true;
}

static bool memory_running(struct target *target,
                           const struct object_key *flow,
                           struct target_running *out,
                           struct error *err)
{
    (void)err; // cannot fail
    const struct live *live = live_find(self_of(target), flow);
    *out = (struct target_running){
        .count = live == NULL ? 0 : live->running,
        .revision = live == NULL ? 0 : (int64_t)live->versions.count,
    };
    return true;
}

static void version_release(struct version *version)
{
    free(version->text);
    free(version->digest);
    free(version->actor);
    free(version->source);
}

static void memory_free(struct target *target)
{
    struct target_memory *self = self_of(target);
    struct map_slot *slot;
    size_t at = 0;
    while ((slot = map_next(&self->live, &at)) != NULL) {
        struct live *live = slot->value;
        struct version *version;
        VEC_EACH(version, &live->versions)
            version_release(version);
        VEC_FREE(&live->versions);
        free(live);
    }
    at = 0;
    while ((slot = map_next(&self->collections, &at)) != NULL) {
        struct collection *notes = slot->value;
        struct map_slot *inner;
        size_t inner_at = 0;
        while ((inner = map_next(&notes->by_key, &inner_at)) != NULL)
            note_free(inner->value);
        map_free(&notes->by_key);
        free(notes->sorted);
        free(notes);
    }
    map_free(&self->live);
    map_free(&self->collections);
    free(self);
}

void target_memory_touch(struct target *target,
                         const struct object_key *key,
                         const char *text,
                         const char *actor,
                         usec_t at)
{
    struct arena *scratch = arena_new();
    struct live *live = live_make(self_of(target), key);
    struct version *version = VEC_PUSH(&live->versions);
    version->actor = check_strdup(actor);
    version->channel = "ui";
    version->updated_at = at;
    if (text != NULL) {
        version->text = check_strdup(text);
        version->length = strlen(text);
        version->digest = check_strdup(digest_sha256_hex(scratch, text, strlen(text)));
    }
    arena_free(scratch);
}

void target_memory_run(struct target *target, const struct object_key *flow, size_t count)
{
    live_make(self_of(target), flow)->running = count;
}

void target_free(struct target *target)
{
    if (target != NULL)
        target->ops->free(target);
}

void target_freep(struct target **target)
{
    target_free(*target);
}

struct target *target_memory_new(void)
{
    static const struct target_ops ops = {
        .live = memory_live,
        .note = memory_note,
        .notes = memory_notes,
        .notes_recent = memory_notes_recent,
        .running = memory_running,
        .apply = memory_apply,
        .free = memory_free,
    };
    struct target_memory *self = check_calloc(1, sizeof(*self));
    self->target.ops = &ops;
    return &self->target;
}
