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

    /* Value of a secret; ERR_NOT_FOUND when missing. */
    const char *(*secret)(
        void *data, struct arena *arena, const char *namespace, const char *key, struct error *err);

    /*
     * Operations on the engine and queries of the store by name, with JSON-shaped arguments and
     * answers: "execution.resume", "execution.count", "execution.purge", "trigger.toggle",
     * "log.fetch", "log.purge", "subflow.run" … The table is in runtime/driver/operations.c.
     */
    const struct value *(*operate)(void *data,
                                   struct arena *arena,
                                   const char *operation,
                                   const struct value *arguments,
                                   struct error *err);

    const char *work_root;  /* folder of working directories */
    bool allow_local_files; /* file:// URIs beneath configured roots */
};

#endif
