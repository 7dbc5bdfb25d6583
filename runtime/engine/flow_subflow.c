/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/str.h"
#include "core/labels.h"
#include "runtime/engine/child.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

struct props {
    struct child_spec child;
    const struct value *outputs;
};

/* Labels that an expression made are looked at only now. */
bool child_labels_allowed(struct arena *arena, const struct value *written, struct error *err)
{
    size_t count = 0;
    const struct label *labels = labels_of(arena, written, &count);
    for (size_t i = 0; i < count; i++) {
        if (label_is_reserved(labels[i].key))
            return error_set(err, ERR_INVALID,
                             "System labels can only be set by Kestra itself, offending label: "
                             "%s=%s",
                             labels[i].key, labels[i].value);
    }
    return true;
}

/*
 * Asks for the child, or for its restart. memo: wait, transmit, child (the id that is awaited),
 * restarts (it exists already and was to be restarted), created (it was seen to exist).
 */
static bool order(struct engine *engine, struct task_run *run, struct error *err)
{
    struct props *bound = ARENA_NEW(engine->scratch, struct props);
    if (!engine_bind(engine, run, bound, err) ||
        !child_labels_allowed(engine->scratch, bound->child.labels, err))
        return false;
    engine_put_memo(engine, run, "wait", value_bool(bound->child.wait));
    engine_put_memo(engine, run, "transmit", value_bool(bound->child.transmit_failed));
    const char *former = value_get_text(run->outputs, "executionId", NULL);
    bool restarts = former != NULL && !value_get_bool(run->memo, "gone", false) &&
                    child_is_restart(engine, run, bound->child.restart);
    const char *child = former;
    if (restarts)
        command_add(engine, COMMAND_CHILD_RESTART, run)->child_id = former;
    else
        child = child_create(engine, run, &bound->child, -1);
    engine_put_memo(engine, run, "restarts", value_bool(restarts));
    engine_put_memo(engine, run, "child", value_string(engine->scratch, child));
    return true;
}

static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    run->memo = NULL;
    return order(engine, run, err);
}

/* What the task takes out of a child that declares no outputs itself. */
static const struct value *taken(struct engine *engine,
                                 struct task_run *run,
                                 const struct event *event,
                                 struct error *err)
{
    const struct value *written = value_get(run->task->doc, "outputs");
    if (event->context == NULL || value_is_null(written))
        return event->outputs;
    struct expr_env env = engine_env_with(engine, run, event->context);
    return expr_render_tree(&env, engine->scratch, written, err);
}

static void end(struct engine *engine, struct task_run *run, const struct event *event)
{
    struct error err = { 0 };
    const struct value *values = taken(engine, run, event, &err);
    if (err.code == ERR_UNAVAILABLE) {
        run->is_waiting = true; // asks for the child again when the answer is there
        return;
    }
    effects_forget(engine, run);
    struct value_builder outputs = value_build(engine->scratch);
    value_put(&outputs, "executionId",
              value_string(engine->scratch, event->child_id == NULL
                                                ? value_get_text(run->memo, "child", "")
                                                : event->child_id));
    value_put_text(&outputs, "state", states[event->state].name);
    if (value_is_map(values))
        value_put(&outputs, "outputs", values);
    engine_set_outputs(engine, run, value_build_map(&outputs));
    if (err.code != ERR_NONE) {
        command_log(engine, run, LOG_ERROR, "Failed to extract outputs with the error: '%s'",
                    err.text);
        finish_attempt(engine, run, STATE_FAILED);
        return;
    }
    bool transmit = value_get_bool(run->memo, "transmit", true);
    finish_attempt(engine, run, child_state(event->state, transmit));
}

static void created(struct engine *engine, struct task_run *run, const struct event *event)
{
    if (event->child_id != NULL)
        engine_put_output(engine, run, "executionId",
                          value_string(engine->scratch, event->child_id));
    engine_put_memo(engine, run, "created", &value_true);
    if (value_get_bool(run->memo, "wait", true))
        return;
    engine_put_output(engine, run, "state",
                      value_string(engine->scratch, states[STATE_CREATED].name));
    finish_attempt(engine, run, STATE_SUCCESS);
}

/* Asks once more, in the middle of the attempt. */
static void order_again(struct engine *engine, struct task_run *run)
{
    struct error err = { 0 };
    if (order(engine, run, &err)) {
        effects_forget(engine, run);
    } else if (err.code == ERR_UNAVAILABLE) {
        run->is_waiting = true;
    } else {
        command_log(engine, run, LOG_ERROR, "%s", err.text);
        finish_attempt(engine, run, STATE_FAILED);
    }
}

static void refused(struct engine *engine, struct task_run *run, const struct event *event)
{
    if (value_get_bool(run->memo, "restarts", false)) { // it is gone: another one
        engine_put_memo(engine, run, "gone", &value_true);
        order_again(engine, run);
        return;
    }
    command_log(engine, run, LOG_ERROR, "%s",
                event->message == NULL ? "The execution cannot be created" : event->message);
    finish_attempt(engine, run, STATE_FAILED);
}

static void answer(struct engine *engine, struct task_run *run, const struct event *event)
{
    if (!child_is_awaited(run, event, value_get_text(run->memo, "child", NULL)))
        return;
    if (event->type == EVENT_CHILD_CREATED) {
        created(engine, run, event);
    } else if (event->type == EVENT_CHILD_REFUSED) {
        refused(engine, run, event);
    } else if (event->type == EVENT_CHILD_ENDED) {
        if (event->state == STATE_RETRIED)
            engine_put_memo(engine, run, "replaced", &value_true);
        else if (value_get_bool(run->memo, "wait", true))
            end(engine, run, event);
    }
}

/* Asking again creates nothing twice, and is answered with what became of it. */
static void recover(struct engine *engine, struct task_run *run)
{
    if (value_get_bool(run->memo, "created", false))
        child_ask_again(engine, run, value_get_text(run->memo, "child", ""), -1);
    else
        order_again(engine, run);
}

static const struct flowable_ops ops = {
    .start = start,
    .answer = answer,
    .recover = recover,
};

static const struct prop props[] = {
    CHILD_PROPS(struct props, child),
    { "outputs", MAP(struct props, outputs), .item = PROP_ANY,
      .flags = PROP_EXPR | PROP_RAW | PROP_DEPRECATED,
      .doc = "Values taken from the tasks of the execution; declare outputs in the flow instead." },
    { 0 },
};

static const struct plugin_output outputs[] = {
    { "executionId", "string", "Id of the execution." },
    { "state", "string", "State in which it ended." },
    { "outputs", "map", "Outputs of the flow." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Run another flow and wait for it.", "namespace: company.team\n"
                                           "flowId: run_query\n"
                                           "inputs:\n"
                                           "  query: select 1\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.flows.Subflow",
                                       "io.kestra.core.tasks.flows.Flow", NULL };

const struct plugin task_flow_subflow = {
    .id = FLOW_TYPE("Subflow"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_EXECUTABLE,
    .title = "Run another flow.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .flowable_ops = &ops,
};
