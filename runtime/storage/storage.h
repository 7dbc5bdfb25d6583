/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internal storage: files of executions and namespaces behind one interface, addressed by
 * `kestra:///path` URIs. Back ends: local disk, S3-compatible. One conformance suite tests both.
 *
 * Paths are relative, use '/', and are resolved beneath the root: "..", empty segments and NUL are
 * refused with ERR_INVALID. Thread safe.
 */
#ifndef RUNTIME_STORAGE_STORAGE_H
#define RUNTIME_STORAGE_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct arena;
struct error;
struct storage;

struct storage_stat {
    const char *name; /* last segment */
    int64_t bytes;    /* 0 for folders */
    usec_t modified_at;
    bool is_folder;
};

enum storage_flag {
    STORAGE_CONSUME = 1 << 0, /* the local file may be moved instead of copied */
    STORAGE_LATER = 1 << 1,   /* becomes durable with sync() only */
};

/* Path "" is the root, for stat and list only. */
struct storage_ops {
    const char *name; /* "local", "s3" */
    /* Stores a local file. Replaces atomically; durable on return unless STORAGE_LATER. */
    bool (*put_file)(
        struct storage *, const char *path, const char *local, unsigned flags, struct error *);
    /* As put_file() for an open file without a name (an upload on disk), from its start. */
    bool (*put_open)(struct storage *, const char *path, int fd, unsigned flags, struct error *);
    bool (*put_bytes)(struct storage *,
                      const char *path,
                      const void *bytes,
                      size_t length,
                      unsigned flags,
                      struct error *);
    /* Makes what was put with STORAGE_LATER at these paths durable. */
    bool (*sync)(struct storage *, const char *const *paths, size_t count, struct error *);
    /*
     * Descriptor for reading from the start; seekable; of an object on a remote store it is a
     * local copy without a name. -1 on failure, ERR_NOT_FOUND when absent or a folder.
     */
    int (*open)(struct storage *, const char *path, struct error *);
    /* Copies into a local file, replacing it. ERR_NOT_FOUND when absent. */
    bool (*get_file)(struct storage *, const char *path, const char *local, struct error *);
    /* Whole content; ERR_LIMIT above max_bytes. */
    bool (*get_bytes)(struct storage *,
                      struct arena *,
                      const char *path,
                      size_t max_bytes,
                      const char **bytes,
                      size_t *length,
                      struct error *);
    bool (*stat)(
        struct storage *, struct arena *, const char *path, struct storage_stat *, struct error *);
    /* Direct children, sorted by name. An absent folder is ERR_NOT_FOUND. */
    bool (*list)(struct storage *,
                 struct arena *,
                 const char *path,
                 struct storage_stat **,
                 size_t *count,
                 struct error *);
    bool (*make_folder)(struct storage *, const char *path, struct error *);
    bool (*move)(struct storage *, const char *from, const char *to, struct error *);
    /* File, or folder with everything below; *existed tells. */
    bool (*remove)(struct storage *, const char *path, bool *existed, struct error *);
    void (*free)(struct storage *);
};

struct storage {
    const struct storage_ops *ops;
};

/* root: an existing or creatable folder. */
struct storage *storage_local_new(const char *root, struct error *err);

struct storage_s3_options {
    const char *endpoint; /* "http://127.0.0.1:7070" */
    const char *region;
    const char *bucket;
    const char *prefix; /* may be NULL */
    const char *access_key;
    const char *secret_key;
    bool path_style;
};
/*
 * Texts are copied. Asks once for the bucket.
 * Errors  ERR_NOT_FOUND    no such bucket
 *         ERR_DENIED       the keys are wrong or may not read it
 *         ERR_UNAVAILABLE  not reachable
 */
struct storage *storage_s3_new(const struct storage_s3_options *options, struct error *err);
/* Makes the bucket; one of ours that exists is fine. */
bool storage_s3_make_bucket(const struct storage_s3_options *options, struct error *err);
void storage_free(struct storage *storage);

/* ---- URIs ---- */

/* "kestra:///a/b%20c" -> "a/b c"; NULL when it is none or would leave the root. */
const char *storage_uri_path(struct arena *arena, const char *uri);
/* The inverse; what is not a letter, digit or one of "-._~/+=" is percent-encoded. */
char *storage_path_uri(struct arena *arena, const char *path);

/* ERR_INVALID unless the path is relative, and without empty, "." and ".." segments. */
bool storage_path_check(const char *path, struct error *err);

/*
 * Part of a path made of an id: `slugify` of the expression language (expressions.md 5), so that
 * "My_flow" is "my-flow"; an id without any letter or digit stays as it is.
 */
char *storage_slug(struct arena *arena, const char *id);

/* <ns as path>/<flow slug>/executions/<execution id> */
char *storage_execution_path(struct arena *arena,
                             const char *namespace,
                             const char *flow_id,
                             const char *execution_id);
/* …/tasks/<task slug>/<run id>/<name> below the former; name NULL: the folder */
char *storage_run_path(struct arena *arena,
                       const char *namespace,
                       const char *flow_id,
                       const char *execution_id,
                       const char *task_id,
                       const char *run_id,
                       const char *name);
/* <ns as path>/_files/<path>; a leading '/' of path is dropped, NULL or "" is the folder */
char *storage_namespace_path(struct arena *arena, const char *namespace, const char *path);
/*
 * <ns as path>/_content/<digest>: where the content of a revision of a namespace file lies.
 * digest: SHA-256 in hex
 */
char *storage_content_path(struct arena *arena, const char *namespace, const char *digest);

#endif
