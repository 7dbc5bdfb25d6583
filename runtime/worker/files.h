/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files around a task: input files, namespace files, output files (flow-language.md 4.9, 4.10).
 *
 * All names are resolved beneath the working directory; links in it, which the task may have
 * planted, are not followed out of it.
 */
#ifndef RUNTIME_WORKER_FILES_H
#define RUNTIME_WORKER_FILES_H

#include <stdbool.h>

#include "core/prop.h"

struct error;
struct task_ctx;
struct value;
struct value_builder;

/* Files that one task may collect or load. */
#define FILES_MAX 100000U

enum files_exists { FILES_OVERWRITE, FILES_FAIL, FILES_WARN, FILES_IGNORE };

/* `namespaceFiles` as bound; for an OBJECT row of a property table. */
struct files_namespace {
    bool enabled;
    const struct value *include;
    const struct value *exclude;
    const struct value *namespaces;
    int if_exists; /* enum files_exists */
    bool folder_per_namespace;
};
extern const struct prop files_namespace_props[];

/*
 * Writes `inputFiles`: map of relative path to text or file URI; null makes an empty file.
 *
 * Errors   ERR_INVALID  a path that leaves the directory; those of task_fetch_to()
 */
bool files_write_inputs(struct task_ctx *ctx, const struct value *files, struct error *err);

/*
 * Writes the namespace files that are asked for by the property `namespaceFiles`; logs how many.
 * Without that property nothing is written.
 */
bool files_load_namespace(struct task_ctx *ctx,
                          const struct files_namespace *options,
                          struct error *err);

/*
 * Does a path match one of the patterns? '/' in front of either is ignored; a pattern without '/'
 * and without leading "**" matches the last segment at any depth when `any_depth`. A pattern may
 * name its syntax: "glob:…" is the same glob, "regex:…" must match the whole path.
 */
bool files_match(const struct value *patterns, const char *path, bool any_depth);

/*
 * Stores the files of the working directory that match the globs; adds relative path -> URI.
 * Literal names that do not exist are left out.
 *
 * except   NULL-terminated relative paths that are never collected; may be NULL
 */
bool files_collect(struct task_ctx *ctx,
                   const struct value *globs,
                   const char *const *except,
                   struct value_builder *out,
                   struct error *err);

/* As files_collect() for everything below a folder of the working directory; absent is fine. */
bool files_collect_folder(struct task_ctx *ctx,
                          const char *folder,
                          struct value_builder *out,
                          struct error *err);

/*
 * The text with every file URI replaced by the path of a local copy in the working directory; the
 * text itself when it holds none.
 */
const char *files_localize(struct task_ctx *ctx, const char *text, struct error *err);

#endif
