/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker with real processes and threads; services are fakes, answers are collected.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/httpd.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/yaml.h"
#include "runtime/plugins.h"
#include "runtime/storage/storage.h"
#include "runtime/store/logstore.h"
#include "runtime/store/rows.h"
#include "runtime/worker/runner.h"
#include "runtime/worker/worker.h"
#include "tests/support/fake_task.h"
#include "tests/support/test.h"

#define SHELL_SCRIPT   "io.kestra.plugin.scripts.shell.Script"
#define SHELL_COMMANDS "io.kestra.plugin.scripts.shell.Commands"
/* Nothing here takes so long; a test that waits this long has failed. */
#define PATIENCE_SECONDS 180

struct answer {
    enum { STARTED, ENDED, REMOTE, EVALUATED, TRIGGERED } type;
    char run_id[64];
    uint32_t attempt;
    enum state state;
    const struct value *outputs;
    const char *message;
    const char *log_file;
    const char *remote_id;
    const struct value *memo;
    usec_t wake_at;
    size_t metrics;
};

struct fixture {
    struct fake_task *fake; /* services and storage */
    struct worker *worker;
    struct worker_iface face;
    struct logstore *logs;
    struct log_follower *follower;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct arena *arena;   /* of answers; with the lock */
    struct arena *scratch; /* of the test's own thread */
    VEC(struct answer) answers;
    struct buf lines; /* "LEVEL text\n"; with the lock */
    size_t lines_count;
};

/* ---- answers ---- */

static struct answer *add(struct fixture *fixture, const char *run_id, uint32_t attempt)
{
    struct answer *answer = VEC_PUSH(&fixture->answers);
    (void)snprintf(answer->run_id, sizeof(answer->run_id), "%s", run_id == NULL ? "" : run_id);
    answer->attempt = attempt;
    (void)pthread_cond_broadcast(&fixture->changed);
    return answer;
}

static void on_started(
    void *data, const char *execution_id, const char *run_id, uint32_t attempt, const char *worker)
{
    struct fixture *fixture = data;
    (void)execution_id;
    (void)worker;
    (void)pthread_mutex_lock(&fixture->lock);
    add(fixture, run_id, attempt)->type = STARTED;
    (void)pthread_mutex_unlock(&fixture->lock);
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
    struct fixture *fixture = data;
    (void)execution_id;
    (void)metrics;
    (void)pthread_mutex_lock(&fixture->lock);
    struct answer *answer = add(fixture, run_id, attempt);
    answer->type = ENDED;
    answer->state = state;
    answer->outputs = outputs == NULL ? NULL : value_copy(fixture->arena, outputs);
    answer->message = arena_strdup(fixture->arena, message);
    answer->log_file = arena_strdup(fixture->arena, log_file);
    answer->metrics = metrics_count;
    (void)pthread_mutex_unlock(&fixture->lock);
    log_result_free(logs);
}

static void on_remote(void *data,
                      const char *execution_id,
                      const char *run_id,
                      uint32_t attempt,
                      const char *remote_id,
                      const struct value *memo,
                      usec_t wake_at,
                      struct log_result *logs)
{
    struct fixture *fixture = data;
    (void)execution_id;
    (void)pthread_mutex_lock(&fixture->lock);
    struct answer *answer = add(fixture, run_id, attempt);
    answer->type = REMOTE;
    answer->remote_id = arena_strdup(fixture->arena, remote_id);
    answer->memo = memo == NULL ? NULL : value_copy(fixture->arena, memo);
    answer->wake_at = wake_at;
    (void)pthread_mutex_unlock(&fixture->lock);
    log_result_free(logs);
}

static void on_evaluated(void *data,
                         const char *execution_id,
                         const char *run_id,
                         uint32_t attempt,
                         const char *function,
                         const struct value *arguments,
                         const struct value *value,
                         const struct error *err)
{
    struct fixture *fixture = data;
    (void)execution_id;
    (void)function;
    (void)arguments;
    (void)pthread_mutex_lock(&fixture->lock);
    struct answer *answer = add(fixture, run_id, attempt);
    answer->type = EVALUATED;
    answer->outputs = value == NULL ? NULL : value_copy(fixture->arena, value);
    answer->message = value == NULL ? arena_strdup(fixture->arena, err->text) : NULL;
    (void)pthread_mutex_unlock(&fixture->lock);
}

