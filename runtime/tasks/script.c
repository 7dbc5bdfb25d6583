/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tasks/script.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/map.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "base/vec.h"
#include "core/json.h"
#include "runtime/worker/runner.h"
#include "runtime/worker/services.h"

const char *const script_runner_words[] = { "PROCESS", "DOCKER", NULL };
const char *const script_os_words[] = { "LINUX", "WINDOWS", "AUTO", NULL };

/* What the lines of an attempt amount to. */
struct script {
    struct value_builder vars;
    int64_t lines[2]; /* stdout, stderr */
    size_t protocol_bytes;
    const char *output_dir; /* relative, NULL none */
    const char *const *except;
};

/* ---- environment ---- */

/* Variables of weir that are no business of a task: its secrets, its keys and passwords. */
static bool is_private(const char *variable)
{
    if (str_starts(variable, "SECRET_"))
        return true;
    if (!str_starts(variable, "WEIR_"))
        return false;
    size_t length = strcspn(variable, "=");
    static const char *const parts[] = { "KEY", "PASSWORD", "TOKEN", "SECRET" };
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (memmem(variable, length, parts[i], strlen(parts[i])) != NULL)
            return true;
    return false;
}

struct environment {
    struct arena *arena;
    struct map at; /* name -> index + 1 */
    VEC(const char *) all;
};

static void set_variable(struct environment *environment, const char *variable)
{
    size_t length = strcspn(variable, "=");
    uintptr_t index = (uintptr_t)map_find_bytes(&environment->at, variable, length);
    if (index > 0) {
        environment->all.items[index - 1] = variable;
        return;
    }
    *VEC_PUSH_ARENA(environment->arena, &environment->all) = variable;
    (void)map_put_bytes(&environment->at, variable, length,
                        (void *)(uintptr_t)environment->all.count);
}

const char *const *script_environment(struct task_ctx *ctx,
                                      bool is_inherited,
                                      const struct value *over,
                                      const char *const *more)
{
    struct environment environment = { .arena = ctx->arena };
    const char *const *base = ctx->services->environment;
    for (base = base != NULL ? base : (const char *const *)environ; *base != NULL; base++)
        if (is_inherited && !is_private(*base) && !str_starts(*base, "OLDPWD="))
            set_variable(&environment, *base);
    for (; more != NULL && *more != NULL; more++)
        set_variable(&environment, *more);
    for (uint32_t i = 0; value_is_map(over) && i < over->map.count; i++) {
        struct buf text = { 0 };
        value_write_print(&text, over->map.members[i].value);
        set_variable(&environment,
                     arena_printf(ctx->arena, "%s=%s", over->map.members[i].key, buf_text(&text)));
        buf_free(&text);
    }
    *VEC_PUSH_ARENA(ctx->arena, &environment.all) = NULL;
    map_free(&environment.at);
    return environment.all.items;
}

/* ---- command line ---- */

/* Commands of a shell that are also programs, or only look like one. */
static bool is_shell_word(const char *word)
{
    static const char *const words[] = {
        "alias",    "bg",      "break",  "case",    "cd",    "command", "continue", "do",
        "done",     "echo",    "elif",   "else",    "esac",  "eval",    "exec",     "exit",
        "export",   "false",   "fg",     "fi",      "for",   "getopts", "hash",     "if",
        "jobs",     "kill",    "local",  "printf",  "pwd",   "read",    "readonly", "return",
        "set",      "shift",   "source", "test",    "then",  "times",   "trap",     "true",
        "type",     "ulimit",  "umask",  "unalias", "unset", "until",   "wait",     "while",
        "function", "declare", "let",    "time",    "in",    ".",       ":",
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq(words[i], word))
            return true;
    return false;
}

/* A program or a script that says what runs it; anything else a shell would run by itself. */
static bool is_executable(const char *path)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char start[4];
    return fd >= 0 && read(fd, start, sizeof(start)) == sizeof(start) &&
           (memcmp(start, "\177ELF", 4) == 0 || memcmp(start, "#!", 2) == 0);
}

const char *const *script_words(struct arena *arena, const char *command, const char *const *env)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:,@%+= ";
    VEC(const char *) words = { 0 };
    if (command[strspn(command, plain)] != '\0')
        return NULL;
    for (const char *at = command + strspn(command, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        *VEC_PUSH_ARENA(arena, &words) = arena_strndup(arena, at, length);
        at += length;
    }
    if (words.count == 0 || strchr(words.items[0], '=') != NULL || is_shell_word(words.items[0]))
        return NULL;
    const char *path = words.items[0];
    if (strchr(path, '/') == NULL)
        path = proc_find(arena, path, env, NULL);
    else if (path[0] != '/')
        return NULL; // relative to the working directory, which is not that of weir
    if (path == NULL || !is_executable(path))
        return NULL; // the shell has the words for what is wrong
    *VEC_PUSH_ARENA(arena, &words) = NULL;
    return words.items;
}

