/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on their way into the inbox, and back to who asked. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/queue.h"
#include "runtime/driver/driver_internal.h"

/* ---- into the inbox ---- */

/*
 * Requests go through the queue as themselves, everything else as a message: the lowest bit of the
 * pointer tells them apart.
 */
static void *tag_request(struct driver_request *request)
{
    return (void *)((uintptr_t)request | 1U);
}

bool inbox_has_request(const void *item)
{
    return ((uintptr_t)item & 1U) != 0;
}

struct driver_request *inbox_request(void *item)
{
    return (struct driver_request *)((uintptr_t)item & ~(uintptr_t)1U);
}

/* Answers without a commit: nothing was done. */
void request_refuse(struct driver_request *request, enum error_code code, const char *text)
{
    request->ok = false;
    error_set(&request->error, code, "%s", text);
    request->done(request);
}

bool driver_submit(struct driver *driver, struct driver_request *request)
{
    request->ok = false;
    request->error = (struct error){ 0 };
    request->execution = (struct execution_answer){ 0 };
    request->next = NULL;
    usec_t failing_since = atomic_load(&driver->failing_since);
    if (failing_since != 0 &&
        driver->config.now(driver->config.now_data) - failing_since > STORE_PATIENCE)
        return error_set(&request->error, ERR_UNAVAILABLE,
                         "the store cannot be written; the server's log says why, and nothing that "
                         "was acknowledged is lost");
    if (queue_push(driver->inbox, tag_request(request)))
        return true;
    if (queue_is_closed(driver->inbox))
        return error_set(&request->error, ERR_UNAVAILABLE, "weir is stopping");
    return error_set(&request->error, ERR_LIMIT, "too many requests are waiting; try again later");
}

struct call {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_done;
};

static void call_done(struct driver_request *request)
{
    struct call *call = request->data;
    pthread_mutex_lock(&call->lock);
    call->is_done = true;
    pthread_cond_signal(&call->ended);
    pthread_mutex_unlock(&call->lock);
}

bool driver_call(struct driver *driver, struct driver_request *request, struct error *err)
{
    struct call call = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };
    CHECK(request->done == NULL);
    void *data = request->data;
    request->done = call_done;
    request->data = &call;
    if (!driver_submit(driver, request)) {
        request->done = NULL;
        request->data = data;
        if (err != NULL)
            *err = request->error;
        return false;
    }
    pthread_mutex_lock(&call.lock);
    while (!call.is_done)
        pthread_cond_wait(&call.ended, &call.lock);
    pthread_mutex_unlock(&call.lock);
    pthread_cond_destroy(&call.ended);
    pthread_mutex_destroy(&call.lock);
    request->done = NULL;
    request->data = data;
    if (!request->ok && err != NULL)
        *err = request->error;
    return request->ok;
}

/* ---- back again ---- */

void driver_answer(struct driver *driver, struct driver_request *request, const struct error *err)
{
    request->ok = err == NULL;
    if (err != NULL)
        request->error = *err;
    request->next = NULL;
    *driver->answered_end = request;
    driver->answered_end = &request->next;
}

void driver_show(struct driver_request *request, const struct live *live)
{
    const struct execution *execution = live->execution;
    if (request->execution.key != 0)
        return;
    request->execution.id = execution->id;
    request->execution.key = live->key;
    request->execution.state = execution->state.current;
    request->execution.revision = execution->flow_revision;
    if (!request->wants_row)
        return;
    struct arena *arena = request->arena;
    struct execution_row *row = ARENA_NEW(arena, struct execution_row);
    struct buf bytes = { 0 };
    execution_encode(&bytes, execution);
    *row = (struct execution_row){
        .key = live->key,
        .id = execution->id,
        .namespace = arena_strdup(arena, execution->namespace),
        .flow_id = arena_strdup(arena, execution->flow_id),
        .revision = execution->flow_revision,
        .state = execution->state.current,
        .kind = execution->kind,
        .created_at = state_started_at(&execution->state),
        .header = { arena_memdup(arena, bytes.bytes, bytes.length), bytes.length },
        .runs_count = execution->runs.count,
        .runs = ARENA_ARRAY(arena, execution->runs.count, struct run_row),
    };
    for (size_t i = 0; i < execution->runs.count; i++) {
        buf_clear(&bytes);
        task_run_encode(&bytes, execution->runs.items[i]);
        row->runs[i] = (struct run_row){
            .seq = execution->runs.items[i]->seq,
            .body = { arena_memdup(arena, bytes.bytes, bytes.length), bytes.length },
        };
    }
    buf_free(&bytes);
    request->execution.row = row;
}

/* The execution as committed, for those who asked for it and were not shown it before. */
static void fill_answer(struct driver *driver, struct driver_request *request)
{
    const struct live *live = live_find(driver, request->execution.id.text);
    if (live != NULL) // else filled from the store when the request was handled
        driver_show(request, live);
}

void requests_send_answers(struct driver *driver)
{
    struct driver_request *request = driver->answered;
    driver->answered = NULL;
    driver->answered_end = &driver->answered;
    while (request != NULL) {
        struct driver_request *next = request->next;
        if (request->ok && request->execution.id.text[0] != '\0')
            fill_answer(driver, request);
        request->done(request); // the caller's again
        request = next;
    }
}
