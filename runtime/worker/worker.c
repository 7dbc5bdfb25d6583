/* SPDX-License-Identifier: Apache-2.0 */
/* Taking orders, cancelling them, starting and stopping. */
#include "runtime/worker/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/str.h"
#include "core/plugin.h"
#include "runtime/worker/work.h"

#define MARK_NAME       "WEIR_WORK_ROOT"
#define THREADS         32
#define STEP_THREADS    8
#define PENDING_MAX     4096
#define SLOTS_PER_CORE  2
#define GRACE           (5 * USEC_SEC)
#define POSTS_PER_ORDER 8
/* Folders waiting to be removed; more are left to the next start. */
#define SWEEPS_MAX 65536

char *worker_folder(struct arena *arena,
                    const char *work_root,
                    const char *execution_id,
                    const char *run_id)
{
    return arena_printf(arena, "%s/%s/%s", work_root, execution_id, run_id);
}

/* ---- orders ---- */

static void make_key(char *key, size_t size, const char *run_id, uint32_t attempt)
{
    (void)snprintf(key, size, "%.40s/%u", run_id, attempt);
}

/* Where the order goes; NULL: our mistake or an unknown kind. */
static pool_fn *entry_of(const struct order *order)
{
    if (order->type == ORDER_EVALUATE)
        return work_evaluate;
    if (order->type == ORDER_TRIGGER)
        return work_trigger;
    if (order->phase != NULL)
        return work_folder;
    switch (order->plugin->task_kind) {
    case TASK_CALL:
        return work_call;
    case TASK_PROCESS:
        return work_process;
    case TASK_REMOTE:
        return work_remote;
    case TASK_NONE:
    case TASK_INLINE:
    case TASK_FLOWABLE:
    case TASK_EXECUTABLE:
        break;
    }
    return NULL;
}

struct cancel {
    struct worker *worker;
    char key[sizeof(((struct work *)0)->key)];
};

static void kill_in_loop(void *context)
{
    struct cancel *cancel = context;
    struct worker *worker = cancel->worker;
    (void)pthread_mutex_lock(&worker->lock);
    struct work *work = map_find(&worker->works, cancel->key);
    bool is_in_loop = work != NULL && work->is_in_loop;
    (void)pthread_mutex_unlock(&worker->lock);
    // A work that is in the loop leaves it in the loop only; any other may be gone by now.
    if (is_in_loop)
        work_process_kill(work);
    free(cancel);
}

static void post_kill(struct worker *worker, const char *key)
{
    struct cancel *cancel = check_calloc(1, sizeof(*cancel));
    cancel->worker = worker;
    memcpy(cancel->key, key, sizeof(cancel->key));
    if (!loop_post(worker->loop, kill_in_loop, cancel))
        free(cancel); // the loop has stopped, and with it every process
}

static void cancel(void *data, const char *execution_id, const char *run_id, uint32_t attempt)
{
    struct worker *worker = data;
    char key[sizeof(((struct work *)0)->key)];
    make_key(key, sizeof(key), run_id, attempt);

    (void)pthread_mutex_lock(&worker->lock);
    struct work *work = map_find(&worker->works, key);
    bool was_waiting = work != NULL && list_is_linked(&work->link);
    bool is_process = work != NULL && work->order->plugin->task_kind == TASK_PROCESS;
    if (work != NULL)
        job_stop(&work->job, STOP_KILL);
    if (was_waiting) {
        list_remove(&work->link);
        worker->waiting_count--;
    }
    (void)pthread_mutex_unlock(&worker->lock);

    if (work == NULL)
        worker->answers.ended(worker->answers.data, execution_id, run_id, attempt, STATE_KILLED,
                              NULL, NULL, NULL, NULL, 0, NULL);
    else if (was_waiting)
        work_submit(worker->steps, work_process, work); // ends at once: it is stopped
    else if (is_process)
        post_kill(worker, key);
}