static void on_line(void *data, const struct log_line *line)
{
    struct fixture *fixture = data;
    (void)pthread_mutex_lock(&fixture->lock);
    static const char *const names[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR" };
    fixture->lines_count++;
    if (fixture->lines.length < (8U << 20)) {
        buf_printf(&fixture->lines, "%s ", names[line->level]);
        buf_add(&fixture->lines, line->message, line->length);
        buf_putc(&fixture->lines, '\n');
    }
    (void)pthread_cond_broadcast(&fixture->changed);
    (void)pthread_mutex_unlock(&fixture->lock);
}

static void start_worker(struct fixture *fixture, size_t slots)
{
    struct error err = { 0 };
    struct worker_options options = {
        .services = &fixture->fake->services,
        .plugins = plugins(),
        .logs = fixture->logs,
        .slots = slots,
        .grace = 200 * USEC_MSEC,
    };
    fixture->worker = worker_new(&options, &err);
    if (fixture->worker == NULL)
        fail_msg("%s", err.text);
    struct worker_answers answers = { .data = fixture,
                                      .started = on_started,
                                      .ended = on_ended,
                                      .remote = on_remote,
                                      .evaluated = on_evaluated };
    worker_connect(fixture->worker, &answers);
    fixture->face = worker_interface(fixture->worker);
}

static int set_up(void **state)
{
    struct fixture *fixture = check_calloc(1, sizeof(*fixture));
    struct error err = { 0 };
    fixture->fake = fake_task_new();
    CHECK(pthread_mutex_init(&fixture->lock, NULL) == 0);
    CHECK(pthread_cond_init(&fixture->changed, NULL) == 0);
    fixture->arena = arena_new();
    fixture->scratch = arena_new();
    struct logstore_options options = { 0 };
    fixture->logs = logstore_new(&options, &err);
    CHECK(fixture->logs != NULL);
    fixture->follower = logstore_follow(fixture->logs, NULL, on_line, fixture);
    start_worker(fixture, 4);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    worker_free(fixture->worker);
    logstore_unfollow(fixture->logs, fixture->follower);
    logstore_free(fixture->logs);
    fake_task_free(fixture->fake);
    arena_free(fixture->arena);
    arena_free(fixture->scratch);
    VEC_FREE(&fixture->answers);
    buf_free(&fixture->lines);
    free(fixture);
    return 0;
}

/* ---- orders ---- */

static struct order *order_new(enum order_type type, const char *run_id)
{
    struct arena *arena = arena_new();
    struct order *order = ARENA_NEW(arena, struct order);
    *order = (struct order){ .type = type,
                             .arena = arena,
                             .execution = 1,
                             .execution_id = "exec1",
                             .namespace = "company.team",
                             .flow_id = "my_flow",
                             .flow_revision = 1,
                             .task_id = "my_task",
                             .run_id = arena_strdup(arena, run_id),
                             .iteration = -1,
                             .attempt = 1,
                             .context = &value_empty_map };
    return order;
}

/* Properties as they come rendered, given as YAML. */
static struct order *order_task(const char *type, const char *run_id, const char *yaml)
{
    struct order *order = order_new(ORDER_RUN, run_id);
    struct error err = { 0 };
    order->plugin = plugin_find(plugins(), type);
    CHECK(order->plugin != NULL);
    order->props = yaml_parse(order->arena, yaml, strlen(yaml), NULL, &err);
    if (order->props == NULL)
        fail_msg("%s", err.text);
    if (value_is_null(order->props))
        order->props = &value_empty_map;
    return order;
}

static void submit(struct fixture *fixture, struct order *order)
{
    if (!fixture->face.submit(fixture->face.data, order))
        fail_msg("the worker has no room");
}

static void deadline_in(struct timespec *at)
{
    CHECK(clock_gettime(CLOCK_REALTIME, at) == 0);
    at->tv_sec += PATIENCE_SECONDS;
}

/* The first answer of a type for a run; waits for it. */
static const struct answer *wait_for(struct fixture *fixture, int type, const char *run_id)
{
    struct timespec deadline;
    deadline_in(&deadline);
    (void)pthread_mutex_lock(&fixture->lock);
    for (;;) {
        for (size_t i = 0; i < fixture->answers.count; i++) {
            struct answer *answer = &fixture->answers.items[i];
            if ((int)answer->type == type && str_eq(answer->run_id, run_id)) {
                struct answer *copy = arena_memdup(fixture->arena, answer, sizeof(*answer));
                (void)pthread_mutex_unlock(&fixture->lock);
                return copy;
            }
        }
        if (pthread_cond_timedwait(&fixture->changed, &fixture->lock, &deadline) == ETIMEDOUT) {
            (void)pthread_mutex_unlock(&fixture->lock);
            fail_msg("no answer of kind %d for run '%s'", type, run_id);
        }
    }
}

static void wait_for_line(struct fixture *fixture, const char *text)
{
    struct timespec deadline;
    deadline_in(&deadline);
    (void)pthread_mutex_lock(&fixture->lock);
    while (strstr(buf_text(&fixture->lines), text) == NULL) {
        if (pthread_cond_timedwait(&fixture->changed, &fixture->lock, &deadline) == ETIMEDOUT) {
            (void)pthread_mutex_unlock(&fixture->lock);
            fail_msg("no line '%s'", text);
        }
    }
    (void)pthread_mutex_unlock(&fixture->lock);
}

/* Until everything that was answered is also put away. */
static void wait_until_idle(struct fixture *fixture)
{
    while (worker_counts(fixture->worker).pending > 0)
        (void)sched_yield();
}

static const struct answer *run(struct fixture *fixture,
                                const char *type,
                                const char *run_id,
                                const char *yaml)
{
    submit(fixture, order_task(type, run_id, yaml));
    return wait_for(fixture, ENDED, run_id);
}

#define ASSERT_STATE(answer, expected)                                                             \
    do {                                                                                           \
        if ((answer)->state != (expected))                                                         \
            fail_msg("%s instead of %s: %s", states[(answer)->state].name, states[expected].name,  \
                     (answer)->message == NULL ? "" : (answer)->message);                          \
    } while (0)

static const char *json(struct fixture *fixture, const struct value *value)
{
    return value == NULL ? "none" : value_to_json(fixture->scratch, value);
}

/* A zombie that nobody has reaped yet does not run. */
static bool is_running(pid_t pid)
{
    char path[64];
    char text[512];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    const char *after = strrchr(text, ')');
    return after != NULL && after[2] != 'Z' && after[2] != 'X';
}

/* A process that was sent its end is gone when the machine comes to it. */
static void wait_until_gone(pid_t pid)
{
    struct timespec deadline;
    struct timespec now;
    deadline_in(&deadline);
    while (is_running(pid)) {
        CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
        if (now.tv_sec > deadline.tv_sec)
            fail_msg("process %d is still running", (int)pid);
        (void)sched_yield();
    }
}

/* ---- processes ---- */

static void a_command_runs_and_its_lines_are_logged(void **state)
{
    struct fixture *fixture = *state;
    const struct answer *answer =
        run(fixture, SHELL_COMMANDS, "r1", "commands: [echo one, echo two >&2, printf last]");
    ASSERT_STATE(answer, STATE_SUCCESS);
    assert_null(answer->message);
    assert_string_equal(json(fixture, answer->outputs),
                        "{\"vars\":{},\"exitCode\":0,\"outputFiles\":{},\"stdOutLineCount\":2,"
                        "\"stdErrLineCount\":1}");
    wait_for_line(fixture, "INFO one\n");
    wait_for_line(fixture, "ERROR two\n");
    wait_for_line(fixture, "INFO last\n");
    assert_int_equal(fixture->answers.items[0].type, STARTED);
    wait_until_idle(fixture);
    fixture->face.forget(fixture->face.data, "exec1");
    assert_int_equal(
        access(arena_printf(fixture->scratch, "%s/work/exec1", fixture->fake->folder), F_OK), -1);
}

static void an_exit_code_fails_the_task_and_keeps_its_outputs(void **state)
{
    struct fixture *fixture = *state;
    const struct answer *answer = run(fixture, SHELL_SCRIPT, "r1",
                                      "script: |\n"
                                      "  echo '::{\"outputs\": {\"a\": 1, \"b\": [1]}}::'\n"
                                      "  echo text > out.txt\n"
                                      "  echo '::{\"outputs\": {\"a\": 2}}::'\n"
                                      "  exit 3\n"
                                      "outputFiles: [\"*.txt\"]");
    ASSERT_STATE(answer, STATE_FAILED);
    assert_string_equal(answer->message, "Command failed with exit code 3");
    assert_string_equal(json(fixture, value_get(answer->outputs, "vars")), "{\"a\":2,\"b\":[1]}");
    assert_string_equal(json(fixture, value_get(answer->outputs, "exitCode")), "3");
    const struct value *files = value_get(answer->outputs, "outputFiles");
    assert_string_equal(fake_read(fixture->fake, value_get_text(files, "out.txt", NULL)), "text\n");
}

static void fail_fast_stops_at_the_first_failing_command(void **state)
{
    struct fixture *fixture = *state;
    const struct answer *answer =
        run(fixture, SHELL_COMMANDS, "r1", "commands: [\"false\", echo not-reached]");
    ASSERT_STATE(answer, STATE_FAILED);
    answer = run(fixture, SHELL_COMMANDS, "r2",
                 "failFast: false\nbeforeCommands: [\"X=before\"]\n"
                 "commands: [\"false\", \"echo $X-$Y\"]\nenv: {Y: env}");
    ASSERT_STATE(answer, STATE_SUCCESS);
    wait_for_line(fixture, "INFO before-env\n");
    assert_null(strstr(fixture->lines.bytes, "not-reached"));
}

static void a_runner_goes_by_all_its_names(void **state)
{
    struct fixture *fixture = *state;
    const struct answer *answer =
        run(fixture, SHELL_COMMANDS, "r1",
            "commands: [echo $PPID]\n"
            "taskRunner: {type: io.kestra.plugin.core.runner.ProcessTaskRunner}");
    ASSERT_STATE(answer, STATE_SUCCESS);
    wait_for_line(fixture, arena_printf(fixture->scratch, "INFO %d\n", (int)getpid()));
    answer = run(fixture, SHELL_COMMANDS, "r2",
                 "commands: [echo x]\ntaskRunner: {type: no.such.Runner}");
    ASSERT_STATE(answer, STATE_FAILED);
    answer = run(fixture, SHELL_COMMANDS, "r3",
                 "commands: [echo x]\ncontainerImage: ''\n"
                 "taskRunner: {type: io.kestra.plugin.scripts.runner.docker.Docker}");
    ASSERT_STATE(answer, STATE_FAILED);
    assert_string_equal(answer->message, "This task runner needs 'containerImage'");
}

static void commands_without_a_shell_behave_as_with_one(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *command;
        const char *message;
    } cases[] = {
        { "/bin/true", NULL },
        { "/bin/false", "Command failed with exit code 1" },
        { "no-such-command-anywhere", "Command failed with exit code 127" },
        { "/etc/passwd", "Command failed with exit code 126" },
        { "/bin/ls /no/such/folder", "Command failed with exit code 2" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char run_id[16];
        (void)snprintf(run_id, sizeof(run_id), "r%zu", i);
        const struct answer *answer =
            run(fixture, SHELL_COMMANDS, run_id,
                arena_printf(fixture->scratch, "commands: [\"%s\"]", cases[i].command));
        ASSERT_STATE(answer, cases[i].message == NULL ? STATE_SUCCESS : STATE_FAILED);
        if (cases[i].message == NULL)
            assert_null(answer->message);
        else
            assert_string_equal(answer->message, cases[i].message);
    }
    (void)run(fixture, SHELL_COMMANDS, "pwd", "commands: [/bin/pwd]");
    wait_for_line(fixture, "work/exec1/pwd\n");
    (void)run(fixture, SHELL_COMMANDS, "env", "commands: [/usr/bin/env]");
    wait_for_line(fixture, arena_printf(fixture->scratch, "INFO WORKING_DIR=%s/work/exec1/env\n",
                                        fixture->fake->folder));
    wait_for_line(fixture, arena_printf(fixture->scratch, "INFO PWD=%s/work/exec1/env\n",
                                        fixture->fake->folder));
}

static void a_command_runs_under_each_name_of_the_process_runner(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; runner_process_aliases[i] != NULL; i++) {
        char run_id[16];
        (void)snprintf(run_id, sizeof(run_id), "r%zu", i);
        const struct answer *answer =
            run(fixture, SHELL_COMMANDS, run_id,
                arena_printf(fixture->scratch, "commands: [echo $0]\ntaskRunner: {type: %s}",
                             runner_process_aliases[i]));
        ASSERT_STATE(answer, STATE_SUCCESS);
    }
}

