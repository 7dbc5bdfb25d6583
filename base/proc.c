/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of a watched child:
 *
 *     running ──deadline, proc_kill()──► ending ──grace over──► SIGKILL
 *        │                                 │
 *        └────────── it exits ─────────────┤
 *                                          ▼
 *            exited: output is read until its end; at most for `linger`, or the rest of the grace
 *                                          ▼
 *            over: SIGKILL to the group, reaped, `done`
 *
 * The child stays a zombie until the group was killed for the last time: only then is its number,
 * which is also that of the group, certainly not somebody else's.
 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/loop.h"
#include "base/vec.h"

#define LINGER USEC_SEC

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

/* Reads after the end, when a process that left the group may go on writing for ever. */
#define DRAIN_READS_MAX 64

extern char **environ;

struct proc_pipe {
    int fd; /* -1: closed */
    struct loop_watch *watch;
    struct proc *proc;
    enum proc_stream stream;
};

struct proc {
    pid_t pid;
    int pidfd;
    struct proc_pipe pipes[2];
    usec_t started;
    usec_t deadline;
    usec_t grace;
    usec_t linger;

    struct loop *loop; /* NULL: not watched */
    struct loop_watch *pid_watch;
    struct loop_timer timer; /* deadline, then end of grace or linger */
    proc_output_fn *output;
    proc_exit_fn *done;
    void *context;
    bool is_paused;
    bool is_ending; /* the group was told to end */
    bool is_exited; /* the child ended, exit.status is known */
    struct proc_exit exit;
};

/* ---- finding ---- */

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

static const char *path_of(const char *const *env)
{
    if (env == NULL)
        env = (const char *const *)environ;
    for (; *env != NULL; env++) {
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    }
    return PATH_DEFAULT;
}

/* `path`, seen from `cwd` when it is relative. */
static const char *seen_from(struct arena *arena, const char *cwd, const char *path)
{
    return cwd == NULL || path[0] == '/' ? path : arena_printf(arena, "%s/%s", cwd, path);
}

static const char *find(struct arena *arena,
                        const char *command,
                        const char *const *env,
                        const char *cwd,
                        struct error *err)
{
    if (command[0] == '\0') {
        error_set(err, ERR_INVALID, "the command is empty");
        return NULL;
    }
    if (strchr(command, '/') != NULL) {
        const char *seen = seen_from(arena, cwd, command);
        if (is_program(seen))
            return command;
        if (access(seen, F_OK) != 0)
            error_set(err, ERR_NOT_FOUND, "command '%s' does not exist", command);
        else
            error_set(err, ERR_DENIED, "'%s' is not an executable file", command);
        return NULL;
    }
    const char *denied = NULL;
    for (const char *at = path_of(env);; at++) {
        size_t length = strcspn(at, ":");
        const char *folder = length == 0 ? "." : arena_strndup(arena, at, length);
        const char *path = arena_printf(arena, "%s/%s", folder, command);
        const char *seen = seen_from(arena, cwd, path);
        if (is_program(seen))
            return path;
        if (denied == NULL && access(seen, F_OK) == 0)
            denied = path;
        at += length;
        if (*at == '\0')
            break;
    }
    if (denied != NULL)
        error_set(err, ERR_DENIED, "'%s' is not an executable file", denied);
    else
        error_set(err, ERR_NOT_FOUND, "command '%s' is not in PATH", command);
    return NULL;
}

const char *proc_find(struct arena *arena,
                      const char *command,
                      const char *const *env,
                      struct error *err)
{
    return find(arena, command, env, NULL, err);
}

/* ---- starting ---- */

/* Text of a shell that sets the limits and becomes the command; NULL when there are none. */
static const char *limits_script(struct arena *arena, const struct proc_limits *limits)
{
    struct buf text = { 0 };
    if (limits->memory_bytes > 0)
        buf_printf(&text, "ulimit -v %llu && ", (unsigned long long)limits->memory_bytes / 1024);
    if (limits->cpu_seconds > 0)
        buf_printf(&text, "ulimit -t %llu && ", (unsigned long long)limits->cpu_seconds);
    if (limits->file_bytes > 0)
        buf_printf(&text, "ulimit -f %llu && ", (unsigned long long)limits->file_bytes / 512);
    if (limits->files > 0)
        buf_printf(&text, "ulimit -n %llu && ", (unsigned long long)limits->files);
    if (limits->processes > 0) // bash says -u, dash says -p
        buf_printf(&text, "{ ulimit -u %llu 2>/dev/null || ulimit -p %llu; } && ",
                   (unsigned long long)limits->processes, (unsigned long long)limits->processes);
    const char *script = NULL;
    if (text.length > 0) {
        buf_puts(&text, "exec \"$@\"");
        script = buf_dup(&text, arena);
    }
    buf_free(&text);
    return script;
}

