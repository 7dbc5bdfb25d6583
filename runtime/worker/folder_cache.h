/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cache of a WorkingDirectory: files of a folder as one object of the storage, one per flow and
 * task (flow-language.md 3.6).
 *
 * The object is a sequence of entries, each a line "<mode octal> <bytes> <length of path>\n", the
 * path, the content; a first line names the format.
 */
#ifndef RUNTIME_WORKER_FOLDER_CACHE_H
#define RUNTIME_WORKER_FOLDER_CACHE_H

#include <stdbool.h>

#include "base/clock.h"

struct error;
struct task_ctx;
struct value;

/*
 * Writes the cached files into the working directory. *is_fresh tells whether a cache younger than
 * ttl (0: any age) was there; an older one is not restored.
 */
bool folder_cache_restore(struct task_ctx *ctx, usec_t ttl, bool *is_fresh, struct error *err);

/* Is there a cache younger than ttl? */
bool folder_cache_is_fresh(struct task_ctx *ctx, usec_t ttl, bool *is_fresh, struct error *err);

/* Keeps the files of the working directory that match the patterns. */
bool folder_cache_save(struct task_ctx *ctx, const struct value *patterns, struct error *err);

#endif