static void secrets_of_the_server_do_not_reach_a_command(void **state)
{
    struct fixture *fixture = *state;
    CHECK(setenv("SECRET_OF_TEST", "hidden", 1) == 0);
    CHECK(setenv("WEIR_ENCRYPTION_KEY", "hidden", 1) == 0);
    CHECK(setenv("PLAIN_OF_TEST", "shown", 1) == 0);
    (void)run(fixture, SHELL_SCRIPT, "r1",
              "script: 'echo \"[$SECRET_OF_TEST][$WEIR_ENCRYPTION_KEY][$PLAIN_OF_TEST]\"'");
    wait_for_line(fixture, "INFO [][][shown]\n");
    CHECK(unsetenv("SECRET_OF_TEST") == 0);
    CHECK(unsetenv("WEIR_ENCRYPTION_KEY") == 0);
}

static void an_empty_folder_serves_the_next_run_of_the_execution(void **state)
{
    struct fixture *fixture = *state;
    (void)run(fixture, SHELL_COMMANDS, "r1", "commands: [\"ls -di .\"]");
    wait_until_idle(fixture);
    (void)run(fixture, SHELL_COMMANDS, "r2", "commands: [\"ls -di .; pwd\"]");
    wait_for_line(fixture, "work/exec1/r2\n");
    const char *first = strstr(fixture->lines.bytes, "INFO ");
    const char *second = strstr(first + 5, "INFO ");
    assert_int_equal(strtol(first + 5, NULL, 10), strtol(second + 5, NULL, 10));
    // One that is not as it was made goes.
    (void)run(fixture, SHELL_COMMANDS, "r3", "commands: [touch left, mkdir deep]");
    (void)run(fixture, SHELL_COMMANDS, "r4", "commands: [chmod 755 .]");
    wait_until_idle(fixture);
    (void)run(fixture, SHELL_COMMANDS, "r5", "commands: [\"stat -c %a .; ls -a | wc -l\"]");
    wait_for_line(fixture, "INFO 700\nINFO 2\n");
    wait_until_idle(fixture);
    fixture->face.forget(fixture->face.data, "exec1");
    assert_int_equal(
        access(arena_printf(fixture->scratch, "%s/work/exec1", fixture->fake->folder), F_OK), -1);
}

static void registered_secrets_are_masked_in_logs_and_messages(void **state)
{
    struct fixture *fixture = *state;
    worker_mask(fixture->worker, "exec1", "top-secret-value", 16);
    const struct answer *answer =
        run(fixture, SHELL_SCRIPT, "r1",
            "script: |\n"
            "  echo see top-secret-value here\n"
            "  echo '::{\"logs\": [{\"level\": \"WARN\", \"message\": \"top-secret-value\"}]}::'");
    ASSERT_STATE(answer, STATE_SUCCESS);
    wait_for_line(fixture, "INFO see ****** here\n");
    wait_for_line(fixture, "WARN ******\n");
    answer = run(fixture, "io.kestra.plugin.core.storage.Size", "r2", "uri: top-secret-value");
    ASSERT_STATE(answer, STATE_FAILED);
    assert_non_null(strstr(answer->message, "'******'"));
    struct buf out = { 0 };
    assert_true(worker_redact(fixture->worker, "exec1", "a top-secret-value", 18, &out));
    assert_string_equal(buf_text(&out), "a ******");
    wait_until_idle(fixture);
    fixture->face.forget(fixture->face.data, "exec1");
    assert_false(worker_redact(fixture->worker, "exec1", "a top-secret-value", 18, &out));
    buf_free(&out);
}

static void a_secret_that_the_limit_of_a_line_cuts_does_not_show(void **state)
{
    struct fixture *fixture = *state;
    worker_mask(fixture->worker, "exec1", "top-secret-value", 16);
    const struct answer *answer = run(fixture, SHELL_SCRIPT, "r1",
                                      "script: |\n"
                                      "  head -c 1048570 /dev/zero | tr '\\0' x\n"
                                      "  echo top-secret-value and more\n"
                                      "  echo next");
    ASSERT_STATE(answer, STATE_SUCCESS);
    wait_for_line(fixture, "xx****** … (cut)\n");
    wait_for_line(fixture, "INFO next\n");
    assert_null(strstr(fixture->lines.bytes, "xtop"));
}

static void protocol_lines_give_metrics_and_logs(void **state)
{
    struct fixture *fixture = *state;
    const struct answer *answer =
        run(fixture, SHELL_SCRIPT, "r1",
            "script: |\n"
            "  echo '::{\"metrics\": [{\"name\": \"rows\", \"type\": \"counter\", \"value\": 3, "
            "\"tags\": {\"a\": \"b\"}}, {\"name\": \"t\", \"type\": \"timer\", \"value\": "
            "\"PT2S\"}]}::'\n"
            "  echo '::{\"logs\": [{\"level\": \"DEBUG\", \"message\": \"from script\"}]}::' >&2\n"
            "  echo '::{not json}::'\n"
            "  echo 'x ::{\"outputs\": {}}::'");
    ASSERT_STATE(answer, STATE_SUCCESS);
    assert_int_equal(answer->metrics, 2);
    wait_for_line(fixture, "DEBUG from script\n");
    wait_for_line(fixture, "WARN A line looks like outputs but is not JSON");
    wait_for_line(fixture, "INFO ::{not json}::\n");
    wait_for_line(fixture, "INFO x ::{\"outputs\": {}}::\n");
}

