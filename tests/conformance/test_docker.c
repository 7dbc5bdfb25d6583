/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runner Docker with a real engine: DOCKER_HOST, or the usual sockets, with the image
 * localhost/busybox:1. Skipped where there is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/tar.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/runners/docker_engine.h"
#include "tests/support/fake_task.h"
#include "tests/support/test.h"

#define IMAGE "localhost/busybox:1"

extern const struct plugin task_script_shell_commands;
extern const struct plugin task_script_shell_script;

struct fixture {
    struct fake_task *fake;
    struct docker_engine engine;
};

static int set_up(void **state)
{
    struct fixture *fixture = check_calloc(1, sizeof(*fixture));
    struct error err = { 0 };
    fixture->fake = fake_task_new();
    fixture->fake->job.ctx.execution_id =
        arena_printf(fixture->fake->arena, "exec-%d-%lld", (int)getpid(), (long long)clock_now());
    fixture->engine.arena = fixture->fake->arena;
    bool is_there = docker_connect(&fixture->engine, NULL, (const char *const *)environ, &err) &&
                    docker_call(&fixture->engine, "GET",
                                docker_image_path(fixture->fake->arena, IMAGE, "/json"), NULL, NULL,
                                &err) != NULL;
    *state = fixture;
    if (is_there)
        return 0;
    print_message("no container engine: %s\n", err.text);
    fake_task_free(fixture->fake);
    free(fixture);
    *state = NULL;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture == NULL)
        return 0;
    fake_task_free(fixture->fake);
    free(fixture);
    return 0;
}

#define FIXTURE(state)                                                                             \
    *(state);                                                                                      \
    if (*(state) == NULL)                                                                          \
    skip()

static bool run(struct fixture *fixture,
                const struct plugin *plugin,
                const char *options,
                const char *task)
{
    return fake_task_run_elsewhere(
        fixture->fake, plugin,
        arena_printf(fixture->fake->arena,
                     "taskRunner: {type: io.kestra.plugin.scripts.runner.docker.Docker, "
                     "networkMode: none%s%s}\n%s%s",
                     *options == '\0' ? "" : ", ", options,
                     strstr(task, "containerImage:") == NULL ? "containerImage: " IMAGE "\n" : "",
                     task));
}

#define ASSERT_OK(fixture, plugin, options, task)                                                  \
    do {                                                                                           \
        if (!run((fixture), (plugin), (options), (task)))                                          \
            fail_msg("%s\n%s", (fixture)->fake->error.text, buf_text(&(fixture)->fake->log));      \
    } while (0)

/* Containers of this execution, ended or not. */
static size_t containers(struct fixture *fixture)
{
    struct arena *arena = fixture->fake->arena;
    struct error err = { 0 };
    struct http_fields query = { 0 };
    http_fields_add(arena, &query, "all", "1");
    http_fields_add(arena, &query, "filters",
                    arena_printf(arena, "{\"label\": [\"kestra.io/execution-id=%s\"]}",
                                 fixture->fake->job.ctx.execution_id));
    const struct value *list =
        docker_call(&fixture->engine, "GET", "/containers/json", &query, NULL, &err);
    if (list == NULL)
        fail_msg("%s", err.text);
    return value_count(list);
}

static bool was_logged(const struct fixture *fixture, const char *text)
{
    return strstr(buf_text(&fixture->fake->log), text) != NULL;
}

static const char *output_file(struct fixture *fixture, const char *name)
{
    const struct value *files = value_get(fixture->fake->outputs, "outputFiles");
    return fake_read(fixture->fake, value_get_text(files, name, NULL));
}

