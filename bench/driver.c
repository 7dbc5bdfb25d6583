/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver with its store on disk, without HTTP.
 *
 *     build/bench/driver [--json] [--volatile] [WORKLOAD ...]
 *
 * hook        a flow of OutputValues and Log, N requests in flight, each answered when durable
 * cronstorm   100,000 schedules due in one instant: until their executions are durable, and ended
 * foreach     ForEach over N items with one OutputValues each
 * registered  memory per registered schedule, and time to load them at a start
 * paused      memory of 100,000 paused executions, and time to start with them
 * rows        what the store writes of one finished execution: rows/s beside bare SQLite inserts
 */
#include "runtime/driver/driver.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/sql.h"
#include "core/diag.h"
#include "core/value.h"
#include "runtime/plugins.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"

static bool json;
static bool is_volatile;

static void report(const char *name, const char *unit, double value)
{
    if (json)
        (void)printf("{\"name\":\"driver-%s\",\"unit\":\"%s\",\"value\":%.3f}\n", name, unit,
                     value);
    else
        (void)printf("%-28s %14.2f %s\n", name, value, unit);
    (void)fflush(stdout);
}

static void die(const char *what, const struct error *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    exit(EXIT_FAILURE);
}

/* ---- a server without its doors ---- */

struct bench {
    char folder[64];
    char path[96];
    struct store *store;
    struct logstore *logs;
    struct driver *driver;
    struct engine_world world;
    _Atomic usec_t now; /* 0: the real clock */
};

static usec_t bench_now(void *data)
{
    usec_t now = atomic_load(&((struct bench *)data)->now);
    return now != 0 ? now : clock_now();
}

static void start_driver(struct bench *bench)
{
    struct error err = { 0 };
    struct driver_config config = {
        .store = bench->store,
        .logs = bench->logs,
        .world = &bench->world,
        .plugins = plugins(),
        .zone = "UTC",
        .now = bench_now,
        .now_data = bench,
    };
    bench->driver = driver_new(&config, &err);
    if (bench->driver == NULL)
        die("driver", &err);
}

