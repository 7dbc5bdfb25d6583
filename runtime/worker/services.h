/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tasks and expression functions may ask of the rest of the runtime. Filled by cli/wire.c;
 * tests give fakes. All functions may be called from any thread and block at most briefly (a
 * commit).
 */
#ifndef RUNTIME_WORKER_SERVICES_H
#define RUNTIME_WORKER_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct arena;
struct error;
struct storage;
struct value;

struct kv_entry {
    const char *key;
    const struct value *value; /* typed */
    const char *type;          /* STRING NUMBER BOOLEAN DATETIME DATE DURATION JSON */
    const char *description;
    int64_t revision;
    usec_t created_at;
    usec_t updated_at;
    usec_t expires_at; /* USEC_NEVER none */
};

/* A namespace file: its content lies in the storage, the store knows its revisions. */
struct file_entry {
    const char *path;    /* without leading '/' */
    const char *content; /* path in the storage; NULL for folders */
    int64_t bytes;
    int64_t revision;
    usec_t created_at;
    usec_t updated_at;
    bool is_folder;
};

struct services {
    void *data;
    struct storage *storage; /* files of executions and namespaces, runtime/storage/storage.h */

    /* KV: exactly this namespace. get gives ERR_NOT_FOUND when missing or expired. */
    bool (*kv_get)(void *data,
                   struct arena *arena,
                   const char *namespace,
                   const char *key,
                   struct kv_entry *out,
                   struct error *err);
    /* overwrite false: ERR_CONFLICT when the key exists. */
    bool (*kv_put)(void *data,
                   const char *namespace,
                   const struct kv_entry *entry,
                   bool overwrite,
                   struct error *err);
    bool (*kv_delete)(
        void *data, const char *namespace, const char *key, bool *existed, struct error *err);
    bool (*kv_list)(void *data,
                    struct arena *arena,
                    const char *namespace,
                    const char *prefix,
                    struct kv_entry **out,
                    size_t *count,
                    struct error *err);

    /*
     * Namespace files: exactly this namespace, paths without leading '/'. revision 0 is the latest.
     * ERR_NOT_FOUND when there is no such file (or it was deleted).
     */
    bool (*file_find)(void *data,
                      struct arena *arena,
                      const char *namespace,
                      const char *path,
                      int64_t revision,
                      struct file_entry *out,
                      struct error *err);
    /* Files at any depth, folders too, sorted by path. A namespace without files has none. */
    bool (*file_list)(void *data,
                      struct arena *arena,
                      const char *namespace,
                      struct file_entry **out,
                      size_t *count,
                      struct error *err);
    /*
     * Stores a copy of a local file as a new revision, parent folders included. overwrite false:
     * ERR_CONFLICT when the path exists. ERR_CONFLICT also when it is a folder.
     */
    bool (*file_put)(void *data,
                     const char *namespace,
                     const char *path,
                     const char *local,
                     bool overwrite,
                     struct error *err);
    /* A file, or a folder with everything below. */
    bool (*file_delete)(
        void *data, const char *namespace, const char *path, bool *existed, struct error *err);

    /* Value of a secret; ERR_NOT_FOUND when missing. */
    const char *(*secret)(
        void *data, struct arena *arena, const char *namespace, const char *key, struct error *err);

    /*
     * Operations on the engine and queries of the store by name, with JSON-shaped arguments and
     * answers (maps). Dates are instants or zoned date-times, states and levels are names; absent
     * arguments do not filter. The table is in runtime/driver/operations.c.
     *
     *     execution.resume   {executionId, inputs?} -> {}; ERR_NOT_FOUND, ERR_CONFLICT when not
     *                        paused, ERR_INVALID for its inputs
     *     execution.get      {executionId} -> {id, namespace, flowId, state}; ERR_NOT_FOUND
     *     execution.exists   {ids} -> {existing: [id]}
     *     execution.count    {flows?: [{namespace, flowId}], namespaces?, states?, startDate?,
     *                        endDate?} -> {results: [{namespace, flowId, count}], total}; a flow
     *                        without executions counts 0, a namespace counts by its flows
     *     execution.find     {namespace? (prefix), flowId?, states?, startDate?, endDate?, offset,
     * limit}
     *                        -> {executions: [{id, namespace, flowId}]}; terminated ones, oldest
     *                        first
     *     execution.children {executionId, taskRunId, after?, limit} -> {children: [{id, state,
     *                        iteration, outputs?}], next?}: what a task run created, page by page;
     *                        next is the `after` of the next page
     *     execution.purge    {ids, purgeExecution, purgeLog, purgeMetric} -> {executions, logs,
     *                        metrics}: numbers removed
     *     trigger.toggle     {namespace, flowId, triggerId, disabled} -> {}; ERR_NOT_FOUND
     *     log.fetch          {executionId | namespace, flowId?, taskIds?, level? (minimum), offset,
     *                        limit} -> {entries: [{namespace, flowId, executionId, taskId,
     *                        taskRunId, attemptNumber, timestamp, level, message}]}; by time
     *     log.purge          {namespace? (prefix), flowId?, executionId?, levels?, startDate?,
     *                        endDate} -> {count}
     *     kv.purge           {namespaces? | namespacePattern? (glob), includeChildNamespaces,
     *                        keyPattern? (glob), expiredOnly | before?, keepAmount?} -> {count}:
     * keys, or with before or keepAmount their old versions file.purge         {namespaces? |
     * namespacePattern?, includeChildNamespaces, filePattern? (glob), before?, keepAmount?} ->
     * {count, namespaces}: old revisions; the namespaces that were looked at file.contents
     * {namespace} -> {contents}: paths in the storage that revisions name subflow.run {namespace,
     * flowId, revision?, inputs?, labels?, timeout (seconds), depth} -> {id, state, outputs,
     * labels}; waits for the end, ERR_TIMEOUT
     */
    const struct value *(*operate)(void *data,
                                   struct arena *arena,
                                   const char *operation,
                                   const struct value *arguments,
                                   struct error *err);

    /* {type, value} of a clear text, for outputs that must not lie open; ERR_INVALID: no key. */
    const struct value *(*encrypt)(void *data,
                                   struct arena *arena,
                                   const struct value *clear,
                                   struct error *err);

    const char *work_root;          /* folder of working directories */
    const char *cache_root;         /* what tasks keep between runs; NULL: nothing is kept */
    const char *const *environment; /* of child processes, NULL-terminated; NULL: of weir itself */
    bool allow_local_files;         /* file:// URIs, only beneath local_roots */
    const char *const *local_roots; /* NULL-terminated absolute folders; NULL: none */
    bool allow_docker_volumes;      /* tasks may mount folders of the machine into containers */
    bool allow_docker_privileged;
};

#endif