static void log_level_drops_lines_below_it(void **state)
{
    struct fixture *fixture = *state;
    struct order *order = order_task(SHELL_SCRIPT, "r1", "script: echo quiet; echo loud >&2");
    order->log_level = LOG_WARN;
    submit(fixture, order);
    ASSERT_STATE(wait_for(fixture, ENDED, "r1"), STATE_SUCCESS);
    wait_for_line(fixture, "ERROR loud\n");
    assert_null(strstr(fixture->lines.bytes, "quiet"));
}

static void log_to_file_stores_the_log_instead(void **state)
{
    struct fixture *fixture = *state;
    struct order *order = order_task(SHELL_SCRIPT, "r1", "script: echo to the file");
    order->log_to_file = true;
    submit(fixture, order);
    const struct answer *answer = wait_for(fixture, ENDED, "r1");
    ASSERT_STATE(answer, STATE_SUCCESS);
    assert_non_null(strstr(fake_read(fixture->fake, answer->log_file), " INFO to the file\n"));
    assert_int_equal(fixture->lines_count, 0);
}

static void files_come_and_go_around_a_command(void **state)
{
    struct fixture *fixture = *state;
    fake_file(fixture->fake, "company.team", "lib/f.sh", "echo from namespace file");
    const char *uri = fake_store(fixture->fake, "in.csv", "1,2\n");
    const struct answer *answer =
        run(fixture, SHELL_COMMANDS, "r1",
            arena_printf(fixture->scratch,
                         "namespaceFiles: {enabled: true}\n"
                         "inputFiles: {dir/in.txt: inline, copy.csv: \"%s\"}\n"
                         "outputDirectory: true\n"
                         "outputFiles: [\"dir/*\", \"copy.csv\"]\n"
                         "commands:\n"
                         "  - sh lib/f.sh\n"
                         "  - cat '%s' >> dir/in.txt\n"
                         "  - mkdir \"$OUTPUT_DIR/sub\" && echo x > \"$OUTPUT_DIR/sub/y\"\n",
                         uri, uri));
    ASSERT_STATE(answer, STATE_SUCCESS);
    wait_for_line(fixture, "INFO from namespace file\n");
    const struct value *files = value_get(answer->outputs, "outputFiles");
    assert_int_equal(value_count(files), 3);
    assert_string_equal(fake_read(fixture->fake, value_get_text(files, "dir/in.txt", NULL)),
                        "inline1,2\n");
    assert_string_equal(fake_read(fixture->fake, value_get_text(files, "copy.csv", NULL)), "1,2\n");
    assert_string_equal(fake_read(fixture->fake, value_get_text(files, "sub/y", NULL)), "x\n");
}

static void much_output_arrives_whole(void **state)
{
    struct fixture *fixture = *state;
    const struct answer *answer =
        run(fixture, SHELL_SCRIPT, "r1",
            "script: |\n"
            "  i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i + 1)); done; echo done");
    ASSERT_STATE(answer, STATE_SUCCESS);
    wait_for_line(fixture, "INFO done\n");
    assert_int_equal(fixture->lines_count, 20001);
    assert_string_equal(json(fixture, value_get(answer->outputs, "stdOutLineCount")), "20001");
    wait_for_line(fixture, "INFO line-0\nINFO line-1\nINFO line-2\n");
    wait_for_line(fixture, "INFO line-19999\nINFO done\n");
}

static void odd_lines_are_taken_as_they_are(void **state)
{
    struct fixture *fixture = *state;
    const struct answer *answer = run(fixture, SHELL_SCRIPT, "r1",
                                      "script: |\n"
                                      "  printf 'cr\\r\\n\\n'\n"
                                      "  printf 'bad \\377\\376 nul \\000 end\\n'\n"
                                      "  head -c 1048576 /dev/zero | tr '\\0' a; echo b\n"
                                      "  head -c 3000000 /dev/zero | tr '\\0' c; echo; echo after\n"
                                      "  printf 'no end'");
    ASSERT_STATE(answer, STATE_SUCCESS);
    wait_for_line(fixture, "INFO cr\nINFO \n");
    wait_for_line(fixture, "INFO bad \xef\xbf\xbd\xef\xbf\xbd nul \xef\xbf\xbd end\n");
    wait_for_line(fixture, "\nINFO after\nINFO no end\n");
    assert_string_equal(json(fixture, value_get(answer->outputs, "stdOutLineCount")), "7");
}

static void a_large_output_line_is_parsed_whole(void **state)
{
    struct fixture *fixture = *state;
    const struct answer *answer = run(fixture, SHELL_SCRIPT, "r1",
                                      "script: |\n"
                                      "  printf '::{\"outputs\": {\"big\": \"'\n"
                                      "  head -c 3000000 /dev/zero | tr '\\0' x\n"
                                      "  echo '\"}}::'");
    ASSERT_STATE(answer, STATE_SUCCESS);
    const struct value *big = value_path(answer->outputs, "vars.big");
    assert_non_null(big);
    assert_int_equal(big->string.length, 3000000);
}

static void a_timeout_ends_the_whole_group(void **state)
{
    struct fixture *fixture = *state;
    struct order *order =
        order_task(SHELL_SCRIPT, "r1", "script: |\n  sleep 100 &\n  echo child $!\n  wait\n");
    order->timeout = USEC_SEC; // enough for the first line, on a busy machine too
    submit(fixture, order);
    const struct answer *answer = wait_for(fixture, ENDED, "r1");
    ASSERT_STATE(answer, STATE_FAILED);
    assert_string_equal(answer->message, "Timeout after PT1S");
    wait_for_line(fixture, "INFO child ");
    pid_t child = (pid_t)strtol(strstr(fixture->lines.bytes, "INFO child ") + 11, NULL, 10);
    wait_until_gone(child);
}

static void a_kill_ends_the_group_and_answers_killed(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture,
           order_task(SHELL_SCRIPT, "r1", "script: trap '' TERM; echo up; sleep 100 & wait; wait"));
    wait_for_line(fixture, "INFO up\n");
    assert_true(fixture->face.has(fixture->face.data, "exec1", "r1", 1));
    fixture->face.cancel(fixture->face.data, "exec1", "r1", 1);
    ASSERT_STATE(wait_for(fixture, ENDED, "r1"), STATE_KILLED);
    while (fixture->face.has(fixture->face.data, "exec1", "r1", 1))
        (void)sched_yield();
}

static void a_kill_of_an_unknown_attempt_is_answered(void **state)
{
    struct fixture *fixture = *state;
    fixture->face.cancel(fixture->face.data, "exec1", "unknown", 2);
    const struct answer *answer = wait_for(fixture, ENDED, "unknown");
    ASSERT_STATE(answer, STATE_KILLED);
    assert_int_equal(answer->attempt, 2);
    assert_false(fixture->face.has(fixture->face.data, "exec1", "unknown", 2));
}

static void a_background_process_does_not_hold_the_end_up(void **state)
{
    struct fixture *fixture = *state;
    const struct answer *answer =
        run(fixture, SHELL_SCRIPT, "r1", "script: sleep 100 & echo started");
    ASSERT_STATE(answer, STATE_SUCCESS);
    answer = run(fixture, SHELL_SCRIPT, "r2", "script: setsid sleep 100 & echo started elsewhere");
    ASSERT_STATE(answer, STATE_SUCCESS);
}

