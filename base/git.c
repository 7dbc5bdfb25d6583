/* SPDX-License-Identifier: Apache-2.0 */
#include "base/git.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/repository.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

/*
 * A pack of at most this many objects is stored as loose objects: a push makes about five, and
 * looking an object up costs time for every pack there is.
 */
#define LOOSE_OBJECTS_MAX 200U

/* Packs with a longer body stay packs however few objects they have. */
#define LOOSE_BYTES_MAX ((size_t)8 * 1024 * 1024)

/* Commits offered one by one before the gaps between them grow. */
#define SAMPLE_DENSE 16U

/* Commits visited at most while sampling. */
#define SAMPLE_WALK_MAX 4096U

struct git_repo {
    git_repository *handle;
    git_odb *odb;
    char *path;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

/*
 * Nothing of the user's or the machine's Git configuration takes part: the same repository reads
 * the same everywhere. The owner of a repository is not checked, as we run nothing from it; a
 * service account reads repositories of others. Objects are not cached: each is read once.
 */
static void library_init(void)
{
    CHECK(git_libgit2_init() >= 0);
    static const int levels[] = { GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
                                  GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL };
    for (size_t i = 0; i < COUNT_OF(levels); i++)
        (void)git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
    (void)git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    (void)git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
    // what came in was checked by its index; what is read is checked by its compression
    (void)git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
}

static void library_use(void)
{
    (void)pthread_once(&library_once, library_init);
}

/* libgit2's last error as ours; `what` says what was tried. */
static bool fail(struct error *err, int code, enum error_code otherwise, const char *what)
{
    const git_error *last = git_error_last();
    const char *text = last != NULL && last->message != NULL ? last->message : "unknown reason";
    enum error_code as = otherwise;
    if (code == GIT_ENOTFOUND)
        as = ERR_NOT_FOUND;
    else if (code == GIT_EAMBIGUOUS || code == GIT_EINVALIDSPEC)
        as = ERR_INVALID;
    else if (last != NULL && last->klass == GIT_ERROR_OS && errno == ENOSPC)
        as = ERR_INTERNAL;
    return error_set(err, as, "%s: %s", what, text);
}

static git_oid to_git(const struct oid *id)
{
    git_oid out;
    memcpy(out.id, id->bytes, OID_BYTES);
    return out;
}

static struct oid from_git(const git_oid *id)
{
    struct oid out;
    memcpy(out.bytes, id->id, OID_BYTES);
    return out;
}

/* ---- opening ---- */

static struct git_repo *repo_of(git_repository *handle, const char *path, struct error *err)
{
    git_odb *odb = NULL;
    int code = git_repository_odb(&odb, handle);
    if (code != 0) {
        (void)fail(err, code, ERR_UNAVAILABLE, path);
        git_repository_free(handle);
        return NULL;
    }
    struct git_repo *repo = check_calloc(1, sizeof(*repo));
    *repo = (struct git_repo){ .handle = handle, .odb = odb, .path = check_strdup(path) };
    return repo;
}

struct git_repo *git_repo_open(const char *path, struct error *err)
{
    library_use();
    struct stat info;
    if (stat(path, &info) != 0) {
        enum error_code code = errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND
                               : errno == EACCES                   ? ERR_DENIED
                                                                   : ERR_UNAVAILABLE;
        (void)error_set(err, code, "'%s': %s", path, strerror(errno));
        return NULL;
    }
    git_repository *handle = NULL;
    int code = git_repository_open_ext(&handle, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (code == GIT_ENOTFOUND) {
        (void)error_set(err, ERR_NOT_FOUND, "'%s' is not a Git repository", path);
        return NULL;
    }
    if (code != 0) {
        char what[512];
        (void)snprintf(what, sizeof(what), "repository '%s'", path);
        (void)fail(err, code, ERR_UNAVAILABLE, what);
        return NULL;
    }
    return repo_of(handle, path, err);
}

/* What an interrupted fetch left behind. */
static void remove_leftovers(const char *folder, const char *prefix)
{
    DIR *list = opendir(folder);
    if (list == NULL)
        return; // nothing was ever left
    struct dirent *entry;
    while ((entry = readdir(list)) != NULL)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && entry->d_name[0] != '.')
            (void)unlinkat(dirfd(list), entry->d_name, 0); // a file in use is only hidden earlier
    (void)closedir(list);
}

/* Folders of a branch name; deeper ones are nobody's. */
#define REF_DEPTH_MAX 64

/*
 * Locks of a process that was killed while it set a reference: nobody else would ever remove them,
 * and nothing could be fetched again. No reference has a name that ends like this.
 */
static void remove_locks(int parent, const char *name, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (list == NULL && fd >= 0)
        (void)close(fd);
    if (list == NULL)
        return;
    const struct dirent *entry;
    while ((entry = readdir(list)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if (str_ends(entry->d_name, ".lock"))
            (void)unlinkat(dirfd(list), entry->d_name, 0);
        else if (depth < REF_DEPTH_MAX)
            remove_locks(dirfd(list), entry->d_name, depth + 1);
    }
    (void)closedir(list);
}

/* References, and the files at the top: HEAD, config, packed-refs. */
static void remove_all_locks(const char *path)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    remove_locks(fd, ".", REF_DEPTH_MAX);
    remove_locks(fd, "refs", 0);
}

static bool make_folders(const char *path, struct error *err)
{
    AUTO_FREE char *copy = check_strdup(path);
    for (char *at = copy + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            return error_set(err, ERR_INTERNAL, "make folder '%s': %s", copy, strerror(errno));
        *at = kept;
        if (kept == '\0')
            return true;
    }
}

static bool write_alternate(const char *mirror, const struct git_repo *other, struct error *err)
{
    struct buf path = { 0 };
    buf_printf(&path, "%s/objects/info", mirror);
    bool ok = make_folders(buf_text(&path), err);
    buf_puts(&path, "/alternates");
    struct buf line = { 0 };
    char *real = realpath(git_repository_commondir(other->handle), NULL);
    buf_printf(&line, "%s/objects\n", real != NULL ? real : other->path);
    free(real);
    if (ok) {
        AUTO_FD int fd = open(buf_text(&path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, line.bytes, line.length) != (ssize_t)line.length)
            ok = error_set(err, ERR_INTERNAL, "write '%s': %s", buf_text(&path), strerror(errno));
    }
    buf_free(&line);
    buf_free(&path);
    return ok;
}

struct git_repo *git_repo_open_mirror(const char *path,
                                      const struct git_repo *objects_of,
                                      struct error *err)
{
    library_use();
    if (!make_folders(path, err))
        return NULL;
    remove_all_locks(path);
    git_repository *handle = NULL;
    int code = git_repository_open_ext(
        &handle, path, GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, NULL);
    if (code == GIT_ENOTFOUND) {
        git_repository_init_options options = {
            .version = GIT_REPOSITORY_INIT_OPTIONS_VERSION,
            .flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH |
                     GIT_REPOSITORY_INIT_NO_REINIT,
        };
        code = git_repository_init_ext(&handle, path, &options);
    }
    if (code != 0) {
        char what[512];
        (void)snprintf(what, sizeof(what), "mirror '%s'", path);
        (void)fail(err, code, ERR_INTERNAL, what);
        return NULL;
    }
    if (objects_of != NULL && !write_alternate(path, objects_of, err)) {
        git_repository_free(handle);
        return NULL;
    }
    struct buf folder = { 0 };
    buf_printf(&folder, "%s/objects/pack", path);
    remove_leftovers(buf_text(&folder), "pack_git2_");
    buf_clear(&folder);
    buf_printf(&folder, "%s/incoming", path);
    remove_leftovers(buf_text(&folder), "");
    buf_free(&folder);
    return repo_of(handle, path, err);
}

void git_repo_free(struct git_repo *repo)
{
    if (repo == NULL)
        return;
    git_odb_free(repo->odb);
    git_repository_free(repo->handle);
    free(repo->path);
    free(repo);
}

void git_repo_freep(struct git_repo **repo)
{
    git_repo_free(*repo);
}

const char *git_repo_path(const struct git_repo *repo)
{
    return repo->path;
}

/* ---- objects ---- */

bool git_repo_has(struct git_repo *repo, const struct oid *id)
{
    git_oid gid = to_git(id);
    return git_odb_exists(repo->odb, &gid) == 1;
}

static const char *kind_name(enum git_kind kind)
{
    switch (kind) {
    case GIT_KIND_COMMIT:
        return "commit";
    case GIT_KIND_TREE:
        return "tree";
    case GIT_KIND_BLOB:
        return "blob";
    case GIT_KIND_TAG:
        return "tag";
    }
    return "object";
}

static bool kind_of(git_object_t type, enum git_kind *out)
{
    switch (type) {
    case GIT_OBJECT_COMMIT:
        *out = GIT_KIND_COMMIT;
        return true;
    case GIT_OBJECT_TREE:
        *out = GIT_KIND_TREE;
        return true;
    case GIT_OBJECT_BLOB:
        *out = GIT_KIND_BLOB;
        return true;
    case GIT_OBJECT_TAG:
        *out = GIT_KIND_TAG;
        return true;
    case GIT_OBJECT_ANY:
    case GIT_OBJECT_INVALID:
    case GIT_OBJECT_OFS_DELTA:
    case GIT_OBJECT_REF_DELTA:
        break;
    }
    return false;
}

static bool object_fail(const struct git_repo *repo,
                        const struct oid *id,
                        int code,
                        struct error *err)
{
    char hex[OID_TEXT];
    char what[OID_TEXT + 512];
    (void)snprintf(what, sizeof(what), "object %s of '%s'", oid_format(id, hex), repo->path);
    return fail(err, code, ERR_UNAVAILABLE, what);
}

bool git_repo_header(struct git_repo *repo,
                     const struct oid *id,
                     enum git_kind *kind,
                     size_t *bytes,
                     struct error *err)
{
    git_oid gid = to_git(id);
    git_object_t type = GIT_OBJECT_INVALID;
    size_t length = 0;
    int code = git_odb_read_header(&length, &type, repo->odb, &gid);
    if (code != 0 || !kind_of(type, kind))
        return object_fail(repo, id, code, err);
    *bytes = length;
    return true;
}

bool git_repo_read(struct git_repo *repo,
                   const struct oid *id,
                   enum git_kind kind,
                   size_t bytes_max,
                   struct git_content *out,
                   struct error *err)
{
    enum git_kind found = kind;
    size_t bytes = 0;
    char hex[OID_TEXT];
    if (!git_repo_header(repo, id, &found, &bytes, err))
        return false;
    if (found != kind)
        return error_set(err, ERR_INVALID, "object %s is a %s, not a %s", oid_format(id, hex),
                         kind_name(found), kind_name(kind));
    if (bytes > bytes_max)
        return error_set(err, ERR_LIMIT, "%s %s has %zu bytes, more than the %zu allowed",
                         kind_name(kind), oid_format(id, hex), bytes, bytes_max);
    git_oid gid = to_git(id);
    git_odb_object *object = NULL;
    int code = git_odb_read(&object, repo->odb, &gid);
    if (code != 0)
        return object_fail(repo, id, code, err);
    out->bytes = git_odb_object_data(object);
    out->length = git_odb_object_size(object);
    out->handle = object;
    return true;
}

void git_content_release(struct git_content *content)
{
    git_odb_object_free(content->handle);
    *content = (struct git_content){ 0 };
}

const char *git_repo_blob(struct git_repo *repo,
                          struct arena *arena,
                          const struct oid *id,
                          size_t bytes_max,
                          size_t *length,
                          struct error *err)
{
    AUTO(git_content_release) struct git_content content = { 0 };
    if (!git_repo_read(repo, id, GIT_KIND_BLOB, bytes_max, &content, err))
        return NULL;
    *length = content.length;
    return arena_strndup(arena, content.bytes, content.length);
}

struct oid git_blob_oid(const void *bytes, size_t length)
{
    library_use();
    git_oid id;
    CHECK(git_odb_hash(&id, bytes, length, GIT_OBJECT_BLOB) == 0);
    return from_git(&id);
}

/* ---- commits and references ---- */

/* Text from a commit, fit to be shown: valid UTF-8, no control characters but line ends, tabs. */
static const char *shown(struct arena *arena, const char *text, size_t length)
{
    struct buf out = { 0 };
    const char *end = text + length;
    for (const char *at = text; at < end;) {
        uint32_t c = utf8_next(&at, end);
        if (c == '\r')
            continue;
        bool is_control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0);
        buf_put_utf8(&out, is_control ? 0xfffdU : c);
    }
    const char *result = buf_dup(&out, arena);
    buf_free(&out);
    return result;
}