/* Adds a list of commands, each on lines of its own. */
static bool add_commands(struct task_ctx *ctx,
                         struct buf *text,
                         const struct value *list,
                         struct error *err)
{
    for (size_t i = 0; i < value_count(list); i++) {
        const char *command = value_cstr(value_item(list, i));
        command = command == NULL ? "" : files_localize(ctx, command, err);
        if (command == NULL)
            return false;
        if (text->length > 0)
            buf_putc(text, '\n');
        buf_puts(text, command);
    }
    return true;
}

static const char *const *interpreter_of(struct task_ctx *ctx,
                                         const struct script_props *p,
                                         const struct script_command *c)
{
    static const char *const shell[] = { "/bin/sh", "-c", NULL };
    if (value_count(p->interpreter) == 0)
        return c->interpreter != NULL ? c->interpreter : shell;
    VEC(const char *) words = { 0 };
    for (size_t i = 0; i < value_count(p->interpreter); i++) {
        const char *word = value_cstr(value_item(p->interpreter, i));
        *VEC_PUSH_ARENA(ctx->arena, &words) = word == NULL ? "" : word;
    }
    *VEC_PUSH_ARENA(ctx->arena, &words) = NULL;
    return words.items;
}

/* The single command that may be executed without a shell. */
static const char *only_command(const struct script_props *p, const struct script_command *c)
{
    if (value_count(p->interpreter) > 0 || c->interpreter != NULL ||
        value_count(p->before_commands) > 0 || value_count(c->commands) != 1)
        return NULL;
    return value_cstr(value_item(c->commands, 0));
}

static bool build_argv(struct task_ctx *ctx,
                       const struct script_props *p,
                       const struct script_command *c,
                       bool is_local,
                       struct process_spec *spec,
                       struct error *err)
{
    const char *single = is_local ? only_command(p, c) : NULL;
    if (single != NULL && strstr(single, "://") == NULL) {
        spec->argv = script_words(ctx->arena, single, spec->env);
        if (spec->argv != NULL)
            return true;
    }
    struct buf text = { 0 };
    if (p->fail_fast)
        buf_puts(&text, c->exit_on_error != NULL ? c->exit_on_error : "set -e");
    bool ok = add_commands(ctx, &text, p->before_commands, err) &&
              add_commands(ctx, &text, c->commands, err);
    VEC(const char *) argv = { 0 };
    for (const char *const *word = interpreter_of(ctx, p, c); *word != NULL; word++)
        *VEC_PUSH_ARENA(ctx->arena, &argv) = *word;
    *VEC_PUSH_ARENA(ctx->arena, &argv) = buf_dup(&text, ctx->arena);
    *VEC_PUSH_ARENA(ctx->arena, &argv) = NULL;
    spec->argv = argv.items;
    buf_free(&text);
    return ok;
}

/* ---- runner ---- */

static const struct value *runner_of(struct task_ctx *ctx, const struct script_props *p)
{
    if (p->runner < 0)
        return p->task_runner;
    struct value_builder map = value_build(ctx->arena);
    for (uint32_t i = 0; p->runner == 1 && value_is_map(p->docker) && i < p->docker->map.count; i++)
        value_put(&map, p->docker->map.members[i].key, p->docker->map.members[i].value);
    value_put_text(&map, "type", p->runner == 0 ? RUNNER_PROCESS : RUNNER_DOCKER);
    return value_build_map(&map);
}

bool script_runs_here(const struct script_props *p)
{
    return p->runner < 0 ? runner_is_process(value_get_text(p->task_runner, "type", NULL))
                         : p->runner == 0;
}

bool script_prepare(struct task_ctx *ctx,
                    const struct script_props *p,
                    const struct script_command *command,
                    struct process_spec *spec,
                    struct error *err)
{
    struct script *script = ARENA_NEW(ctx->arena, struct script);
    script->vars = value_build(ctx->arena);
    script->except = command->except;
    ctx->data = script;

    const char *folder = task_working_dir(ctx, err);
    if (folder == NULL || !files_load_namespace(ctx, &p->namespace_files, err) ||
        !files_write_inputs(ctx, p->input_files, err))
        return false;
    VEC(const char *) more = { 0 };
    if (script_runs_here(p))
        *VEC_PUSH_ARENA(ctx->arena, &more) = arena_printf(ctx->arena, "PWD=%s", folder);
    *VEC_PUSH_ARENA(ctx->arena, &more) = arena_printf(ctx->arena, "WORKING_DIR=%s", folder);
    if (p->output_directory) {
        script->output_dir = arena_printf(ctx->arena, "outputs-%s", ctx->run_id);
        const char *path = arena_printf(ctx->arena, "%s/%s", folder, script->output_dir);
        if (!fs_mkdirs(path, 0700, err))
            return false;
        *VEC_PUSH_ARENA(ctx->arena, &more) = arena_printf(ctx->arena, "OUTPUT_DIR=%s", path);
    }
    for (const char *const *at = command->env; at != NULL && *at != NULL; at++)
        *VEC_PUSH_ARENA(ctx->arena, &more) = *at;
    *VEC_PUSH_ARENA(ctx->arena, &more) = NULL;

