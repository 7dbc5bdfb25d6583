/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker alone: orders in, answers out; no driver, no store, no HTTP.
 *
 *     build/bench/worker [--json] [WORKLOAD ...]
 *
 * chain    400 orders of /bin/true, each after the end of the one before; beside bare posix_spawn
 * shell    the same through /bin/sh, as a command that needs one
 * wide     4,000 orders of /bin/true at once, two slots
 * python   40 Python scripts, one after the other; beside bare python3
 * call     20,000 orders of a call (KV GetKeys) at once, with room for 4,096
 * logs     one command that writes 200 MB of lines of 100 bytes; beside cat into a pipe
 *
 * Each figure is the median of five rounds, alternating with its limit.
 */
#include "runtime/worker/worker.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "core/yaml.h"
#include "runtime/plugins.h"
#include "runtime/storage/storage.h"
#include "runtime/store/logstore.h"
#include "runtime/worker/services.h"

#define ROUNDS    5
#define COMMANDS  "io.kestra.plugin.scripts.shell.Commands"
#define PYTHON    "io.kestra.plugin.scripts.python.Script"
#define GET_KEYS  "io.kestra.plugin.core.kv.GetKeys"
#define LOG_LINES 2000000

extern char **environ;

struct bench {
    struct services services;
    struct worker *worker;
    struct worker_iface face;
    struct logstore *logs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t ended;
    size_t failed;
};

static bool json;

/* ---- a worker with nobody around ---- */

static bool kv_list(void *data,
                    struct arena *arena,
                    const char *namespace,
                    const char *prefix,
                    struct kv_entry **out,
                    size_t *count,
                    struct error *err)
{
    (void)data, (void)arena, (void)namespace, (void)prefix, (void)err;
    *out = NULL;
    *count = 0;
    return true;
}

static void on_started(
    void *data, const char *execution_id, const char *run_id, uint32_t attempt, const char *worker)
{
    (void)data, (void)execution_id, (void)run_id, (void)attempt, (void)worker;
}

static void on_ended(void *data,
                     const char *execution_id,
                     const char *run_id,
                     uint32_t attempt,
                     enum state state,
                     const struct value *outputs,
                     const char *message,
                     const char *log_file,
                     const struct metric_row *metrics,
                     size_t metrics_count,
                     struct log_result *logs)
{
    struct bench *bench = data;
    (void)execution_id, (void)run_id, (void)attempt, (void)outputs, (void)log_file;
    (void)metrics, (void)metrics_count;
    log_result_free(logs);
    (void)pthread_mutex_lock(&bench->lock);
    bench->ended++;
    if (state != STATE_SUCCESS) {
        bench->failed++;
        (void)fprintf(stderr, "failed: %s\n", message);
    }
    (void)pthread_cond_signal(&bench->changed);
    (void)pthread_mutex_unlock(&bench->lock);
}