static const char *shown_line(struct arena *arena, const char *text)
{
    if (text == NULL)
        return "";
    while (*text == '\n' || *text == ' ')
        text++;
    return shown(arena, text, strcspn(text, "\r\n"));
}

bool git_repo_commit(struct git_repo *repo,
                     struct arena *arena,
                     const struct oid *id,
                     struct git_commit_info *out,
                     struct error *err)
{
    git_oid gid = to_git(id);
    git_commit *commit = NULL;
    int code = git_commit_lookup(&commit, repo->handle, &gid);
    if (code != 0)
        return object_fail(repo, id, code, err);

    const git_signature *author = git_commit_author(commit);
    const char *message = git_commit_message(commit);
    size_t length = message == NULL ? 0 : strnlen(message, GIT_MESSAGE_MAX);
    *out = (struct git_commit_info){
        .id = *id,
        .tree = from_git(git_commit_tree_id(commit)),
        .parents = git_commit_parentcount(commit),
        .author = shown_line(arena, author == NULL ? NULL : author->name),
        .email = shown_line(arena, author == NULL ? NULL : author->email),
        .at = (usec_t)git_commit_time(commit) * USEC_SEC,
        .authored_at = author == NULL ? 0 : (usec_t)author->when.time * USEC_SEC,
        .subject = shown_line(arena, message),
        .message = message == NULL ? "" : shown(arena, message, length),
    };
    if (out->parents > 0)
        out->parent = from_git(git_commit_parent_id(commit, 0));
    git_commit_free(commit);
    return true;
}