/* Pipes take numbers from 3 on, so that placing one at 0, 1 or 2 closes no other. */
static int above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int number = errno;
    (void)close(fd);
    errno = number;
    return moved;
}

static bool make_pipe(int *read_end, int *write_end)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    // A larger pipe saves switches between child and reader; refused beyond a user's quota.
    (void)fcntl(ends[0], F_SETPIPE_SZ, (int)PROC_READ_BYTES);
    *read_end = above_standard(ends[0]);
    *write_end = above_standard(ends[1]);
    return *read_end >= 0 && *write_end >= 0 && fcntl(*read_end, F_SETFL, O_NONBLOCK) == 0;
}

/* A file in memory that holds the input, at its start. */
static int make_input(const void *bytes, size_t length, struct error *err)
{
    AUTO_FD int fd = above_standard(memfd_create("input", MFD_CLOEXEC));
    if (fd < 0) {
        fs_error(err, errno, "make", "standard input");
        return -1;
    }
    if (!fs_write_fd(fd, bytes, length, "standard input", err))
        return -1;
    if (lseek(fd, 0, SEEK_SET) != 0) {
        fs_error(err, errno, "rewind", "standard input");
        return -1;
    }
    return fd_steal(&fd);
}

/* What the system said when it would not start the command. */
static void start_failed(int number, const char *command, const char *path, struct error *err)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        // It was there a moment ago, so what is missing is the interpreter in its first line.
        error_set(err, ERR_NOT_FOUND, "the interpreter that '%s' names does not exist", path);
        break;
    case ENOEXEC:
        error_set(err, ERR_INVALID, "'%s' is neither a program nor a script with a '#!' line",
                  path);
        break;
    case EACCES:
    case EPERM:
        error_set(err, ERR_DENIED, "'%s' may not be executed", path);
        break;
    case E2BIG:
        error_set(err, ERR_LIMIT, "arguments and environment of '%s' are too long", command);
        break;
    case EAGAIN:
        error_set(err, ERR_LIMIT, "start '%s': too many processes", command);
        break;
    default:
        fs_error(err, number, "start", command);
        break;
    }
}

struct ends {
    int in;
    int out;
    int err;
};

static void ends_close(struct ends *ends)
{
    fd_closep(&ends->in);
    fd_closep(&ends->out);
    fd_closep(&ends->err);
}

static int add_actions(posix_spawn_file_actions_t *actions,
                       const struct proc_spec *spec,
                       const struct ends *ends)
{
    int failure = 0;
    if (ends->in >= 0)
        failure = posix_spawn_file_actions_adddup2(actions, ends->in, STDIN_FILENO);
    else
        failure = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (failure == 0 && ends->out >= 0)
        failure = posix_spawn_file_actions_adddup2(actions, ends->out, STDOUT_FILENO);
    else if (failure == 0)
        failure =
            posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (failure == 0 && ends->err >= 0)
        failure = posix_spawn_file_actions_adddup2(actions, ends->err, STDERR_FILENO);
    else if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, STDERR_FILENO);
    // Ours are close-on-exec; what weir itself was started with may not be.
    if (failure == 0)
        failure = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    if (failure == 0 && spec->cwd != NULL)
        failure = posix_spawn_file_actions_addchdir_np(actions, spec->cwd);
    return failure;
}

static int spawn(const char *path,
                 const char *const *argv,
                 const struct proc_spec *spec,
                 const struct ends *ends,
                 pid_t *pid)
{
    // Ignored signals stay ignored across exec; handlers do not.
    static const int reset[] = { SIGPIPE, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCHLD, SIGUSR1 };
    sigset_t defaults;
    sigset_t none;
    (void)sigemptyset(&defaults);
    (void)sigemptyset(&none);
    for (size_t i = 0; i < COUNT_OF(reset); i++)
        (void)sigaddset(&defaults, reset[i]);

    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    CHECK(posix_spawnattr_init(&attributes) == 0);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    CHECK(posix_spawnattr_setflags(&attributes, flags) == 0);
    CHECK(posix_spawnattr_setpgroup(&attributes, 0) == 0);
    CHECK(posix_spawnattr_setsigmask(&attributes, &none) == 0);
    CHECK(posix_spawnattr_setsigdefault(&attributes, &defaults) == 0);

    // posix_spawn takes pointers to what it will not change.
    union {
        const char *const *constant;
        char *const *plain;
    } args = { .constant = argv }, env = { .constant = spec->env };
    int failure = add_actions(&actions, spec, ends);
    if (failure == 0)
        failure = posix_spawn(pid, path, &actions, &attributes, args.plain,
                              spec->env == NULL ? environ : env.plain);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return failure;
}

