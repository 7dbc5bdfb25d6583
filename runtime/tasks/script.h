/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tasks that run commands have in common: files around them, the command line, the lines of
 * the protocol `::{…}::`, the outputs (flow-language.md 4.11).
 *
 * A task type puts SCRIPT_ROWS into its table, calls script_prepare() with its commands, and uses
 * script_line() and script_finish() as they are or inside its own.
 */
#ifndef RUNTIME_TASKS_SCRIPT_H
#define RUNTIME_TASKS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/prop.h"
#include "core/value.h"
#include "runtime/worker/files.h"
#include "runtime/worker/task.h"

/* Bytes of all protocol lines of one attempt together. */
#define SCRIPT_PROTOCOL_MAX ((size_t)64 * 1024 * 1024)

struct script_docker {
    const char *image;
};

struct script_props {
    const struct value *task_runner;
    int runner; /* legacy: PROCESS, DOCKER; -1 none */
    const struct value *docker;
    const char *container_image;
    const struct value *before_commands;
    const struct value *interpreter;
    const struct value *env;
    bool fail_fast;
    struct files_namespace namespace_files;
    const struct value *input_files;
    const struct value *output_files;
    bool output_directory;
    int target_os; /* LINUX, WINDOWS, AUTO */
};
enum { SCRIPT_OS_LINUX, SCRIPT_OS_WINDOWS, SCRIPT_OS_AUTO };

extern const char *const script_runner_words[];
extern const char *const script_os_words[];

#define SCRIPT_ROWS(s, m, default_image)                                                           \
    { "taskRunner", PLUGIN(s, m.task_runner), .flags = PROP_EXPR,                                  \
      .doc = "Where the commands run; processes of this machine when absent." },                   \
        { "runner", ENUM(s, m.runner), .words = script_runner_words, .flags = PROP_DEPRECATED,     \
          .doc = "Use `taskRunner`." },                                                            \
        { "docker", ANY(s, m.docker), .flags = PROP_EXPR | PROP_DEPRECATED,                        \
          .doc = "Use `taskRunner`." },                                                            \
        { "containerImage", STR(s, m.container_image), .flags = PROP_EXPR,                         \
          .fallback = default_image, .doc = "Image for runners that use one." },                   \
        { "beforeCommands", LIST(s, m.before_commands), .item = PROP_STRING, .flags = PROP_EXPR,   \
          .doc = "Commands to run before, in the same shell." },                                   \
        { "interpreter", LIST(s, m.interpreter), .item = PROP_STRING, .flags = PROP_EXPR,          \
          .doc = "What the commands are given to, as its last argument; `[\"/bin/sh\", \"-c\"]` "  \
                 "when absent." },                                                                 \
        { "env", MAP(s, m.env), .item = PROP_STRING, .flags = PROP_EXPR,                           \
          .doc = "Environment variables." },                                                       \
        { "failFast", BOOL(s, m.fail_fast), .flags = PROP_EXPR, .fallback = "true",                \
          .doc = "Stop at the first command that fails." },                                        \
        { "warningOnStdErr", .kind = PROP_ANY, .flags = PROP_INTERNAL | PROP_DEPRECATED },         \
        { "namespaceFiles", OBJECT(s, m.namespace_files, files_namespace_props),                   \
          .flags = PROP_EXPR, .doc = "Namespace files to write into the working directory." },     \
        { "inputFiles", MAP(s, m.input_files), .item = PROP_STRING, .flags = PROP_EXPR,            \
          .doc = "Files to write into the working directory: path to text or file URI." },         \
        { "outputFiles", STRINGS(s, m.output_files), .flags = PROP_EXPR,                           \
          .doc = "Globs of files to store when the commands have ended." },                        \
        { "outputDirectory", BOOL(s, m.output_directory), .flags = PROP_EXPR | PROP_DEPRECATED,    \
          .fallback = "false", .doc = "Store everything below `{{ outputDir }}`." },               \
    {                                                                                              \
        "targetOS", ENUM(s, m.target_os), .words = script_os_words, .flags = PROP_EXPR,            \
                                          .fallback = "AUTO",                                      \
                                          .doc = "System that the commands are written for."       \
    }

#define SCRIPT_OUTPUTS                                                                             \
    { "vars", "map", "Outputs that the commands printed as `::{\"outputs\": {…}}::`." },           \
        { "exitCode", "integer", "Exit code of the commands." },                                   \
        { "outputFiles", "map", "Relative path of each stored file, and its URI." },               \
        { "stdOutLineCount", "integer", "Lines on standard output." },                             \
        { "stdErrLineCount", "integer", "Lines on standard error." },                              \
    {                                                                                              \
        "taskRunner", "map", "Details of the task runner, when it has any."                        \
    }

/* Commands of one task, besides its properties. */
struct script_command {
    const struct value *commands;   /* list of texts; file URIs in them become local paths */
    const char *const *interpreter; /* when the property is absent; NULL: /bin/sh -c */
    const char *exit_on_error;      /* prelude for failFast; NULL: "set -e" */
    const char *const *env;         /* more variables, NULL-terminated, may be NULL */
    const char *const *except;      /* files that are never outputs, may be NULL */
};

/* Do the commands run as processes of this machine, rather than in a container or elsewhere? */
bool script_runs_here(const struct script_props *p);

/* Writes the files, builds command line and environment. */
bool script_prepare(struct task_ctx *ctx,
                    const struct script_props *p,
                    const struct script_command *command,
                    struct process_spec *spec,
                    struct error *err);

/* For struct process_ops; `bound` is not looked at. */
bool script_line(
    struct task_ctx *ctx, const void *bound, bool is_stderr, const char *line, size_t length);

/* Collects files and outputs; an exit code other than 0 is the error "Command failed with …". */
bool script_finish(struct task_ctx *ctx,
                   const struct script_props *p,
                   int exit_code,
                   struct value_builder *out,
                   struct error *err);

/*
 * Words of a command that needs no shell: the same happens when it is executed directly. NULL when
 * a shell may make a difference.
 */
const char *const *script_words(struct arena *arena, const char *command, const char *const *env);

/*
 * The environment of child processes, or nothing, with more variables over it; NULL-terminated.
 *
 * over   map, over all others; more: NULL-terminated; both may be NULL
 */
const char *const *script_environment(struct task_ctx *ctx,
                                      bool is_inherited,
                                      const struct value *over,
                                      const char *const *more);

#endif
