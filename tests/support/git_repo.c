/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/git_repo.h"

#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/support/test.h"

#define FIRST_COMMIT_AT 1780000000 /* 2026-05-28 */

struct fixture_repo {
    git_repository *handle;
    git_odb *odb;
    git_index *index; /* in memory: the next commit */
    char *path;
    git_time_t now;
};

#define GIT_OK(call)                                                                               \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            fail_msg("%s: %s", #call, git_error_last()->message);                                  \
    } while (0)

struct fixture_repo *fixture_repo_new(const char *path)
{
    struct fixture_repo *repo = check_calloc(1, sizeof(*repo));
    assert_true(git_libgit2_init() > 0);
    git_repository_init_options options = {
        .version = GIT_REPOSITORY_INIT_OPTIONS_VERSION,
        .flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH,
        .initial_head = "main",
    };
    GIT_OK(git_repository_init_ext(&repo->handle, path, &options));
    GIT_OK(git_repository_odb(&repo->odb, repo->handle));
    GIT_OK(git_index_new(&repo->index));
    repo->path = check_strdup(path);
    repo->now = FIRST_COMMIT_AT;
    return repo;
}

void fixture_repo_free(struct fixture_repo *repo)
{
    git_index_free(repo->index);
    git_odb_free(repo->odb);
    git_repository_free(repo->handle);
    free(repo->path);
    free(repo);
}

const char *fixture_repo_path(const struct fixture_repo *repo)
{
    return repo->path;
}

static struct oid from_git(const git_oid *id)
{
    struct oid out;
    memcpy(out.bytes, id->id, OID_BYTES);
    return out;
}

static git_oid to_git(const struct oid *id)
{
    git_oid out;
    memcpy(out.id, id->bytes, OID_BYTES);
    return out;
}

static struct oid write_object(struct fixture_repo *repo,
                               const void *bytes,
                               size_t length,
                               git_object_t type)
{
    git_oid id;
    GIT_OK(git_odb_write(&id, repo->odb, bytes, length, type));
    return from_git(&id);
}

struct oid fixture_blob(struct fixture_repo *repo, const void *bytes, size_t length)
{
    return write_object(repo, bytes, length, GIT_OBJECT_BLOB);
}

struct oid fixture_tree_raw(struct fixture_repo *repo, const void *bytes, size_t length)
{
    return write_object(repo, bytes, length, GIT_OBJECT_TREE);
}

void fixture_put_mode(struct fixture_repo *repo,
                      const char *path,
                      unsigned mode,
                      const struct oid *id)
{
    git_index_entry entry = { .mode = mode, .id = to_git(id), .path = path };
    GIT_OK(git_index_add(repo->index, &entry));
}

void fixture_put_bytes(struct fixture_repo *repo,
                       const char *path,
                       const void *bytes,
                       size_t length)
{
    struct oid id = fixture_blob(repo, bytes, length);
    fixture_put_mode(repo, path, 0100644, &id);
}

void fixture_put(struct fixture_repo *repo, const char *path, const char *content)
{
    if (content != NULL)
        fixture_put_bytes(repo, path, content, strlen(content));
    else
        GIT_OK(git_index_remove_bypath(repo->index, path));
}

static struct oid commit(struct fixture_repo *repo,
                         const char *branch,
                         const git_oid *tree_id,
                         const char *message)
{
    char name[256];
    (void)snprintf(name, sizeof(name), "refs/heads/%s", branch);
    git_tree *tree = NULL;
    git_signature *who = NULL;
    git_oid parent_id;
    git_commit *parent = NULL;
    git_oid id;
    repo->now += 60;
    GIT_OK(git_signature_new(&who, "Ana Lima", "ana@example.com", repo->now, 0));
    GIT_OK(git_tree_lookup(&tree, repo->handle, tree_id));
    if (git_reference_name_to_id(&parent_id, repo->handle, name) == 0)
        GIT_OK(git_commit_lookup(&parent, repo->handle, &parent_id));
    const git_commit *parents[] = { parent };
    GIT_OK(git_commit_create(&id, repo->handle, NULL, who, who, NULL, message, tree,
                             parent == NULL ? 0 : 1, parents));
    git_commit_free(parent);
    git_tree_free(tree);
    git_signature_free(who);
    struct oid out = from_git(&id);
    fixture_branch(repo, branch, &out);
    return out;
}

struct oid fixture_commit(struct fixture_repo *repo, const char *branch, const char *message)
{
    git_oid tree;
    GIT_OK(git_index_write_tree_to(&tree, repo->index, repo->handle));
    return commit(repo, branch, &tree, message);
}

struct oid fixture_commit_tree(struct fixture_repo *repo,
                               const char *branch,
                               const struct oid *tree,
                               const char *message)
{
    // git_commit_create() reads the tree, so one it cannot parse is committed as bytes
    char hex[OID_TEXT];
    char name[256];
    char text[1024];
    git_oid parent;
    char parent_line[64] = "";
    repo->now += 60;
    (void)snprintf(name, sizeof(name), "refs/heads/%s", branch);
    if (git_reference_name_to_id(&parent, repo->handle, name) == 0) {
        struct oid id = from_git(&parent);
        (void)snprintf(parent_line, sizeof(parent_line), "parent %s\n", oid_format(&id, hex));
    }
    (void)snprintf(text, sizeof(text),
                   "tree %s\n%sauthor Ana Lima <ana@example.com> %lld +0000\n"
                   "committer Ana Lima <ana@example.com> %lld +0000\n\n%s\n",
                   oid_format(tree, hex), parent_line, (long long)repo->now, (long long)repo->now,
                   message);
    struct oid id = write_object(repo, text, strlen(text), GIT_OBJECT_COMMIT);
    fixture_branch(repo, branch, &id);
    return id;
}

void fixture_forget(struct fixture_repo *repo, const char *branch)
{
    char name[256];
    (void)snprintf(name, sizeof(name), "refs/heads/%s", branch);
    GIT_OK(git_reference_remove(repo->handle, name));
}

void fixture_branch(struct fixture_repo *repo, const char *branch, const struct oid *commit)
{
    char name[256];
    (void)snprintf(name, sizeof(name), "refs/heads/%s", branch);
    git_oid id = to_git(commit);
    git_reference *made = NULL;
    GIT_OK(git_reference_create(&made, repo->handle, name, &id, 1, NULL));
    git_reference_free(made);
}

size_t fixture_tree_entry(
    char *at, size_t length, const char *mode, const char *name, const struct oid *id)
{
    int written = snprintf(at + length, 4096, "%s %s", mode, name);
    length += (size_t)written + 1;
    memcpy(at + length, id->bytes, OID_BYTES);
    return length + OID_BYTES;
}