static void proc_release(struct proc *proc)
{
    for (size_t i = 0; i < COUNT_OF(proc->pipes); i++)
        fd_closep(&proc->pipes[i].fd);
    fd_closep(&proc->pidfd);
    free(proc);
}

static bool open_ends(struct proc *proc,
                      const struct proc_spec *spec,
                      struct ends *ends,
                      struct error *err)
{
    if (spec->input != NULL) {
        ends->in = make_input(spec->input, spec->input_length, err);
        if (ends->in < 0)
            return false;
    }
    if (spec->discard_output)
        return true;
    if (!make_pipe(&proc->pipes[PROC_STDOUT].fd, &ends->out) ||
        (!spec->merge_stderr && !make_pipe(&proc->pipes[PROC_STDERR].fd, &ends->err)))
        return fs_error(err, errno, "make pipes for", spec->argv[0]);
    return true;
}

struct proc *proc_start(const struct proc_spec *spec, struct error *err)
{
    if (spec->argv == NULL || spec->argv[0] == NULL) {
        error_set(err, ERR_INVALID, "the command is empty");
        return NULL;
    }
    struct stat info;
    if (spec->cwd != NULL && (stat(spec->cwd, &info) != 0 || !S_ISDIR(info.st_mode))) {
        error_set(err, ERR_NOT_FOUND, "working directory '%s' does not exist", spec->cwd);
        return NULL;
    }
    AUTO(arena_freep) struct arena *scratch = arena_new();
    const char *path = find(scratch, spec->argv[0], spec->env, spec->cwd, err);
    if (path == NULL)
        return NULL;

    const char *program = path;
    const char *const *argv = spec->argv;
    const char *script = limits_script(scratch, &spec->limits);
    if (script != NULL) {
        VEC(const char *) words = { 0 };
        const char *const before[] = { "sh", "-c", script, "sh", path };
        for (size_t i = 0; i < COUNT_OF(before); i++)
            *VEC_PUSH_ARENA(scratch, &words) = before[i];
        for (size_t i = 1; spec->argv[i] != NULL; i++)
            *VEC_PUSH_ARENA(scratch, &words) = spec->argv[i];
        *VEC_PUSH_ARENA(scratch, &words) = NULL;
        argv = words.items;
        program = "/bin/sh";
    }

    struct proc *proc = check_calloc(1, sizeof(*proc));
    proc->pidfd = -1;
    for (size_t i = 0; i < COUNT_OF(proc->pipes); i++)
        proc->pipes[i] =
            (struct proc_pipe){ .fd = -1, .proc = proc, .stream = (enum proc_stream)i };
    proc->started = clock_monotonic();
    proc->deadline = spec->timeout > 0 ? proc->started + spec->timeout : USEC_NEVER;
    proc->grace = spec->grace;
    proc->linger = spec->linger > 0 ? spec->linger : LINGER;

    AUTO(ends_close) struct ends ends = { -1, -1, -1 };
    if (!open_ends(proc, spec, &ends, err)) {
        proc_release(proc);
        return NULL;
    }
    int failure = spawn(program, argv, spec, &ends, &proc->pid);
    if (failure != 0) {
        start_failed(failure, spec->argv[0], path, err);
        proc_release(proc);
        return NULL;
    }
    proc->pidfd = (int)syscall(SYS_pidfd_open, proc->pid, 0);
    if (proc->pidfd < 0) {
        fs_error(err, errno, "watch", spec->argv[0]);
        proc_abandon(proc);
        return NULL;
    }
    return proc;
}

pid_t proc_pid(const struct proc *proc)
{
    return proc->pid;
}

/* ---- ending ---- */

/* Fails when nothing is left of the group: fine. */
static void signal_group(const struct proc *proc, int number)
{
    (void)kill(-proc->pid, number);
}

/* Waits for the child and takes its status; afterwards its number may be reused. */
static void reap(struct proc *proc)
{
    siginfo_t info = { 0 };
    struct rusage usage = { 0 };
    long result;
    do {
        result = syscall(SYS_waitid, P_PID, proc->pid, &info, WEXITED, &usage);
    } while (result != 0 && errno == EINTR);
    if (result != 0)
        return; // somebody set SIGCHLD to be ignored: the status is lost, not the child
    proc->exit.is_signal = info.si_code != CLD_EXITED;
    proc->exit.status = info.si_status;
    proc->exit.user_time =
        (usec_t)usage.ru_utime.tv_sec * USEC_SEC + (usec_t)usage.ru_utime.tv_usec;
    proc->exit.system_time =
        (usec_t)usage.ru_stime.tv_sec * USEC_SEC + (usec_t)usage.ru_stime.tv_usec;
    proc->exit.memory_max = (int64_t)usage.ru_maxrss * 1024;
}