    spec->runner = runner_of(ctx, p);
    spec->container_image = p->container_image;
    spec->cwd = folder;
    spec->ends_quickly = value_count(p->output_files) == 0 && script->output_dir == NULL;
    spec->wants_files = !spec->ends_quickly;
    spec->own_env = script_environment(ctx, false, p->env, more.items);
    spec->env = script_environment(ctx, true, p->env, more.items);
    return build_argv(ctx, p, command, script_runs_here(p), spec, err);
}

/* ---- lines ---- */

static void take_metric(struct task_ctx *ctx, const struct value *metric)
{
    const char *name = value_get_text(metric, "name", NULL);
    const char *type = value_get_text(metric, "type", NULL);
    const struct value *given = value_get(metric, "value");
    const char *text = value_cstr(given);
    double number = 0;
    usec_t span = 0;
    bool ok = value_to_double(given, &number) || (text != NULL && str_to_double(text, &number));
    if (!ok && text != NULL && duration_parse(text, &span, NULL, NULL)) {
        number = (double)span / (double)USEC_SEC;
        ok = true;
    }
    if (!ok || name == NULL || type == NULL) {
        task_log(ctx, LOG_WARN, "A metric without name, type or number is ignored");
        return;
    }
    task_metric(ctx, type, name, number, value_get(metric, "tags"));
}

static void take_log(struct task_ctx *ctx, const struct value *entry)
{
    enum log_level level = LOG_INFO;
    const char *name = value_get_text(entry, "level", "INFO");
    const char *message = value_get_text(entry, "message", NULL);
    if (!log_level_parse(name, &level))
        level = LOG_INFO;
    if (message != NULL)
        task_log_text(ctx, level, message, strlen(message));
}

static void take_protocol(struct task_ctx *ctx, struct script *script, const struct value *map)
{
    const struct value *outputs = value_get(map, "outputs");
    const struct value *metrics = value_get(map, "metrics");
    const struct value *logs = value_get(map, "logs");
    for (uint32_t i = 0; value_is_map(outputs) && i < outputs->map.count; i++) {
        const struct value_member *member = &outputs->map.members[i];
        value_put_n(&script->vars, member->key, member->key_length, member->value);
    }
    for (size_t i = 0; value_is_list(metrics) && i < value_count(metrics); i++)
        take_metric(ctx, value_item(metrics, i));
    for (size_t i = 0; value_is_list(logs) && i < value_count(logs); i++)
        take_log(ctx, value_item(logs, i));
}

bool script_line(
    struct task_ctx *ctx, const void *bound, bool is_stderr, const char *line, size_t length)
{
    struct script *script = ctx->data;
    (void)bound;
    script->lines[is_stderr]++;
    if (length < 6 || memcmp(line, "::{", 3) != 0 || memcmp(line + length - 3, "}::", 3) != 0)
        return false;
    script->protocol_bytes += length;
    if (script->protocol_bytes > SCRIPT_PROTOCOL_MAX) {
        task_log(ctx, LOG_WARN, "Outputs beyond %zu bytes are ignored", SCRIPT_PROTOCOL_MAX);
        return true;
    }
    struct error err = { 0 };
    const struct value *map = json_parse(ctx->arena, line + 2, length - 4, &err);
    if (!value_is_map(map)) {
        task_log(ctx, LOG_WARN, "A line looks like outputs but is not JSON: %s", err.text);
        return false;
    }
    take_protocol(ctx, script, map);
    return true;
}

/* ---- end ---- */

bool script_finish(struct task_ctx *ctx,
                   const struct script_props *p,
                   int exit_code,
                   struct value_builder *out,
                   struct error *err)
{
    struct script *script = ctx->data;
    struct value_builder files = value_build(ctx->arena);
    bool ok =
        files_collect(ctx, p->output_files, script->except, &files, err) &&
        (script->output_dir == NULL || files_collect_folder(ctx, script->output_dir, &files, err));
    value_put(out, "vars", value_build_map(&script->vars));
    value_put_int(out, "exitCode", exit_code);
    value_put(out, "outputFiles", value_build_map(&files));
    value_put_int(out, "stdOutLineCount", script->lines[0]);
    value_put_int(out, "stdErrLineCount", script->lines[1]);
    // What the author wants to know first is that the command failed.
    if (exit_code != 0)
        return error_set(err, ERR_INVALID, "Command failed with exit code %d", exit_code);
    return ok;
}
