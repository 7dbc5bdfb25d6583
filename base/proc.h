/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Child processes: posix_spawn, own process group, captured output, deadline, kill of the group.
 *
 * A child is started from any thread (proc_start), then supervised by a loop without a thread
 * (proc_watch), or waited for (proc_run). The group is killed when the child has ended, so nothing
 * it started in the background outlives the run or holds its pipes; a process that left the group
 * (setsid) lives on, but its hold on the pipes is let go.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"

struct arena;
struct error;
struct loop;
struct proc;

/* Output is read in pieces of up to this size. */
#define PROC_READ_BYTES ((size_t)256 * 1024)

enum proc_stream {
    PROC_STDOUT,
    PROC_STDERR,
};

enum proc_end {
    PROC_EXITED,   /* `status` is the exit status */
    PROC_SIGNALED, /* `status` is a signal that came from elsewhere */
    PROC_TIMEOUT,  /* ended by us at its deadline */
    PROC_KILLED,   /* ended by proc_kill() */
};

struct proc_exit {
    enum proc_end end;
    int status;       /* exit status, or the number of the signal that ended it */
    bool is_signal;   /* which of the two */
    usec_t elapsed;   /* from start to end */
    usec_t user_time; /* processor time of the child and the children it waited for */
    usec_t system_time;
    int64_t memory_max; /* bytes resident at its peak, not less than weir had at its start */
};

/* Output as it comes; not split into lines. Runs in the loop's thread. */
typedef void proc_output_fn(void *context,
                            enum proc_stream stream,
                            const char *bytes,
                            size_t length);

/* Called once, after the last output. The proc is freed after it returns. */
typedef void proc_exit_fn(void *context, const struct proc_exit *exit);

/*
 * Limits of the child and of each process it starts; 0: not limited. They are set by a shell that
 * then becomes the command (0.1 ms), since posix_spawn knows no limits.
 */
struct proc_limits {
    uint64_t memory_bytes; /* address space */
    uint64_t cpu_seconds;
    uint64_t file_bytes; /* size of a file it writes */
    uint64_t files;      /* open descriptors */
    uint64_t processes;  /* of the user */
};

struct proc_spec {
    const char *const *argv; /* NULL-terminated; argv[0] with a '/' is a path, else looked up */
    const char *const *env;  /* NULL-terminated "NAME=value"; NULL: the environment of weir */
    const char *cwd;         /* NULL: that of weir; a relative argv[0] is relative to it */
    const void *input;       /* for standard input, copied to a file in memory; NULL: /dev/null */
    size_t input_length;
    usec_t timeout;      /* span from the start; 0: none */
    usec_t grace;        /* between SIGTERM and SIGKILL; 0: SIGKILL at once */
    usec_t linger;       /* how long output of left-behind processes is still read; 0: 1 s */
    bool merge_stderr;   /* standard error goes into the pipe of standard output */
    bool discard_output; /* no pipes; both go to /dev/null */
    struct proc_limits limits;
};

/*
 * Starts a child. Any thread.
 *
 * Returns  NULL on failure: ERR_NOT_FOUND  the command or the folder does not exist
 *                           ERR_DENIED     it may not be executed
 *                           ERR_INVALID    not a program, an empty argv
 *                           ERR_LIMIT      arguments too long, too many processes or descriptors
 */
struct proc *proc_start(const struct proc_spec *spec, struct error *err);

pid_t proc_pid(const struct proc *proc);

/*
 * Hands the child to a loop, in the loop's thread; it is freed after `done`. On failure it is
 * killed and freed, and `done` is not called.
 *
 * output   may be NULL: read and dropped
 */
bool proc_watch(struct proc *proc,
                struct loop *loop,
                proc_output_fn *output,
                proc_exit_fn *done,
                void *context,
                struct error *err);

/*
 * SIGTERM to the group, SIGKILL after the grace of the spec (at once with `now`). The end is still
 * reported by `done`. In the loop's thread, between proc_watch() and `done`.
 */
void proc_kill(struct proc *proc, bool now);

/* Stops reading output (the child soon blocks in write) until resumed. In the loop's thread. */
void proc_pause_output(struct proc *proc, bool is_paused);

/* Kills the group of a child that was not given to a loop, waits, frees. NULL is fine. */
void proc_abandon(struct proc *proc);

struct proc_result {
    struct proc_exit exit;
    const char *output; /* owned by the arena, NUL-terminated; standard error too when merged */
    size_t output_length;
    const char *errors;
    size_t errors_length;
    bool is_cut; /* more came than output_max; the rest was read and dropped */
};

/*
 * Starts a child and waits for its end, in the calling thread. True whatever its status.
 *
 * output_max  bytes kept of each stream
 */
bool proc_run(struct arena *arena,
              const struct proc_spec *spec,
              size_t output_max,
              struct proc_result *out,
              struct error *err);

/*
 * Path of a command as execvp would find it in PATH of `env` (NULL: of weir).
 *
 * Returns  owned by the arena; NULL: ERR_NOT_FOUND, ERR_DENIED when it is there but not executable
 */
const char *proc_find(struct arena *arena,
                      const char *command,
                      const char *const *env,
                      struct error *err);

/* "exited with status 3", "was ended by signal 9 (SIGKILL)", "timed out after 5 s" … */
const char *proc_exit_text(struct arena *arena, const struct proc_exit *exit);

#endif