static bool submit(void *data, struct order *order)
{
    struct worker *worker = data;
    pool_fn *entry = entry_of(order);
    CHECK(entry != NULL);
    bool is_attempt = order->type != ORDER_EVALUATE && order->type != ORDER_TRIGGER;
    struct work *work = work_new(worker, order);
    if (is_attempt)
        make_key(work->key, sizeof(work->key), order->run_id, order->attempt);

    (void)pthread_mutex_lock(&worker->lock);
    const struct work *old = is_attempt ? map_find(&worker->works, work->key) : NULL;
    bool is_known = old != NULL && !old->is_answered;
    bool has_room = !worker->is_stopping && worker->pending < worker->options.pending_max;
    bool is_process = entry == work_process;
    bool must_wait = is_process && worker->slots_used >= worker->options.slots;
    if (!is_known && has_room) {
        worker->pending++;
        list_push(&worker->all, &work->member);
        if (is_attempt) {
            (void)map_put(&worker->works, work->key, work);
            work->is_registered = true;
        }
        if (order->execution_id != NULL && order->type != ORDER_TRIGGER) {
            work->space = space_ref(worker, order->execution_id);
            work->job.ctx.redact = work->space->redact;
        } else {
            work->job.ctx.redact = redact_process();
        }
        if (must_wait) {
            list_push(&worker->waiting, &work->link);
            worker->waiting_count++;
        } else if (is_process) {
            worker->slots_used++;
            work->has_slot = true;
        }
    }
    (void)pthread_mutex_unlock(&worker->lock);

    if (is_known || !has_room) {
        free(work);
        if (is_known && order->type == ORDER_CANCEL)
            cancel(data, order->execution_id, order->run_id, order->attempt);
        if (is_known)
            order_free(order);
        return is_known;
    }
    if (!must_wait) {
        bool is_step = is_process || order->type == ORDER_EVALUATE || order->phase != NULL;
        work_submit(is_step ? worker->steps : worker->calls, entry, work);
    }
    return true;
}

static bool has(void *data, const char *execution_id, const char *run_id, uint32_t attempt)
{
    struct worker *worker = data;
    char key[sizeof(((struct work *)0)->key)];
    (void)execution_id; // run ids are unique
    make_key(key, sizeof(key), run_id, attempt);
    (void)pthread_mutex_lock(&worker->lock);
    const struct work *work = map_find(&worker->works, key);
    bool found = work != NULL && !work->is_answered; // its answer is on its way
    (void)pthread_mutex_unlock(&worker->lock);
    return found;
}

static void forget(void *data, const char *execution_id)
{
    struct worker *worker = data;
    (void)pthread_mutex_lock(&worker->lock);
    struct space *space = map_find(&worker->spaces, execution_id);
    if (space != NULL) {
        space->is_forgotten = true;
        space->refs++;
        space_unref(worker, execution_id, space);
    }
    (void)pthread_mutex_unlock(&worker->lock);
}

static bool has_stopped(void *data)
{
    struct worker *worker = data;
    (void)pthread_mutex_lock(&worker->lock);
    bool stopped = worker->is_stopping && worker->pending == 0;
    (void)pthread_mutex_unlock(&worker->lock);
    return stopped;
}

struct worker_iface worker_interface(struct worker *worker)
{
    return (struct worker_iface){
        .data = worker,
        .submit = submit,
        .cancel = cancel,
        .has = has,
        .has_stopped = has_stopped,
        .forget = forget,
    };
}

struct worker_counts worker_counts(struct worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    struct worker_counts counts = {
        .pending = worker->pending,
        .waiting = worker->waiting_count,
        .processes = worker->slots_used,
    };
    (void)pthread_mutex_unlock(&worker->lock);
    return counts;
}

/* ---- start ---- */

static void *run_loop(void *context)
{
    struct worker *worker = context;
    loop_run(worker->loop);
    return NULL;
}

static void closedirp(DIR **folder)
{
    if (*folder != NULL)
        (void)closedir(*folder);
}

/* Has the execution still something to do? When in doubt its folder stays. */
static bool is_alive(const struct services *services, const char *execution_id)
{
    if (services->operate == NULL)
        return false;
    struct arena *arena = arena_new();
    struct value_builder arguments = value_build(arena);
    struct error err = { 0 };
    value_put_text(&arguments, "executionId", execution_id);
    const struct value *found = services->operate(services->data, arena, "execution.get",
                                                  value_build_map(&arguments), &err);
    enum state state = STATE_FAILED;
    const char *name = value_get_text(found, "state", NULL);
    bool alive = found == NULL
                     ? err.code != ERR_NOT_FOUND
                     : name == NULL || !state_parse(name, &state) || !states[state].is_terminal;
    arena_free(arena);
    return alive;
}

