/* SPDX-License-Identifier: Apache-2.0 */
/* The driver on its own thread, with clients, a worker and readers on theirs. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/queue.h"
#include "base/str.h"
#include "core/diag.h"
#include "core/value.h"
#include "runtime/driver/driver.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"
#include "tests/support/engine_bed.h"
#include "tests/support/test.h"

#define CLIENTS 3
#define ROUNDS  40

/* A server without its doors. */
struct server {
    struct store *store;
    struct logstore *logs;
    struct driver *driver;
    struct engine_world world;
    struct queue *orders; /* for the worker's thread */
    pthread_t worker;
    _Atomic unsigned noticed;
    _Atomic unsigned followed;
    _Atomic bool reads;
};

static bool submit(void *data, struct order *order)
{
    return queue_push(((struct server *)data)->orders, order);
}

/* One line stays inline: the result comes before log_sink_close() returns. */
static void keep_result(void *data, struct log_result *result)
{
    *(struct log_result **)data = result;
}

static void *work(void *data)
{
    struct server *server = data;
    struct worker_answers answers = driver_worker_answers(server->driver);
    void *items[16];
    while (!queue_is_closed(server->orders)) {
        size_t count = queue_wait(server->orders, items, COUNT_OF(items), USEC_NEVER);
        for (size_t i = 0; i < count; i++) {
            struct order *order = items[i];
            struct log_source source = {
                .execution = order->execution,
                .execution_id = order->execution_id,
                .namespace = order->namespace,
                .flow_id = order->flow_id,
                .task_id = order->task_id,
                .run_id = order->run_id,
                .attempt = order->attempt,
            };
            answers.started(answers.data, order->execution_id, order->run_id, order->attempt, "w");
            struct log_sink *sink = log_sink_open(server->logs, &source);
            (void)log_sink_write(sink, clock_now(), LOG_INFO, "working", 7);
            struct log_result *result = NULL;
            log_sink_close(sink, keep_result, &result);
            answers.ended(answers.data, order->execution_id, order->run_id, order->attempt,
                          STATE_SUCCESS, NULL, NULL, NULL, NULL, 0, result);
            order_free(order);
        }
    }
    return NULL;
}

static void notice(void *data, const struct execution_notice *seen)
{
    (void)seen;
    atomic_fetch_add(&((struct server *)data)->noticed, 1);
}

static void follow(void *data, const struct log_line *line)
{
    (void)line;
    atomic_fetch_add(&((struct server *)data)->followed, 1);
}

static void deploy(struct server *server, const char *yaml)
{
    struct arena *arena = arena_new();
    struct diag_list findings = diag_list_new(arena, "flow");
    struct buf text = { 0 };
    buf_puts(&text, "namespace: company.team\n");
    bed_write_types(&text, yaml);
    struct flow *flow = flow_parse(bed_plugins(), buf_text(&text), text.length, NULL, &findings);
    assert_non_null(flow);
    struct flow_change change = { 0 };
    flow_change_fill(arena, flow, "UTC", &change);
    flow_unref(flow);
    buf_free(&text);
    struct driver_request request = { .type = REQUEST_CHANGE, .arena = arena };
    request.change.flows = &change;
    request.change.flows_count = 1;
    struct error err = { 0 };
    if (!driver_call(server->driver, &request, &err))
        fail_msg("%s", err.text);
    arena_free(arena);
}

static void server_open(struct server *server, const char *path)
{
    struct error err = { 0 };
    *server = (struct server){ .orders = queue_new(1024) };
    struct store_sqlite_options options = { .path = path, .is_volatile = true };
    server->store = path == NULL ? store_memory_new() : store_sqlite_open(&options, &err);
    assert_non_null(server->store);
    struct logstore_options logs = { .written = NULL };
    server->logs = logstore_new(&logs, &err);
    server->world = (struct engine_world){
        .plugins = bed_plugins(),
        .envs = &value_empty_map,
        .globals = &value_empty_map,
        .kestra = &value_empty_map,
        .zone = "UTC",
        .work_root = "/work-root",
    };
    struct driver_config config = {
        .store = server->store,
        .logs = server->logs,
        .world = &server->world,
        .plugins = bed_plugins(),
        .worker = { .data = server, .submit = submit },
        .linger = USEC_MSEC,
    };
    server->driver = driver_new(&config, &err);
    if (server->driver == NULL)
        fail_msg("%s", err.text);
    assert_true(driver_start(server->driver, &err));
    assert_int_equal(pthread_create(&server->worker, NULL, work, server), 0);
}

static void server_close(struct server *server)
{
    driver_stop(server->driver);
    queue_close(server->orders);
    assert_int_equal(pthread_join(server->worker, NULL), 0);
    driver_free(server->driver);
    void *items[16];
    size_t count;
    while ((count = queue_pop(server->orders, items, COUNT_OF(items))) > 0)
        for (size_t i = 0; i < count; i++)
            order_free(items[i]);
    queue_free(server->orders);
    logstore_free(server->logs);
    store_free(server->store);
}

/* ---- clients ---- */

struct client {
    struct server *server;
    pthread_t thread;
    unsigned number;
    unsigned ended;
};