static void files_go_in_and_come_out(void **state)
{
    struct fixture *fixture = FIXTURE(state);
    ASSERT_OK(fixture, &task_script_shell_script, "",
              "env: {NAME: value}\n"
              "inputFiles: {'sub/in.txt': content}\n"
              "outputFiles: ['**/*.txt', link]\n"
              "script: |\n"
              "  echo \"$NAME $PWD $HOSTNAME_OF_WEIR\"\n"
              "  test \"$PWD\" = \"$WORKING_DIR\"\n"
              "  cat sub/in.txt sub/in.txt > out.txt\n"
              "  mkdir -p a/b; echo deep > a/b/deep.txt; rm sub/in.txt\n"
              "  ln -s out.txt link\n"
              "  echo oops >&2\n"
              "  echo '::{\"outputs\": {\"n\": 7}}::'\n");
    assert_string_equal(output_file(fixture, "out.txt"), "contentcontent");
    assert_string_equal(output_file(fixture, "a/b/deep.txt"), "deep\n");
    assert_string_equal(fake_output(fixture->fake, "vars"), "{\"n\":7}");
    assert_true(was_logged(fixture, "ERROR oops\n"));
    assert_true(was_logged(fixture, arena_printf(fixture->fake->arena, "INFO value %s \n",
                                                 fixture->fake->job.ctx.working_dir)));
    assert_int_equal(containers(fixture), 0);
}

static void another_user_writes_beside_its_inputs(void **state)
{
    struct fixture *fixture = FIXTURE(state);
    ASSERT_OK(fixture, &task_script_shell_script, "user: '1234:1234'",
              "inputFiles: {'sub/in.txt': content}\n"
              "outputFiles: ['**/*.txt']\n"
              "script: |\n"
              "  id -u; echo more >> sub/in.txt; echo new > sub/new.txt; echo new > new.txt\n");
    assert_true(was_logged(fixture, "INFO 1234\n"));
    assert_string_equal(output_file(fixture, "sub/in.txt"), "contentmore\n");
    assert_string_equal(output_file(fixture, "sub/new.txt"), "new\n");
    assert_string_equal(output_file(fixture, "new.txt"), "new\n");
}

static void a_mounted_folder_is_shared(void **state)
{
    struct fixture *fixture = FIXTURE(state);
    ASSERT_OK(fixture, &task_script_shell_script, "fileHandlingStrategy: MOUNT",
              "inputFiles: {in.txt: content}\n"
              "outputFiles: [out.txt]\n"
              "script: cat in.txt > out.txt\n");
    assert_string_equal(output_file(fixture, "out.txt"), "content");
}

static void exit_codes_are_those_of_the_commands(void **state)
{
    struct fixture *fixture = FIXTURE(state);
    assert_false(run(fixture, &task_script_shell_script, "",
                     "outputFiles: [a]\nscript: |\n  echo kept > a\n  exit 3\n"));
    assert_string_equal(fixture->fake->error.text, "Command failed with exit code 3");
    assert_string_equal(output_file(fixture, "a"), "kept\n");
    assert_false(
        run(fixture, &task_script_shell_commands, "", "commands: [no-such-command-anywhere]\n"));
    assert_string_equal(fixture->fake->error.text, "Command failed with exit code 127");
    assert_false(run(fixture, &task_script_shell_commands, "",
                     "interpreter: [/no/such/shell]\ncommands: [x]\n"));
    assert_true(str_starts(fixture->fake->error.text, "Cannot start the container: "));
    assert_int_equal(containers(fixture), 0);
}

static void much_output_arrives_whole(void **state)
{
    struct fixture *fixture = FIXTURE(state);
    ASSERT_OK(fixture, &task_script_shell_script, "",
              "script: |\n"
              "  i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done\n"
              "  head -c 300000 /dev/zero | tr '\\0' x; echo\n"
              "  printf last\n");
    assert_string_equal(fake_output(fixture->fake, "stdOutLineCount"), "20002");
    assert_true(was_logged(fixture, "INFO line 0\nINFO line 1\n"));
    assert_true(was_logged(fixture, "INFO line 19999\nINFO xxx"));
    const char *at = strstr(buf_text(&fixture->fake->log), "INFO xxx");
    assert_int_equal(strspn(at + 5, "x"), 300000);
    assert_true(was_logged(fixture, "\nINFO last\n"));
}

