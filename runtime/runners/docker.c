/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runner Docker: each command in a container of its own, through the Engine API of Docker or
 * Podman (connectors.md 17).
 *
 *     find a container of a lost attempt, or: pull → create → put files → start
 *     → follow its output → wait → get files → remove
 */
#include "runtime/runners/docker.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/tar.h"
#include "base/timefmt.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/job.h"
#include "runtime/worker/runner.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

/* Pulls are tried again after failures that may pass. */
#define PULL_TRIES    5U
#define PULL_WAIT     (5 * USEC_SEC)
#define PULL_WAIT_MAX (2 * USEC_MIN)
/* Calls that clean up when the task was stopped. */
#define CLEANUP_TIME (30 * USEC_SEC)
/* Connections for output that break, one after the other, without any. */
#define FOLLOW_TRIES 5U
/* Longest output that is read again to see whether it is whole. */
#define REREAD_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define LOG_PAGE         1000
#define EXIT_KILLED      137
#define ATTEMPT_LABEL    "kestra.io/taskrun-attempt"

/* ---- a container ---- */

struct container {
    struct runner_run *run;
    const struct docker_props *p;
    struct docker_engine engine;
    const char *image;
    const char *id;     /* NULL: there is none */
    const char *folder; /* working directory inside */
    bool has_files;     /* the working directory is copied in and out */
    bool is_resumed;
    bool is_running;
    int exit_code;
    bool is_out_of_memory;
    uint64_t received[2]; /* bytes of output, by stream */
    uint64_t skipped[2];  /* of the output that is read again, bytes that were received before */
    bool has_gaps;        /* the output was not read in one piece: counts mean nothing */
};

static struct arena *arena_of(const struct container *c)
{
    return c->run->ctx->arena;
}

static const char *path_of(const struct container *c, const char *action)
{
    return arena_printf(arena_of(c), "/containers/%s%s", c->id, action);
}

static bool post(struct container *c, const char *action, struct error *err)
{
    return docker_call(&c->engine, "POST", path_of(c, action), NULL, NULL, err) != NULL;
}

static void force_remove(struct container *c, const char *id)
{
    struct error err = { 0 };
    struct http_fields query = { 0 };
    http_fields_add(arena_of(c), &query, "force", "1");
    http_fields_add(arena_of(c), &query, "v", "1");
    const char *path = arena_printf(arena_of(c), "/containers/%s", id);
    if (docker_call(&c->engine, "DELETE", path, &query, NULL, &err) == NULL &&
        err.code != ERR_NOT_FOUND)
        task_log(c->run->ctx, LOG_DEBUG, "The container is not removed: %s", err.text);
}

/* ---- labels ---- */

static const struct value *labels_of(const struct container *c, bool with_attempt)
{
    const struct task_ctx *ctx = c->run->ctx;
    struct value_builder map = value_build(ctx->arena);
    value_put_text(&map, "kestra.io/namespace", ctx->namespace);
    value_put_text(&map, "kestra.io/flow-id", ctx->flow_id);
    value_put_text(&map, "kestra.io/task-id", ctx->task_id);
    value_put_text(&map, "kestra.io/execution-id", ctx->execution_id);
    value_put_text(&map, "kestra.io/taskrun-id", ctx->run_id);
    if (with_attempt)
        value_put_text(&map, ATTEMPT_LABEL, arena_printf(ctx->arena, "%u", ctx->attempt));
    return value_build_map(&map);
}

static const char *filters_of(const struct container *c)
{
    const struct value *labels = labels_of(c, false);
    struct value_builder list = value_build(arena_of(c));
    for (uint32_t i = 0; i < labels->map.count; i++) {
        const char *label = arena_printf(arena_of(c), "%s=%s", labels->map.members[i].key,
                                         value_cstr(labels->map.members[i].value));
        value_add(&list, value_string(arena_of(c), label));
    }
    const struct value *filters = value_with(arena_of(c), NULL, "label", value_build_list(&list));
    return value_to_json(arena_of(c), filters);
}