bool git_repo_resolve(struct git_repo *repo, const char *name, struct oid *out, struct error *err)
{
    git_object *object = NULL;
    git_object *commit = NULL;
    int code = git_revparse_single(&object, repo->handle, name);
    if (code == 0)
        code = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
    git_object_free(object);
    if (code == GIT_ENOTFOUND)
        return error_set(err, ERR_NOT_FOUND, "'%s' has no branch, tag or commit '%s'", repo->path,
                         name);
    if (code == GIT_EAMBIGUOUS)
        return error_set(err, ERR_INVALID, "'%s' names several objects of '%s'", name, repo->path);
    if (code == GIT_EPEEL || code == GIT_EINVALIDSPEC)
        return error_set(err, ERR_INVALID, "'%s' does not name a commit", name);
    if (code != 0)
        return fail(err, code, ERR_UNAVAILABLE, name);
    *out = from_git(git_object_id(commit));
    git_object_free(commit);
    return true;
}

bool git_repo_ref(struct git_repo *repo, const char *name, struct oid *out)
{
    git_oid id;
    if (git_reference_name_to_id(&id, repo->handle, name) != 0)
        return false;
    *out = from_git(&id);
    return true;
}

const char *git_repo_head(struct git_repo *repo, struct arena *arena)
{
    git_reference *head = NULL;
    if (git_reference_lookup(&head, repo->handle, "HEAD") != 0)
        return NULL;
    const char *target = git_reference_symbolic_target(head);
    const char *copy = arena_strdup(arena, target);
    git_reference_free(head);
    return copy;
}

