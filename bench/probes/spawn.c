/* SPDX-License-Identifier: Apache-2.0 */
/* Children per second: posix_spawn of /bin/true one after the other, bare and under the loop. */
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/proc.h"
#include "bench/probes/probe.h"

enum { CHILDREN = 1000 };

extern char **environ;

static double spawn_bare(void *context)
{
    char name[] = "true";
    char *argv[] = { name, NULL };
    (void)context;
    usec_t started = clock_monotonic();
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = 0;
        int status = 0;
        CHECK(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(status == 0);
    }
    return probe_rate(CHILDREN, started);
}

struct chain {
    struct loop *loop;
    int left;
};

static void start_next(struct chain *chain);

static void ended(void *context, const struct proc_exit *exit)
{
    struct chain *chain = context;
    CHECK(exit->end == PROC_EXITED);
    CHECK(exit->status == 0);
    if (--chain->left == 0)
        loop_stop(chain->loop);
    else
        start_next(chain);
}

static void start_next(struct chain *chain)
{
    static const char *const argv[] = { "/bin/true", NULL };
    struct proc_spec spec = { .argv = argv };
    struct error err = { 0 };
    struct proc *proc = proc_start(&spec, &err);
    CHECK(proc != NULL);
    CHECK(proc_watch(proc, chain->loop, NULL, ended, chain, &err));
}

static double spawn_watched(void *context)
{
    struct error err = { 0 };
    struct chain chain = { .loop = loop_new(10, &err), .left = CHILDREN };
    (void)context;
    CHECK(chain.loop != NULL);
    usec_t started = clock_monotonic();
    start_next(&chain);
    loop_run(chain.loop);
    double rate = probe_rate(CHILDREN, started);
    loop_free(chain.loop);
    return rate;
}

int main(int argc, char **argv)
{
    int rounds = probe_rounds(argc, argv);
    probe_run("spawn", "children/s", rounds, spawn_bare, NULL, spawn_watched, NULL);
    return EXIT_SUCCESS;
}