static void bench_open(struct bench *bench)
{
    struct error err = { 0 };
    *bench = (struct bench){ 0 };
    const char *tmp = getenv("BENCH_DIR");
    (void)snprintf(bench->folder, sizeof(bench->folder), "%s/weir-bench-XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    CHECK(mkdtemp(bench->folder) != NULL);
    (void)snprintf(bench->path, sizeof(bench->path), "%s/weir.db", bench->folder);
    bench->world = (struct engine_world){
        .plugins = plugins(),
        .envs = &value_empty_map,
        .globals = &value_empty_map,
        .kestra = &value_empty_map,
        .zone = "UTC",
        .work_root = "/work-root",
    };
    struct store_sqlite_options options = { .path = bench->path, .is_volatile = is_volatile };
    bench->store = store_sqlite_open(&options, &err);
    if (bench->store == NULL)
        die("store", &err);
    bench->logs = logstore_new(&(struct logstore_options){ 0 }, &err);
    start_driver(bench);
}

static void bench_close(struct bench *bench)
{
    driver_free(bench->driver);
    logstore_free(bench->logs);
    store_free(bench->store);
    (void)fs_remove_tree(bench->folder, NULL);
}

static void settle(struct bench *bench)
{
    while (driver_turn(bench->driver) || driver_next(bench->driver) <= bench_now(bench))
        continue;
}

static void deploy_many(struct bench *bench, struct flow_change *changes, size_t count)
{
    struct arena *arena = arena_new();
    struct driver_request request = { .type = REQUEST_CHANGE, .arena = arena };
    request.change.flows = changes;
    request.change.flows_count = count;
    struct error err = { 0 };
    if (!driver_call(bench->driver, &request, &err))
        die("deploy", &err);
    arena_free(arena);
}

static void fill(struct arena *arena, const char *yaml, struct flow_change *out)
{
    struct diag_list findings = diag_list_new(arena, "flow");
    struct flow *flow = flow_parse(plugins(), yaml, strlen(yaml), NULL, &findings);
    if (flow == NULL) {
        struct buf shown = { 0 };
        for (size_t i = 0; i < findings.all.count; i++)
            diag_render(&shown, &findings.all.items[i], yaml, false);
        (void)fprintf(stderr, "%s\n", buf_text(&shown));
        exit(EXIT_FAILURE);
    }
    flow_change_fill(arena, flow, "UTC", out);
    flow_unref(flow);
}

static void deploy(struct bench *bench, const char *yaml)
{
    struct arena *arena = arena_new();
    struct flow_change change = { 0 };
    fill(arena, yaml, &change);
    deploy_many(bench, &change, 1);
    arena_free(arena);
}

static double resident_mib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static int64_t count_of(struct bench *bench, const char *state)
{
    struct error err = { 0 };
    struct store_reader *reader = store_reader_open(bench->store, &err);
    struct arena *arena = arena_new();
    struct filter filter = {
        .field = FIELD_STATE, .match = MATCH_EQUAL, .values = &state, .values_count = 1
    };
    struct query query = { .filters = &filter,
                           .filters_count = state != NULL,
                           .sort = FIELD_COUNT };
    struct execution_row *rows = NULL;
    size_t count = 0;
    int64_t total = 0;
    if (!reader->ops->execution_search(reader, arena, &query, false, &rows, &count, &total, &err))
        die("count", &err);
    arena_free(arena);
    store_reader_free(reader);
    return total;
}

/* ---- hook ---- */

static const char hook_flow[] = "id: hook\n"
                                "namespace: bench\n"
                                "tasks:\n"
                                "  - {id: values, type: io.kestra.plugin.core.output.OutputValues, "
                                "values: {a: \"{{ flow.id }}\"}}\n"
                                "  - {id: log, type: io.kestra.plugin.core.log.Log, "
                                "message: \"{{ outputs.values.values.a }}\"}\n";

/* Requests that are sent again as soon as they are answered, from the driver's own callback. */
struct hooks {
    struct bench *bench;
    _Atomic int64_t to_send;
    _Atomic int64_t answered;
    _Atomic int64_t failed;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int64_t wanted;
};

static void send_hook(struct hooks *hooks, struct driver_request *request)
{
    if (atomic_fetch_sub(&hooks->to_send, 1) <= 0)
        return;
    arena_reset(request->arena);
    request->type = REQUEST_CREATE;
    request->create =
        (struct create_request){ .namespace = "bench", .flow_id = "hook", .wait = true };
    CHECK(driver_submit(hooks->bench->driver, request));
}

static void hook_done(struct driver_request *request)
{
    struct hooks *hooks = request->data;
    if (!request->ok || request->execution.state != STATE_SUCCESS)
        atomic_fetch_add(&hooks->failed, 1);
    if (atomic_fetch_add(&hooks->answered, 1) + 1 == hooks->wanted) {
        pthread_mutex_lock(&hooks->lock);
        pthread_cond_signal(&hooks->ended);
        pthread_mutex_unlock(&hooks->lock);
        return;
    }
    send_hook(hooks, request);
}

static double run_hooks(struct bench *bench, int64_t count, size_t in_flight)
{
    struct hooks hooks = { .bench = bench,
                           .to_send = count,
                           .wanted = count,
                           .lock = PTHREAD_MUTEX_INITIALIZER,
                           .ended = PTHREAD_COND_INITIALIZER };
    struct driver_request *requests = check_calloc(in_flight, sizeof(*requests));
    usec_t started = clock_monotonic();
    for (size_t i = 0; i < in_flight; i++) {
        requests[i] = (struct driver_request){
            .arena = arena_new(), .done = hook_done, .data = &hooks, .wants_row = true
        };
        send_hook(&hooks, &requests[i]);
    }
    pthread_mutex_lock(&hooks.lock);
    while (atomic_load(&hooks.answered) < count)
        pthread_cond_wait(&hooks.ended, &hooks.lock);
    pthread_mutex_unlock(&hooks.lock);
    double seconds = (double)(clock_monotonic() - started) / (double)USEC_SEC;
    CHECK(atomic_load(&hooks.failed) == 0);
    for (size_t i = 0; i < in_flight; i++)
        arena_free(requests[i].arena);
    free(requests);
    return seconds;
}

static void bench_hook(void)
{
    struct bench bench;
    struct error err = { 0 };
    bench_open(&bench);
    if (!driver_start(bench.driver, &err))
        die("start", &err);
    deploy(&bench, hook_flow);
    (void)run_hooks(&bench, 1000, 1);
    report("hook-alone", "us", run_hooks(&bench, 2000, 1) / 2000 * 1e6);
    static const size_t widths[] = { 16, 64, 256 };
    int64_t expected = 3000;
    for (size_t i = 0; i < COUNT_OF(widths); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "hook-at-%zu", widths[i]);
        report(name, "executions/s", 50000 / run_hooks(&bench, 50000, widths[i]));
        expected += 50000;
    }
    driver_stop(bench.driver);
    CHECK(count_of(&bench, "SUCCESS") == expected);
    bench_close(&bench);
}

/* ---- schedules ---- */

#define NOON ((usec_t)1767268800 * USEC_SEC)

