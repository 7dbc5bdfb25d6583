/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: prepared on a pool thread, watched by the loop, finished on a pool thread.
 *
 *     work_process (pool) ── spawned ──► watch (loop) ── output … exit ──► finish (pool)
 *                         └─ other runner: run (pool), finish
 *
 * A log that takes no more lines stops the reading of output, so that the child waits in write()
 * instead of filling the memory.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "core/plugin.h"
#include "runtime/store/logstore.h"
#include "runtime/worker/work.h"

#define EXIT_SIGNAL   128 /* a shell's way to say "ended by signal n" */
#define CHARACTER_BAD 0xfffd

static const char protocol_start[] = "::{";

/* ---- lines ---- */

/* Output is text for people: bytes that are none become U+FFFD. */
static bool is_clean(const char *line, size_t length)
{
    return memchr(line, '\0', length) == NULL && utf8_valid(line, length);
}

static void clean(struct buf *out, const char *line, size_t length)
{
    const char *end = line + length;
    while (line < end) {
        uint32_t c = utf8_next(&line, end);
        buf_put_utf8(out, c == 0 ? CHARACTER_BAD : c);
    }
}

/* False when the log has no room for the line. */
static bool take_line(struct work *work, bool is_stderr, const char *line, size_t length)
{
    struct task_ctx *ctx = &work->job.ctx;
    const struct process_ops *ops = work->order->plugin->process_ops;
    struct buf cleaned = { 0 };
    work->is_refused = false;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (!is_clean(line, length)) {
        clean(&cleaned, line, length);
        line = buf_text(&cleaned);
        length = cleaned.length;
    }
    bool taken = true;
    if (ops->line == NULL || !ops->line(ctx, work->bound, is_stderr, line, length)) {
        work->may_refuse = work->is_in_loop && !work->has_ended;
        task_log_text(ctx, is_stderr ? LOG_ERROR : LOG_INFO, line, length);
        work->may_refuse = false;
        taken = !work->is_refused;
    }
    buf_free(&cleaned);
    return taken;
}

static size_t line_limit(const struct buf *partial)
{
    size_t length = sizeof(protocol_start) - 1;
    bool is_protocol =
        partial->length >= length && memcmp(partial->bytes, protocol_start, length) == 0;
    // One byte more than is kept tells the log to say that the line was cut.
    return is_protocol ? PROTOCOL_BYTES_MAX : LINE_BYTES_MAX + 1;
}

/* Takes whole lines out of `bytes`; returns how many bytes were consumed. */
static size_t take_lines(struct work *work, bool is_stderr, const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        const char *stop = memchr(bytes + at, '\n', length - at);
        if (stop == NULL)
            break;
        if (!take_line(work, is_stderr, bytes + at, (size_t)(stop - bytes) - at))
            break;
        at = (size_t)(stop - bytes) + 1;
    }
    return at;
}

/* Adds what holds no line end yet, up to the limit of a line. */
static void hold(struct stream *stream, const char *bytes, size_t length)
{
    if (stream->is_overlong)
        return;
    buf_add(&stream->partial, bytes, length);
    size_t limit = line_limit(&stream->partial);
    if (stream->partial.length > limit) {
        stream->partial.length = limit;
        stream->is_overlong = true;
    }
}

static void feed(struct work *work, bool is_stderr, const char *bytes, size_t length)
{
    struct stream *stream = &work->streams[is_stderr];
    while (length > 0) {
        if (work->is_paused) { // the rest waits, lines and all; bounded by one read
            buf_add(&stream->partial, bytes, length);
            return;
        }
        if (stream->partial.length == 0 && !stream->is_overlong) {
            size_t used = take_lines(work, is_stderr, bytes, length);
            bytes += used;
            length -= used;
            if (work->is_refused) {
                work->is_paused = true;
                continue;
            }
            hold(stream, bytes, length);
            return;
        }
        const char *stop = memchr(bytes, '\n', length);
        size_t part = stop == NULL ? length : (size_t)(stop - bytes);
        hold(stream, bytes, part);
        bytes += part;
        length -= part;
        if (stop == NULL)
            return;
        if (!take_line(work, is_stderr, buf_text(&stream->partial), stream->partial.length)) {
            // The line's end goes with it, so that it is found again.
            work->is_paused = true;
            if (stream->is_overlong) {
                buf_putc(&stream->partial, '\n');
                stream->is_overlong = false;
                bytes++;
                length--;
            }
            continue;
        }
        buf_clear(&stream->partial);
        stream->is_overlong = false;
        bytes++;
        length--;
    }
}