static void an_order_that_is_known_is_not_run_again(void **state)
{
    struct fixture *fixture = *state;
    const char *yaml =
        "script: |\n  echo once\n  read x < fifo\ninputFiles: {}\nbeforeCommands: [mkfifo fifo]";
    submit(fixture, order_task(SHELL_SCRIPT, "r1", yaml));
    wait_for_line(fixture, "INFO once\n");
    submit(fixture, order_task(SHELL_SCRIPT, "r1", yaml));
    const char *fifo =
        arena_printf(fixture->scratch, "%s/work/exec1/r1/fifo", fixture->fake->folder);
    AUTO_FD int fd = open(fifo, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "\n", 1), 1);
    ASSERT_STATE(wait_for(fixture, ENDED, "r1"), STATE_SUCCESS);
    size_t started = 0;
    for (size_t i = 0; i < fixture->answers.count; i++)
        started += fixture->answers.items[i].type == STARTED;
    assert_int_equal(started, 1);
    // An answered attempt may come again, for example after a lost commit.
    while (fixture->face.has(fixture->face.data, "exec1", "r1", 1))
        (void)sched_yield();
}

static void processes_beyond_the_slots_wait_in_order(void **state)
{
    struct fixture *fixture = *state;
    worker_free(fixture->worker);
    start_worker(fixture, 1);
    submit(fixture,
           order_task(SHELL_SCRIPT, "first", "script: mkfifo f; echo up; read x < f; echo first"));
    wait_for_line(fixture, "INFO up\n");
    for (int i = 0; i < 5; i++) {
        char run_id[16];
        (void)snprintf(run_id, sizeof(run_id), "w%d", i);
        submit(fixture, order_task(SHELL_SCRIPT, run_id,
                                   arena_printf(fixture->scratch, "script: echo waiting-%d", i)));
    }
    assert_int_equal(worker_counts(fixture->worker).waiting, 5);
    assert_int_equal(worker_counts(fixture->worker).processes, 1);
    fixture->face.cancel(fixture->face.data, "exec1", "w2", 1);
    ASSERT_STATE(wait_for(fixture, ENDED, "w2"), STATE_KILLED);
    const char *fifo =
        arena_printf(fixture->scratch, "%s/work/exec1/first/f", fixture->fake->folder);
    AUTO_FD int fd = open(fifo, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "\n", 1), 1);
    ASSERT_STATE(wait_for(fixture, ENDED, "w4"), STATE_SUCCESS);
    wait_for_line(fixture,
                  "INFO first\nINFO waiting-0\nINFO waiting-1\nINFO waiting-3\nINFO waiting-4\n");
}

static void a_stopped_worker_kills_and_answers_nothing(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, order_task(SHELL_SCRIPT, "r1", "script: echo $$; sleep 100"));
    wait_for_line(fixture, "INFO ");
    pid_t child = (pid_t)strtol(strstr(fixture->lines.bytes, "INFO ") + 5, NULL, 10);
    worker_free(fixture->worker);
    assert_false(is_running(child));
    for (size_t i = 0; i < fixture->answers.count; i++)
        assert_int_not_equal(fixture->answers.items[i].type, ENDED);
    start_worker(fixture, 4);
}

static void what_a_killed_server_left_running_is_killed_at_the_start(void **state)
{
    struct fixture *fixture = *state;
    worker_free(fixture->worker);
    // A process as a worker would have started it, in a session of its own, and one of nobody's.
    AUTO_FREE char *root = realpath(fixture->fake->services.work_root, NULL);
    const char *mark = arena_printf(fixture->scratch, "WEIR_WORK_ROOT=%s", root);
    pid_t ours = fork();
    CHECK(ours >= 0);
    if (ours == 0) {
        (void)setsid();
        (void)execle("/bin/sleep", "sleep", "100", NULL,
                     (char *[]){ (char *)(uintptr_t)mark, NULL });
        _exit(1);
    }
    pid_t other = fork();
    CHECK(other >= 0);
    if (other == 0) {
        (void)execle("/bin/sleep", "sleep", "100", NULL, (char *[]){ NULL });
        _exit(1);
    }
    // The child has its environment once it runs the other program.
    char path[64];
    char name[32] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)ours);
    while (!str_eq(name, "sleep\n")) {
        AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);
        name[got > 0 ? got : 0] = '\0';
    }
    start_worker(fixture, 4);
    int status = 0;
    assert_int_equal(waitpid(ours, &status, 0), ours);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(kill(other, 0), 0);
    (void)kill(other, SIGKILL);
    (void)waitpid(other, NULL, 0);
}

static void left_over_folders_are_removed_unless_the_execution_lives(void **state)
{
    struct fixture *fixture = *state;
    struct error err = { 0 };
    worker_free(fixture->worker);
    const char *root = fixture->fake->services.work_root;
    assert_true(fs_mkdirs(arena_printf(fixture->scratch, "%s/gone/x", root), 0700, &err));
    assert_true(fs_mkdirs(arena_printf(fixture->scratch, "%s/.gone-7/x", root), 0700, &err));
    static char failure[] = "no such execution";
    (void)map_put(&fixture->fake->operation_failures, "execution.get", failure);
    start_worker(fixture, 4);
    assert_int_equal(access(arena_printf(fixture->scratch, "%s/gone", root), F_OK), -1);
    assert_int_equal(access(arena_printf(fixture->scratch, "%s/.gone-7", root), F_OK), -1);

    worker_free(fixture->worker);
    (void)map_remove(&fixture->fake->operation_failures, "execution.get");
    static char alive[] = "{\"state\": \"RUNNING\"}";
    (void)map_put(&fixture->fake->operation_answers, "execution.get", alive);
    assert_true(fs_mkdirs(arena_printf(fixture->scratch, "%s/lives/x", root), 0700, &err));
    start_worker(fixture, 4);
    assert_int_equal(access(arena_printf(fixture->scratch, "%s/lives/x", root), F_OK), 0);
    fixture->face.forget(fixture->face.data, "lives");
    assert_int_equal(access(arena_printf(fixture->scratch, "%s/lives", root), F_OK), -1);
}

static void a_runner_that_does_not_exist_fails_the_task(void **state)
{
    struct fixture *fixture = *state;
    const struct answer *answer = run(fixture, SHELL_SCRIPT, "r1",
                                      "script: echo x\ntaskRunner: {type: io.kestra.none.Runner}");
    ASSERT_STATE(answer, STATE_FAILED);
    assert_non_null(strstr(answer->message, "io.kestra.none.Runner"));
}

/* ---- scripts ---- */

