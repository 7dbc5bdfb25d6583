/* SPDX-License-Identifier: Apache-2.0 */
/* Shows what a commit would change: between two commits of a repository, or on a server. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "base/url.h"
#include "cli/checkout.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/plan_output.h"
#include "core/value.h"
#include "reconciler/reconcile.h"
#include "reconciler/render_json.h"
#include "reconciler/target.h"
#include "runtime/plugins.h"

/* ---- between two commits ---- */

/* Everything that a plan between two commits of a repository needs. */
struct comparison {
    struct command_line *line;
    struct checkout checkout;
    struct snapshot snapshot;
    struct reconcile_options options;
    struct target *target;
};

/* What the branch started from: changes that the base got since are none of the head's. */
static bool common_base(struct comparison *comparison,
                        const struct git_commit_info *head,
                        struct git_commit_info *base,
                        struct error *err)
{
    struct git_repo *repo = comparison->checkout.repo;
    struct oid common;
    struct error none = { 0 };
    if (!git_repo_merge_base(repo, &base->id, &head->id, &common, &none))
        return none.code == ERR_NOT_FOUND || error_set(err, none.code, "%s", none.text);
    return git_repo_commit(repo, comparison->line->arena, &common, base, err);
}

/* Brings the target into the state that the base describes. */
static bool apply_base(struct comparison *comparison,
                       const struct git_commit_info *base,
                       struct error *err)
{
    struct snapshot snapshot = comparison->snapshot;
    snapshot.commit = *base;
    struct reconcile_options options = comparison->options;
    options.is_baseline = true;
    AUTO(plan_freep)
    struct plan *plan = reconcile_plan(&snapshot, comparison->target, &options, err);
    if (plan == NULL)
        return error_wrap(err, "base");
    return reconcile_apply(&snapshot, comparison->target, &options, NULL, plan, err);
}

static bool read_head(struct comparison *comparison, struct error *err)
{
    struct command_line *line = comparison->line;
    struct checkout *checkout = &comparison->checkout;
    const char *head = line_option(line, "head");
    if (head == NULL && checkout->folder != NULL) {
        comparison->snapshot.branch = "work tree";
        return checkout_files(checkout, line->arena, &comparison->snapshot.commit, NULL, err);
    }
    if (head == NULL)
        head = "HEAD";
    comparison->snapshot.branch =
        str_eq(head, "HEAD") && checkout->branch != NULL ? checkout->branch : head;
    return checkout_resolve(checkout, line->arena, head, &comparison->snapshot.commit, err);
}

static const struct value *compare(struct comparison *comparison, struct error *err)
{
    struct command_line *line = comparison->line;
    const char *base_name = line_option(line, "base");
    struct git_commit_info base;
    if (!read_head(comparison, err))
        return NULL;
    if (base_name != NULL &&
        (!checkout_resolve(&comparison->checkout, line->arena, base_name, &base, err) ||
         !common_base(comparison, &comparison->snapshot.commit, &base, err) ||
         !apply_base(comparison, &base, err)))
        return NULL;
    AUTO(plan_freep)
    struct plan *plan =
        reconcile_plan(&comparison->snapshot, comparison->target, &comparison->options, err);
    return plan == NULL ? NULL : plan_to_value(line->arena, plan);
}

static const struct value *plan_here(struct command_line *line,
                                     const char *address,
                                     struct error *err)
{
    const char *folder = line_option(line, "path");
    struct comparison comparison = { .line = line };
    if (!checkout_open(&comparison.checkout, line->arena, address, NULL, err))
        return NULL;
    comparison.snapshot = (struct snapshot){
        .source = "plan",
        .shown = comparison.checkout.shown,
        .folder = folder == NULL ? "" : folder,
        .repo = comparison.checkout.repo,
    };
    comparison.options = (struct reconcile_options){
        .plugins = plugins(),
        .now = clock_now(),
        .namespace = line_option(line, "namespace"),
    };
    comparison.target = target_memory_new();
    const struct value *plan = compare(&comparison, err);
    target_free(comparison.target);
    checkout_close(&comparison.checkout);
    return plan;
}

/* ---- on a server ---- */

static const struct value *plan_there(struct command_line *line, struct error *err)
{
    struct client client = client_open(line);
    return client_get(&client, line->arena, plan_query(line, "weir/plan"), err);
}

static int run(struct command_line *line)
{
    struct error err = { 0 };
    const char *address =
        line->arguments_count > 0 ? line->arguments[0] : line_option(line, "repo");
    bool is_here =
        address != NULL || line_option(line, "base") != NULL || line_option(line, "head") != NULL;
    const struct value *plan =
        is_here ? plan_here(line, address == NULL ? "." : address, &err) : plan_there(line, &err);
    if (plan == NULL)
        return command_fail(line, &err);
    plan_print(line, plan, is_here ? NULL : "weir apply");
    if (value_get_int(value_get(plan, "summary"), "errors", 0) > 0)
        return EXIT_ERROR;
    return value_count(value_get(plan, "changes")) > 0 ? EXIT_CHANGES : EXIT_OK;
}

static const struct option options[] = {
    { "repo", 'r', OPTION_VALUE, "FOLDER-OR-URL", .complete = COMPLETE_FOLDER,
      .doc = "The repository; the same as the argument." },
    { "base", 'b', OPTION_VALUE, "REF",
      .doc = "What is deployed: a branch, tag or commit. Without it nothing is." },
    { "head", 0, OPTION_VALUE, "REF",
      .doc = "What shall be deployed. Default: the files of a work tree, else HEAD." },
    { "path", 'p', OPTION_VALUE, "FOLDER", .doc = "Folder of the repository that is deployed." },
    { "namespace", 'n', OPTION_VALUE, "NAMESPACE",
      .doc = "Of flows that name none, without weir.yaml." },
    { "source", 0, OPTION_VALUE, "NAME",
      .doc = "On a server: the source whose newest commit is compared with what is deployed." },
    { "ref", 0, OPTION_VALUE, "REF", .doc = "On a server: another commit of the source." },
    { "full", 0, OPTION_FLAG, .doc = "Show everything, cut nothing." },
    { 0 },
};

static const char *const examples[] = {
    "weir plan --base main --head fix/orders",
    "weir plan --base main",
    "weir plan https://git.example.com/data/flows.git --base v1 --head v2",
    "weir plan --source flows",
    NULL,
};

const struct cli_command command_plan = {
    .name = "plan",
    .arguments = "[FOLDER-OR-URL]",
    .summary = "show what a commit would change, and what that may break",
    .doc = "With an address, --base or --head two commits of a repository are compared here,\n"
           "without a server; the address is '.' unless given. A branch is compared with the\n"
           "commit it started from. Otherwise a server is asked what the newest commit of a\n"
           "source would change there.",
    .options = options,
    .complete = COMPLETE_FOLDER,
    .arguments_max = 1,
    .exits = "0 nothing to change, 1 an error or findings, 2 there are changes",
    .examples = examples,
    .run = run,
    .needs_server = true,
};