/* `flows` flows with `each` schedules, all due at noon plus an hour, or in a year. */
static void deploy_schedules(struct bench *bench, size_t flows, size_t each, const char *cron)
{
    struct arena *arena = arena_new();
    struct flow_change *changes = ARENA_ARRAY(arena, flows, struct flow_change);
    struct buf yaml = { 0 };
    for (size_t i = 0; i < flows; i++) {
        buf_clear(&yaml);
        buf_printf(&yaml,
                   "id: flow%zu\nnamespace: bench\ntasks:\n"
                   "  - {id: a, type: io.kestra.plugin.core.log.Log, message: \"x\"}\n"
                   "triggers:\n",
                   i);
        for (size_t k = 0; k < each; k++)
            buf_printf(&yaml,
                       "  - {id: t%zu, type: io.kestra.plugin.core.trigger.Schedule, "
                       "cron: \"%s\"}\n",
                       k, cron);
        fill(arena, buf_text(&yaml), &changes[i]);
    }
    buf_free(&yaml);
    struct error err = { 0 };
    if (!driver_start(bench->driver, &err))
        die("start", &err);
    deploy_many(bench, changes, flows);
    driver_stop(bench->driver);
    arena_free(arena);
    driver_free(bench->driver);
    start_driver(bench);
}

static void bench_cronstorm(void)
{
    struct bench bench;
    bench_open(&bench);
    atomic_store(&bench.now, NOON);
    deploy_schedules(&bench, 1000, 100, "0 13 * * *");
    settle(&bench);
    usec_t started = clock_monotonic();
    atomic_store(&bench.now, NOON + USEC_HOUR);
    usec_t durable = 0;
    while (driver_turn(bench.driver) || driver_next(bench.driver) <= bench_now(&bench)) {
        struct store_numbers numbers;
        if (durable == 0 && bench.store->ops->numbers(bench.store, &numbers, NULL) &&
            numbers.execution == 100000)
            durable = clock_monotonic();
    }
    report("cronstorm-durable", "ms", (double)(durable - started) / 1000);
    report("cronstorm-ended", "ms", (double)(clock_monotonic() - started) / 1000);
    CHECK(count_of(&bench, "SUCCESS") == 100000);
    bench_close(&bench);
}

static void bench_registered(void)
{
    struct bench bench;
    bench_open(&bench);
    atomic_store(&bench.now, NOON);
    deploy_schedules(&bench, 10000, 100, "0 13 1 7 *");
    driver_free(bench.driver);
    bench.driver = NULL;
    (void)malloc_trim(0); // what the deployment used must not hide what the driver takes
    double before = resident_mib();
    usec_t started = clock_monotonic();
    start_driver(&bench);
    report("registered-load", "ms", (double)(clock_monotonic() - started) / 1000);
    report("registered-bytes", "bytes each", (resident_mib() - before) * 1048576 / 1e6);
    bench_close(&bench);
}

/* ---- one wide execution ---- */

static void bench_foreach(void)
{
    static const int64_t sizes[] = { 100, 10000, 100000 };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct bench bench;
        struct error err = { 0 };
        char name[32];
        struct buf yaml = { 0 };
        bench_open(&bench);
        buf_printf(&yaml,
                   "id: each\nnamespace: bench\ntasks:\n"
                   "  - id: loop\n"
                   "    type: io.kestra.plugin.core.flow.ForEach\n"
                   "    values: \"{{ range(1, %lld) }}\"\n"
                   "    tasks:\n"
                   "      - {id: v, type: io.kestra.plugin.core.output.OutputValues, "
                   "values: {x: \"{{ taskrun.value }}\"}}\n",
                   (long long)sizes[i]);
        if (!driver_start(bench.driver, &err))
            die("start", &err);
        deploy(&bench, buf_text(&yaml));
        struct arena *arena = arena_new();
        usec_t started = clock_monotonic();
        struct driver_request request = { .type = REQUEST_CREATE, .arena = arena };
        request.create =
            (struct create_request){ .namespace = "bench", .flow_id = "each", .wait = true };
        if (!driver_call(bench.driver, &request, &err))
            die("foreach", &err);
        CHECK(request.execution.state == STATE_SUCCESS);
        (void)snprintf(name, sizeof(name), "foreach-%lld", (long long)sizes[i]);
        report(name, "us per item", (double)(clock_monotonic() - started) / (double)sizes[i]);
        driver_stop(bench.driver);
        arena_free(arena);
        buf_free(&yaml);
        bench_close(&bench);
    }
}

/* ---- many that wait ---- */

