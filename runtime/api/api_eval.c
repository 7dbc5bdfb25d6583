/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions in the context of an execution, for people who look for a mistake (api.md 2.2).
 *
 * Secrets stay secret: inputs and outputs of type SECRET are seen as they are stored, and values of
 * secret() are masked in the answer.
 */
#include <string.h>

#include "base/arena.h"
#include "base/redact.h"
#include "base/str.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/host.h"
#include "runtime/engine/engine.h"

/* Longest expression. */
#define EVAL_BYTES_MAX ((size_t)1024 * 1024)

static const struct value *evaluate(struct call *call,
                                    const struct execution_row *row,
                                    struct execution *execution,
                                    struct task_run *run)
{
    struct arena *arena = call->arena;
    struct engine_world world = *call->api->config.world;
    world.decrypt = NULL;
    struct api_host host;
    api_host_init(&host, call->api, engine_context(execution, run, &world, arena),
                  map_hash(row->id.text, ID_LENGTH), true);
    struct error err = { 0 };
    struct value_builder map = value_build(arena);
    const char *result = expr_render_text(&host.env, arena, call->http->body, NULL, &err);
    if (result != NULL) {
        value_put_text(&map, "result", redact_text(host.secrets, arena, result));
    } else {
        const char *text = redact_text(host.secrets, arena, err.text);
        value_put_text(&map, "error", text);
        value_put_text(&map, "stackTrace",
                       arena_printf(arena, "%s (line %u, column %u)", text, err.line, err.column));
    }
    api_host_release(&host);
    return value_build_map(&map);
}

static void post_eval(struct call *call)
{
    struct execution_row row;
    struct flow_row flow_row;
    struct error err = { 0 };
    if (call->http->body_length > EVAL_BYTES_MAX) {
        reply_error(call, 422, "Illegal argument", "the expression is longer than %zu bytes",
                    EVAL_BYTES_MAX);
        return;
    }
    if (!call_execution(call, call->path[0], &row))
        return;
    // without its flow an execution can still be looked at
    struct flow *flow = NULL;
    if (call->reader->ops->flow_get(call->reader, call->arena, row.namespace, row.flow_id,
                                    row.revision, true, &flow_row, &err))
        flow = call_flow(call, &flow_row, &err);
    struct execution *execution = execution_row_decode(&row, flow, &err);
    struct task_run *run = NULL;
    if (execution == NULL)
        reply_failure(call, &err);
    else if (call->path[1] != NULL && (run = execution_find_run(execution, call->path[1])) == NULL)
        reply_error(call, 404, "Not Found", "no task run %s", call->path[1]);
    else
        reply_value(call, 200, evaluate(call, &row, execution, run));
    execution_free(execution);
    flow_unref(flow);
}

#define EVAL(path_)                                                                                \
    {                                                                                              \
        "POST", path_, post_eval,                                                                  \
            .body = "text/plain", .shape = "EvalResult",                                           \
            .doc =                                                                                 \
                "Evaluates an expression in the context of an execution or one of its task runs."  \
    }

const struct route eval_routes[] = {
    EVAL("executions/{executionId}/eval"),
    EVAL("executions/{executionId}/eval/{taskRunId}"),
    EVAL("executions/{executionId}/actions/eval"),
    EVAL("executions/{executionId}/actions/eval/{taskRunId}"),
    { 0 },
};