void proc_abandon(struct proc *proc)
{
    if (proc == NULL)
        return;
    CHECK(proc->loop == NULL);
    signal_group(proc, SIGKILL);
    reap(proc);
    proc_release(proc);
}

static void close_pipe(struct proc_pipe *pipe)
{
    loop_unwatch(pipe->proc->loop, pipe->watch);
    pipe->watch = NULL;
    fd_closep(&pipe->fd);
    pipe->fd = -1;
}

/* One read; false when there is nothing to read now or the pipe has ended (and is closed then). */
static bool read_pipe(struct proc_pipe *pipe)
{
    char bytes[PROC_READ_BYTES];
    ssize_t got = read(pipe->fd, bytes, sizeof(bytes));
    if (got < 0 && errno == EINTR)
        return true;
    if (got < 0 && errno == EAGAIN)
        return false;
    if (got <= 0) {
        close_pipe(pipe);
        return false;
    }
    struct proc *proc = pipe->proc;
    if (proc->output != NULL)
        proc->output(proc->context, pipe->stream, bytes, (size_t)got);
    return true;
}

static void finish(struct proc *proc)
{
    struct loop *loop = proc->loop;
    signal_group(proc, SIGKILL);
    for (size_t i = 0; i < COUNT_OF(proc->pipes); i++) {
        struct proc_pipe *pipe = &proc->pipes[i];
        for (unsigned reads = 0; pipe->fd >= 0 && reads < DRAIN_READS_MAX && read_pipe(pipe);)
            reads++;
        if (pipe->fd >= 0)
            close_pipe(pipe);
    }
    loop_unwatch(loop, proc->pid_watch);
    loop_timer_cancel(loop, &proc->timer);
    reap(proc);
    if (!proc->is_ending)
        proc->exit.end = proc->exit.is_signal ? PROC_SIGNALED : PROC_EXITED;
    if (proc->done != NULL)
        proc->done(proc->context, &proc->exit);
    proc_release(proc);
}

/* Nothing more to wait for? Frees the proc then. */
static void finish_if_over(struct proc *proc)
{
    bool has_output = proc->pipes[PROC_STDOUT].fd >= 0 || proc->pipes[PROC_STDERR].fd >= 0;
    if (proc->is_exited && !has_output)
        finish(proc);
}

static void on_output(void *context, uint32_t events)
{
    struct proc_pipe *pipe = context;
    (void)events; // a hang-up reads as the end
    (void)read_pipe(pipe);
    finish_if_over(pipe->proc);
}

static void on_exit_of_child(void *context, uint32_t events)
{
    struct proc *proc = context;
    (void)events;
    proc->is_exited = true;
    proc->exit.elapsed = loop_now(proc->loop) - proc->started;
    loop_unwatch(proc->loop, proc->pid_watch);
    proc->pid_watch = NULL;
    if (!proc->is_ending) {
        loop_timer_set(proc->loop, &proc->timer, loop_now(proc->loop) + proc->linger);
    } else if (!wheel_is_set(&proc->timer.timer)) {
        // SIGKILL was sent to all, so no output is coming that is not in the pipes already.
        finish(proc);
        return;
    }
    finish_if_over(proc);
}

static void end_group(struct proc *proc, enum proc_end cause, bool now)
{
    if (proc->is_exited)
        now = true;
    if (!proc->is_ending)
        proc->exit.end = cause;
    proc->is_ending = true;
    if (now || proc->grace <= 0) {
        loop_timer_cancel(proc->loop, &proc->timer);
        signal_group(proc, SIGKILL);
        return;
    }
    signal_group(proc, SIGTERM);
    signal_group(proc, SIGCONT); // a stopped process could not hear the first
    loop_timer_set(proc->loop, &proc->timer, clock_monotonic() + proc->grace);
}

static void on_timer(void *context)
{
    struct proc *proc = context;
    if (proc->is_exited && proc->is_paused) {
        // Nobody reads, so the end of the output cannot be seen: give it another span.
        loop_timer_set(proc->loop, &proc->timer, loop_now(proc->loop) + proc->linger);
    } else if (proc->is_exited) {
        finish(proc);
    } else {
        end_group(proc, PROC_TIMEOUT, proc->is_ending);
    }
}

