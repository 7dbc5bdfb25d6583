/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log capture: a child writes lines of 100 bytes into a pipe; they are counted and appended to a
 * file in TMPDIR. Bare read and write, then through base/proc.h.
 *
 *     capture write BYTES     is the child
 */
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fs.h"
#include "base/loop.h"
#include "base/proc.h"
#include "bench/probes/probe.h"

#define TOTAL      ((size_t)256000000)
#define LINE_BYTES 100

extern char **environ;

static int write_lines(size_t total)
{
    static char block[64 * 1024 / LINE_BYTES * LINE_BYTES];
    struct error err = { 0 };
    memset(block, 'x', sizeof(block));
    for (size_t at = LINE_BYTES - 1; at < sizeof(block); at += LINE_BYTES)
        block[at] = '\n';
    for (size_t left = total; left > 0;) {
        size_t piece = left < sizeof(block) ? left : sizeof(block);
        CHECK(fs_write_fd(STDOUT_FILENO, block, piece, "pipe", &err));
        left -= piece;
    }
    return EXIT_SUCCESS;
}

struct sink {
    int fd;
    size_t lines;
    size_t bytes;
};

static void take(struct sink *sink, const char *bytes, size_t length)
{
    struct error err = { 0 };
    const char *end = bytes + length;
    for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        sink->lines++;
    CHECK(fs_write_fd(sink->fd, bytes, length, "file", &err));
    sink->bytes += length;
}

static struct sink sink_open(void)
{
    struct error err = { 0 };
    struct sink sink = { .fd = fs_temp(NULL, &err) };
    CHECK(sink.fd >= 0);
    return sink;
}

static double sink_close(struct sink *sink, usec_t started)
{
    double rate = probe_rate((double)TOTAL / 1e6, started);
    CHECK(sink->bytes == TOTAL);
    CHECK(sink->lines == TOTAL / LINE_BYTES);
    (void)close(sink->fd);
    return rate;
}

static char self[] = "/proc/self/exe";
static char word[] = "write";
static char total_text[32];

static double capture_bare(void *context)
{
    static char bytes[PROC_READ_BYTES];
    char *argv[] = { self, word, total_text, NULL };
    int ends[2];
    pid_t pid = 0;
    posix_spawn_file_actions_t actions;
    (void)context;
    struct sink sink = sink_open();
    usec_t started = clock_monotonic();
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    (void)fcntl(ends[0], F_SETPIPE_SZ, (int)PROC_READ_BYTES);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) == 0);
    CHECK(posix_spawn(&pid, self, &actions, NULL, argv, environ) == 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    for (;;) {
        ssize_t got = read(ends[0], bytes, sizeof(bytes));
        CHECK(got >= 0);
        if (got == 0)
            break;
        take(&sink, bytes, (size_t)got);
    }
    (void)close(ends[0]);
    CHECK(waitpid(pid, NULL, 0) == pid);
    return sink_close(&sink, started);
}

static void on_output(void *context, enum proc_stream stream, const char *bytes, size_t length)
{
    struct sink *sink = context;
    (void)stream;
    take(sink, bytes, length);
}

struct run {
    struct sink sink;
    struct loop *loop;
};

static void on_exit_of_child(void *context, const struct proc_exit *exit)
{
    struct run *run = context;
    CHECK(exit->status == 0);
    loop_stop(run->loop);
}

static double capture_watched(void *context)
{
    struct error err = { 0 };
    const char *const argv[] = { self, word, total_text, NULL };
    struct proc_spec spec = { .argv = argv };
    struct run run = { .sink = sink_open(), .loop = loop_new(1, &err) };
    (void)context;
    CHECK(run.loop != NULL);
    usec_t started = clock_monotonic();
    struct proc *proc = proc_start(&spec, &err);
    CHECK(proc != NULL);
    // The sink is the first member, so both callbacks have their context.
    CHECK(proc_watch(proc, run.loop, on_output, on_exit_of_child, &run, &err));
    loop_run(run.loop);
    loop_free(run.loop);
    return sink_close(&run.sink, started);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return write_lines((size_t)strtoull(argv[2], NULL, 10));
    (void)snprintf(total_text, sizeof(total_text), "%zu", TOTAL);
    int rounds = probe_rounds(argc, argv);
    probe_run("capture", "MB/s", rounds, capture_bare, NULL, capture_watched, NULL);
    return EXIT_SUCCESS;
}
