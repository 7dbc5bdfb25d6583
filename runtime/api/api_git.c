/* SPDX-License-Identifier: Apache-2.0 */
/* Watched repositories: plans, applying what waits, drift, history. Documents: schemas/. */
#include "base/arena.h"
#include "base/str.h"
#include "core/value.h"
#include "runtime/api/call.h"

/* Applied commits of one answer. */
#define HISTORY_MAX     500
#define HISTORY_DEFAULT 50

static void answer(struct call *call, const char *verb, const struct value *arguments)
{
    const struct api_config *config = &call->api->config;
    struct error err = { 0 };
    const struct value *result = NULL;
    if (config->reconcile == NULL)
        (void)error_set(&err, ERR_NOT_FOUND, "no repository is watched");
    else
        result = config->reconcile(config->reconcile_data, call->arena, verb, arguments, &err);
    if (result == NULL)
        reply_failure(call, &err);
    else
        reply_value(call, 200, result);
}

/* Query parameters as a map. */
static struct value_builder query_of(struct call *call)
{
    static const char *const names[] = { "source", "ref", "override" };
    struct value_builder map = value_build(call->arena);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        value_put_text(&map, names[i], call_query(call, names[i]));
    return map;
}

static void get_plan(struct call *call)
{
    struct value_builder map = query_of(call);
    answer(call, "plan", value_build_map(&map));
}

static void post_apply(struct call *call)
{
    const struct value *body = call_json(call);
    if (body == NULL)
        return;
    const struct value *arguments =
        value_with(call->arena, body, "actor", value_string(call->arena, call->user));
    answer(call, "apply", arguments);
}

static void get_drift(struct call *call)
{
    struct value_builder map = query_of(call);
    answer(call, "drift", value_build_map(&map));
}

static void get_history(struct call *call)
{
    struct value_builder map = query_of(call);
    int64_t size = 0;
    if (!call_query_int(call, "size", 1, HISTORY_DEFAULT, &size))
        return;
    value_put_int(&map, "size", size > HISTORY_MAX ? HISTORY_MAX : size);
    answer(call, "history", value_build_map(&map));
}

static void post_sync(struct call *call)
{
    struct value_builder map = query_of(call);
    answer(call, "sync", value_build_map(&map));
}

static const struct route_query source_query[] = {
    { "source", "string", "Name of the source; may be left out when there is one only.", false },
    { 0 },
};

static const struct route_query plan_query[] = {
    { "source", "string", "Name of the source; may be left out when there is one only.", false },
    { "ref", "string", "A branch or commit instead of the newest one.", false },
    { "override", "string", "Holds that are lifted: deletions, protected, windows, approvals.",
      false },
    { 0 },
};

static const struct route_query history_query[] = {
    { "source", "string", "Name of the source; may be left out when there is one only.", false },
    { "size", "integer", "How many commits, newest first.", false },
    { 0 },
};

const struct route git_routes[] = {
    { "GET", "weir/plan", get_plan, .query = plan_query, .shape = "Plan",
      .doc = "What the newest commit of a source would change." },
    { "POST", "weir/apply", post_apply, .body = "application/json", .shape = "Plan",
      .doc = "Apply the newest commit of a source: {source, digest, override}." },
    { "GET", "weir/drift", get_drift, .query = source_query, .shape = "Drift",
      .doc = "What was changed beside Git since the last apply." },
    { "GET", "weir/history", get_history, .query = history_query, .shape = "History",
      .doc = "Applied commits of a source with what each changed." },
    { "POST", "weir/sync", post_sync, .query = source_query,
      .doc = "Ask the remote of a source, or of all, now." },
    { 0 },
};
