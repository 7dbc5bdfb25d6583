/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tasks and expression functions may ask by name; the contract of each is in
 * runtime/worker/services.h.
 *
 * Runs on the caller's thread with a reader of its own; changes go through the driver like anybody
 * else's.
 *
 * To add one: a function, its row in the table at the end, its lines in services.h, a test.
 */
#include "runtime/driver/operations.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/labels.h"
#include "core/value.h"
#include "runtime/driver/driver_internal.h"
#include "runtime/worker/services.h"

/* How long a subflow() may take when its caller names nothing. */
#define SUBFLOW_TIMEOUT USEC_MIN

/* ---- arguments ---- */

const char *asked_text(const struct asked *op, const char *name)
{
    return value_get_text(op->arguments, name, NULL);
}

usec_t asked_date(const struct asked *op, const char *name)
{
    const struct value *value = value_get(op->arguments, name);
    usec_t at = 0;
    if (value == NULL)
        return 0;
    if (value->kind == VALUE_INSTANT || value->kind == VALUE_ZONED)
        return value->time->at;
    const char *text = value_cstr(value);
    if (text != NULL && !time_parse_instant(text, &at, NULL, NULL))
        return 0;
    return at;
}

const char **asked_texts(const struct asked *op, const struct value *list, size_t *count)
{
    *count = 0;
    const char **texts = ARENA_ARRAY(op->arena, value_count(list) + 1, const char *);
    for (size_t i = 0; i < value_count(list); i++) {
        const char *text = value_cstr(value_item(list, i));
        if (text != NULL)
            texts[(*count)++] = text;
    }
    return texts;
}

const struct value *asked_misses(const struct asked *op, const char *name)
{
    error_set(op->err, ERR_INVALID, "'%s' is needed", name);
    return NULL;
}

/* ---- filters ---- */

void search_add_text(const struct asked *op,
                     struct search *filters,
                     enum field field,
                     enum match match,
                     const char *text)
{
    if (text == NULL)
        return;
    const char **value = ARENA_ARRAY(op->arena, 1, const char *);
    value[0] = text;
    filters->items[filters->count++] =
        (struct filter){ .field = field, .match = match, .values = value, .values_count = 1 };
}

void search_add_list(const struct asked *op,
                     struct search *filters,
                     enum field field,
                     const char *name)
{
    const struct value *list = value_get(op->arguments, name);
    if (!value_is_list(list) || value_count(list) == 0)
        return;
    size_t count = 0;
    const char **texts = asked_texts(op, list, &count);
    filters->items[filters->count++] = (struct filter){
        .field = field, .match = MATCH_IN, .values = texts, .values_count = count
    };
}

void search_add_dates(const struct asked *op, struct search *filters)
{
    usec_t start = asked_date(op, "startDate");
    usec_t end = asked_date(op, "endDate");
    if (start != 0)
        filters->items[filters->count++] =
            (struct filter){ .field = FIELD_START, .match = MATCH_GREATER_EQUAL, .at = start };
    if (end != 0)
        filters->items[filters->count++] =
            (struct filter){ .field = FIELD_START, .match = MATCH_LESS, .at = end };
}

bool asked_send(const struct asked *op, struct driver_request *request)
{
    request->arena = op->arena;
    return driver_call(op->operations->driver, request, op->err);
}

/* ---- subflows of expressions ---- */

/* Waits for the end without holding the driver: with a deadline of the caller. */
struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_done;
    bool is_given_up; /* the caller has left: whoever comes second frees */
    struct arena *arena;
    struct driver_request request;
};

static void waiting_free(struct waiting *waiting)
{
    pthread_cond_destroy(&waiting->ended);
    pthread_mutex_destroy(&waiting->lock);
    arena_free(waiting->arena); // holds the struct itself
}

static void waiting_done(struct driver_request *request)
{
    struct waiting *waiting = request->data;
    pthread_mutex_lock(&waiting->lock);
    waiting->is_done = true;
    bool frees = waiting->is_given_up;
    pthread_cond_signal(&waiting->ended);
    pthread_mutex_unlock(&waiting->lock);
    if (frees)
        waiting_free(waiting);
}

/* false: the time is over, and the request goes on without its caller. */
static bool wait_until(struct waiting *waiting, usec_t deadline)
{
    struct timespec until = { .tv_sec = deadline / USEC_SEC,
                              .tv_nsec = deadline % USEC_SEC * 1000 };
    pthread_mutex_lock(&waiting->lock);
    int result = 0;
    while (!waiting->is_done && result == 0)
        result = pthread_cond_timedwait(&waiting->ended, &waiting->lock, &until);
    bool done = waiting->is_done;
    waiting->is_given_up = !done;
    pthread_mutex_unlock(&waiting->lock);
    return done;
}