/* A package that needs no network: a wheel made by the first task. */
static void packages_of_python_are_installed_once(void **state)
{
    struct fixture *fixture = *state;
    if (access("/usr/bin/python3", X_OK) != 0)
        TEST_SKIP("python3 is not installed");
    fixture->fake->services.cache_root =
        arena_printf(fixture->fake->arena, "%s/cache", fixture->fake->folder);
    const struct answer *answer =
        run(fixture, "io.kestra.plugin.scripts.python.Script", "r1",
            "outputFiles: ['*.whl']\n"
            "script: |\n"
            "  import ensurepip, venv, zipfile\n"
            "  info = 'tiny-1.dist-info/'\n"
            "  with zipfile.ZipFile('tiny-1-py3-none-any.whl', 'w') as wheel:\n"
            "      wheel.writestr('tiny.py', 'word = \"here\"')\n"
            "      wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: tiny\\n"
            "Version: 1\\n')\n"
            "      wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\n"
            "Root-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
            "      wheel.writestr(info + 'RECORD', '')\n");
    if (answer->state != STATE_SUCCESS)
        TEST_SKIP("python3 cannot make virtual environments");
    const char *wheel =
        value_get_text(value_get(answer->outputs, "outputFiles"), "tiny-1-py3-none-any.whl", NULL);
    assert_non_null(wheel);
    static const char script[] = "script: |\n"
                                 "  import tiny, sys\n"
                                 "  print(tiny.word, sys.prefix)\n";
    for (int i = 0; i < 2; i++) {
        // The second time the package is not there any more, and not needed.
        const char *input =
            i == 0 ? arena_printf(fixture->scratch, "inputFiles: {tiny-1-py3-none-any.whl: '%s'}\n",
                                  wheel)
                   : "";
        answer = run(fixture, "io.kestra.plugin.scripts.python.Script", i == 0 ? "r2" : "r3",
                     arena_printf(fixture->scratch,
                                  "packageManager: PIP\n"
                                  "dependencies: [./tiny-1-py3-none-any.whl]\n%s%s",
                                  input, script));
        ASSERT_STATE(answer, STATE_SUCCESS);
    }
    wait_for_line(fixture, arena_printf(fixture->scratch, "INFO here %s/python/",
                                        fixture->fake->services.cache_root));
}

static void python_scripts_run_with_their_prelude(void **state)
{
    struct fixture *fixture = *state;
    if (access("/usr/bin/python3", X_OK) != 0)
        TEST_SKIP("python3 is not installed");
    const struct answer *answer = run(fixture, "io.kestra.plugin.scripts.python.Script", "r1",
                                      "script: |\n"
                                      "  from __future__ import annotations\n"
                                      "  import os, sys\n"
                                      "  print(true, false, null, os.environ['PYTHONUNBUFFERED'])\n"
                                      "  open('out.csv', 'w').write('x')\n"
                                      "  print('::{\"outputs\": {\"n\": 42}}::')\n"
                                      "outputFiles: [\"*\"]");
    ASSERT_STATE(answer, STATE_SUCCESS);
    wait_for_line(fixture, "INFO True False None true\n");
    assert_string_equal(json(fixture, value_path(answer->outputs, "vars.n")), "42");
    assert_int_equal(value_count(value_get(answer->outputs, "outputFiles")), 1);
    answer =
        run(fixture, "io.kestra.plugin.scripts.python.Script", "r2", "script: raise SystemExit(7)");
    assert_string_equal(answer->message, "Command failed with exit code 7");
}

static void other_languages_run_their_script_files(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *program;
        const char *type;
        const char *yaml;
    } cases[] = {
        { "/usr/bin/node", "io.kestra.plugin.scripts.node.Script",
          "script: console.log('from node')" },
        { "/usr/bin/perl", "io.kestra.plugin.scripts.perl.Script",
          "script: print \"from perl\\n\";" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (access(cases[i].program, X_OK) != 0)
            continue;
        const struct answer *answer =
            run(fixture, cases[i].type, arena_printf(fixture->scratch, "r%zu", i), cases[i].yaml);
        ASSERT_STATE(answer, STATE_SUCCESS);
        wait_for_line(fixture, "INFO from ");
    }
}

/* ---- calls ---- */

static void a_call_answers_its_outputs(void **state)
{
    struct fixture *fixture = *state;
    fake_kv(fixture->fake, "company.team", "k", "{\"a\": 1}");
    const struct answer *answer =
        run(fixture, "io.kestra.plugin.core.kv.Get", "r1", "key: k\nnamespace: company.team");
    ASSERT_STATE(answer, STATE_SUCCESS);
    assert_string_equal(json(fixture, answer->outputs), "{\"value\":{\"a\":1}}");
    answer = run(fixture, "io.kestra.plugin.core.kv.Get", "r2", "namespace: company.team");
    ASSERT_STATE(answer, STATE_FAILED);
    assert_string_equal(answer->message, "property 'key' is required");
}

static void a_call_that_takes_too_long_times_out(void **state)
{
    struct fixture *fixture = *state;
    struct order *order =
        order_task("io.kestra.plugin.jdbc.sqlite.Query", "r1",
                   "sql: with recursive c(x) as (select 1 union all select x + 1 from c) "
                   "select count(*) from c");
    order->timeout = 200 * USEC_MSEC;
    submit(fixture, order);
    const struct answer *answer = wait_for(fixture, ENDED, "r1");
    ASSERT_STATE(answer, STATE_FAILED);
    assert_string_equal(answer->message, "Timeout after PT0.2S");
}

static void a_call_is_cancelled(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture,
           order_task("io.kestra.plugin.jdbc.sqlite.Query", "r1",
                      "sql: with recursive c(x) as (select 1 union all select x + 1 from c) "
                      "select count(*) from c"));
    (void)wait_for(fixture, STARTED, "r1");
    fixture->face.cancel(fixture->face.data, "exec1", "r1", 1);
    ASSERT_STATE(wait_for(fixture, ENDED, "r1"), STATE_KILLED);
}

static void functions_are_evaluated(void **state)
{
    struct fixture *fixture = *state;
    struct error err = { 0 };
    static char secret[] = "s3cr3t-value";
    (void)map_put(&fixture->fake->secrets, "K", secret);
    struct order *order = order_new(ORDER_EVALUATE, "e1");
    order->function = "secret";
    order->props = json_parse(order->arena, "{\"key\":\"K\"}", 11, &err);
    static const char context[] = "{\"flow\":{\"namespace\":\"company.team\"}}";
    order->context = json_parse(order->arena, context, sizeof(context) - 1, &err);
    submit(fixture, order);
    const struct answer *answer = wait_for(fixture, EVALUATED, "e1");
    assert_string_equal(value_cstr(answer->outputs), "s3cr3t-value");
    struct buf out = { 0 };
    assert_true(worker_redact(fixture->worker, "exec1", "s3cr3t-value", 12, &out));
    buf_free(&out);

    order = order_new(ORDER_EVALUATE, "e2");
    order->function = "kv";
    order->props = json_parse(order->arena, "{\"key\":\"none\"}", 14, &err);
    order->context = json_parse(order->arena, context, sizeof(context) - 1, &err);
    submit(fixture, order);
    answer = wait_for(fixture, EVALUATED, "e2");
    assert_null(answer->outputs);
    assert_non_null(strstr(answer->message, "'none' does not exist"));
}

/* ---- WorkingDirectory ---- */

static void a_working_directory_is_shared_and_collected(void **state)
{
    struct fixture *fixture = *state;
    const char *props = "inputFiles: {in.txt: hello}\noutputFiles: [\"*.txt\"]";
    struct order *order = order_task("io.kestra.plugin.core.storage.LocalFiles", "wd", props);
    order->phase = "open";
    submit(fixture, order);
    ASSERT_STATE(wait_for(fixture, ENDED, "wd"), STATE_SUCCESS);

    order = order_task(SHELL_SCRIPT, "child1", "script: cat in.txt > made.txt");
    order->working_dir_of = "wd";
    submit(fixture, order);
    ASSERT_STATE(wait_for(fixture, ENDED, "child1"), STATE_SUCCESS);
    order = order_task(SHELL_SCRIPT, "child2", "script: cat made.txt; rm in.txt");
    order->working_dir_of = "wd";
    submit(fixture, order);
    ASSERT_STATE(wait_for(fixture, ENDED, "child2"), STATE_SUCCESS);
    wait_for_line(fixture, "INFO hello\n");

    order = order_task("io.kestra.plugin.core.storage.LocalFiles", "wd", props);
    order->phase = "close";
    order->attempt = 2;
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->answers.count = 0;
    (void)pthread_mutex_unlock(&fixture->lock);
    submit(fixture, order);
    const struct answer *answer = wait_for(fixture, ENDED, "wd");
    ASSERT_STATE(answer, STATE_SUCCESS);
    const struct value *files = value_get(answer->outputs, "outputFiles");
    assert_int_equal(value_count(files), 1);
    assert_string_equal(fake_read(fixture->fake, value_get_text(files, "made.txt", NULL)), "hello");
    assert_int_equal(
        access(arena_printf(fixture->scratch, "%s/work/exec1/wd", fixture->fake->folder), F_OK),
        -1);
}

