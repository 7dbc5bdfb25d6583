/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Git over SSH: the system's ssh runs git-upload-pack on the other side.
 *
 * The program and not a library: it knows the user's agent, configuration, jump hosts and current
 * key types, and it is what people try by hand when something does not work.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/git_auth.h"
#include "base/git_link.h"
#include "base/str.h"

/* What ssh prints is kept up to here; the reason is in its last lines, of which there are few. */
#define PRINTED_BYTES_MAX 16384U

/* How often `cancel` is looked at while nothing moves, milliseconds. */
#define CANCEL_STEP_MS 100

/* Options and their values, key, hosts, port, address. */
#define ARGUMENTS_MAX 32

extern char **environ;

struct ssh_link {
    struct git_link link;
    const struct git_address *address;
    const struct git_access *access;
    struct git_waits waits; /* of the conversation */
    bool is_answered;       /* the other side has sent something */
    pid_t pid;              /* 0: none */
    int input;              /* of the child */
    int output;
    int errors;
    struct buf printed;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void ssh_close(struct git_link *link)
{
    struct ssh_link *self = (struct ssh_link *)link;
    close_fd(&self->input);
    close_fd(&self->output);
    close_fd(&self->errors);
    if (self->pid > 0) {
        (void)kill(-self->pid, SIGKILL); // its group: proxies and helpers as well
        while (waitpid(self->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    self->pid = 0;
    buf_clear(&self->printed);
}

/* The path as one word of the other side's shell. */
static char *quoted(struct arena *arena, const char *path)
{
    struct buf out = { 0 };
    buf_putc(&out, '\'');
    for (const char *at = path; *at != '\0'; at++) {
        if (*at == '\'')
            buf_puts(&out, "'\\''");
        else
            buf_putc(&out, *at);
    }
    buf_putc(&out, '\'');
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

static char **arguments(struct ssh_link *self, struct arena *arena)
{
    const struct git_address *address = self->address;
    const struct git_access *access = self->access;
    const char **argv = ARENA_ARRAY(arena, ARGUMENTS_MAX, const char *);
    size_t n = 0;
    argv[n++] = access->ssh_command != NULL ? access->ssh_command : "ssh";
    static const char *const options[] = {
        "BatchMode=yes", // nobody is there to ask
        "StrictHostKeyChecking=yes",
        "SendEnv=GIT_PROTOCOL",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=3",
        "ForwardAgent=no",
        "ClearAllForwardings=yes",
    };
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        argv[n++] = "-o";
        argv[n++] = options[i];
    }
    argv[n++] = "-o";
    argv[n++] =
        arena_printf(arena, "ConnectTimeout=%lld", (long long)(self->waits.connect / USEC_SEC) + 1);
    if (access->ssh_hosts != NULL) {
        argv[n++] = "-o";
        argv[n++] = arena_printf(arena, "UserKnownHostsFile=\"%s\"", access->ssh_hosts);
        argv[n++] = "-o";
        argv[n++] = "GlobalKnownHostsFile=/dev/null";
    }
    if (access->ssh_key != NULL) {
        argv[n++] = "-i";
        argv[n++] = access->ssh_key;
        argv[n++] = "-o";
        argv[n++] = "IdentitiesOnly=yes";
    }
    if (address->port != 0) {
        argv[n++] = "-p";
        argv[n++] = arena_printf(arena, "%u", address->port);
    }
    const char *user = access->user != NULL ? access->user : address->user;
    argv[n++] = "--";
    argv[n++] = user != NULL ? arena_printf(arena, "%s@%s", user, address->host) : address->host;
    argv[n++] = arena_printf(arena, "git-upload-pack %s", quoted(arena, address->path));
    CHECK(n < ARGUMENTS_MAX);
    char **copy = ARENA_ARRAY(arena, n + 1, char *);
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_strdup(arena, argv[i]);
    return copy;
}

static char **environment(struct arena *arena)
{
    static const char *const ours[] = {
        "GIT_PROTOCOL=version=2",
        "LC_ALL=C", // its messages are read
        "SSH_ASKPASS_REQUIRE=never",
    };
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **env = ARENA_ARRAY(arena, count + COUNT_OF(ours) + 1, char *);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!str_starts(environ[i], "GIT_") && !str_starts(environ[i], "LC_") &&
            !str_starts(environ[i], "SSH_ASKPASS"))
            env[n++] = environ[i];
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        env[n++] = arena_strdup(arena, ours[i]);
    return env;
}

static bool start(struct ssh_link *self, struct error *err)
{
    int pipes[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
    // standard input is a socket, so that writing to a dead ssh is an error and not a SIGPIPE
    bool ok = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipes[0]) == 0 &&
              pipe2(pipes[1], O_CLOEXEC) == 0 && pipe2(pipes[2], O_CLOEXEC) == 0;
    if (!ok)
        (void)error_set(err, ERR_LIMIT, "make pipes for ssh: %s", strerror(errno));

    struct arena *arena = arena_new();
    if (ok) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none;
        sigset_t defaults;
        (void)sigemptyset(&none);
        (void)sigemptyset(&defaults);
        (void)sigaddset(&defaults, SIGPIPE);
        CHECK(posix_spawn_file_actions_init(&actions) == 0);
        CHECK(posix_spawnattr_init(&attributes) == 0);
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                        POSIX_SPAWN_SETSIGDEF);
        (void)posix_spawnattr_setsigmask(&attributes, &none);
        (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
        CHECK(posix_spawn_file_actions_adddup2(&actions, pipes[0][0], STDIN_FILENO) == 0);
        CHECK(posix_spawn_file_actions_adddup2(&actions, pipes[1][1], STDOUT_FILENO) == 0);
        CHECK(posix_spawn_file_actions_adddup2(&actions, pipes[2][1], STDERR_FILENO) == 0);
        char **argv = arguments(self, arena);
        int code =
            posix_spawnp(&self->pid, argv[0], &actions, &attributes, argv, environment(arena));
        (void)posix_spawn_file_actions_destroy(&actions);
        (void)posix_spawnattr_destroy(&attributes);
        if (code != 0) {
            self->pid = 0;
            ok = error_set(err, code == ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL,
                           "remote '%s' needs the program '%s': %s", self->address->shown, argv[0],
                           strerror(code));
        }
    }
    arena_free(arena);
    close_fd(&pipes[0][0]);
    close_fd(&pipes[1][1]);
    close_fd(&pipes[2][1]);
    if (!ok) {
        close_fd(&pipes[0][1]);
        close_fd(&pipes[1][0]);
        close_fd(&pipes[2][0]);
        return false;
    }
    self->input = pipes[0][1];
    self->output = pipes[1][0];
    self->errors = pipes[2][0];
    int fds[] = { self->input, self->output, self->errors };
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        (void)fcntl(fds[i], F_SETFL, O_NONBLOCK); // cannot fail on our own pipes
    return true;
}

/* Takes in what ssh has printed so far; keeps the beginning. */
static void read_printed(struct ssh_link *self)
{
    char bytes[4096];
    while (self->errors >= 0) {
        ssize_t got = read(self->errors, bytes, sizeof(bytes));
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            close_fd(&self->errors);
            return;
        }
        size_t room = PRINTED_BYTES_MAX - self->printed.length;
        buf_add(&self->printed, bytes, (size_t)got < room ? (size_t)got : room);
    }
}

/* Waits until the pipe can be used; false with err when nothing moves or somebody cancels. */
static bool wait_for(struct ssh_link *self, int fd, short events, struct error *err)
{
    usec_t span = self->is_answered ? self->waits.idle : self->waits.connect + self->waits.idle;
    usec_t deadline = clock_monotonic() + span;
    for (;;) {
        struct pollfd fds[] = { { .fd = fd, .events = events },
                                { .fd = self->errors, .events = POLLIN } };
        int ready = poll(fds, 2, CANCEL_STEP_MS);
        if (ready > 0 && fds[1].revents != 0)
            read_printed(self);
        if (ready > 0 && fds[0].revents != 0)
            return true;
        if (self->waits.cancel != NULL && atomic_load(self->waits.cancel))
            return error_set(err, ERR_CANCELLED, "remote '%s': cancelled", self->address->shown);
        if (clock_monotonic() >= deadline)
            return error_set(err, ERR_TIMEOUT, "remote '%s' sent nothing for %lld s",
                             self->address->shown, (long long)(span / USEC_SEC));
    }
}

static bool ssh_ended(struct git_link *link, struct error *err)
{
    struct ssh_link *self = (struct ssh_link *)link;
    close_fd(&self->input);
    struct error ignored = { 0 };
    while (self->errors >= 0 && wait_for(self, self->errors, POLLIN, &ignored))
        read_printed(self);
    if (self->errors >= 0)
        (void)kill(-self->pid, SIGKILL); // it neither works nor ends
    int status = 0;
    while (self->pid > 0 && waitpid(self->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    self->pid = 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
    return git_refused_ssh(self->address, code, buf_text(&self->printed), err);
}

static bool ssh_advertise(struct git_link *link, const struct git_waits *waits, struct error *err)
{
    struct ssh_link *self = (struct ssh_link *)link;
    ssh_close(link);
    self->waits = *waits;
    self->is_answered = false;
    return start(self, err);
}

static bool ssh_request(struct git_link *link,
                        const struct git_waits *waits,
                        const void *body,
                        size_t length,
                        struct error *err)
{
    struct ssh_link *self = (struct ssh_link *)link;
    self->waits = *waits;
    const char *at = body;
    while (length > 0) {
        if (!wait_for(self, self->input, POLLOUT, err))
            return false;
        ssize_t written = send(self->input, at, length, MSG_NOSIGNAL);
        if (written < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (written < 0)
            return ssh_ended(link, err); // the reason is in what it printed
        at += written;
        length -= (size_t)written;
    }
    return true;
}

static ptrdiff_t ssh_read(struct git_link *link, void *bytes, size_t max, struct error *err)
{
    struct ssh_link *self = (struct ssh_link *)link;
    for (;;) {
        ssize_t got = read(self->output, bytes, max);
        if (got >= 0) {
            self->is_answered = self->is_answered || got > 0;
            return got;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN) {
            (void)error_set(err, ERR_UNAVAILABLE, "remote '%s': %s", self->address->shown,
                            strerror(errno));
            return -1;
        }
        if (!wait_for(self, self->output, POLLIN, err))
            return -1;
    }
}

static void ssh_free(struct git_link *link)
{
    struct ssh_link *self = (struct ssh_link *)link;
    ssh_close(link);
    buf_free(&self->printed);
    free(self);
}

struct git_link *git_link_ssh(const struct git_address *address, const struct git_access *access)
{
    static const struct git_link_ops ops = {
        .is_stateless = false,
        .advertise = ssh_advertise,
        .request = ssh_request,
        .read = ssh_read,
        .ended = ssh_ended,
        .close = ssh_close,
        .free = ssh_free,
    };
    struct ssh_link *self = check_calloc(1, sizeof(*self));
    *self = (struct ssh_link){
        .link.ops = &ops,
        .address = address,
        .access = access,
        .input = -1,
        .output = -1,
        .errors = -1,
    };
    return &self->link;
}
