/* SPDX-License-Identifier: Apache-2.0 */
/* Life of one order: logs, binding, the answer, and what is cleaned up afterwards. */
#include "runtime/worker/work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/plugin.h"
#include "core/value_codec.h"
#include "runtime/storage/storage.h"
#include "runtime/store/logstore.h"

#define LOG_FILE_BYTES ((size_t)64 * 1024)

/* ---- logs ---- */

static void log_to_file(struct work *work, enum log_level level, const char *text, size_t length)
{
    if (work->log_fd < 0) {
        work->log_local = task_temp_path(&work->job.ctx, ".log", NULL);
        if (work->log_local != NULL)
            work->log_fd =
                open(work->log_local, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0600);
        if (work->log_fd < 0)
            return;
    }
    struct buf line = { 0 };
    time_write_instant(&line, clock_now(), 0);
    buf_printf(&line, " %s ", log_level_name(level));
    buf_add(&line, text, length);
    buf_putc(&line, '\n');
    struct error err = { 0 };
    if (!fs_write_fd(work->log_fd, line.bytes, line.length, "log", &err))
        log_warn("log file of a task run is incomplete", LOG_ERR(&err));
    buf_free(&line);
}

static void work_log(struct job *job, enum log_level level, const char *text, size_t length)
{
    struct work *work = (struct work *)job;
    if (level < work->order->log_level)
        return;
    if (work->order->log_to_file) {
        log_to_file(work, level, text, length);
        return;
    }
    if (work->sink == NULL)
        return;
    usec_t now = clock_now();
    while (!log_sink_write(work->sink, now, level, text, length)) {
        if (work->may_refuse) {
            work->is_refused = true;
            return;
        }
        log_sink_wait(work->sink);
    }
}

static void open_sink(struct work *work)
{
    const struct order *order = work->order;
    if (work->worker->options.logs == NULL || order->type == ORDER_EVALUATE)
        return;
    struct log_source source = {
        .execution = order->execution,
        .execution_id = order->execution_id,
        .namespace = order->namespace,
        .flow_id = order->flow_id,
        .task_id = order->task_id,
        .run_id = order->run_id,
        .trigger_id = order->trigger_id,
        .attempt = order->attempt,
    };
    work->sink = log_sink_open(work->worker->options.logs, &source);
}

/* ---- begin ---- */

struct work *work_new(struct worker *worker, struct order *order)
{
    struct work *work = check_calloc(1, sizeof(*work));
    const struct services *services = worker->options.services;
    work->worker = worker;
    work->order = order;
    work->log_fd = -1;
    list_init(&work->link);
    list_init(&work->member);
    job_init(&work->job);
    work->job.log = work_log;
    work->job.reuse_folder = space_reuse_folder;
    work->job.ctx.arena = order->arena;
    work->job.ctx.services = services;
    work->job.ctx.execution_id = order->execution_id;
    work->job.ctx.namespace = order->namespace;
    work->job.ctx.flow_id = order->flow_id;
    work->job.ctx.flow_revision = order->flow_revision;
    work->job.ctx.task_id = order->task_id != NULL ? order->task_id : order->trigger_id;
    work->job.ctx.task_type = order->plugin != NULL ? order->plugin->id : NULL;
    work->job.ctx.run_id = order->run_id;
    work->job.ctx.value = order->value;
    work->job.ctx.attempt = order->attempt;
    work->job.ctx.context = order->context;
    work->job.ctx.deadline = USEC_NEVER;
    work->outputs = value_build(order->arena);
    if (order->execution_id != NULL && order->run_id != NULL) {
        const char *owner = order->working_dir_of != NULL ? order->working_dir_of : order->run_id;
        work->job.ctx.working_dir =
            worker_folder(order->arena, services->work_root, order->execution_id, owner);
        work->job.owns_working_dir = order->working_dir_of == NULL && order->phase == NULL;
        work->job.scratch = arena_printf(order->arena, "%s/%s/.%s-%u", services->work_root,
                                         order->execution_id, order->run_id, order->attempt);
    } else if (order->trigger_id != NULL) {
        work->job.scratch =
            arena_printf(order->arena, "%s/.trigger-%lld-%lld", services->work_root,
                         (long long)order->trigger, (long long)order->evaluating_since);
        work->job.ctx.working_dir = arena_printf(order->arena, "%s/work", work->job.scratch);
    }
    return work;
}

void work_fail(struct work *work, const struct error *err)
{
    work->ok = false;
    work->error = *err;
}

