/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Git repository on the local disk: objects by id, references, history, incoming packs.
 *
 * Objects are read by id and never checked out. base/git.c is the only user of libgit2, which is
 * initialised at the first use. A struct git_repo may be used by several threads for reading; one
 * thread at a time changes references or takes in packs.
 *
 * Texts of errors name the repository by the path it was opened with.
 */
#ifndef BASE_GIT_H
#define BASE_GIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/oid.h"

struct arena;
struct error;
struct git_repo;

enum git_kind { GIT_KIND_COMMIT, GIT_KIND_TREE, GIT_KIND_BLOB, GIT_KIND_TAG };

/*
 * Opens a repository: bare, or the .git of a work tree, or a work tree itself.
 *
 * Errors   ERR_NOT_FOUND    there is none at that path
 *          ERR_UNAVAILABLE  it cannot be read
 */
struct git_repo *git_repo_open(const char *path, struct error *err);

/*
 * Opens the bare repository at `path`, making it when there is none. It is this process's alone:
 * what one that was killed left behind, locks among it, is removed.
 *
 * objects_of   NULL, or a repository whose objects are used in place (an alternate); it must have
 *              been opened with git_repo_open()
 */
struct git_repo *git_repo_open_mirror(const char *path,
                                      const struct git_repo *objects_of,
                                      struct error *err);

void git_repo_free(struct git_repo *repo);
void git_repo_freep(struct git_repo **repo);

/* As given to git_repo_open(). */
const char *git_repo_path(const struct git_repo *repo);

/* ---- objects ---- */

bool git_repo_has(struct git_repo *repo, const struct oid *id);

/*
 * Kind and size without reading the object.
 *
 * Errors   ERR_NOT_FOUND    no such object
 *          ERR_UNAVAILABLE  it is damaged
 */
bool git_repo_header(struct git_repo *repo,
                     const struct oid *id,
                     enum git_kind *kind,
                     size_t *bytes,
                     struct error *err);

/* Bytes of an object, to be given back with git_object_done(). */
struct git_content {
    const char *bytes; /* not NUL-terminated */
    size_t length;
    void *handle;
};

/*
 * Reads an object of the given kind; refused by its size before it is read.
 *
 * Errors   as git_repo_header(), ERR_LIMIT above bytes_max, ERR_INVALID another kind
 */
bool git_repo_read(struct git_repo *repo,
                   const struct oid *id,
                   enum git_kind kind,
                   size_t bytes_max,
                   struct git_content *out,
                   struct error *err);
void git_content_release(struct git_content *content);

/* A blob, copied into the arena with a NUL behind it. NULL on failure, as git_repo_read(). */
const char *git_repo_blob(struct git_repo *repo,
                          struct arena *arena,
                          const struct oid *id,
                          size_t bytes_max,
                          size_t *length,
                          struct error *err);

/* The id that bytes would have as a blob. */
struct oid git_blob_oid(const void *bytes, size_t length);

/* ---- commits and references ---- */

/* Messages are cut to this. */
#define GIT_MESSAGE_MAX 65536U

struct git_commit_info {
    struct oid id;
    struct oid tree;
    struct oid parent; /* the first; none for a root */
    size_t parents;
    const char *author; /* name; malformed UTF-8 is replaced */
    const char *email;
    usec_t at;           /* of the committer */
    usec_t authored_at;  /* of the author */
    const char *subject; /* first line of the message */
    const char *message;
};

/* Errors: as git_repo_header(), ERR_INVALID when it is no commit. */
bool git_repo_commit(struct git_repo *repo,
                     struct arena *arena,
                     const struct oid *id,
                     struct git_commit_info *out,
                     struct error *err);

/*
 * A commit by any name that Git understands: branch, tag, unique prefix of an id, HEAD~2.
 *
 * Errors   ERR_NOT_FOUND  nothing has that name, ERR_INVALID it names no commit
 */
bool git_repo_resolve(struct git_repo *repo, const char *name, struct oid *out, struct error *err);

/* Direct value of a reference by its full name; false when there is none. */
bool git_repo_ref(struct git_repo *repo, const char *name, struct oid *out);

