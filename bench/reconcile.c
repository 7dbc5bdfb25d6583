/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reconciler alone, over a target in memory: first sync, a commit of one file, a plan of fifty
 * files with impact; and the walk of the trees alone.
 *
 *     build/bench/reconcile [FLOWS] [ROUNDS] [REPOSITORY]
 *
 * One JSON line per figure. Git makes the repository (fast-import), in the temporary folder, or in
 * the given one, which is kept and used again.
 */
#include "reconciler/reconcile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/git.h"
#include "base/git_walk.h"
#include "base/proc.h"
#include "base/str.h"
#include "reconciler/target.h"
#include "runtime/plugins.h"

#define ROUNDS_MAX 100

struct bench {
    struct arena *arena;
    struct git_repo *repo;
    struct target *target;
    int64_t flows;
    int64_t rounds;
};

static void must(bool ok, const struct error *err)
{
    if (ok)
        return;
    (void)fprintf(stderr, "%s\n", err->text);
    exit(EXIT_FAILURE);
}

static int by_number(const void *a, const void *b)
{
    const usec_t *one = a;
    const usec_t *two = b;
    return (*one > *two) - (*one < *two);
}

static void report(const struct bench *bench, const char *name, usec_t *spans, size_t count)
{
    qsort(spans, count, sizeof(*spans), by_number);
    (void)printf("{\"name\":\"%s\",\"unit\":\"ms\",\"flows\":%lld,\"min\":%.3f,\"median\":%.3f,"
                 "\"max\":%.3f,\"n\":%zu}\n",
                 name, (long long)bench->flows, (double)spans[0] / 1000,
                 (double)spans[count / 2] / 1000, (double)spans[count - 1] / 1000, count);
    (void)fflush(stdout);
}

/* ---- a repository ---- */

/* A small flow of a usual kind; every hundredth is called by the next ones. */
static void put_flow(struct buf *out, int64_t number, int64_t version)
{
    buf_printf(
        out,
        "id: flow_%lld\nnamespace: company.team%lld\ndescription: Loads part %lld.\n"
        "labels:\n  team: t%lld\ntasks:\n  - id: hello\n"
        "    type: io.kestra.plugin.core.log.Log\n    message: \"run %lld of {{ flow.id }}\"\n"
        "  - id: value\n    type: io.kestra.plugin.core.debug.Return\n"
        "    format: \"{{ outputs.hello }}\"\n",
        (long long)number, (long long)(number % 100), (long long)number, (long long)(number % 100),
        (long long)version);
    if (number % 10 == 1)
        buf_printf(out,
                   "  - id: call\n    type: io.kestra.plugin.core.flow.Subflow\n"
                   "    namespace: company.team%lld\n    flowId: flow_%lld\n",
                   (long long)((number - 1) % 100), (long long)(number - 1));
    if (number % 5 == 0)
        buf_puts(out,
                 "triggers:\n  - id: hourly\n"
                 "    type: io.kestra.plugin.core.trigger.Schedule\n    cron: \"0 * * * *\"\n");
}

static void put_file(struct buf *out, int64_t number, int64_t version)
{
    struct buf text = { 0 };
    put_flow(&text, number, version);
    buf_printf(out, "M 100644 inline flows/team%lld/part%lld/flow_%lld.yml\ndata %zu\n",
               (long long)(number % 100), (long long)(number / 100 % 100), (long long)number,
               text.length);
    buf_add(out, text.bytes, text.length);
    buf_putc(out, '\n');
    buf_free(&text);
}

static void put_commit(struct buf *out, const char *branch, const char *from, int mark)
{
    buf_printf(out,
               "commit refs/heads/%s\nmark :%d\ncommitter Ana <ana@example.com> %d +0000\n"
               "data 1\nx\n",
               branch, mark, 1780000000 + mark);
    if (from != NULL)
        buf_printf(out, "from %s\n", from);
}

static void make_repository(struct bench *bench, const char *folder)
{
    struct error err = { 0 };
    struct git_repo *made = git_repo_open_mirror(folder, NULL, &err);
    must(made != NULL, &err);
    git_repo_free(made);
    struct buf stream = { 0 };
    put_commit(&stream, "main", NULL, 1);
    for (int64_t i = 0; i < bench->flows; i++)
        put_file(&stream, i, 1);
    put_commit(&stream, "one", ":1", 2);
    put_file(&stream, bench->flows / 2, 2);
    put_commit(&stream, "fifty", ":1", 3);
    for (int64_t i = 0; i < 50; i++)
        put_file(&stream, i * (bench->flows / 50), 2);
    const char *const argv[] = { "git", "-C", folder, "fast-import", "--quiet", NULL };
    struct proc_spec spec = { .argv = argv, .input = stream.bytes, .input_length = stream.length };
    struct proc_result result;
    must(proc_run(bench->arena, &spec, 65536, &result, &err), &err);
    if (result.exit.status != 0) {
        (void)fputs(result.errors, stderr);
        exit(EXIT_FAILURE);
    }
    buf_free(&stream);
}

/* ---- measuring ---- */

