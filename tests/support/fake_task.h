/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task without a worker: services in memory, a storage in a temporary folder, and a record of
 * what the task logged, measured and asked for.
 *
 *     struct fake_task *fake = fake_task_new();
 *     assert_true(fake_task_run(fake, &task_kv_get, "key: a"));
 *     assert_string_equal(fake_output(fake, "value"), "1");
 *     fake_task_free(fake);
 */
#ifndef TESTS_SUPPORT_FAKE_TASK_H
#define TESTS_SUPPORT_FAKE_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"
#include "base/vec.h"
#include "core/value.h"
#include "runtime/worker/job.h"
#include "runtime/worker/services.h"

struct plugin;

struct fake_entry {
    const char *namespace;
    const char *key;
    struct kv_entry entry;
};

struct fake_file {
    const char *namespace;
    const char *path;
    const char *content; /* path in the storage */
    int64_t bytes;
    int64_t revision;
};

struct fake_task {
    struct job job;
    struct arena *arena;
    struct services services;
    char *folder;                  /* of everything local */
    struct buf log;                /* "INFO message\n" … */
    VEC(struct fake_entry) kv;     /* in arena */
    VEC(struct fake_file) files;   /* in arena, latest revision last */
    struct map secrets;            /* key -> text */
    struct buf operations;         /* "name {arguments}\n" … */
    struct map operation_answers;  /* name -> JSON text; absent: {} */
    struct map operation_failures; /* name -> text: ERR_NOT_FOUND */
    struct error error;            /* of the last run */
    const struct value *outputs;   /* of the last run, map */
    const struct value *context; /* rendering sees it; flow, execution, task, taskrun by default */
};

/* Flow company.team/my_flow, execution exec1, task my_task, task run run1, attempt 1. */
struct fake_task *fake_task_new(void);
void fake_task_free(struct fake_task *fake);

/*
 * Renders and binds the properties, given as YAML, and runs a call task. Answers what it answered;
 * the failure is in fake->error.
 */
bool fake_task_run(struct fake_task *fake, const struct plugin *plugin, const char *yaml);

/*
 * The same for a process task whose `taskRunner` is another than Process: prepares, runs, takes the
 * lines, finishes. Lines that the task does not take are in fake->log.
 */
bool fake_task_run_elsewhere(struct fake_task *fake, const struct plugin *plugin, const char *yaml);

/* Display of an output of the last run: text as it is, everything else as JSON; NULL when absent.
 */
const char *fake_output(struct fake_task *fake, const char *path);

/* Content of a stored file by its URI; fails the test when there is none. */
const char *fake_read(struct fake_task *fake, const char *uri);
/* Stores a file of the execution; gives its URI. */
const char *fake_store(struct fake_task *fake, const char *name, const char *text);

void fake_kv(struct fake_task *fake, const char *namespace, const char *key, const char *json);
/* Value of an entry as JSON, NULL when absent. */
const char *fake_kv_get(struct fake_task *fake, const char *namespace, const char *key);
void fake_file(struct fake_task *fake, const char *namespace, const char *path, const char *text);
/* Latest content, NULL when absent. */
const char *fake_file_get(struct fake_task *fake, const char *namespace, const char *path);

/* fake_task_run() that must succeed, or must fail with a text that holds `part`. */
#define ASSERT_RUNS(fake, plugin, yaml)                                                            \
    do {                                                                                           \
        if (!fake_task_run((fake), (plugin), (yaml)))                                              \
            fail_msg("%s", (fake)->error.text);                                                    \
    } while (0)
#define ASSERT_FAILS(fake, plugin, yaml, part)                                                     \
    do {                                                                                           \
        if (fake_task_run((fake), (plugin), (yaml)))                                               \
            fail_msg("the task succeeded");                                                        \
        if (strstr((fake)->error.text, (part)) == NULL)                                            \
            fail_msg("'%s' does not hold '%s'", (fake)->error.text, (part));                       \
    } while (0)

#endif