/* What was held back while the log was full. */
static void feed_held(struct work *work, bool is_stderr)
{
    struct stream *stream = &work->streams[is_stderr];
    struct buf held = stream->partial;
    stream->partial = (struct buf){ 0 };
    stream->is_overlong = false;
    feed(work, is_stderr, buf_text(&held), held.length);
    buf_free(&held);
}

/* ---- the loop ---- */

struct room {
    struct worker *worker;
    char key[sizeof(((struct work *)0)->key)];
};

static void on_room(void *context)
{
    struct room *room = context;
    struct worker *worker = room->worker;
    (void)pthread_mutex_lock(&worker->lock);
    struct work *work = map_find(&worker->works, room->key);
    bool is_in_loop = work != NULL && work->is_in_loop;
    (void)pthread_mutex_unlock(&worker->lock);
    free(room);
    // A work that is in the loop leaves it in the loop only; any other may be gone by now.
    if (!is_in_loop || !work->is_paused)
        return;
    work->is_paused = false;
    feed_held(work, false);
    if (!work->is_paused)
        feed_held(work, true);
    if (!work->is_paused)
        proc_pause_output(work->proc, false);
}

static void post_room(void *context)
{
    // Called by the log from a thread of its own; the work may be gone when the loop comes to it.
    const struct room *room = context;
    struct room *copy = check_malloc(sizeof(*copy));
    *copy = *room;
    if (!loop_post(room->worker->loop, on_room, copy))
        free(copy);
}

static void on_output(void *context, enum proc_stream stream, const char *bytes, size_t length)
{
    struct work *work = context;
    bool was_paused = work->is_paused;
    feed(work, stream == PROC_STDERR, bytes, length);
    if (work->is_paused && !was_paused)
        proc_pause_output(work->proc, true);
}

/* A last line without its end. */
static void end_stream(struct work *work, bool is_stderr)
{
    feed_held(work, is_stderr);
    struct stream *stream = &work->streams[is_stderr];
    if (stream->partial.length > 0)
        (void)take_line(work, is_stderr, buf_text(&stream->partial), stream->partial.length);
    buf_clear(&stream->partial);
}

static void finish(void *context);

static void on_exit_(void *context, const struct proc_exit *exit_)
{
    struct work *work = context;
    work->exit = *exit_;
    work->is_in_loop = false;
    work->proc = NULL;
    // Nothing that waits for the disk: another thread would cost more than it saves.
    if (work->spec.ends_quickly && !work->order->log_to_file)
        finish(work);
    else
        work_submit(work->worker->steps, finish, work);
}

static void watch(void *context)
{
    struct work *work = context;
    struct error err = { 0 };
    work->is_in_loop = true;
    struct proc *proc = work->proc;
    if (!proc_watch(proc, work->worker->loop, on_output, on_exit_, work, &err)) {
        work->is_in_loop = false;
        work->proc = NULL;
        work_fail(work, &err);
        work->exit = (struct proc_exit){ .end = PROC_KILLED, .status = SIGKILL, .is_signal = true };
        work_submit(work->worker->steps, finish, work);
        return;
    }
    if (atomic_load(&work->job.stop) != STOP_NONE)
        work_process_kill(work);
}

void work_process_kill(struct work *work)
{
    if (work->is_in_loop && work->proc != NULL)
        proc_kill(work->proc, atomic_load(&work->job.stop) == STOP_SHUTDOWN);
}

/* ---- before and after ---- */

/* The environment of the spec with the mark by which left-overs are found. */
static const char *const *marked_environment(struct work *work)
{
    struct arena *arena = work->order->arena;
    const char *const *env = work->spec.env;
    if (env == NULL)
        env = work->job.ctx.services->environment;
    if (env == NULL)
        env = (const char *const *)environ;
    size_t count = 0;
    while (env[count] != NULL)
        count++;
    const char **marked = ARENA_ARRAY(arena, count + 2, const char *);
    memcpy(marked, env, count * sizeof(*env));
    marked[count] = work->worker->mark;
    return marked;
}

static void runner_output(struct runner_run *run, bool is_stderr, const char *bytes, size_t length)
{
    struct work *work = run->data;
    work->job.is_quiet = run->is_replay;
    feed(work, is_stderr, bytes, length);
    work->job.is_quiet = false;
}