/* ---- resuming ---- */

/*
 * Is it of the attempt that is repeated? One that has ended and is of an earlier attempt can only
 * be when containers are removed at the end: otherwise it was left by an attempt that failed.
 */
static bool is_resumable(const struct container *c, const struct value *found)
{
    const char *state = value_get_text(found, "State", "");
    const char *attempt = value_get_text(value_get(found, "Labels"), ATTEMPT_LABEL, "");
    if (str_eq(state, "running") || str_eq(state, "paused"))
        return true;
    if (!str_eq(state, "exited"))
        return false; // not started: its files may not be whole
    return c->p->remove || str_eq(attempt, arena_printf(arena_of(c), "%u", c->run->ctx->attempt));
}

/* Finds the container to go on with; those that would run beside it, or beside a new one, go. */
static bool find(struct container *c, struct error *err)
{
    struct http_fields query = { 0 };
    http_fields_add(arena_of(c), &query, "all", "1");
    http_fields_add(arena_of(c), &query, "filters", filters_of(c));
    const struct value *list =
        docker_call(&c->engine, "GET", "/containers/json", &query, NULL, err);
    if (list == NULL)
        return error_wrap(err, "Cannot list containers");
    const struct value *best = NULL;
    for (size_t i = 0; c->p->resume && value_is_list(list) && i < value_count(list); i++) {
        const struct value *found = value_item(list, i);
        if (is_resumable(c, found) && (best == NULL || value_get_int(found, "Created", 0) >
                                                           value_get_int(best, "Created", 0)))
            best = found;
    }
    for (size_t i = 0; value_is_list(list) && i < value_count(list); i++) {
        const struct value *found = value_item(list, i);
        const char *id = value_get_text(found, "Id", NULL);
        bool is_over = str_eq(value_get_text(found, "State", ""), "exited");
        if (found != best && id != NULL && (!is_over || c->p->remove))
            force_remove(c, id);
    }
    c->id = value_get_text(best, "Id", NULL);
    if (c->id == NULL)
        return true;
    c->is_resumed = c->is_running = true;
    const struct value *state =
        docker_call(&c->engine, "GET", path_of(c, "/json"), NULL, NULL, err);
    if (state == NULL)
        return error_wrap(err, "Cannot look at the container");
    c->folder = value_get_text(value_get(state, "Config"), "WorkingDir", c->folder);
    task_log(c->run->ctx, LOG_INFO, "Going on with container %.12s", c->id);
    return true;
}

/* When the last line of this task run was stored; 0: none was. */
static usec_t last_logged(const struct container *c)
{
    const struct task_ctx *ctx = c->run->ctx;
    const struct services *services = ctx->services;
    usec_t last = 0;
    if (services->operate == NULL)
        return 0;
    for (int64_t offset = 0;; offset += LOG_PAGE) {
        struct arena *arena = arena_new();
        struct value_builder tasks = value_build(arena);
        value_add(&tasks, value_string(arena, ctx->task_id));
        struct value_builder arguments = value_build(arena);
        value_put_text(&arguments, "executionId", ctx->execution_id);
        value_put(&arguments, "taskIds", value_build_list(&tasks));
        value_put_int(&arguments, "offset", offset);
        value_put_int(&arguments, "limit", LOG_PAGE);
        const struct value *answer = services->operate(services->data, arena, "log.fetch",
                                                       value_build_map(&arguments), NULL);
        const struct value *entries = value_get(answer, "entries");
        size_t count = value_count(entries);
        for (size_t i = 0; i < count; i++) {
            const struct value *entry = value_item(entries, i);
            const struct value *at = value_get(entry, "timestamp");
            // What this attempt says about itself is not the container's.
            bool is_ours = str_eq(value_get_text(entry, "taskRunId", NULL), ctx->run_id) &&
                           value_get_int(entry, "attemptNumber", 0) < (int64_t)ctx->attempt - 1;
            if (is_ours && at != NULL && at->kind == VALUE_INSTANT)
                last = at->time->at;
        }
        arena_free(arena);
        if (count < LOG_PAGE || !task_check(ctx, NULL))
            return last;
    }
}