/* proc_kill() may be called from the output callback, where freeing the proc would be rude. */
static void on_killed_after_exit(void *context)
{
    finish(context);
}

void proc_kill(struct proc *proc, bool now)
{
    bool is_grace_running = proc->is_ending && wheel_is_set(&proc->timer.timer);
    if (proc->is_ending && !(now && is_grace_running))
        return;
    end_group(proc, PROC_KILLED, now);
    if (proc->is_exited) {
        proc->timer.fn = on_killed_after_exit;
        loop_timer_set(proc->loop, &proc->timer, loop_now(proc->loop));
    }
}

void proc_pause_output(struct proc *proc, bool is_paused)
{
    proc->is_paused = is_paused;
    for (size_t i = 0; i < COUNT_OF(proc->pipes); i++) {
        if (proc->pipes[i].watch != NULL)
            loop_rewatch(proc->loop, proc->pipes[i].watch, is_paused ? 0 : EPOLLIN);
    }
}

bool proc_watch(struct proc *proc,
                struct loop *loop,
                proc_output_fn *output,
                proc_exit_fn *done,
                void *context,
                struct error *err)
{
    CHECK(proc->loop == NULL);
    proc->output = output;
    proc->done = done;
    proc->context = context;
    bool is_fine = true;
    for (size_t i = 0; i < COUNT_OF(proc->pipes) && is_fine; i++) {
        struct proc_pipe *pipe = &proc->pipes[i];
        if (pipe->fd < 0)
            continue;
        pipe->watch = loop_watch(loop, pipe->fd, EPOLLIN, on_output, pipe, err);
        is_fine = pipe->watch != NULL;
    }
    if (is_fine) {
        proc->pid_watch = loop_watch(loop, proc->pidfd, EPOLLIN, on_exit_of_child, proc, err);
        is_fine = proc->pid_watch != NULL;
    }
    if (!is_fine) {
        for (size_t i = 0; i < COUNT_OF(proc->pipes); i++)
            loop_unwatch(loop, proc->pipes[i].watch);
        proc_abandon(proc);
        return false;
    }
    proc->loop = loop;
    proc->timer.fn = on_timer;
    proc->timer.context = proc;
    loop_timer_set(loop, &proc->timer, proc->deadline);
    return true;
}

/* ---- waiting ---- */

struct run {
    struct loop *loop;
    struct buf texts[2];
    size_t output_max;
    bool is_cut;
    struct proc_exit exit;
};

static void keep_output(void *context, enum proc_stream stream, const char *bytes, size_t length)
{
    struct run *run = context;
    struct buf *text = &run->texts[stream];
    size_t room = run->output_max - text->length;
    if (length > room) {
        length = room;
        run->is_cut = true;
    }
    buf_add(text, bytes, length);
}

static void keep_exit(void *context, const struct proc_exit *exit)
{
    struct run *run = context;
    run->exit = *exit;
    loop_stop(run->loop);
}

bool proc_run(struct arena *arena,
              const struct proc_spec *spec,
              size_t output_max,
              struct proc_result *out,
              struct error *err)
{
    struct run run = { .output_max = output_max, .loop = loop_new(1, err) };
    if (run.loop == NULL)
        return false;
    struct proc *proc = proc_start(spec, err);
    bool is_fine = proc != NULL && proc_watch(proc, run.loop, keep_output, keep_exit, &run, err);
    if (is_fine) {
        loop_run(run.loop);
        *out = (struct proc_result){
            .exit = run.exit,
            .output = buf_dup(&run.texts[PROC_STDOUT], arena),
            .output_length = run.texts[PROC_STDOUT].length,
            .errors = buf_dup(&run.texts[PROC_STDERR], arena),
            .errors_length = run.texts[PROC_STDERR].length,
            .is_cut = run.is_cut,
        };
    }
    for (size_t i = 0; i < COUNT_OF(run.texts); i++)
        buf_free(&run.texts[i]);
    loop_free(run.loop);
    return is_fine;
}

const char *proc_exit_text(struct arena *arena, const struct proc_exit *exit)
{
    switch (exit->end) {
    case PROC_TIMEOUT:
        return arena_printf(arena, "timed out after %.1f s",
                            (double)exit->elapsed / (double)USEC_SEC);
    case PROC_KILLED:
        return "was killed";
    case PROC_SIGNALED: {
        const char *name = sigabbrev_np(exit->status);
        return arena_printf(arena, "was ended by signal %d (SIG%s)", exit->status,
                            name == NULL ? "?" : name);
    }
    case PROC_EXITED:
        break;
    }
    return arena_printf(arena, "exited with status %d", exit->status);
}