static bool run_elsewhere(struct work *work, const struct plugin *runner, struct error *err)
{
    struct arena *arena = work->order->arena;
    const struct runner_ops *ops = runner->ops;
    void *bound = arena_alloc(arena, runner->props_size);
    const struct value *options = work->spec.runner == NULL ? &value_empty_map : work->spec.runner;
    if (runner->props != NULL && !prop_bind(runner->props, options, bound, arena, err))
        return error_wrap(err, "taskRunner");
    work->spec.wants_files = work->spec.wants_files || !work->job.owns_working_dir;
    struct runner_run run = { .ctx = &work->job.ctx,
                              .spec = &work->spec,
                              .bound = bound,
                              .output = runner_output,
                              .data = work };
    if (!ops->run(&run, err))
        return false;
    work->runner_details = run.details;
    work->exit_note = run.exit_note;
    work->exit = (struct proc_exit){ .end = PROC_EXITED, .status = run.exit_code };
    return true;
}

static bool spawn(struct work *work, struct error *err)
{
    const char *cwd = work->spec.cwd;
    if (cwd == NULL)
        cwd = task_working_dir(&work->job.ctx, err);
    if (cwd == NULL)
        return false;
    struct proc_spec spec = {
        .argv = work->spec.argv,
        .env = marked_environment(work),
        .cwd = cwd,
        .grace = work->worker->options.grace,
    };
    work->proc = proc_start(&spec, err);
    return work->proc != NULL;
}

static int exit_code(const struct work *work)
{
    return work->exit.is_signal ? EXIT_SIGNAL + work->exit.status : work->exit.status;
}

static void run_in_runs(void *context)
{
    struct work *work = context;
    const char *type = value_get_text(work->spec.runner, "type", NULL);
    if (type == NULL)
        type = work->worker->options.default_runner;
    const struct plugin *runner = plugin_find(work->worker->options.plugins, type);
    struct error err = { 0 };
    if (runner == NULL || runner->role != PLUGIN_RUNNER) {
        error_set(&err, ERR_INVALID, "task runner '%s' does not exist", type);
        work_fail(work, &err);
        work_end(work);
        return;
    }
    if (!run_elsewhere(work, runner, &err)) {
        work_fail(work, &err);
        work_end(work);
        return;
    }
    finish(work);
}

static void finish(void *context)
{
    struct work *work = context;
    const struct process_ops *ops = work->order->plugin->process_ops;
    struct error err = { 0 };
    bool was_started = work->error.code == ERR_NONE;
    work->has_ended = true;
    work->is_paused = false;
    end_stream(work, false);
    end_stream(work, true);
    if (work->runner_details != NULL)
        value_put(&work->outputs, "taskRunner", work->runner_details);
    if (was_started) {
        work->ok = ops->finish(&work->job.ctx, work->bound, exit_code(work), &work->outputs, &err);
        if (!work->ok && work->exit_note != NULL)
            error_set(&err, err.code, "%s (%s)", arena_strdup(work->order->arena, err.text),
                      work->exit_note);
        if (!work->ok)
            work_fail(work, &err);
        // A command that was killed did not end well, whatever its exit code was.
        if (atomic_load(&work->job.stop) != STOP_NONE && work->exit.end != PROC_EXITED)
            work->ok = false;
    }
    work_end(work);
}

static bool is_process_runner(const struct work *work)
{
    const char *type = value_get_text(work->spec.runner, "type", NULL);
    if (type == NULL)
        type = work->worker->options.default_runner;
    return runner_is_process(type);
}

void work_process(void *context)
{
    struct work *work = context;
    const struct process_ops *ops = work->order->plugin->process_ops;
    struct error err = { 0 };
    work_start(work);
    if (!work_bind(work)) {
        work_end(work);
        return;
    }
    if (!task_check(&work->job.ctx, &err) ||
        !ops->prepare(&work->job.ctx, work->bound, &work->spec, &err)) {
        work_fail(work, &err);
        work_end(work);
        return;
    }
    if (!is_process_runner(work)) {
        work_submit(work->worker->runs, run_in_runs, work);
        return;
    }
    if (!spawn(work, &err)) {
        work_fail(work, &err);
        work_end(work);
        return;
    }
    // How a full log says that it has room again; the room lives as long as the order.
    struct room *room = arena_alloc(work->order->arena, sizeof(*room));
    room->worker = work->worker;
    memcpy(room->key, work->key, sizeof(room->key));
    if (work->sink != NULL)
        log_sink_on_room(work->sink, post_room, room);
    work_post(work, watch);
}