static void *ask(void *data)
{
    struct client *client = data;
    struct driver *driver = client->server->driver;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct arena *arena = arena_new();
        struct error err = { 0 };
        struct driver_request create = { .type = REQUEST_CREATE,
                                         .arena = arena,
                                         .wants_row = true };
        create.create = (struct create_request){ .namespace = "company.team",
                                                 .flow_id = i % 2 == 0 ? "call" : "pure",
                                                 .wait = true };
        bool ok = driver_call(driver, &create, &err);
        client->ended += ok && create.execution.state == STATE_SUCCESS;

        struct kv_change kv = {
            .row = { .namespace = "n",
                     .key = arena_printf(arena, "k%u", i % 5),
                     .type = "NUMBER",
                     .value = "1" },
        };
        struct driver_request change = { .type = REQUEST_CHANGE, .arena = arena };
        change.change.kv = &kv;
        change.change.kv_count = 1;
        (void)driver_call(driver, &change, &err);

        struct driver_watch *watch =
            driver_watch(driver, create.execution.id.text, notice, client->server);
        struct driver_request replay = { .type = REQUEST_OPERATE, .arena = arena };
        replay.operate = (struct operate_request){ .execution_id = create.execution.id.text,
                                                   .operation = OPERATE_REPLAY };
        (void)driver_call(driver, &replay, &err);
        struct driver_request wait = { .type = REQUEST_WAIT,
                                       .arena = arena,
                                       .wait_for = replay.execution.id.text };
        ok = driver_call(driver, &wait, &err);
        client->ended += ok && wait.execution.state == STATE_SUCCESS;
        driver_unwatch(driver, watch);
        (void)driver_counts(driver);
        arena_free(arena);
    }
    return NULL;
}

static void *read_on(void *data)
{
    struct server *server = data;
    struct error err = { 0 };
    struct store_reader *reader = store_reader_open(server->store, &err);
    int64_t seen = 0;
    while (atomic_load(&server->reads)) {
        struct arena *arena = arena_new();
        struct query query = { .sort = FIELD_COUNT, .limit = 20 };
        struct execution_row *rows = NULL;
        size_t count = 0;
        int64_t total = 0;
        CHECK(reader->ops->execution_search(reader, arena, &query, true, &rows, &count, &total,
                                            &err));
        CHECK(total >= seen);
        seen = total;
        for (size_t i = 0; i < count; i++) {
            struct execution *execution = execution_row_decode(&rows[i], NULL, &err);
            CHECK(execution != NULL);
            execution_free(execution);
        }
        struct log_line *lines = NULL;
        CHECK(logstore_search(server->logs, reader, arena, 0, &query, &lines, &count, NULL, &err));
        arena_free(arena);
    }
    store_reader_free(reader);
    return NULL;
}

static void serve(const char *path)
{
    struct server server;
    server_open(&server, path);
    deploy(&server, "id: pure\ntasks: [{id: a, type: Log, message: hello}]\n");
    deploy(&server, "id: call\ntasks: [{id: a, type: io.weir.test.Work}]\n");
    struct driver_watch *watch = driver_watch(server.driver, NULL, notice, &server);
    struct log_follower *follower = logstore_follow(server.logs, NULL, follow, &server);
    atomic_store(&server.reads, true);
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_on, &server), 0);
    struct client clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ .server = &server, .number = i };
        assert_int_equal(pthread_create(&clients[i].thread, NULL, ask, &clients[i]), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(clients[i].thread, NULL), 0);
        assert_int_equal(clients[i].ended, 2 * ROUNDS);
    }
    atomic_store(&server.reads, false);
    assert_int_equal(pthread_join(reader, NULL), 0);
    driver_unwatch(server.driver, watch);
    logstore_unfollow(server.logs, follower);
    assert_true(atomic_load(&server.noticed) >= CLIENTS * ROUNDS * 2);
    assert_int_equal(atomic_load(&server.followed), CLIENTS * ROUNDS * 2);
    server_close(&server);
}

static void driver_serves_many_threads_from_memory(void **state)
{
    (void)state;
    serve(NULL);
}

static void driver_serves_many_threads_from_sqlite(void **state)
{
    (void)state;
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/weir.db", test_folder());
    serve(path);
}

static void refused(struct driver_request *request)
{
    atomic_store((_Atomic int *)request->data, (int)request->error.code);
}

static void driver_answers_those_who_wait_when_it_stops(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, NULL);
    deploy(&server, "id: paused\ntasks: [{id: a, type: Pause}]\n");
    struct arena *arena = arena_new();
    _Atomic int code = -1;
    struct driver_request request = {
        .type = REQUEST_CREATE, .arena = arena, .done = refused, .data = &code
    };
    request.create =
        (struct create_request){ .namespace = "company.team", .flow_id = "paused", .wait = true };
    assert_true(driver_submit(server.driver, &request));
    server_close(&server);
    assert_int_equal(atomic_load(&code), ERR_CANCELLED);
    arena_free(arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(driver_serves_many_threads_from_memory),
    cmocka_unit_test(driver_serves_many_threads_from_sqlite),
    cmocka_unit_test(driver_answers_those_who_wait_when_it_stops),
};
TEST_GROUP(driver_threads, tests)
