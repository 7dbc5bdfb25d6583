/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a commit wants, what is deployed, and what was applied last, object by object.
 *
 * Plain data, where agent, reconciler and runtime meet.
 */
#ifndef CORE_SNAPSHOT_H
#define CORE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/git.h"
#include "base/oid.h"

struct arena;
struct buf;
struct value;

/* In the order in which they are applied. */
enum object_kind { OBJECT_KV, OBJECT_FILE, OBJECT_FLOW };
#define OBJECT_KINDS 3

/* References kept of one object; nothing needs more, and all of them are compared. */
#define OBJECT_REFS_MAX 2000U

/* "kv", "file", "flow". */
const char *object_kind_name(enum object_kind kind);

/* Names an object in all repositories and in the runtime. */
struct object_key {
    enum object_kind kind;
    const char *namespace;
    const char *name; /* flow id, KV key, or path of a file without a leading slash */
};

/* "flow/company.team/load_orders": for maps, notes and JSON. Owned by the arena. */
char *object_key_text(struct arena *arena, const struct object_key *key);
void object_key_write(struct buf *out, const struct object_key *key);

/* Inverse; false when it is none. */
bool object_key_parse(struct arena *arena, const char *text, struct object_key *out);

/* Kind, namespace, name. */
int object_key_order(const struct object_key *a, const struct object_key *b);
bool object_key_equal(const struct object_key *a, const struct object_key *b);

/* A commit that was fetched and can be read. Everything is borrowed. */
struct snapshot {
    const char *source; /* name of the source in the settings of the server */
    const char *shown;  /* address of the repository, without credentials */
    const char *branch;
    const char *folder; /* of the repository that is deployed; "" for all of it */
    struct git_repo *repo;
    struct git_commit_info commit;
    bool is_rewritten; /* what was applied last is not among its ancestors */
};

/* A literal reference from a flow to something else, see flow_references(). */
struct object_ref {
    struct object_key key; /* what it refers to; the namespace is never NULL */
    bool is_trigger;       /* a Flow trigger follows that flow */
    const char *at;        /* where in the document: "tasks[0]" */
    uint32_t line;
    uint32_t column;
};

/* An object as a commit wants it. */
struct desired_object {
    struct object_key key;
    const char *path;   /* file of the repository */
    uint32_t line;      /* where in the file, 1-based */
    struct oid blob;    /* of the file */
    const char *digest; /* SHA-256 hex: of the source of a flow, the bytes of a file, object_kv */
    const char *text;   /* flow: source; KV: value as JSON; file: NULL, read by its blob */
    size_t length;      /* of text; of a file its bytes */
    bool disabled;      /* flow */
    const char *type;   /* KV: STRING NUMBER BOOLEAN DATETIME DATE DURATION JSON */
    const char *description;
    usec_t ttl;         /* KV: span, USEC_NEVER none */
    const char *module; /* flow: that it was made with; NULL none */
    const struct object_ref *refs;
    size_t refs_count;
    const void *prepared; /* flow: made by the target, see target.h */
};

/* An object as it is deployed. */
struct live_object {
    struct object_key key;
    const char *digest; /* as desired_object.digest */
    const char *text;   /* flow: source; KV: value as JSON; else NULL, also when not asked for */
    size_t length;
    int64_t revision;      /* 0: it is not deployed */
    int64_t last_revision; /* also of deleted ones: a save makes the next; 0 none */
    bool disabled;
    usec_t updated_at;
    const char *actor;   /* who changed it last */
    const char *channel; /* "git", "api", "cli", "ui", "task" */
    const char *source;  /* repository it came from, NULL none */
};

/* What was applied last from a source, one per object: its memory of what is its own. */
struct inventory_entry {
    struct object_key key;
    const char *path;
    uint32_t line;
    struct oid blob;
    const char *digest;
    int64_t revision;        /* that the apply made */
    usec_t ttl;              /* KV: USEC_NEVER none */
    const char *const *refs; /* keys of the notes about its references */
    size_t refs_count;
};

/* Body of the note about an entry, and back; false when it is none. */
void inventory_write(struct buf *out, const struct inventory_entry *entry);
bool inventory_read(struct arena *arena,
                    const char *body,
                    size_t length,
                    struct inventory_entry *out);

/*
 * Digest of a KV entry: type, description and value as JSON text. The time to live is not part of
 * it: of a live entry only its end is known.
 */
char *object_kv_digest(struct arena *arena,
                       const char *type,
                       const char *description,
                       const char *value);

#endif