bool git_repo_is_empty(struct git_repo *repo)
{
    git_reference_iterator *iterator = NULL;
    const char *name = NULL;
    git_oid id;
    if (git_reference_name_to_id(&id, repo->handle, "HEAD") == 0)
        return false;
    if (git_reference_iterator_new(&iterator, repo->handle) != 0)
        return false;
    bool is_empty = git_reference_next_name(&name, iterator) == GIT_ITEROVER;
    git_reference_iterator_free(iterator);
    return is_empty;
}

bool git_repo_is_bare(struct git_repo *repo)
{
    return git_repository_is_bare(repo->handle) == 1;
}

bool git_repo_is_ignored(struct git_repo *repo, const char *path)
{
    int is_ignored = 0;
    return git_repository_is_bare(repo->handle) == 0 &&
           git_ignore_path_is_ignored(&is_ignored, repo->handle, path) == 0 && is_ignored == 1;
}

bool git_repo_refs(
    struct git_repo *repo, const char *prefix, git_ref_fn *visit, void *context, struct error *err)
{
    git_reference_iterator *iterator = NULL;
    int code = git_reference_iterator_new(&iterator, repo->handle);
    if (code != 0)
        return fail(err, code, ERR_UNAVAILABLE, repo->path);
    const char *name = NULL;
    while ((code = git_reference_next_name(&name, iterator)) == 0) {
        struct oid id;
        // one that points nowhere is as good as absent
        if (str_starts(name, prefix) && git_repo_ref(repo, name, &id))
            visit(context, name, &id);
    }
    git_reference_iterator_free(iterator);
    return code == GIT_ITEROVER || fail(err, code, ERR_UNAVAILABLE, repo->path);
}