/* ---- the image ---- */

static bool pull(struct container *c, struct error *err)
{
    struct task_ctx *ctx = c->run->ctx;
    const char *auth;
    if (!docker_auth(ctx->arena, c->image, &c->p->login, c->p->config, &auth, err))
        return false;
    usec_t wait = PULL_WAIT;
    task_log(ctx, LOG_DEBUG, "Pulling image '%s'", c->image);
    for (unsigned tries = 1;; tries++) {
        if (docker_pull(&c->engine, c->image, auth, err))
            return true;
        bool may_pass = err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT;
        error_wrap(err, "Cannot pull image '%s'", c->image);
        if (!may_pass || tries == PULL_TRIES)
            return false;
        task_log(ctx, LOG_WARN, "%s; again in %lld seconds", err->text,
                 (long long)(wait / USEC_SEC));
        if (!task_wait(ctx, wait, err))
            return false;
        wait = 2 * wait < PULL_WAIT_MAX ? 2 * wait : PULL_WAIT_MAX;
    }
}

/* Has the image here, as the policy says; *info is what the engine says about it, may be NULL. */
static bool have_image(struct container *c, const struct value **info, struct error *err)
{
    const char *path = docker_image_path(arena_of(c), c->image, "/json");
    *info = NULL;
    if (c->p->pull_policy != DOCKER_PULL_ALWAYS) {
        *info = docker_call(&c->engine, "GET", path, NULL, NULL, err);
        if (*info != NULL)
            return true;
        if (err->code != ERR_NOT_FOUND)
            return error_wrap(err, "image '%s'", c->image);
        if (c->p->pull_policy == DOCKER_PULL_NEVER)
            return error_set(err, ERR_NOT_FOUND,
                             "Image '%s' is not there, and 'pullPolicy' is NEVER", c->image);
    }
    if (!pull(c, err))
        return false;
    *info = docker_call(&c->engine, "GET", path, NULL, NULL, err);
    return *info != NULL || error_wrap(err, "image '%s'", c->image);
}

/* ---- files ---- */

static bool is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry = NULL;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
            break;
    if (dir != NULL)
        (void)closedir(dir);
    return entry == NULL;
}

static bool is_root(const char *user)
{
    return str_empty(user) || str_eq(user, "root") || str_eq(user, "0") ||
           str_starts(user, "root:") || str_starts(user, "0:");
}

/* Another user than root must be able to write beside its inputs. */
static bool has_other_user(const struct container *c, const struct value *image)
{
    if (!str_empty(c->p->user))
        return !is_root(c->p->user);
    return !is_root(value_get_text(value_get(image, "Config"), "User", NULL));
}

static bool put_files(struct container *c, const struct value *image, struct error *err)
{
    const struct task_ctx *ctx = c->run->ctx;
    AUTO_FD int fd = fs_temp(ctx->services->work_root, err);
    return fd >= 0 &&
           tar_write_folder(fd, c->run->spec->cwd, c->folder + 1,
                            has_other_user(c, image) ? 0666 : 0, err) &&
           docker_put_files(&c->engine, c->id, fd, err);
}