static struct snapshot snapshot_of(struct bench *bench, const char *branch)
{
    struct error err = { 0 };
    struct oid id;
    struct snapshot snapshot = {
        .source = "bench", .shown = "bench", .branch = branch, .folder = "", .repo = bench->repo
    };
    must(git_repo_resolve(bench->repo, branch, &id, &err), &err);
    must(git_repo_commit(bench->repo, bench->arena, &id, &snapshot.commit, &err), &err);
    return snapshot;
}

static struct plan *plan_of(struct bench *bench,
                            const struct snapshot *snapshot,
                            const struct reconcile_options *options)
{
    struct error err = { 0 };
    struct plan *plan = reconcile_plan(snapshot, bench->target, options, &err);
    must(plan != NULL, &err);
    if (plan_is_held(plan)) {
        (void)fprintf(stderr, "%s\n", plan->holds.items[0].text);
        for (size_t i = 0; i < plan->findings.all.count && i < 5; i++)
            (void)fprintf(stderr, "%s\n", plan->findings.all.items[i].message);
        exit(EXIT_FAILURE);
    }
    return plan;
}

static void measure_first_sync(struct bench *bench, const struct reconcile_options *options)
{
    usec_t plans[ROUNDS_MAX];
    usec_t applies[ROUNDS_MAX];
    size_t rounds = bench->rounds < 5 ? (size_t)bench->rounds : 5;
    struct snapshot snapshot = snapshot_of(bench, "main");
    for (size_t i = 0; i < rounds; i++) {
        struct error err = { 0 };
        target_free(bench->target);
        bench->target = target_memory_new();
        usec_t start = clock_monotonic();
        struct plan *plan = plan_of(bench, &snapshot, options);
        usec_t planned = clock_monotonic();
        CHECK((int64_t)plan->changes.count == bench->flows);
        must(reconcile_apply(&snapshot, bench->target, options, NULL, plan, &err), &err);
        plans[i] = planned - start;
        applies[i] = clock_monotonic() - planned;
        plan_free(plan);
    }
    report(bench, "first-plan", plans, rounds);
    report(bench, "first-apply-memory", applies, rounds);
}

static void measure_plan(struct bench *bench,
                         const struct reconcile_options *options,
                         const char *branch,
                         size_t changes)
{
    usec_t spans[ROUNDS_MAX];
    struct snapshot snapshot = snapshot_of(bench, branch);
    for (int64_t i = 0; i < bench->rounds; i++) {
        usec_t start = clock_monotonic();
        struct plan *plan = plan_of(bench, &snapshot, options);
        spans[i] = clock_monotonic() - start;
        CHECK(plan->changes.count == changes);
        plan_free(plan);
    }
    char name[64];
    (void)snprintf(name, sizeof(name), "plan-%s", branch);
    report(bench, name, spans, (size_t)bench->rounds);
}

static bool ignore(void *context, const struct walk_change *change, struct error *err)
{
    (void)context;
    (void)change;
    (void)err;
    return true;
}

static void measure_walk(struct bench *bench, const char *from, const char *to)
{
    usec_t spans[ROUNDS_MAX];
    struct oid before = from == NULL ? oid_none : snapshot_of(bench, from).commit.tree;
    struct oid after = snapshot_of(bench, to).commit.tree;
    struct error err = { 0 };
    for (int64_t i = 0; i < bench->rounds; i++) {
        struct walk walk = { .change = ignore };
        usec_t start = clock_monotonic();
        must(walk_trees(bench->repo, &before, &after, &walk, &err), &err);
        spans[i] = clock_monotonic() - start;
    }
    char name[64];
    (void)snprintf(name, sizeof(name), "walk-%s-%s", from == NULL ? "nothing" : from, to);
    report(bench, name, spans, (size_t)bench->rounds);
}

int main(int argc, char **argv)
{
    struct bench bench = { .arena = arena_new(), .flows = 100000, .rounds = 5 };
    struct error err = { 0 };
    if ((argc > 1 && !str_to_int(argv[1], 100, 1000000, &bench.flows)) ||
        (argc > 2 && !str_to_int(argv[2], 1, ROUNDS_MAX, &bench.rounds))) {
        (void)fputs("usage: reconcile [FLOWS] [ROUNDS] [REPOSITORY]\n", stderr);
        return EXIT_FAILURE;
    }
    char folder[] = "/tmp/weir-bench-XXXXXX";
    const char *path = argc > 3 ? argv[3] : mkdtemp(folder);
    CHECK(path != NULL);
    if (argc <= 3 || access(path, F_OK) != 0)
        make_repository(&bench, path);
    bench.repo = git_repo_open(path, &err);
    must(bench.repo != NULL, &err);
    struct reconcile_options options = { .plugins = plugins(),
                                         .now = clock_now(),
                                         .zone = "Europe/Paris" };
    measure_walk(&bench, NULL, "main");
    measure_walk(&bench, "main", "one");
    measure_walk(&bench, "main", "fifty");
    measure_first_sync(&bench, &options);
    measure_plan(&bench, &options, "one", 1);
    measure_plan(&bench, &options, "fifty", 50);
    options.is_full = true;
    measure_plan(&bench, &options, "one", 1);
    target_free(bench.target);
    git_repo_free(bench.repo);
    if (argc <= 3)
        must(fs_remove_tree(path, &err), &err);
    arena_free(bench.arena);
    return EXIT_SUCCESS;
}