bool git_repo_set_ref(struct git_repo *repo,
                      const char *name,
                      const struct oid *id,
                      struct error *err)
{
    git_oid gid = to_git(id);
    git_reference *made = NULL;
    int code = git_reference_create(&made, repo->handle, name, &gid, 1, NULL);
    git_reference_free(made);
    return code == 0 || fail(err, code, ERR_INTERNAL, name);
}

bool git_repo_delete_ref(struct git_repo *repo, const char *name, struct error *err)
{
    int code = git_reference_remove(repo->handle, name);
    return code == 0 || code == GIT_ENOTFOUND || fail(err, code, ERR_INTERNAL, name);
}

bool git_repo_is_ancestor(struct git_repo *repo,
                          const struct oid *older,
                          const struct oid *newer,
                          bool *out,
                          struct error *err)
{
    if (oid_equal(older, newer)) {
        *out = true;
        return true;
    }
    git_oid a = to_git(older);
    git_oid b = to_git(newer);
    int code = git_graph_descendant_of(repo->handle, &b, &a);
    if (code < 0)
        return fail(err, code, ERR_UNAVAILABLE, repo->path);
    *out = code == 1;
    return true;
}

bool git_repo_merge_base(struct git_repo *repo,
                         const struct oid *a,
                         const struct oid *b,
                         struct oid *out,
                         struct error *err)
{
    git_oid one = to_git(a);
    git_oid two = to_git(b);
    git_oid base;
    int code = git_merge_base(&base, repo->handle, &one, &two);
    if (code != 0)
        return fail(err, code, ERR_UNAVAILABLE, repo->path);
    *out = from_git(&base);
    return true;
}

size_t git_repo_sample(struct git_repo *repo, const struct oid *from, struct oid *out, size_t max)
{
    size_t count = 0;
    size_t gap = 1;
    size_t since = 1;
    git_oid at = to_git(from);
    for (size_t walked = 0; walked < SAMPLE_WALK_MAX && count < max; walked++) {
        git_commit *commit = NULL;
        if (git_commit_lookup(&commit, repo->handle, &at) != 0)
            break; // history ends here
        if (since >= gap) {
            out[count++] = from_git(&at);
            since = 0;
            if (count > SAMPLE_DENSE)
                gap *= 2;
        }
        since++;
        bool is_root = git_commit_parentcount(commit) == 0;
        if (!is_root)
            at = *git_commit_parent_id(commit, 0);
        git_commit_free(commit);
        if (is_root)
            break;
    }
    return count;
}

/* ---- making commits ---- */

struct git_draft {
    struct git_repo *repo;
    git_index *index; /* in memory */
};

struct git_draft *git_draft_new(struct git_repo *repo)
{
    struct git_draft *draft = check_calloc(1, sizeof(*draft));
    draft->repo = repo;
    CHECK(git_index_new(&draft->index) == 0);
    return draft;
}

void git_draft_free(struct git_draft *draft)
{
    if (draft == NULL)
        return;
    git_index_free(draft->index);
    free(draft);
}

void git_draft_freep(struct git_draft **draft)
{
    git_draft_free(*draft);
}

bool git_draft_put(struct git_draft *draft,
                   const char *path,
                   enum git_mode mode,
                   const void *bytes,
                   size_t length,
                   struct error *err)
{
    git_index_entry entry = { .mode = (uint32_t)mode, .path = path };
    int code = git_odb_write(&entry.id, draft->repo->odb, bytes, length, GIT_OBJECT_BLOB);
    if (code != 0)
        return fail(err, code, ERR_INTERNAL, path);
    code = git_index_add(draft->index, &entry);
    return code == 0 || fail(err, code, ERR_INVALID, path);
}