/* Folders of executions that are over, and temporary files of attempts that were cut off. */
static void sweep_root(struct worker *worker)
{
    const struct services *services = worker->options.services;
    AUTO(closedirp) DIR *root = opendir(services->work_root);
    const struct dirent *entry;
    while (root != NULL && (entry = readdir(root)) != NULL) {
        if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
            continue;
        struct error err = { 0 };
        if (entry->d_name[0] != '.' && is_alive(services, entry->d_name)) {
            struct space *space = space_ref(worker, entry->d_name);
            space->refs--; // stays until the execution is forgotten
            space->has_folder = true;
        } else if (!fs_remove_tree_at(dirfd(root), entry->d_name, &err))
            log_warn("a left-over folder cannot be removed", LOG_ERR(&err));
    }
}

void worker_connect(struct worker *worker, const struct worker_answers *answers)
{
    worker->answers = *answers;
    sweep_root(worker);
}

static size_t default_slots(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return (size_t)(cores > 0 ? cores : 1) * SLOTS_PER_CORE;
}

static void set_defaults(struct worker_options *options)
{
    if (options->name == NULL)
        options->name = "weir";
    if (options->slots == 0)
        options->slots = default_slots();
    if (options->threads == 0)
        options->threads = THREADS;
    if (options->pending_max == 0)
        options->pending_max = PENDING_MAX;
    if (options->grace == 0)
        options->grace = GRACE;
    if (options->default_runner == NULL)
        options->default_runner = RUNNER_PROCESS;
}

struct worker *worker_new(const struct worker_options *options, struct error *err)
{
    const char *root = options->services->work_root;
    if (!fs_mkdirs(root, 0700, err))
        return NULL;
    char real[PATH_MAX];
    if (realpath(root, real) == NULL) {
        (void)fs_error(err, errno, "open", root);
        return NULL;
    }
    struct worker *worker = check_calloc(1, sizeof(*worker));
    worker->options = *options;
    set_defaults(&worker->options);
    worker->arena = arena_new();
    worker->mark = arena_printf(worker->arena, MARK_NAME "=%s", real);
    CHECK(pthread_mutex_init(&worker->lock, NULL) == 0);
    CHECK(pthread_cond_init(&worker->idle, NULL) == 0);
    list_init(&worker->waiting);
    list_init(&worker->all);
    worker_kill_leftovers(worker->mark);

    size_t pending = worker->options.pending_max;
    worker->loop = loop_new(pending * POSTS_PER_ORDER, err);
    if (worker->loop == NULL) {
        worker->has_stopped = true;
        worker_free(worker);
        return NULL;
    }
    worker->calls = pool_new("call", worker->options.threads, pending);
    worker->runs = pool_new("run", worker->options.slots, pending);
    worker->steps = pool_new("step", STEP_THREADS, pending);
    worker->sweeps = pool_new("sweep", 1, SWEEPS_MAX);
    CHECK(pthread_create(&worker->thread, NULL, run_loop, worker) == 0);
    return worker;
}

/* ---- stop ---- */

void worker_stop(struct worker *worker)
{
    if (worker->has_stopped)
        return;
    worker->has_stopped = true;
    struct list waiting;
    list_init(&waiting);
    (void)pthread_mutex_lock(&worker->lock);
    worker->is_stopping = true;
    list_splice(&waiting, &worker->waiting);
    worker->waiting_count = 0;
    struct list *link;
    LIST_EACH(link, &worker->all) {
        struct work *work = LIST_OWNER(link, struct work, member);
        job_stop(&work->job, STOP_SHUTDOWN);
        if (work->is_registered)
            post_kill(worker, work->key);
    }
    (void)pthread_mutex_unlock(&worker->lock);
    while ((link = list_pop(&waiting)) != NULL)
        work_release(LIST_OWNER(link, struct work, link));

    // Calls return when they notice; processes end in the loop and go on to the steps.
    (void)pthread_mutex_lock(&worker->lock);
    while (worker->pending > 0)
        (void)pthread_cond_wait(&worker->idle, &worker->lock);
    (void)pthread_mutex_unlock(&worker->lock);
    pool_free(worker->calls);
    pool_free(worker->runs);
    pool_free(worker->steps);
    pool_free(worker->sweeps);
    loop_stop(worker->loop);
    (void)pthread_join(worker->thread, NULL);
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    worker_stop(worker);
    loop_free(worker->loop);
    size_t at = 0;
    const struct map_slot *slot;
    while ((slot = map_next(&worker->spaces, &at)) != NULL) {
        space_free(slot->value);
    }
    map_free(&worker->spaces);
    map_free(&worker->works);
    (void)pthread_cond_destroy(&worker->idle);
    (void)pthread_mutex_destroy(&worker->lock);
    arena_free(worker->arena);
    free(worker);
}
