/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/proc.h"
#include "base/str.h"
#include "tests/support/test.h"

#define SH(script) ((const char *const[]){ "sh", "-c", (script), NULL })

static struct proc_result run(struct arena *arena, const struct proc_spec *spec)
{
    struct error err = { 0 };
    struct proc_result result;
    if (!proc_run(arena, spec, 64U << 20, &result, &err))
        fail_msg("%s", err.text);
    return result;
}

static enum error_code refusal(const char *const *argv, const char *cwd, const char *word)
{
    struct error err = { 0 };
    struct proc_spec spec = { .argv = argv, .cwd = cwd };
    assert_null(proc_start(&spec, &err));
    if (strstr(err.text, word) == NULL)
        fail_msg("no '%s' in: %s", word, err.text);
    return err.code;
}

static size_t open_files(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

static void proc_gives_status_output_and_errors(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct proc_spec spec = { .argv = SH("printf out; printf err >&2; exit 3") };
    struct proc_result result = run(arena, &spec);
    assert_int_equal(result.exit.end, PROC_EXITED);
    assert_int_equal(result.exit.status, 3);
    assert_false(result.exit.is_signal);
    assert_string_equal(result.output, "out");
    assert_string_equal(result.errors, "err");
    assert_true(result.exit.elapsed > 0);
    assert_true(result.exit.memory_max > 0);
    assert_string_equal(proc_exit_text(arena, &result.exit), "exited with status 3");

    spec.merge_stderr = true;
    result = run(arena, &spec);
    assert_string_equal(result.output, "outerr");
    spec.merge_stderr = false;
    spec.discard_output = true;
    result = run(arena, &spec);
    assert_int_equal(result.exit.status, 3);
    assert_string_equal(result.output, "");
    arena_free(arena);
}

static void proc_keeps_every_byte_of_much_output(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct proc_spec spec = {
        .argv = SH("head -c 5000000 /dev/zero; head -c 3000000 /dev/zero >&2"),
    };
    struct proc_result result = run(arena, &spec);
    assert_int_equal(result.output_length, 5000000);
    assert_int_equal(result.errors_length, 3000000);
    assert_false(result.is_cut);
    struct error err = { 0 };
    assert_true(proc_run(arena, &spec, 1000, &result, &err));
    assert_int_equal(result.output_length, 1000);
    assert_true(result.is_cut);
    arena_free(arena);
}

static void proc_passes_input_environment_and_folder(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    const char *folder = test_folder();
    size_t length = 3000000; // more than any pipe holds
    char *input = calloc(1, length);
    struct proc_spec spec = {
        .argv = SH("wc -c; pwd; echo \"$COLOUR\"; env | wc -l; sleep() { :; }"),
        .env = (const char *const[]){ "COLOUR=blue", "PATH=/usr/bin:/bin", NULL },
        .cwd = folder,
        .input = input,
        .input_length = length,
    };
    struct proc_result result = run(arena, &spec);
    const char *expected = arena_printf(arena, "%zu\n%s\nblue\n3\n", length, folder);
    assert_string_equal(result.output, expected); // 3: the shell adds PWD
    free(input);

    struct proc_spec nothing = { .argv = SH("read line; echo $?") };
    assert_string_equal(run(arena, &nothing).output, "1\n");
    arena_free(arena);
}

static void proc_looks_commands_up_in_the_path_of_the_child(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    const char *folder = test_folder();
    const char *path = arena_printf(arena, "%s/greet", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    static const char text[] = "#!/bin/sh\necho hello $1\n";
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    (void)close(fd);
    struct proc_spec spec = {
        .argv = (const char *const[]){ "greet", "you", NULL },
        .env = (const char *const[]){ arena_printf(arena, "PATH=/nowhere:%s", folder), NULL },
    };
    assert_string_equal(run(arena, &spec).output, "hello you\n");
    spec.argv = (const char *const[]){ "./greet", "me", NULL };
    spec.cwd = folder;
    assert_string_equal(run(arena, &spec).output, "hello me\n");
    arena_free(arena);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void proc_says_why_a_command_cannot_start(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    const char *folder = test_folder();
    const char *plain = arena_printf(arena, "%s/plain", folder);
    const char *bare = arena_printf(arena, "%s/bare", folder);
    const char *orphan = arena_printf(arena, "%s/orphan", folder);
    write_file(plain, "x", 0644);
    write_file(bare, "echo no first line\n", 0755);
    write_file(orphan, "#!/no/such/interpreter\n", 0755);
#define ARGV(word) ((const char *const[]){ (word), NULL })
    assert_int_equal(refusal(ARGV("no-such-command-here"), NULL, "not in PATH"), ERR_NOT_FOUND);
    assert_int_equal(refusal(ARGV("/no/such/file"), NULL, "does not exist"), ERR_NOT_FOUND);
    assert_int_equal(refusal(ARGV(plain), NULL, "not an executable"), ERR_DENIED);
    assert_int_equal(refusal(ARGV(folder), NULL, "not an executable"), ERR_DENIED);
    assert_int_equal(refusal(ARGV(bare), NULL, "neither a program nor"), ERR_INVALID);
    assert_int_equal(refusal(ARGV(orphan), NULL, "interpreter"), ERR_NOT_FOUND);
    assert_int_equal(refusal(ARGV("true"), "/no/such/folder", "working directory"), ERR_NOT_FOUND);
    assert_int_equal(refusal(ARGV(""), NULL, "empty"), ERR_INVALID);
    assert_int_equal(refusal(ARGV(NULL), NULL, "empty"), ERR_INVALID);

    size_t length = 3000000;
    char *word = malloc(length + 1);
    memset(word, 'x', length);
    word[length] = '\0';
    const char *const argv[] = { "true", word, NULL };
    assert_int_equal(refusal(argv, NULL, "too long"), ERR_LIMIT);
    free(word);
    arena_free(arena);
}

struct watched {
    struct loop *loop;
    struct proc *proc;
    struct buf output;
    struct proc_exit exit;
    bool kills_at_output;
    int *left;
};

static void watched_output(void *context, enum proc_stream stream, const char *bytes, size_t length)
{
    struct watched *watched = context;
    (void)stream;
    buf_add(&watched->output, bytes, length);
    if (watched->kills_at_output)
        proc_kill(watched->proc, false);
}

static void watched_done(void *context, const struct proc_exit *exit)
{
    struct watched *watched = context;
    watched->exit = *exit;
    if (watched->left == NULL || --*watched->left == 0)
        loop_stop(watched->loop);
}

static void watch(struct watched *watched, const struct proc_spec *spec)
{
    struct error err = { 0 };
    watched->proc = proc_start(spec, &err);
    if (watched->proc == NULL)
        fail_msg("%s", err.text);
    assert_true(
        proc_watch(watched->proc, watched->loop, watched_output, watched_done, watched, &err));
}

static struct watched killed_at_first_output(const struct proc_spec *spec)
{
    struct error err = { 0 };
    struct watched watched = { .loop = loop_new(10, &err), .kills_at_output = true };
    watch(&watched, spec);
    loop_run(watched.loop);
    loop_free(watched.loop);
    return watched;
}

static void proc_ends_at_its_deadline(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct proc_spec spec = {
        .argv = (const char *const[]){ "sleep", "1000", NULL },
        .timeout = 20 * USEC_MSEC,
    };
    struct proc_result result = run(arena, &spec);
    assert_int_equal(result.exit.end, PROC_TIMEOUT);
    assert_true(result.exit.is_signal);
    assert_true(result.exit.elapsed >= spec.timeout);
    assert_true(str_starts(proc_exit_text(arena, &result.exit), "timed out after "));
    arena_free(arena);
}

static void proc_kill_lets_a_child_clean_up_within_its_grace(void **state)
{
    (void)state;
    struct proc_spec polite = {
        .argv = SH("exec 2>/dev/null; trap 'echo bye; exit 0' TERM; echo up; while :; do sleep "
                   "0.01; done"),
        .grace = USEC_MIN,
    };
    struct watched watched = killed_at_first_output(&polite);
    assert_int_equal(watched.exit.end, PROC_KILLED);
    assert_false(watched.exit.is_signal);
    assert_string_equal(watched.output.bytes, "up\nbye\n");
    buf_free(&watched.output);

    struct proc_spec stubborn = {
        .argv = SH("trap '' TERM; echo up; while :; do sleep 0.01; done"),
        .grace = 20 * USEC_MSEC,
    };
    watched = killed_at_first_output(&stubborn);
    assert_int_equal(watched.exit.end, PROC_KILLED);
    assert_true(watched.exit.is_signal);
    assert_int_equal(watched.exit.status, SIGKILL);
    assert_string_equal(watched.output.bytes, "up\n");
    buf_free(&watched.output);
}

static void proc_does_not_wait_for_what_holds_its_pipes(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct proc_spec left_behind = {
        .argv = SH("sleep 1000 & echo $!"),
        .linger = 20 * USEC_MSEC,
    };
    struct proc_result result = run(arena, &left_behind);
    assert_int_equal(result.exit.end, PROC_EXITED);
    assert_true(strtol(result.output, NULL, 10) > 0);
    arena_free(arena);

    // What left the group lives on, but its hold on the pipes is let go.
    struct proc_spec escaped = {
        .argv = SH("setsid sh -c 'echo $$; exec sleep 1000' & while :; do sleep 0.01; done"),
    };
    struct watched watched = killed_at_first_output(&escaped);
    assert_int_equal(watched.exit.end, PROC_KILLED);
    pid_t pid = (pid_t)strtol(watched.output.bytes, NULL, 10);
    assert_int_equal(kill(pid, SIGKILL), 0);
    buf_free(&watched.output);
}

static void proc_kill_ends_the_whole_group(void **state)
{
    (void)state;
    struct proc_spec spec = {
        .argv = SH("sh -c 'echo $$; exec sleep 1000' & wait"),
        .grace = USEC_MIN,
    };
    struct watched watched = killed_at_first_output(&spec);
    assert_int_equal(watched.exit.end, PROC_KILLED);
    assert_int_equal(watched.exit.status, SIGTERM);
    // The sleep was told as well; a process that nobody reaped yet still answers kill(), so ask
    // until it is gone. It cannot come back.
    pid_t pid = (pid_t)strtol(watched.output.bytes, NULL, 10);
    while (kill(pid, 0) == 0) {
        char path[64];
        char text[256] = "";
        (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            (void)!read(fd, text, sizeof(text) - 1);
            (void)close(fd);
        }
        const char *after = strrchr(text, ')');
        if (after == NULL || after[2] == 'Z')
            break;
    }
    buf_free(&watched.output);
}

static void proc_supervises_many_children_without_leaks(void **state)
{
    (void)state;
    enum { CHILDREN = 60 };
    struct error err = { 0 };
    size_t before = open_files();
    int left = CHILDREN;
    struct loop *loop = loop_new(10, &err);
    static struct watched watched[CHILDREN];
    for (size_t i = 0; i < CHILDREN; i++) {
        watched[i] = (struct watched){ .loop = loop, .left = &left };
        char script[64];
        (void)snprintf(script, sizeof(script), "echo %zu; exit %zu", i, i % 5);
        struct proc_spec spec = { .argv = SH(script) };
        watch(&watched[i], &spec);
    }
    loop_run(loop);
    for (size_t i = 0; i < CHILDREN; i++) {
        assert_int_equal(strtol(buf_text(&watched[i].output), NULL, 10), i);
        assert_int_equal(watched[i].exit.status, i % 5);
        buf_free(&watched[i].output);
    }
    loop_free(loop);
    assert_int_equal(open_files(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // no child, not even a zombie
    assert_int_equal(errno, ECHILD);
}

static void proc_gives_the_child_three_descriptors_and_default_signals(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    void (*old)(int) = signal(SIGPIPE, SIG_IGN);
    struct proc_spec spec = {
        .argv = SH("ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Blk|Ign)' /proc/self/status"),
    };
    struct proc_result result = run(arena, &spec);
    if (strstr(result.output, "0 1 2 3 Sig") == NULL)
        fail_msg("%s", result.output);
    assert_non_null(strstr(result.output, "SigBlk:\t0000000000000000"));
    const char *ignored = strstr(result.output, "SigIgn:\t");
    assert_non_null(ignored);
    // Signals 32 and 33 belong to the C library.
    assert_int_equal(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & 0x7fffffffU, 0);
    (void)signal(SIGPIPE, old);
    arena_free(arena);
}

static void proc_stops_reading_while_paused(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct watched watched = { .loop = loop_new(10, &err) };
    struct proc_spec spec = { .argv = SH("echo text"), .linger = USEC_MSEC };
    watch(&watched, &spec);
    proc_pause_output(watched.proc, true);
    // The child ends meanwhile; its output stays in the pipe however often the loop turns.
    siginfo_t info = { 0 };
    assert_int_equal(waitid(P_PID, (id_t)proc_pid(watched.proc), &info, WEXITED | WNOWAIT), 0);
    for (int i = 0; i < 5; i++)
        loop_turn(watched.loop, clock_monotonic() + 2 * USEC_MSEC);
    assert_int_equal(watched.output.length, 0);
    proc_pause_output(watched.proc, false);
    loop_run(watched.loop);
    assert_string_equal(watched.output.bytes, "text\n");
    buf_free(&watched.output);
    loop_free(watched.loop);
}

static void proc_limits_the_child(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct proc_spec spec = {
        .argv = SH("ulimit -n; ulimit -v; ulimit -t; ulimit -f; echo $#"),
        .limits = {
            .files = 64,
            .memory_bytes = 512U << 20,
            .cpu_seconds = 7,
            .file_bytes = 1U << 20,
            .processes = 20000,
        },
    };
    struct proc_result result = run(arena, &spec);
    assert_string_equal(result.errors, "");
    assert_string_equal(result.output, "64\n524288\n7\n2048\n0\n");
    arena_free(arena);
}

static void proc_abandon_leaves_no_zombie(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct proc_spec spec = { .argv = SH("sleep 1000") };
    struct proc *proc = proc_start(&spec, &err);
    assert_non_null(proc);
    pid_t pid = proc_pid(proc);
    proc_abandon(proc);
    assert_int_equal(kill(pid, 0), -1);
    proc_abandon(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(proc_gives_status_output_and_errors),
    cmocka_unit_test(proc_keeps_every_byte_of_much_output),
    cmocka_unit_test(proc_passes_input_environment_and_folder),
    cmocka_unit_test(proc_looks_commands_up_in_the_path_of_the_child),
    cmocka_unit_test(proc_says_why_a_command_cannot_start),
    cmocka_unit_test(proc_ends_at_its_deadline),
    cmocka_unit_test(proc_kill_lets_a_child_clean_up_within_its_grace),
    cmocka_unit_test(proc_does_not_wait_for_what_holds_its_pipes),
    cmocka_unit_test(proc_kill_ends_the_whole_group),
    cmocka_unit_test(proc_supervises_many_children_without_leaks),
    cmocka_unit_test(proc_gives_the_child_three_descriptors_and_default_signals),
    cmocka_unit_test(proc_stops_reading_while_paused),
    cmocka_unit_test(proc_limits_the_child),
    cmocka_unit_test(proc_abandon_leaves_no_zombie),
};
TEST_GROUP(proc, tests)