bool git_draft_commit(struct git_draft *draft,
                      const struct oid *parent,
                      const char *author,
                      const char *email,
                      usec_t at,
                      const char *message,
                      struct oid *out,
                      struct error *err)
{
    git_repository *handle = draft->repo->handle;
    git_oid tree_id;
    git_oid id;
    git_tree *tree = NULL;
    git_commit *parent_commit = NULL;
    git_signature *who = NULL;
    int code = git_index_write_tree_to(&tree_id, draft->index, handle);
    if (code == 0)
        code = git_tree_lookup(&tree, handle, &tree_id);
    if (code == 0)
        code = git_signature_new(&who, author, email, (git_time_t)(at / USEC_SEC), 0);
    if (code == 0 && parent != NULL) {
        git_oid parent_id = to_git(parent);
        code = git_commit_lookup(&parent_commit, handle, &parent_id);
    }
    const git_commit *parents[] = { parent_commit };
    if (code == 0)
        code = git_commit_create(&id, handle, NULL, who, who, NULL, message, tree,
                                 parent_commit == NULL ? 0 : 1, parents);
    git_commit_free(parent_commit);
    git_signature_free(who);
    git_tree_free(tree);
    if (code != 0)
        return fail(err, code, ERR_INTERNAL, "make a commit");
    *out = from_git(&id);
    return true;
}

/* ---- incoming packs ---- */

struct git_pack {
    struct git_repo *repo;
    git_indexer *indexer; /* NULL until the header is complete */
    git_indexer_progress progress;
    char *folder; /* where the finished pack goes */
    bool is_loose;
    uint64_t bytes;
    uint64_t bytes_max;
    unsigned char header[12];
    size_t header_length;
};

struct git_pack *git_pack_begin(struct git_repo *repo, uint64_t bytes_max, struct error *err)
{
    struct buf folder = { 0 };
    buf_printf(&folder, "%s/incoming", repo->path);
    if (!make_folders(buf_text(&folder), err)) {
        buf_free(&folder);
        return NULL;
    }
    struct git_pack *pack = check_calloc(1, sizeof(*pack));
    *pack = (struct git_pack){ .repo = repo, .folder = folder.bytes, .bytes_max = bytes_max };
    return pack;
}

static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The header tells how many objects come, hence where they go. */
static bool start_indexer(struct git_pack *pack, struct error *err)
{
    if (memcmp(pack->header, "PACK", 4) != 0)
        return error_set(err, ERR_UNAVAILABLE, "the remote sent something that is no pack");
    pack->is_loose = big_endian(pack->header + 8) <= LOOSE_OBJECTS_MAX;
    if (!pack->is_loose) {
        struct buf folder = { 0 };
        buf_printf(&folder, "%s/objects/pack", pack->repo->path);
        free(pack->folder);
        pack->folder = folder.bytes;
    }
    git_indexer_options options = { .version = GIT_INDEXER_OPTIONS_VERSION };
    int code = git_indexer_new(&pack->indexer, pack->folder, 0400, pack->repo->odb, &options);
    return code == 0 || fail(err, code, ERR_INTERNAL, "take in a pack");
}

static bool append(struct git_pack *pack, const void *bytes, size_t length, struct error *err)
{
    errno = 0;
    int code = git_indexer_append(pack->indexer, bytes, length, &pack->progress);
    return code == 0 || fail(err, code, ERR_UNAVAILABLE, "take in a pack");
}

bool git_pack_add(struct git_pack *pack, const void *bytes, size_t length, struct error *err)
{
    pack->bytes += length;
    if (pack->bytes > pack->bytes_max)
        return error_set(err, ERR_LIMIT,
                         "the remote sends more than the %llu bytes allowed for one fetch",
                         (unsigned long long)pack->bytes_max);
    const unsigned char *at = bytes;
    if (pack->indexer == NULL) {
        size_t more = sizeof(pack->header) - pack->header_length;
        if (more > length)
            more = length;
        memcpy(pack->header + pack->header_length, at, more);
        pack->header_length += more;
        if (pack->header_length < sizeof(pack->header))
            return true;
        if (!start_indexer(pack, err) || !append(pack, pack->header, sizeof(pack->header), err))
            return false;
        at += more;
        length -= more;
    }
    return length == 0 || append(pack, at, length, err);
}

