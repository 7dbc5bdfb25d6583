/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task runners: where the command of a process task runs (flow-language.md 4.11.4).
 *
 * The runner Process is the worker itself. Others, such as Docker, give `run`, which blocks on a
 * pool thread until the command has ended. To add one: a file in runtime/runners that closes with a
 * descriptor of role PLUGIN_RUNNER whose `ops` is a struct runner_ops, a line in runtime/plugins.c.
 */
#ifndef RUNTIME_WORKER_RUNNER_H
#define RUNTIME_WORKER_RUNNER_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct process_spec;
struct task_ctx;
struct value;

#define RUNNER_PROCESS "io.kestra.plugin.core.runner.Process"
#define RUNNER_DOCKER  "io.kestra.plugin.scripts.runner.docker.Docker"

/* Other names of it, NULL-terminated. */
extern const char *const runner_process_aliases[];

/* Is it the runner Process, by any of its names? NULL is: it is the default. */
bool runner_is_process(const char *type);

struct runner_run {
    struct task_ctx *ctx;
    const struct process_spec *spec;
    const void *bound; /* properties of the runner */
    /* Output as it comes; may be called until run() returns, from its thread. */
    void (*output)(struct runner_run *run, bool is_stderr, const char *bytes, size_t length);
    void *data;     /* of output() */
    bool is_replay; /* output from now on was logged before: it is only looked at for outputs */
    /* Answer. */
    int exit_code;
    const char *exit_note;       /* added to the message of a failed command, may be NULL */
    const struct value *details; /* `taskRunner` of the outputs, may be NULL */
};

struct runner_ops {
    /*
     * Runs the command to its end; looks at task_is_cancelled() and then stops it. False with err
     * when it could not be run; true whatever its exit code.
     */
    bool (*run)(struct runner_run *run, struct error *err);
};

#endif