static void start(struct bench *bench, const char *folder, size_t slots)
{
    struct error err = { 0 };
    struct arena *arena = arena_new(); // as long as the program
    *bench = (struct bench){ 0 };
    CHECK(pthread_mutex_init(&bench->lock, NULL) == 0);
    CHECK(pthread_cond_init(&bench->changed, NULL) == 0);
    bench->services = (struct services){
        .storage = storage_local_new(arena_printf(arena, "%s/storage", folder), &err),
        .kv_list = kv_list,
        .work_root = arena_printf(arena, "%s/work", folder),
    };
    struct logstore_options logs = { .folder = arena_printf(arena, "%s/logs", folder) };
    bench->logs = logstore_new(&logs, &err);
    struct worker_options options = {
        .services = &bench->services, .plugins = plugins(), .logs = bench->logs, .slots = slots
    };
    bench->worker = worker_new(&options, &err);
    if (bench->worker == NULL || bench->services.storage == NULL || bench->logs == NULL) {
        (void)fprintf(stderr, "worker: %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    struct worker_answers answers = { .data = bench, .started = on_started, .ended = on_ended };
    worker_connect(bench->worker, &answers);
    bench->face = worker_interface(bench->worker);
}

static void stop(struct bench *bench)
{
    worker_free(bench->worker);
    logstore_free(bench->logs);
    storage_free(bench->services.storage);
}

static struct order *order_new(const char *type, const char *yaml, size_t number)
{
    struct arena *arena = arena_new_sized(2048);
    struct order *order = ARENA_NEW(arena, struct order);
    struct error err = { 0 };
    *order = (struct order){ .type = ORDER_RUN,
                             .arena = arena,
                             .execution = 1,
                             .execution_id = "execution",
                             .namespace = "bench",
                             .flow_id = "bench",
                             .task_id = "task",
                             .run_id = arena_printf(arena, "run%zu", number),
                             .iteration = -1,
                             .attempt = 1,
                             .plugin = plugin_find(plugins(), type),
                             .context = &value_empty_map };
    order->props = yaml_parse(arena, yaml, strlen(yaml), NULL, &err);
    CHECK(order->plugin != NULL);
    CHECK(order->props != NULL);
    return order;
}

static void wait_for(struct bench *bench, size_t ended)
{
    (void)pthread_mutex_lock(&bench->lock);
    while (bench->ended < ended)
        (void)pthread_cond_wait(&bench->changed, &bench->lock);
    (void)pthread_mutex_unlock(&bench->lock);
}

static double seconds_since(usec_t started)
{
    return (double)(clock_monotonic() - started) / (double)USEC_SEC;
}

/* One after the other. */
static double run_chain(struct bench *bench, const char *type, const char *yaml, size_t count)
{
    static size_t number;
    usec_t started = clock_monotonic();
    size_t before = bench->ended;
    for (size_t i = 1; i <= count; i++) {
        CHECK(bench->face.submit(bench->face.data, order_new(type, yaml, number++)));
        wait_for(bench, before + i);
    }
    return seconds_since(started);
}

/* As many as there is room for. */
static double run_wide(struct bench *bench, const char *type, const char *yaml, size_t count)
{
    static size_t number = 1000000;
    usec_t started = clock_monotonic();
    size_t before = bench->ended;
    for (size_t i = 0; i < count; i++) {
        struct order *order = order_new(type, yaml, number++);
        for (size_t seen = bench->ended; !bench->face.submit(bench->face.data, order);)
            wait_for(bench, seen + 1 > before + count ? before + count : seen + 1);
    }
    wait_for(bench, before + count);
    return seconds_since(started);
}

/* ---- limits ---- */

static double spawn_bare(char *const *argv, size_t count)
{
    usec_t started = clock_monotonic();
    for (size_t i = 0; i < count; i++) {
        pid_t pid = 0;
        int status = 0;
        CHECK(posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
    }
    return seconds_since(started);
}

static char *words_true[] = { (char *)(uintptr_t) "/bin/true", NULL };
static char *words_shell[] = { (char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c",
                               (char *)(uintptr_t) "set -e\n/bin/true; :", NULL };
static char *words_python[] = { (char *)(uintptr_t) "python3", (char *)(uintptr_t) "-c",
                                (char *)(uintptr_t) "print(1)", NULL };

/* Reads what a command writes into a pipe. */
static double read_bare(const char *command)
{
    char bytes[65536];
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, ends[1], 1) == 0);
    char *argv[] = { (char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c",
                     (char *)(uintptr_t)command, NULL };
    pid_t pid = 0;
    usec_t started = clock_monotonic();
    CHECK(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ) == 0);
    (void)close(ends[1]);
    while (read(ends[0], bytes, sizeof(bytes)) > 0)
        ;
    (void)close(ends[0]);
    CHECK(waitpid(pid, NULL, 0) == pid);
    (void)posix_spawn_file_actions_destroy(&actions);
    return seconds_since(started);
}

/* ---- reporting ---- */

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void report(const char *name, const char *unit, double scale, double *ours, double *limit)
{
    qsort(ours, ROUNDS, sizeof(*ours), compare);
    qsort(limit, ROUNDS, sizeof(*limit), compare);
    double median = ours[ROUNDS / 2];
    double bare = limit[ROUNDS / 2];
    double load[1] = { 0 };
    (void)getloadavg(load, 1);
    if (json)
        (void)printf("{\"name\":\"worker-%s\",\"unit\":\"%s\",\"min\":%.2f,\"median\":%.2f,"
                     "\"max\":%.2f,\"n\":%d,\"load\":%.2f,\"probe\":%.2f,\"ratio\":%.3f}\n",
                     name, unit, ours[0] * scale, median * scale, ours[ROUNDS - 1] * scale, ROUNDS,
                     load[0], bare * scale, bare > 0 ? median / bare : 0);
    else
        (void)printf("%-10s %10.2f %s [%.2f … %.2f]  limit %.2f  ratio %.2f\n", name,
                     median * scale, unit, ours[0] * scale, ours[ROUNDS - 1] * scale, bare * scale,
                     bare > 0 ? median / bare : 0);
    (void)fflush(stdout);
}

/* ---- workloads ---- */

static void chain(struct bench *bench)
{
    double ours[ROUNDS];
    double limit[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        limit[i] = spawn_bare(words_true, 400);
        ours[i] = run_chain(bench, COMMANDS, "commands: [/bin/true]\nfailFast: true", 400);
    }
    report("chain", "us/task", 1e6 / 400, ours, limit);
}

static void shell(struct bench *bench)
{
    double ours[ROUNDS];
    double limit[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        limit[i] = spawn_bare(words_shell, 400);
        ours[i] = run_chain(bench, COMMANDS, "commands: [\"/bin/true; :\"]\nfailFast: true", 400);
    }
    report("shell", "us/task", 1e6 / 400, ours, limit);
}

static void wide(struct bench *bench)
{
    double ours[ROUNDS];
    double limit[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        limit[i] = spawn_bare(words_true, 4000) / 2; // two at a time at best
        ours[i] = run_wide(bench, COMMANDS, "commands: [/bin/true]", 4000);
    }
    report("wide", "us/task", 1e6 / 4000, ours, limit);
}

static void python(struct bench *bench)
{
    double ours[ROUNDS];
    double limit[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        limit[i] = spawn_bare(words_python, 40);
        ours[i] = run_chain(bench, PYTHON, "script: print(1)", 40);
    }
    report("python", "ms/task", 1e3 / 40, ours, limit);
}

static void call(struct bench *bench)
{
    double ours[ROUNDS];
    double limit[ROUNDS] = { 0 };
    for (int i = 0; i < ROUNDS; i++)
        ours[i] = run_wide(bench, GET_KEYS, "namespace: bench", 20000);
    report("call", "us/task", 1e6 / 20000, ours, limit);
}

static void logs(struct bench *bench)
{
    static const char command[] = "yes 'a line of one hundred bytes a line of one hundred bytes a "
                                  "line of one hundred bytes a "
                                  "line of one ' | head -n 2000000";
    double ours[ROUNDS];
    double limit[ROUNDS];
    struct arena *arena = arena_new();
    const char *yaml = arena_printf(arena, "commands: [\"%s\"]", command);
    for (int i = 0; i < ROUNDS; i++) {
        limit[i] = read_bare(command);
        ours[i] = run_chain(bench, COMMANDS, yaml, 1);
    }
    report("logs", "ns/line", 1e9 / LOG_LINES, ours, limit);
    arena_free(arena);
}

static const struct {
    const char *name;
    void (*run)(struct bench *bench);
} workloads[] = {
    { "chain", chain },   { "shell", shell }, { "wide", wide },
    { "python", python }, { "call", call },   { "logs", logs },
};

int main(int argc, char **argv)
{
    char folder[] = "/tmp/weir-bench-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    int first = 1;
    if (argc > 1 && str_eq(argv[1], "--json")) {
        json = true;
        first = 2;
    }
    struct bench bench;
    start(&bench, folder, 2);
    for (size_t i = 0; i < COUNT_OF(workloads); i++) {
        bool is_wanted = argc <= first;
        for (int k = first; k < argc; k++)
            is_wanted = is_wanted || str_eq(argv[k], workloads[i].name);
        if (is_wanted)
            workloads[i].run(&bench);
    }
    size_t failed = bench.failed;
    stop(&bench);
    struct error err = { 0 };
    (void)fs_remove_tree(folder, &err); // of the system's own temporary folder
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