/* Values that must not show in logs. */
static void mask_secrets(struct task_ctx *ctx, const struct prop *table, const struct value *map)
{
    for (const struct prop *prop = table; prop != NULL && prop->name != NULL; prop++) {
        const struct value *value = value_get(map, prop->name);
        if (value == NULL)
            continue;
        if ((prop->flags & PROP_SECRET) != 0)
            task_mask(ctx, value_cstr(value));
        if (prop->kind == PROP_OBJECT)
            mask_secrets(ctx, prop->object, value);
    }
}

bool work_bind(struct work *work)
{
    const struct plugin *plugin = work->order->plugin;
    struct arena *arena = work->job.ctx.arena;
    const struct value *props = work->order->props == NULL ? &value_empty_map : work->order->props;
    work->job.ctx.props = props;
    mask_secrets(&work->job.ctx, plugin->props, props);
    work->bound = arena_alloc(arena, plugin->props_size);
    work->ok =
        plugin->props == NULL || prop_bind(plugin->props, props, work->bound, arena, &work->error);
    return work->ok;
}

static void on_timeout(void *context)
{
    struct work *work = context;
    job_stop(&work->job, STOP_TIMEOUT);
    work_process_kill(work);
}

static void arm_timeout(void *context)
{
    struct work *work = context;
    work->timer = (struct loop_timer){ .fn = on_timeout, .context = work };
    loop_timer_set(work->worker->loop, &work->timer, work->job.ctx.deadline);
}

void work_start(struct work *work)
{
    struct worker *worker = work->worker;
    const struct order *order = work->order;
    work->started_at = clock_monotonic();
    open_sink(work);
    if (order->timeout > 0 && order->type == ORDER_RUN) {
        work->job.ctx.deadline = work->started_at + order->timeout;
        work->is_timed = true;
        work_post(work, arm_timeout);
    }
    if (order->type == ORDER_RUN)
        worker->answers.started(worker->answers.data, order->execution_id, order->run_id,
                                order->attempt, worker->options.name);
    // What an earlier try of this very attempt left behind, before the server was killed.
    if (work->job.owns_working_dir) {
        struct error err = { 0 };
        if (!fs_remove_tree(work->job.ctx.working_dir, &err))
            log_warn("working directory cannot be emptied", LOG_ERR(&err));
    }
}

/* ---- threads ---- */

void work_post(struct work *work, loop_fn *fn)
{
    // The loop takes as many posts as there can be orders; full only for a moment.
    while (!loop_post(work->worker->loop, fn, work)) {
        struct timespec pause = { .tv_nsec = 1000000 };
        (void)nanosleep(&pause, NULL);
    }
}

void work_submit(struct pool *pool, pool_fn *fn, struct work *work)
{
    CHECK(pool_submit(pool, fn, work)); // the queue has room for every order that was taken
}

/* ---- end ---- */

static void remove_folders(struct work *work)
{
    struct job *job = &work->job;
    struct error err = { 0 };
    bool has_folder = job->has_scratch || job->has_working_dir;
    if (job->has_scratch && !fs_remove_tree(job->scratch, &err))
        log_warn("temporary files cannot be removed", LOG_ERR(&err));
    if (job->owns_working_dir && job->has_working_dir && !work->worker->options.keep_folders &&
        !space_keep_folder(work) && !fs_remove_tree(job->ctx.working_dir, &err))
        log_warn("working directory cannot be removed", LOG_ERR(&err));
    job->has_scratch = job->has_working_dir = false;
    if (work->space != NULL && has_folder) {
        (void)pthread_mutex_lock(&work->worker->lock);
        work->space->has_folder = true;
        (void)pthread_mutex_unlock(&work->worker->lock);
    }
}

/* Next process that waits for the slot this work had. Called with the lock. */
static struct work *next_waiting(struct worker *worker, struct work *work)
{
    if (!work->has_slot)
        return NULL;
    work->has_slot = false;
    struct list *link = worker->is_stopping ? NULL : list_pop(&worker->waiting);
    if (link == NULL) {
        worker->slots_used--;
        return NULL;
    }
    worker->waiting_count--;
    struct work *next = LIST_OWNER(link, struct work, link);
    next->has_slot = true;
    return next;
}

/* The last that touches the worker. In the loop when there was a timer, else anywhere. */
static void free_work(struct work *work)
{
    struct worker *worker = work->worker;
    buf_free(&work->streams[0].partial);
    buf_free(&work->streams[1].partial);
    order_free(work->order);
    free(work);
    (void)pthread_mutex_lock(&worker->lock);
    if (--worker->pending == 0)
        (void)pthread_cond_broadcast(&worker->idle);
    (void)pthread_mutex_unlock(&worker->lock);
}

static void free_timed(void *context)
{
    struct work *work = context;
    loop_timer_cancel(work->worker->loop, &work->timer);
    free_work(work);
}

