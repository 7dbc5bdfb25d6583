/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of a server that was killed. Every child has a mark in its environment, which all that
 * it starts inherits, whatever group or session it moves to; so what runs with our mark and is not
 * us was left behind.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/worker/work.h"

/* Longest environment that is looked at; a process with a longer one is not ours. */
#define ENVIRONMENT_MAX ((size_t)4 * 1024 * 1024)
/* Rounds: killing a parent may reveal a child that was just starting. */
#define ROUNDS_MAX 10
#define DEATH_MSEC 2000

static bool has_mark(struct arena *arena, long pid, const char *mark)
{
    char path[64];
    size_t length = 0;
    (void)snprintf(path, sizeof(path), "/proc/%ld/environ", pid);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *bytes = fd < 0 ? NULL : fs_read_fd(arena, fd, path, ENVIRONMENT_MAX, &length, NULL);
    size_t mark_length = strlen(mark) + 1; // with its NUL: not the start of a longer one
    for (const char *at = bytes; at != NULL && at < bytes + length;) {
        size_t left = (size_t)(bytes + length - at);
        if (left >= mark_length && memcmp(at, mark, mark_length) == 0)
            return true;
        at = memchr(at, '\0', left);
        at = at == NULL ? NULL : at + 1;
    }
    return false;
}

static long parent_of(long pid)
{
    char path[64];
    char text[512];
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    // The name in parentheses may hold anything.
    const char *after = strrchr(text, ')');
    long parent = 0;
    return after != NULL && sscanf(after + 1, " %*c %ld", &parent) == 1 ? parent : 0;
}

/* We, and what started us: a weir may itself be run by a task of another one. */
static bool is_ancestor(long pid)
{
    for (long at = getpid(); at > 1; at = parent_of(at))
        if (at == pid)
            return true;
    return false;
}

static bool kill_process(struct arena *arena, long pid, const char *mark)
{
    // The descriptor keeps the number from being given to somebody else meanwhile.
    AUTO_FD int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd < 0 || !has_mark(arena, pid, mark) || is_ancestor(pid))
        return false;
    if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) != 0)
        return false;
    struct pollfd end = { .fd = fd, .events = POLLIN };
    (void)poll(&end, 1, DEATH_MSEC);
    return true;
}

static void closedirp(DIR **folder)
{
    if (*folder != NULL)
        (void)closedir(*folder);
}

void worker_kill_leftovers(const char *mark)
{
    size_t total = 0;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        size_t killed = 0;
        AUTO(closedirp) DIR *folder = opendir("/proc");
        if (folder == NULL)
            return;
        const struct dirent *entry;
        while ((entry = readdir(folder)) != NULL) {
            int64_t pid = 0;
            if (!str_to_int(entry->d_name, 2, INT32_MAX, &pid))
                continue;
            struct arena *arena = arena_new();
            if (has_mark(arena, (long)pid, mark) && kill_process(arena, (long)pid, mark))
                killed++;
            arena_free(arena);
        }
        total += killed;
        if (killed == 0)
            break;
    }
    if (total > 0)
        log_info("killed processes of a server that did not end in order",
                 LOG_INT("processes", total));
}
