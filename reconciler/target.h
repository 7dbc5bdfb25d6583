/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where plans are applied: what is deployed there, what we noted about it, and one atomic change.
 *
 * target_memory.c keeps everything in memory, for plans between two commits and for tests; the
 * running weir gives one over its store and driver (cli/target_store.c). One thread at a time,
 * except for `prepare`.
 */
#ifndef RECONCILER_TARGET_H
#define RECONCILER_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "core/snapshot.h"

struct arena;
struct error;
struct flow;
struct git_repo;
struct target;

/*
 * What the reconciler remembers, a body of bytes under a key of a collection:
 *
 *     sources              one per source: the commit applied last
 *     inventory/<source>   one per object that came from it (struct inventory_entry)
 *     invalid/<source>     one per file that was skipped because of its findings
 *     held                 one per source whose newest commit waits: which, and why
 *     applied/<source>     one per applied commit
 *     references           one per pair: "<object>\t<flow that refers to it>"
 */
struct note {
    const char *key;
    const char *body;
    size_t length;
    usec_t at;
};

struct note_change {
    const char *collection;
    const char *key;
    const char *body; /* NULL: delete */
    size_t length;
    usec_t at;
    const char *expected; /* SHA-256 hex of the body there now, "" absent; NULL any */
};

/* One object to save or to delete. */
struct object_change {
    struct object_key key;
    const struct desired_object *desired; /* NULL: delete */
    int64_t live_revision;                /* that the plan was made for; 0: absent */
};

/* All or nothing. */
struct target_batch {
    const char *source;
    const char *commit;    /* 40 digits */
    const char *actor;     /* author of the commit, or who asked */
    struct git_repo *repo; /* for the bytes of files */
    const struct object_change *objects;
    size_t objects_count;
    const struct note_change *notes;
    size_t notes_count;
};

/* Executions of a flow that have not ended. */
struct target_running {
    size_t count;
    int64_t revision; /* of the newest one */
    bool is_mixed;    /* they run several revisions */
};

struct target_ops {
    /* Reads between the two see one state. May be NULL. */
    bool (*begin)(struct target *target, struct error *err);
    void (*end)(struct target *target);

    /*
     * A live object, with its text when asked for. revision 0: the latest; otherwise that revision
     * of a flow. When there is none, or it is deleted, out->revision is 0.
     */
    bool (*live)(struct target *target,
                 struct arena *arena,
                 const struct object_key *key,
                 int64_t revision,
                 bool with_text,
                 struct live_object *out,
                 struct error *err);

    /* Errors: ERR_NOT_FOUND */
    bool (*note)(struct target *target,
                 struct arena *arena,
                 const char *collection,
                 const char *key,
                 struct note *out,
                 struct error *err);
    /* By key after `after` (NULL: from the first), those that start with `prefix`. */
    bool (*notes)(struct target *target,
                  struct arena *arena,
                  const char *collection,
                  const char *prefix,
                  const char *after,
                  size_t limit,
                  struct note **out,
                  size_t *count,
                  struct error *err);
    /* Newest first, older than `before`. */
    bool (*notes_recent)(struct target *target,
                         struct arena *arena,
                         const char *collection,
                         usec_t before,
                         size_t limit,
                         struct note **out,
                         size_t *count,
                         struct error *err);

    bool (*running)(struct target *target,
                    const struct object_key *flow,
                    struct target_running *out,
                    struct error *err);

    /*
     * What the target needs of a parsed flow to save it; owned by the arena. Any thread. May be
     * NULL.
     */
    const void *(*prepare)(struct target *target, struct arena *arena, const struct flow *flow);

    /*
     * Applies a batch in one transaction; a repeated one changes nothing more.
     *
     * revisions  out, one per object: that of the live object afterwards
     * Errors     ERR_CONFLICT  an object or a note is not what the batch expects
     */
    bool (*apply)(struct target *target,
                  const struct target_batch *batch,
                  int64_t *revisions,
                  struct error *err);

    void (*free)(struct target *target);
};

struct target {
    const struct target_ops *ops;
};

void target_free(struct target *target); /* NULL is fine */
void target_freep(struct target **target);

/* Everything in memory; starts empty. */
struct target *target_memory_new(void);

/* Pretends that somebody changed a live object beside Git; text NULL deletes it. For tests. */
void target_memory_touch(struct target *target,
                         const struct object_key *key,
                         const char *text,
                         const char *actor,
                         usec_t at);

/* Pretends that executions of a flow run. For tests. */
void target_memory_run(struct target *target, const struct object_key *flow, size_t count);

#endif