static void drop_logs(void *data, struct log_result *result)
{
    (void)data;
    log_result_free(result);
}

void work_release(struct work *work)
{
    struct worker *worker = work->worker;
    if (work->sink != NULL)
        log_sink_close(work->sink, drop_logs, NULL);
    work->sink = NULL;
    if (work->log_fd >= 0)
        (void)close(work->log_fd);
    work->log_fd = -1;
    remove_folders(work);

    (void)pthread_mutex_lock(&worker->lock);
    if (work->is_registered && map_find(&worker->works, work->key) == work)
        (void)map_remove(&worker->works, work->key);
    struct work *next = next_waiting(worker, work);
    if (work->space != NULL)
        space_unref(worker, work->order->execution_id, work->space);
    list_remove(&work->member);
    (void)pthread_mutex_unlock(&worker->lock);

    if (next != NULL)
        work_submit(worker->steps, work_process, next);
    if (work->is_timed)
        work_post(work, free_timed);
    else
        free_work(work);
}

static void answer(struct work *work)
{
    const struct worker_answers *answers = &work->worker->answers;
    // The next poll of a remote job may be ordered before this call has returned.
    (void)pthread_mutex_lock(&work->worker->lock);
    work->is_answered = true;
    (void)pthread_mutex_unlock(&work->worker->lock);
    const struct order *order = work->order;
    if (order->type == ORDER_TRIGGER) {
        answers->triggered(answers->data, order->trigger, order->evaluating_since, work->variables,
                           work->ok ? NULL : &work->error, work->logs);
        return;
    }
    if (work->is_remote) {
        answers->remote(answers->data, order->execution_id, order->run_id, order->attempt,
                        work->remote_id, work->memo, work->wake_at, work->logs);
        return;
    }
    const char *message = work->ok                ? NULL
                          : work->message != NULL ? work->message
                                                  : work->error.text;
    if (message != NULL && work->space != NULL)
        message = redact_text(work->space->redact, order->arena, message);
    answers->ended(answers->data, order->execution_id, order->run_id, order->attempt, work->state,
                   value_build_map(&work->outputs), message, work->log_file,
                   work->job.metrics.items, work->job.metrics.count, work->logs);
}

static void on_logs(void *data, struct log_result *result)
{
    struct work *work = data;
    work->sink = NULL;
    work->logs = result;
    answer(work);
    work_release(work);
}

/* Which state the attempt ends in, and the message of a stop. */
static void decide_state(struct work *work)
{
    // A call that watches its deadline itself may end before the timer has gone off.
    if (!work->ok && clock_monotonic() >= work->job.ctx.deadline)
        job_stop(&work->job, STOP_TIMEOUT);
    int stop = atomic_load(&work->job.stop);
    if (work->ok) {
        work->state = work->is_warning ? STATE_WARNING : STATE_SUCCESS;
    } else if (stop == STOP_TIMEOUT) {
        work->state = STATE_FAILED;
        work->message = arena_printf(work->order->arena, "Timeout after %s",
                                     duration_format(work->order->arena, work->order->timeout));
    } else if (stop == STOP_KILL) {
        work->state = STATE_KILLED;
    } else {
        work->state = STATE_FAILED;
    }
}

static void store_log_file(struct work *work)
{
    if (work->log_fd < 0)
        return;
    (void)close(work->log_fd);
    work->log_fd = -1;
    struct error err = { 0 };
    const char *name = arena_printf(work->order->arena, "attempt-%u.log", work->order->attempt);
    work->log_file = task_store_file(&work->job.ctx, work->log_local, name, &err);
    if (work->log_file == NULL)
        log_warn("log file of a task run cannot be stored", LOG_ERR(&err));
}

void work_end(struct work *work)
{
    struct error err = { 0 };
    if (!work->ok && atomic_load(&work->job.stop) == STOP_SHUTDOWN) {
        work_release(work); // the attempt is repeated after the start
        return;
    }
    const struct value *outputs = value_build_map(&work->outputs);
    if (!value_can_encode(outputs)) {
        error_set(&err, ERR_LIMIT, "the outputs are nested too deep");
        work_fail(work, &err);
        work->outputs = value_build(work->order->arena);
    }
    store_log_file(work);
    if (!job_sync(&work->job, &err)) {
        (void)error_wrap(&err, "output files");
        work_fail(work, &err);
    }
    if (!work->is_remote && work->order->type != ORDER_TRIGGER)
        decide_state(work);
    remove_folders(work); // before the answer: a next attempt may use the same folder
    if (work->sink != NULL) {
        log_sink_close(work->sink, on_logs, work);
        return;
    }
    answer(work);
    work_release(work);
}
