/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Git repositories for tests, made object by object: also trees that no tool would make.
 *
 * Failures end the test. Commits have a fixed author and times one minute apart, so that ids are
 * the same in every run.
 */
#ifndef TESTS_SUPPORT_GIT_REPO_H
#define TESTS_SUPPORT_GIT_REPO_H

#include <stddef.h>

#include "base/oid.h"

/* A bare repository whose HEAD names refs/heads/main. */
struct fixture_repo;

struct fixture_repo *fixture_repo_new(const char *path);
void fixture_repo_free(struct fixture_repo *repo);
const char *fixture_repo_path(const struct fixture_repo *repo);

/* Sets a file of the next commit; NULL content removes it. Folders are made as needed. */
void fixture_put(struct fixture_repo *repo, const char *path, const char *content);
void fixture_put_bytes(struct fixture_repo *repo,
                       const char *path,
                       const void *bytes,
                       size_t length);

/* An entry of the next commit with this mode (0120000 link, 0160000 submodule) and object. */
void fixture_put_mode(struct fixture_repo *repo,
                      const char *path,
                      unsigned mode,
                      const struct oid *id);

/* Commits what was put so far on a branch ("main"); its parent is the branch's tip. */
struct oid fixture_commit(struct fixture_repo *repo, const char *branch, const char *message);

/* Forgets the branch's history: the next commit is a root. */
void fixture_forget(struct fixture_repo *repo, const char *branch);

/* Points a branch at a commit. */
void fixture_branch(struct fixture_repo *repo, const char *branch, const struct oid *commit);

/* Objects as they are given, unchecked. */
struct oid fixture_blob(struct fixture_repo *repo, const void *bytes, size_t length);
struct oid fixture_tree_raw(struct fixture_repo *repo, const void *bytes, size_t length);
struct oid fixture_commit_tree(struct fixture_repo *repo,
                               const char *branch,
                               const struct oid *tree,
                               const char *message);

/* Appends one entry in the form of a tree object; returns the new length. */
size_t fixture_tree_entry(
    char *at, size_t length, const char *mode, const char *name, const struct oid *id);

#endif