static void a_cache_is_saved_and_restored(void **state)
{
    struct fixture *fixture = *state;
    const char *props = "cache: {patterns: [\"kept/**\"], ttl: PT1H}";
    for (int round = 0; round < 2; round++) {
        const char *wd = round == 0 ? "wd1" : "wd2";
        struct order *order = order_task("io.kestra.plugin.core.storage.LocalFiles", wd, props);
        order->phase = "open";
        submit(fixture, order);
        ASSERT_STATE(wait_for(fixture, ENDED, wd), STATE_SUCCESS);
        const char *child = round == 0 ? "c1" : "c2";
        order = order_task(SHELL_SCRIPT, child,
                           "script: ls -l kept/x || true; mkdir -p kept; echo cached > kept/x; "
                           "chmod 755 kept/x; touch other");
        order->working_dir_of = wd;
        submit(fixture, order);
        ASSERT_STATE(wait_for(fixture, ENDED, child), STATE_SUCCESS);
        order = order_task("io.kestra.plugin.core.storage.LocalFiles",
                           arena_printf(fixture->scratch, "%s", wd), props);
        order->phase = "close";
        order->attempt = 2;
        (void)pthread_mutex_lock(&fixture->lock);
        fixture->answers.count = 0;
        (void)pthread_mutex_unlock(&fixture->lock);
        submit(fixture, order);
        ASSERT_STATE(wait_for(fixture, ENDED, wd), STATE_SUCCESS);
    }
    wait_for_line(fixture, "INFO -rwxr-xr-x");
}

/* ---- remote jobs ---- */

struct job_server {
    pthread_mutex_t lock;
    int starts;
    int polls;
    int cancels;
    int done_after; /* polls */
    bool fails;
};

static void handle_job(void *context, struct httpd_request *request)
{
    struct job_server *server = context;
    char body[128];
    (void)pthread_mutex_lock(&server->lock);
    if (str_eq(request->path, "/jobs") && str_eq(request->method, "POST")) {
        server->starts++;
        (void)snprintf(body, sizeof(body), "{\"id\": %d}", 70 + server->starts);
    } else if (str_eq(request->path, "/jobs/71") && str_eq(request->method, "GET")) {
        server->polls++;
        const char *status = server->polls < server->done_after ? "running"
                             : server->fails                    ? "Failed"
                                                                : "Succeeded";
        (void)snprintf(body, sizeof(body), "{\"status\": \"%s\", \"rows\": 5}", status);
    } else if (str_eq(request->path, "/jobs/71/cancel")) {
        server->cancels++;
        (void)snprintf(body, sizeof(body), "{}");
    } else {
        (void)pthread_mutex_unlock(&server->lock);
        httpd_reply_bytes(request, 404, "text/plain", "no", 2);
        return;
    }
    (void)pthread_mutex_unlock(&server->lock);
    httpd_reply_bytes(request, 200, "application/json", body, strlen(body));
}

static const char *job_props(struct fixture *fixture, const struct httpd *server)
{
    unsigned port = httpd_port(server);
    return arena_printf(fixture->scratch,
                        "uri: http://127.0.0.1:%u/jobs\nmethod: POST\nbody: '{}'\n"
                        "jobId: '{{ body.id }}'\nstatus: '{{ body.status }}'\n"
                        "pollUri: 'http://127.0.0.1:%u/jobs/{{ id }}'\n"
                        "cancelUri: 'http://127.0.0.1:%u/jobs/{{ id }}/cancel'\n"
                        "cancelMethod: POST\ncancelOnKill: true\npollFrequency: PT2S",
                        port, port, port);
}

static struct order *poll_order(struct fixture *fixture,
                                const struct httpd *server,
                                const struct answer *before,
                                enum order_type type)
{
    struct order *order = order_task("io.weir.http.Job", "r1", job_props(fixture, server));
    order->type = type;
    order->remote_id = arena_strdup(order->arena, before->remote_id);
    order->memo = value_copy(order->arena, before->memo);
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->answers.count = 0;
    (void)pthread_mutex_unlock(&fixture->lock);
    return order;
}

static struct httpd *start_jobs(struct job_server *jobs)
{
    struct error err = { 0 };
    CHECK(pthread_mutex_init(&jobs->lock, NULL) == 0);
    struct httpd_options options = { .host = "127.0.0.1", .handler = handle_job, .context = jobs };
    struct httpd *server = httpd_start(&options, &err);
    CHECK(server != NULL);
    return server;
}

static void a_remote_job_is_started_once_and_polled_until_done(void **state)
{
    struct fixture *fixture = *state;
    struct job_server jobs = { .done_after = 2 };
    struct httpd *server = start_jobs(&jobs);
    submit(fixture, order_task("io.weir.http.Job", "r1", job_props(fixture, server)));
    const struct answer *answer = wait_for(fixture, REMOTE, "r1");
    assert_string_equal(answer->remote_id, "71");
    assert_true(answer->wake_at <= clock_now());

    submit(fixture, poll_order(fixture, server, answer, ORDER_POLL));
    answer = wait_for(fixture, REMOTE, "r1");
    assert_true(answer->wake_at > clock_now() + USEC_SEC);
    wait_for_line(fixture, "INFO Job 71 is running\n");

    // A restart in between gives the order anew, with what is known.
    submit(fixture, poll_order(fixture, server, answer, ORDER_RUN));
    answer = wait_for(fixture, ENDED, "r1");
    ASSERT_STATE(answer, STATE_SUCCESS);
    assert_string_equal(json(fixture, answer->outputs),
                        "{\"id\":\"71\",\"status\":\"Succeeded\",\"code\":200,"
                        "\"body\":{\"status\":\"Succeeded\",\"rows\":5}}");
    assert_int_equal(jobs.starts, 1);
    assert_int_equal(jobs.cancels, 0);
    httpd_stop(server);
}

static void a_failed_remote_job_fails_the_task(void **state)
{
    struct fixture *fixture = *state;
    struct job_server jobs = { .done_after = 1, .fails = true };
    struct httpd *server = start_jobs(&jobs);
    submit(fixture, order_task("io.weir.http.Job", "r1", job_props(fixture, server)));
    const struct answer *answer = wait_for(fixture, REMOTE, "r1");
    submit(fixture, poll_order(fixture, server, answer, ORDER_POLL));
    answer = wait_for(fixture, ENDED, "r1");
    ASSERT_STATE(answer, STATE_FAILED);
    assert_string_equal(answer->message, "job 71 ended Failed");
    assert_non_null(value_get(answer->outputs, "body"));
    httpd_stop(server);
}