/* Full name that HEAD points to, NULL when it is detached or absent. */
const char *git_repo_head(struct git_repo *repo, struct arena *arena);

/* Has it no work tree? */
bool git_repo_is_bare(struct git_repo *repo);

/* Is the repository without any reference and with an unborn HEAD? */
bool git_repo_is_empty(struct git_repo *repo);

/* Does a .gitignore of the work tree leave the path out? False for a bare repository. */
bool git_repo_is_ignored(struct git_repo *repo, const char *path);

/* Calls visit for each reference whose full name starts with `prefix`; symbolic ones resolved. */
typedef void git_ref_fn(void *context, const char *name, const struct oid *id);
bool git_repo_refs(
    struct git_repo *repo, const char *prefix, git_ref_fn *visit, void *context, struct error *err);

/* Sets or moves a reference, by its full name. */
bool git_repo_set_ref(struct git_repo *repo,
                      const char *name,
                      const struct oid *id,
                      struct error *err);
bool git_repo_delete_ref(struct git_repo *repo, const char *name, struct error *err);

/* Is `older` the same as `newer` or reachable from it? Both must be commits of the repository. */
bool git_repo_is_ancestor(struct git_repo *repo,
                          const struct oid *older,
                          const struct oid *newer,
                          bool *out,
                          struct error *err);

/*
 * The best common ancestor.
 * Errors   ERR_NOT_FOUND  the histories have none
 */
bool git_repo_merge_base(struct git_repo *repo,
                         const struct oid *a,
                         const struct oid *b,
                         struct oid *out,
                         struct error *err);

/*
 * Up to `max` commits starting at `from` and following first parents, with growing gaps beyond the
 * first few: what a fetch offers as common ground. Missing history ends the list.
 */
size_t git_repo_sample(struct git_repo *repo, const struct oid *from, struct oid *out, size_t max);

/* ---- making commits ---- */

/* Files of a commit that is being made; objects are written into the repository given here. */
struct git_draft;

struct git_draft *git_draft_new(struct git_repo *repo);
void git_draft_free(struct git_draft *draft);
void git_draft_freep(struct git_draft **draft);

enum git_mode { GIT_MODE_FILE = 0100644, GIT_MODE_PROGRAM = 0100755, GIT_MODE_LINK = 0120000 };

/* Sets a file ("flows/a.yml"); of a link, `bytes` are where it leads. ERR_INVALID: no such path. */
bool git_draft_put(struct git_draft *draft,
                   const char *path,
                   enum git_mode mode,
                   const void *bytes,
                   size_t length,
                   struct error *err);

/* Writes the commit; no reference is touched. parent: NULL makes a root. */
bool git_draft_commit(struct git_draft *draft,
                      const struct oid *parent,
                      const char *author,
                      const char *email,
                      usec_t at,
                      const char *message,
                      struct oid *out,
                      struct error *err);

/* ---- incoming packs ---- */

/* Takes in a pack as it arrives; it becomes visible by git_pack_end() or not at all. */
struct git_pack;

struct git_pack_progress {
    uint32_t objects;  /* announced by the pack; 0 until known */
    uint32_t received; /* objects */
    uint32_t indexed;  /* objects, deltas included */
    uint64_t bytes;
};

/* bytes_max: a longer pack is refused. */
struct git_pack *git_pack_begin(struct git_repo *repo, uint64_t bytes_max, struct error *err);

/*
 * Errors   ERR_UNAVAILABLE  the pack is damaged
 *          ERR_LIMIT        longer than allowed
 *          ERR_INTERNAL     the disk is full …
 */
bool git_pack_add(struct git_pack *pack, const void *bytes, size_t length, struct error *err);
struct git_pack_progress git_pack_progress(const struct git_pack *pack);

/* Small packs become loose objects, so that many small fetches do not pile up packs. */
bool git_pack_end(struct git_pack *pack, struct error *err);

/* Frees the pack, and forgets it unless git_pack_end() succeeded. NULL is fine. */
void git_pack_free(struct git_pack *pack);
void git_pack_freep(struct git_pack **pack);

#endif