static const struct value *subflow_answer(const struct asked *op, const struct waiting *waiting)
{
    const struct execution_answer *answer = &waiting->request.execution;
    struct value_builder builder = value_build(op->arena);
    value_put_text(&builder, "id", answer->id.text);
    value_put_text(&builder, "state", states[answer->state].name);
    if (answer->row != NULL) {
        struct execution *execution = execution_row_decode(answer->row, NULL, op->err);
        if (execution == NULL)
            return NULL;
        value_put(&builder, "outputs",
                  execution->outputs != NULL ? value_copy(op->arena, execution->outputs)
                                             : &value_empty_map);
        struct value_builder labels = value_build(op->arena);
        for (size_t i = 0; i < execution->labels.count; i++)
            value_put_text(&labels, execution->labels.items[i].key,
                           execution->labels.items[i].value);
        value_put(&builder, "labels", value_build_map(&labels));
        execution_free(execution);
    }
    return value_build_map(&builder);
}

const struct value *subflow_run(const struct asked *op)
{
    double seconds = (double)SUBFLOW_TIMEOUT / (double)USEC_SEC;
    (void)value_to_double(value_get(op->arguments, "timeout"), &seconds);
    struct arena *arena = arena_new();
    struct waiting *waiting = ARENA_NEW(arena, struct waiting);
    pthread_mutex_init(&waiting->lock, NULL);
    pthread_cond_init(&waiting->ended, NULL);
    waiting->arena = arena;
    const struct value *inputs = value_get(op->arguments, "inputs");
    size_t labels_count = 0;
    struct driver_request *request = &waiting->request;
    request->type = REQUEST_CREATE;
    request->arena = arena;
    request->done = waiting_done;
    request->data = waiting;
    request->wants_row = true;
    request->create = (struct create_request){
        .namespace = arena_strdup(arena, value_get_text(op->arguments, "namespace", "")),
        .flow_id = arena_strdup(arena, value_get_text(op->arguments, "flowId", "")),
        .revision = value_get_int(op->arguments, "revision", 0),
        .given = inputs != NULL ? value_copy(arena, inputs) : &value_empty_map,
        .wait = true,
    };
    const struct value *given_labels = value_get(op->arguments, "labels");
    request->create.labels = labels_of(
        arena, given_labels == NULL ? NULL : value_copy(arena, given_labels), &labels_count);
    request->create.labels_count = labels_count;
    if (!driver_submit(op->operations->driver, request)) {
        waiting_free(waiting);
        error_set(op->err, ERR_LIMIT, "too many requests are waiting; try again later");
        return NULL;
    }
    if (!wait_until(waiting, clock_now() + (usec_t)(seconds * (double)USEC_SEC))) {
        error_set(op->err, ERR_TIMEOUT, "flow '%s.%s' did not end within %.0f s",
                  value_get_text(op->arguments, "namespace", ""),
                  value_get_text(op->arguments, "flowId", ""), seconds);
        return NULL;
    }
    const struct value *answer = NULL;
    if (request->ok)
        answer = subflow_answer(op, waiting);
    else
        *op->err = request->error;
    waiting_free(waiting);
    return answer;
}

/* ---- the table ---- */

static const struct {
    const char *name;
    operation_fn *run;
} table[] = {
    { "execution.resume", execution_resume },
    { "execution.get", execution_get },
    { "execution.exists", execution_exists },
    { "execution.children", execution_children },
    { "execution.count", execution_count },
    { "execution.find", execution_find },
    { "execution.purge", execution_purge },
    { "trigger.toggle", trigger_toggle },
    { "log.fetch", log_fetch },
    { "log.purge", log_purge },
    { "kv.purge", kv_purge },
    { "file.contents", file_contents },
    { "file.purge", file_purge },
    { "subflow.run", subflow_run },
};

const struct value *driver_operate(void *data,
                                   struct arena *arena,
                                   const char *operation,
                                   const struct value *arguments,
                                   struct error *err)
{
    struct driver_operations *operations = data;
    struct error own = { 0 };
    struct asked op = {
        .operations = operations, .arena = arena, .arguments = arguments, .err = &own
    };
    const struct value *answer = NULL;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (strcmp(table[i].name, operation) != 0)
            continue;
        op.reader = store_reader_open(operations->store, &own);
        if (op.reader != NULL)
            answer = table[i].run(&op);
        store_reader_free(op.reader);
        if (answer == NULL && err != NULL)
            *err = own;
        return answer;
    }
    error_set(err, ERR_INVALID, "there is no operation '%s'", operation);
    return NULL;
}
