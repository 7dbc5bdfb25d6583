/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of the notes that the reconciler keeps in the target, see struct note.
 */
#ifndef RECONCILER_NOTES_H
#define RECONCILER_NOTES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/oid.h"
#include "core/snapshot.h"

struct arena;
struct buf;
struct error;
struct plan;
struct target;
struct value;

#define NOTES_SOURCES    "sources"
#define NOTES_HELD       "held"
#define NOTES_REFERENCES "references"

/* Applied commits of a source that are kept. */
#define APPLIED_NOTES_MAX 1000

/* Key of an applied commit, by its number. */
const char *applied_note_key(struct arena *arena, int64_t number);

/* "inventory/<source>" … owned by the arena. */
const char *notes_inventory(struct arena *arena, const char *source);
const char *notes_invalid(struct arena *arena, const char *source);
const char *notes_applied(struct arena *arena, const char *source);

/* The commit applied last from a source. */
struct head_note {
    struct oid commit;
    struct oid tree; /* of the chosen folder */
    const char *branch;
    const char *layout; /* digest of the layout it was read with */
    const char *plan;   /* digest */
    usec_t at;          /* when it was applied */
    int64_t number;     /* of applied commits so far */
    int64_t objects;    /* that belong to the source since */
    const char *digest; /* of the note itself, for note_change.expected */
};

const struct value *head_note_to_value(struct arena *arena, const struct head_note *head);

/* False with ERR_NOT_FOUND when nothing was applied from the source yet. */
bool head_note_load(struct target *target,
                    struct arena *arena,
                    const char *source,
                    struct head_note *out,
                    struct error *err);

/* A member of a history or of what is held is JSON for people and programs: see schemas/. */
const struct value *applied_note_value(struct arena *arena,
                                       const struct plan *plan,
                                       const char *actor,
                                       usec_t at);
const struct value *held_note_value(struct arena *arena, const struct plan *plan, usec_t since);

/* Newest first; documents as applied_note_value() made them. */
bool applied_notes_load(struct target *target,
                        struct arena *arena,
                        const char *source,
                        size_t limit,
                        const struct value ***out,
                        size_t *count,
                        struct error *err);

/* Key and body of the note about one reference: object and the flow that has it. */
const char *reference_note_key(struct arena *arena,
                               const struct object_key *object,
                               const struct object_key *flow);
void reference_note_write(struct buf *out, const char *path, const struct object_ref *ref);

/* What refers to an object. */
struct referrer {
    struct object_key flow;
    const char *path; /* file of the repository */
    const char *at;   /* inside the document */
    uint32_t line;
    uint32_t column;
    bool is_trigger;
};

bool referrers_load(struct target *target,
                    struct arena *arena,
                    const struct object_key *object,
                    struct referrer **out,
                    size_t *count,
                    struct error *err);

#endif