static void an_image_that_is_not_there_is_named(void **state)
{
    struct fixture *fixture = FIXTURE(state);
    assert_false(run(fixture, &task_script_shell_commands, "pullPolicy: NEVER",
                     "containerImage: localhost/no-such-image:7\ncommands: [x]\n"));
    assert_string_equal(fixture->fake->error.text,
                        "Image 'localhost/no-such-image:7' is not there, and 'pullPolicy' is "
                        "NEVER");
}

/* ---- stopping ---- */

static void (*write_log)(struct job *job, enum log_level level, const char *text, size_t length);
static enum stop_reason reason;

static void stop_at_ready(struct job *job, enum log_level level, const char *text, size_t length)
{
    write_log(job, level, text, length);
    if (length == 5 && memcmp(text, "ready", 5) == 0)
        job_stop(job, reason);
}

static void stop_when_ready(struct fixture *fixture, enum stop_reason why)
{
    reason = why;
    write_log = fixture->fake->job.log;
    fixture->fake->job.log = stop_at_ready;
}

static void a_killed_task_leaves_no_container(void **state)
{
    struct fixture *fixture = FIXTURE(state);
    stop_when_ready(fixture, STOP_KILL);
    assert_false(run(fixture, &task_script_shell_script, "", "script: echo ready; sleep 1000\n"));
    assert_int_equal(fixture->fake->error.code, ERR_CANCELLED);
    assert_int_equal(containers(fixture), 0);
}

static void a_container_goes_on_without_the_server(void **state)
{
    struct fixture *fixture = FIXTURE(state);
    static const char task[] = "outputFiles: [made]\n"
                               "script: |\n"
                               "  echo '::{\"outputs\": {\"a\": 1}}::'\n"
                               "  echo ready\n"
                               "  until [ -f /tmp/go ]; do sleep 0.05; done\n"
                               "  echo later\n"
                               "  echo file > made\n";
    stop_when_ready(fixture, STOP_SHUTDOWN);
    assert_false(run(fixture, &task_script_shell_script, "", task));
    assert_int_equal(containers(fixture), 1);

    // The next server: same task run, another attempt.
    struct job *job = &fixture->fake->job;
    job->log = write_log;
    job_init(job);
    job->ctx.attempt = 2;
    struct error err = { 0 };
    // Lets the commands go on once somebody listens again: a file put into the container.
    struct arena *arena = fixture->fake->arena;
    struct http_fields query = { 0 };
    http_fields_add(
        arena, &query, "filters",
        arena_printf(arena, "{\"label\": [\"kestra.io/execution-id=%s\"]}", job->ctx.execution_id));
    const struct value *list =
        docker_call(&fixture->engine, "GET", "/containers/json", &query, NULL, &err);
    const char *id = value_get_text(value_item(list, 0), "Id", NULL);
    assert_non_null(id);
    const char *folder = arena_printf(arena, "%s/go", fixture->fake->folder);
    CHECK(fs_mkdirs(folder, 0700, &err));
    CHECK(fs_write_atomic(arena_printf(arena, "%s/go", folder), "", 0, 0600, &err));
    int fd = fs_temp(NULL, &err);
    CHECK(fd >= 0 && tar_write_folder(fd, folder, "tmp", 0, &err));
    if (!docker_put_files(&fixture->engine, id, fd, &err))
        fail_msg("%s", err.text);
    (void)close(fd);

    ASSERT_OK(fixture, &task_script_shell_script, "", task);
    assert_string_equal(fake_output(fixture->fake, "taskRunner.containerId"), id);
    assert_string_equal(fake_output(fixture->fake, "vars"), "{\"a\":1}");
    assert_string_equal(output_file(fixture, "made"), "file\n");
    assert_true(was_logged(fixture, "INFO later\n"));
    assert_int_equal(containers(fixture), 0);
}

static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    TEST(files_go_in_and_come_out),          TEST(another_user_writes_beside_its_inputs),
    TEST(a_mounted_folder_is_shared),        TEST(exit_codes_are_those_of_the_commands),
    TEST(much_output_arrives_whole),         TEST(an_image_that_is_not_there_is_named),
    TEST(a_killed_task_leaves_no_container), TEST(a_container_goes_on_without_the_server),
};

TEST_GROUP(docker_engine, tests)