struct git_pack_progress git_pack_progress(const struct git_pack *pack)
{
    return (struct git_pack_progress){
        .objects = pack->progress.total_objects,
        .received = pack->progress.received_objects,
        .indexed = pack->progress.indexed_objects + pack->progress.indexed_deltas,
        .bytes = pack->bytes,
    };
}

struct unpack {
    git_odb *from;
    git_odb *to;
};

static int unpack_object(const git_oid *id, void *context)
{
    const struct unpack *unpack = context;
    if (git_odb_exists(unpack->to, id) == 1)
        return 0;
    git_odb_object *object = NULL;
    int code = git_odb_read(&object, unpack->from, id);
    if (code != 0)
        return code;
    git_oid written;
    code = git_odb_write(&written, unpack->to, git_odb_object_data(object),
                         git_odb_object_size(object), git_odb_object_type(object));
    git_odb_object_free(object);
    return code;
}

/* Copies the objects of a finished pack beside the others, one by one. */
static int unpack_all(struct git_pack *pack, const char *index_path)
{
    struct unpack unpack = { .to = pack->repo->odb };
    git_odb_backend *backend = NULL;
    int code = git_odb_new(&unpack.from);
    if (code == 0)
        code = git_odb_backend_one_pack(&backend, index_path);
    if (code == 0)
        code = git_odb_add_backend(unpack.from, backend, 1);
    if (code == 0)
        code = git_odb_foreach(unpack.from, unpack_object, &unpack);
    git_odb_free(unpack.from);
    return code;
}

/* Moves a finished pack to the others, the index last: it is what makes a pack visible. */
static bool move_pack(const struct git_pack *pack, const char *name, struct error *err)
{
    static const char *const endings[] = { "pack", "idx" };
    bool ok = true;
    for (size_t i = 0; i < COUNT_OF(endings) && ok; i++) {
        struct buf from = { 0 };
        struct buf to = { 0 };
        buf_printf(&from, "%s/pack-%s.%s", pack->folder, name, endings[i]);
        buf_printf(&to, "%s/objects/pack/pack-%s.%s", pack->repo->path, name, endings[i]);
        if (rename(buf_text(&from), buf_text(&to)) != 0)
            ok = error_set(err, ERR_INTERNAL, "move '%s': %s", from.bytes, strerror(errno));
        buf_free(&from);
        buf_free(&to);
    }
    return ok;
}

bool git_pack_end(struct git_pack *pack, struct error *err)
{
    if (pack->indexer == NULL)
        return error_set(err, ERR_UNAVAILABLE, "the remote ended before it sent a pack");
    errno = 0;
    int code = git_indexer_commit(pack->indexer, &pack->progress);
    if (code != 0)
        return fail(err, code, ERR_UNAVAILABLE, "take in a pack");
    char *name = check_strdup(git_indexer_name(pack->indexer));
    git_indexer_free(pack->indexer);
    pack->indexer = NULL;
    bool ok = true;
    if (pack->is_loose && pack->bytes <= LOOSE_BYTES_MAX) {
        struct buf path = { 0 };
        buf_printf(&path, "%s/pack-%s.idx", pack->folder, name);
        code = pack->progress.total_objects == 0 ? 0 : unpack_all(pack, buf_text(&path));
        if (code != 0)
            ok = fail(err, code, ERR_INTERNAL, "store fetched objects");
        buf_free(&path);
        remove_leftovers(pack->folder, "");
    } else if (pack->is_loose) {
        ok = move_pack(pack, name, err);
    }
    free(name);
    if (ok)
        (void)git_odb_refresh(pack->repo->odb); // reading an unknown object refreshes as well
    return ok;
}

void git_pack_free(struct git_pack *pack)
{
    if (pack == NULL)
        return;
    git_indexer_free(pack->indexer);
    free(pack->folder);
    free(pack);
}

void git_pack_freep(struct git_pack **pack)
{
    git_pack_free(*pack);
}