static void a_poll_that_reaches_nobody_is_repeated(void **state)
{
    struct fixture *fixture = *state;
    struct job_server jobs = { .done_after = 5 };
    struct httpd *server = start_jobs(&jobs);
    submit(fixture, order_task("io.weir.http.Job", "r1", job_props(fixture, server)));
    const struct answer *answer = wait_for(fixture, REMOTE, "r1");
    struct order *order = poll_order(fixture, server, answer, ORDER_POLL);
    httpd_stop(server);
    submit(fixture, order);
    answer = wait_for(fixture, REMOTE, "r1");
    assert_string_equal(answer->remote_id, "71");
    wait_for_line(fixture, "WARN poll failed and is repeated");
}

static void a_remote_job_is_cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct job_server jobs = { .done_after = 5 };
    struct httpd *server = start_jobs(&jobs);
    submit(fixture, order_task("io.weir.http.Job", "r1", job_props(fixture, server)));
    const struct answer *answer = wait_for(fixture, REMOTE, "r1");
    submit(fixture, poll_order(fixture, server, answer, ORDER_CANCEL));
    ASSERT_STATE(wait_for(fixture, ENDED, "r1"), STATE_KILLED);
    assert_int_equal(jobs.cancels, 1);
    httpd_stop(server);
}

static void a_remote_job_times_out_and_is_cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct job_server jobs = { .done_after = 5 };
    struct httpd *server = start_jobs(&jobs);
    struct order *order = order_task("io.weir.http.Job", "r1", job_props(fixture, server));
    order->timeout = USEC_SEC;
    submit(fixture, order);
    const struct answer *answer = wait_for(fixture, REMOTE, "r1");
    order = poll_order(fixture, server, answer, ORDER_POLL);
    order->timeout = 1; // long over
    submit(fixture, order);
    answer = wait_for(fixture, ENDED, "r1");
    ASSERT_STATE(answer, STATE_FAILED);
    assert_non_null(strstr(answer->message, "Timeout after"));
    assert_int_equal(jobs.cancels, 1);
    httpd_stop(server);
}

/* ---- load ---- */

static void many_orders_at_once_are_all_answered(void **state)
{
    struct fixture *fixture = *state;
    enum { ORDERS = 400 };
    for (int i = 0; i < ORDERS; i++) {
        const char *run_id = arena_printf(fixture->scratch, "m%d", i);
        submit(fixture, i % 2 == 0 ? order_task(SHELL_COMMANDS, run_id, "commands: [/bin/true]")
                                   : order_task("io.kestra.plugin.core.kv.GetKeys", run_id,
                                                "namespace: company.team"));
        if (i % 7 == 0)
            fixture->face.cancel(fixture->face.data, "exec1", run_id, 1);
    }
    for (int i = 0; i < ORDERS; i++) {
        const struct answer *answer =
            wait_for(fixture, ENDED, arena_printf(fixture->scratch, "m%d", i));
        if (i % 7 != 0)
            ASSERT_STATE(answer, STATE_SUCCESS);
    }
    // A cancellation that came too late is answered as well, so there may be more than one end.
    for (int i = 0; i < ORDERS; i++) {
        const char *run_id = arena_printf(fixture->scratch, "m%d", i);
        size_t succeeded = 0;
        (void)pthread_mutex_lock(&fixture->lock);
        for (size_t k = 0; k < fixture->answers.count; k++)
            succeeded += fixture->answers.items[k].type == ENDED &&
                         fixture->answers.items[k].state == STATE_SUCCESS &&
                         str_eq(fixture->answers.items[k].run_id, run_id);
        (void)pthread_mutex_unlock(&fixture->lock);
        assert_true(succeeded <= 1);
    }
    assert_int_equal(worker_counts(fixture->worker).waiting, 0);
}

static void a_full_worker_refuses_orders(void **state)
{
    struct fixture *fixture = *state;
    worker_free(fixture->worker);
    struct error err = { 0 };
    struct worker_options options = { .services = &fixture->fake->services,
                                      .plugins = plugins(),
                                      .slots = 1,
                                      .grace = 200 * USEC_MSEC,
                                      .pending_max = 2 };
    fixture->worker = worker_new(&options, &err);
    assert_non_null(fixture->worker);
    struct worker_answers answers = { .data = fixture, .started = on_started, .ended = on_ended };
    worker_connect(fixture->worker, &answers);
    fixture->face = worker_interface(fixture->worker);
    submit(fixture, order_task(SHELL_SCRIPT, "a", "script: sleep 100"));
    submit(fixture, order_task(SHELL_SCRIPT, "b", "script: sleep 100"));
    struct order *third = order_task(SHELL_SCRIPT, "c", "script: sleep 100");
    assert_false(fixture->face.submit(fixture->face.data, third));
    fixture->face.cancel(fixture->face.data, "exec1", "a", 1);
    fixture->face.cancel(fixture->face.data, "exec1", "b", 1);
    (void)wait_for(fixture, ENDED, "a");
    (void)wait_for(fixture, ENDED, "b");
    while (!fixture->face.submit(fixture->face.data, third))
        (void)sched_yield();
    fixture->face.cancel(fixture->face.data, "exec1", "c", 1);
    (void)wait_for(fixture, ENDED, "c");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(a_command_runs_and_its_lines_are_logged),
    TEST(an_exit_code_fails_the_task_and_keeps_its_outputs),
    TEST(fail_fast_stops_at_the_first_failing_command),
    TEST(commands_without_a_shell_behave_as_with_one),
    TEST(a_command_runs_under_each_name_of_the_process_runner),
    TEST(secrets_of_the_server_do_not_reach_a_command),
    TEST(an_empty_folder_serves_the_next_run_of_the_execution),
    TEST(registered_secrets_are_masked_in_logs_and_messages),
    TEST(a_secret_that_the_limit_of_a_line_cuts_does_not_show),
    TEST(protocol_lines_give_metrics_and_logs),
    TEST(log_level_drops_lines_below_it),
    TEST(log_to_file_stores_the_log_instead),
    TEST(files_come_and_go_around_a_command),
    TEST(much_output_arrives_whole),
    TEST(odd_lines_are_taken_as_they_are),
    TEST(a_large_output_line_is_parsed_whole),
    TEST(a_timeout_ends_the_whole_group),
    TEST(a_kill_ends_the_group_and_answers_killed),
    TEST(a_kill_of_an_unknown_attempt_is_answered),
    TEST(a_background_process_does_not_hold_the_end_up),
    TEST(an_order_that_is_known_is_not_run_again),
    TEST(processes_beyond_the_slots_wait_in_order),
    TEST(a_stopped_worker_kills_and_answers_nothing),
    TEST(what_a_killed_server_left_running_is_killed_at_the_start),
    TEST(left_over_folders_are_removed_unless_the_execution_lives),
    TEST(a_runner_that_does_not_exist_fails_the_task),
    TEST(a_runner_goes_by_all_its_names),
    TEST(python_scripts_run_with_their_prelude),
    TEST(packages_of_python_are_installed_once),
    TEST(other_languages_run_their_script_files),
    TEST(a_call_answers_its_outputs),
    TEST(a_call_that_takes_too_long_times_out),
    TEST(a_call_is_cancelled),
    TEST(functions_are_evaluated),
    TEST(a_working_directory_is_shared_and_collected),
    TEST(a_cache_is_saved_and_restored),
    TEST(a_remote_job_is_started_once_and_polled_until_done),
    TEST(a_failed_remote_job_fails_the_task),
    TEST(a_poll_that_reaches_nobody_is_repeated),
    TEST(a_remote_job_is_cancelled),
    TEST(a_remote_job_times_out_and_is_cancelled),
    TEST(many_orders_at_once_are_all_answered),
    TEST(a_full_worker_refuses_orders),
};
TEST_GROUP(worker, tests)