static bool get_files(struct container *c, struct error *err)
{
    const struct task_ctx *ctx = c->run->ctx;
    struct error failure = { 0 };
    AUTO_FD int fd = fs_temp(ctx->services->work_root, err);
    if (fd < 0)
        return false;
    if (!docker_get_files(&c->engine, c->id, c->folder, fd, &failure)) {
        if (failure.code == ERR_NOT_FOUND)
            return true; // the commands removed it
        *err = failure;
        return false;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_set(err, ERR_INTERNAL, "the archive of the container cannot be read");
    return tar_read_folder(fd, c->run->spec->cwd, 1, err);
}

/* ---- running ---- */

static bool create(struct container *c, struct error *err)
{
    const struct value *image;
    if (!have_image(c, &image, err))
        return false;
    const struct docker_container container = {
        .ctx = c->run->ctx,
        .spec = c->run->spec,
        .image = c->image,
        .folder = c->folder,
        .labels = labels_of(c, true),
        .is_podman = c->engine.is_podman,
    };
    const struct value *config = docker_container_config(c->p, &container, err);
    if (config == NULL)
        return false;
    if (!task_check(c->run->ctx, err))
        return false;
    // Once begun it is waited for: a container that nobody knows would stay.
    c->engine.cancel = NULL;
    const struct value *answer =
        docker_call(&c->engine, "POST", "/containers/create", NULL, config, err);
    c->engine.cancel = task_cancel_flag(c->run->ctx);
    c->id = value_get_text(answer, "Id", NULL);
    if (c->id == NULL)
        return answer == NULL ? error_wrap(err, "Cannot create the container")
                              : error_set(err, ERR_INVALID, "Docker gave the container no id");
    const struct value *warnings = value_get(answer, "Warnings");
    for (size_t i = 0; value_is_list(warnings) && i < value_count(warnings); i++) {
        const char *warning = value_cstr(value_item(warnings, i));
        if (!str_empty(warning))
            task_log(c->run->ctx, LOG_DEBUG, "%s", warning);
    }
    if (c->has_files && !put_files(c, image, err))
        return error_wrap(err, "Cannot copy files into the container");
    if (c->p->strategy == DOCKER_MOUNT && has_other_user(c, image))
        (void)chmod(c->run->spec->cwd, 0777); // it lies in a folder that only weir can enter
    c->is_running = true;
    if (!post(c, "/start", err))
        return error_wrap(err, "Cannot start the container");
    task_log(c->run->ctx, LOG_DEBUG, "Container %.12s runs '%s'", c->id, c->image);
    return true;
}

static void on_output(void *data, bool is_stderr, const char *bytes, size_t length)
{
    struct container *c = data;
    size_t skip = 0;
    if (c->skipped[is_stderr] < c->received[is_stderr])
        skip = c->received[is_stderr] - c->skipped[is_stderr];
    skip = skip < length ? skip : length;
    c->skipped[is_stderr] += skip;
    if (skip == length)
        return;
    c->received[is_stderr] += length - skip;
    c->skipped[is_stderr] += length - skip;
    c->run->output(c->run, is_stderr, bytes + skip, length - skip);
}

/*
 * Gives on what the container prints until it ends. What an earlier attempt has logged is gone
 * through again for the outputs and metrics in it.
 */
static bool follow(struct container *c, struct error *err)
{
    struct docker_logs logs = { .output = on_output, .data = c };
    logs.until = c->is_resumed ? last_logged(c) : 0;
    if (logs.until > 0) {
        c->run->is_replay = true;
        bool ok = docker_logs(&c->engine, c->id, &logs, err);
        c->run->is_replay = false;
        if (!ok && !task_check(c->run->ctx, NULL))
            return false;
        logs.since = logs.until;
        logs.until = 0;
    }
    logs.follow = true;
    for (unsigned tries = 0; tries < FOLLOW_TRIES; tries++) {
        if (docker_logs(&c->engine, c->id, &logs, err))
            return true;
        if (err->code != ERR_UNAVAILABLE && err->code != ERR_TIMEOUT)
            break;
        c->has_gaps = true;
        if (logs.last_at > 0) {
            logs.since = logs.last_at;
            tries = 0;
        }
        if (!task_wait(c->run->ctx, USEC_SEC, err))
            return false;
    }
    if (err->code == ERR_CANCELLED)
        return false;
    // The commands run all the same.
    c->has_gaps = true;
    task_log(c->run->ctx, LOG_WARN, "The output of the container cannot be read: %s", err->text);
    return true;
}

/*
 * Engines end a followed output without its last lines when the container ends at the wrong moment.
 * Once it has ended all of it can be read: what was not received yet is given on.
 */
static void read_rest(struct container *c)
{
    struct docker_logs logs = { .output = on_output, .data = c };
    struct error err = { 0 };
    if (c->has_gaps || c->received[0] + c->received[1] > REREAD_BYTES_MAX)
        return;
    c->skipped[0] = c->skipped[1] = 0;
    if (!docker_logs(&c->engine, c->id, &logs, &err))
        task_log(c->run->ctx, LOG_DEBUG, "The output is not read again: %s", err.text);
}

/* Its exit code, by waiting, or by looking when that breaks off. */
static bool wait_for_end(struct container *c, struct error *err)
{
    for (;;) {
        struct error failure = { 0 };
        bool has_code = docker_wait(&c->engine, c->id, &c->exit_code, &failure);
        if (!has_code && (failure.code == ERR_CANCELLED || failure.code == ERR_NOT_FOUND)) {
            *err = failure;
            return false;
        }
        const struct value *answer =
            docker_call(&c->engine, "GET", path_of(c, "/json"), NULL, NULL, err);
        const struct value *state = value_get(answer, "State");
        c->is_out_of_memory = value_get_bool(state, "OOMKilled", false);
        if (has_code)
            return true;
        if (answer == NULL)
            return false;
        if (!value_get_bool(state, "Running", false)) {
            c->exit_code = (int)value_get_int(state, "ExitCode", -1);
            return c->exit_code >= 0 || error_set(err, failure.code, "%s", failure.text);
        }
        if (!task_wait(c->run->ctx, USEC_SEC, err))
            return false;
    }
}

static bool run_to_end(struct container *c, struct error *err)
{
    if (!follow(c, err) || !wait_for_end(c, err))
        return error_wrap(err, "Cannot wait for the container");
    c->is_running = false;
    read_rest(c);
    if (c->has_files && !get_files(c, err))
        return error_wrap(err, "Cannot copy files out of the container");
    return true;
}

/* ---- the end ---- */

static enum stop_reason stop_reason(const struct container *c)
{
    struct job *job = c->run->ctx->private_data;
    return (enum stop_reason)atomic_load(&job->stop);
}

static void clean_up(struct container *c, bool ok)
{
    struct error err = { 0 };
    if (c->id == NULL || (ok && !c->p->wait))
        return;
    // The repetition of this attempt goes on with it.
    if (!ok && c->is_running && c->p->resume && stop_reason(c) == STOP_SHUTDOWN)
        return;
    c->engine.cancel = NULL;
    c->engine.timeout = CLEANUP_TIME + c->p->grace;
    if (c->is_running) {
        int64_t seconds = (c->p->grace + USEC_SEC - 1) / USEC_SEC;
        struct http_fields query = { 0 };
        http_fields_add(arena_of(c), &query, "t",
                        arena_printf(arena_of(c), "%lld", (long long)seconds));
        bool is_stopped = seconds > 0 && docker_call(&c->engine, "POST", path_of(c, "/stop"),
                                                     &query, NULL, &err) != NULL;
        if (!is_stopped && !post(c, "/kill", &err) && err.code != ERR_CONFLICT)
            task_log(c->run->ctx, LOG_DEBUG, "The container is not killed: %s", err.text);
    }
    if (c->p->remove)
        force_remove(c, c->id);
}

/* Base64 of "user:password", and the password in it. */
static void mask_auth(struct task_ctx *ctx, const char *auth)
{
    struct buf pair = { 0 };
    if (str_empty(auth))
        return;
    task_mask(ctx, auth);
    const char *colon =
        base64_decode(&pair, auth, strlen(auth)) ? strchr(buf_text(&pair), ':') : NULL;
    if (colon != NULL && colon[1] != '\0')
        task_mask(ctx, colon + 1);
    buf_free(&pair);
}

/* The passwords and tokens of a config.json. */
static void mask_config(struct task_ctx *ctx, const struct value *config)
{
    static const char *const names[] = { "password", "registrytoken", "identitytoken" };
    const char *text = value_cstr(config);
    if (text != NULL)
        config = json_parse(ctx->arena, text, strlen(text), NULL);
    const struct value *auths = value_get(config, "auths");
    for (uint32_t i = 0; value_is_map(auths) && i < auths->map.count; i++) {
        const struct value *entry = auths->map.members[i].value;
        mask_auth(ctx, value_get_text(entry, "auth", NULL));
        for (size_t k = 0; k < COUNT_OF(names); k++) {
            const char *secret = value_get_text(entry, names[k], NULL);
            if (!str_empty(secret))
                task_mask(ctx, secret);
        }
    }
}

static void mask_login(struct task_ctx *ctx, const struct docker_login *login)
{
    const char *const secrets[] = { login->password, login->registry_token, login->identity_token };
    mask_auth(ctx, login->auth);
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        if (!str_empty(secrets[i]))
            task_mask(ctx, secrets[i]);
}

static bool run(struct runner_run *run, struct error *err)
{
    struct task_ctx *ctx = run->ctx;
    const struct docker_props *p = run->bound;
    const char *const *env = ctx->services->environment;
    struct container c = {
        .run = run,
        .p = p,
        .engine = { .arena = ctx->arena, .cancel = task_cancel_flag(ctx) },
        .image = str_empty(p->image) ? run->spec->container_image : p->image,
        .folder = run->spec->cwd,
    };
    if (str_empty(c.image))
        return error_set(err, ERR_INVALID, "This task runner needs 'containerImage'");
    mask_login(ctx, &p->login);
    mask_config(ctx, p->config);
    c.has_files =
        p->strategy == DOCKER_VOLUME && (run->spec->wants_files || !is_empty(run->spec->cwd));
    if (!docker_connect(&c.engine, p->host, env != NULL ? env : (const char *const *)environ, err))
        return false;
    bool ok =
        find(&c, err) && (c.id != NULL || create(&c, err)) && (!p->wait || run_to_end(&c, err));
    clean_up(&c, ok);
    if (c.id != NULL)
        run->details = value_with(ctx->arena, NULL, "containerId", value_string(ctx->arena, c.id));
    run->exit_code = c.exit_code;
    if (ok && c.exit_code == EXIT_KILLED && c.is_out_of_memory)
        run->exit_note = "out of memory";
    return ok;
}

/* ---- descriptor ---- */

static const struct runner_ops ops = { .run = run };

static const char *const aliases[] = {
    "io.kestra.plugin.scripts.runner.docker.DockerTaskRunner",
    NULL,
};

static const struct plugin_example examples[] = {
    { "Run the commands of a task in a container",
      "containerImage: python:3.13-slim\n"
      "taskRunner:\n"
      "  type: io.kestra.plugin.scripts.runner.docker.Docker\n"
      "  cpu:\n"
      "    cpus: 1\n"
      "  memory:\n"
      "    memory: 512MB\n" },
    { 0 },
};

const struct plugin runner_docker = {
    .id = RUNNER_DOCKER,
    .role = PLUGIN_RUNNER,
    .title = "Run commands in containers of Docker or Podman.",
    .doc = "The working directory is at the same path inside. Commands see the variables of `env`, "
           "`WORKING_DIR` and `OUTPUT_DIR`, not those of weir. A container outlives a restart of "
           "weir: the task goes on with it.",
    .aliases = aliases,
    .props = docker_props,
    .props_size = sizeof(struct docker_props),
    .examples = examples,
    .ops = &ops,
};