static void bench_paused(void)
{
    struct bench bench;
    struct error err = { 0 };
    bench_open(&bench);
    if (!driver_start(bench.driver, &err))
        die("start", &err);
    deploy(&bench, "id: hook\nnamespace: bench\ntasks:\n"
                   "  - {id: p, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT100H}\n");
    double before = resident_mib();
    // The answers come when the executions exist: they never end.
    struct arena *arena = arena_new();
    for (int i = 0; i < 100000; i++) {
        struct driver_request request = { .type = REQUEST_CREATE, .arena = arena };
        request.create = (struct create_request){ .namespace = "bench", .flow_id = "hook" };
        if (!driver_call(bench.driver, &request, &err))
            die("create", &err);
        arena_reset(arena);
    }
    arena_free(arena);
    report("paused-memory", "MiB", resident_mib() - before);
    driver_stop(bench.driver);
    driver_free(bench.driver);
    usec_t started = clock_monotonic();
    start_driver(&bench);
    settle(&bench);
    report("paused-start", "ms", (double)(clock_monotonic() - started) / 1000);
    CHECK(count_of(&bench, "PAUSED") == 100000);
    bench_close(&bench);
}

/* ---- the store alone ---- */

#define ROWS       50000
#define PER_COMMIT 100

static double bare_rows(const char *path)
{
    struct error err = { 0 };
    struct sql_options options = {
        .path = path, .access = SQL_CREATE, .no_auto_checkpoint = true, .is_volatile = is_volatile
    };
    struct sql *sql = sql_open(&options, &err);
    if (sql == NULL ||
        !sql_exec(sql, "CREATE TABLE t (key INTEGER PRIMARY KEY, id TEXT, body BLOB)", &err))
        die("probe", &err);
    struct sql_stmt *stmt = sql_prepare(sql, "INSERT INTO t VALUES (?, ?, ?)", &err);
    char body[300] = { 0 };
    usec_t started = clock_monotonic();
    for (int i = 0; i < ROWS; i++) {
        if (i % PER_COMMIT == 0)
            CHECK(sql_begin(sql, true, &err));
        sql_bind_int(stmt, 1, i);
        sql_bind_text(stmt, 2, "0123456789abcdefghijkl");
        sql_bind_blob(stmt, 3, body, sizeof(body));
        CHECK(sql_run(stmt, &err));
        if (i % PER_COMMIT == PER_COMMIT - 1)
            CHECK(sql_commit(sql, &err));
    }
    double seconds = (double)(clock_monotonic() - started) / (double)USEC_SEC;
    sql_done(stmt);
    sql_close(sql);
    return ROWS / seconds;
}

static double store_rows(struct store *store)
{
    struct error err = { 0 };
    struct commit commit = { 0 };
    int64_t key = 0;
    usec_t started = clock_monotonic();
    for (int i = 0; i < ROWS / PER_COMMIT; i++) {
        struct execution *executions[PER_COMMIT];
        for (int k = 0; k < PER_COMMIT; k++) {
            struct id id;
            key++;
            (void)snprintf(id.text, sizeof(id.text), "%022lld", (long long)key);
            struct execution *execution = execution_new(&id, NULL, NOON + key);
            execution->namespace = "bench";
            execution->flow_id = "hook";
            execution_move(execution, STATE_RUNNING, NOON + key);
            execution_move(execution, STATE_SUCCESS, NOON + key);
            execution->fully_ended = true;
            (void)commit_add_execution(&commit, execution, key, LIVE_ENDED, 0, STATE_COUNT);
            executions[k] = execution;
        }
        commit.number = i + 1;
        if (!store_commit(store, &commit, &err))
            die("commit", &err);
        commit_clear(&commit);
        for (int k = 0; k < PER_COMMIT; k++)
            execution_free(executions[k]);
    }
    double seconds = (double)(clock_monotonic() - started) / (double)USEC_SEC;
    commit_free(&commit);
    return ROWS / seconds;
}

static void bench_rows(void)
{
    struct bench bench;
    bench_open(&bench);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/bare.db", bench.folder);
    double bare = bare_rows(path);
    double ours = store_rows(bench.store);
    report("rows-bare", "rows/s", bare);
    report("rows-executions", "executions/s", ours);
    report("rows-ratio", "of bare", ours / bare);
    bench_close(&bench);
}

static const struct {
    const char *name;
    void (*run)(void);
} workloads[] = {
    { "hook", bench_hook },
    { "cronstorm", bench_cronstorm },
    { "registered", bench_registered },
    { "foreach", bench_foreach },
    { "paused", bench_paused },
    { "rows", bench_rows },
};

int main(int argc, char **argv)
{
    bool any = false;
    for (int i = 1; i < argc; i++) {
        json |= strcmp(argv[i], "--json") == 0;
        is_volatile |= strcmp(argv[i], "--volatile") == 0;
        any |= argv[i][0] != '-';
    }
    for (size_t k = 0; k < COUNT_OF(workloads); k++) {
        bool wanted = !any;
        for (int i = 1; i < argc; i++)
            wanted |= strcmp(argv[i], workloads[k].name) == 0;
        if (wanted)
            workloads[k].run();
    }
    return 0;
}
