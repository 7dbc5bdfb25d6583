/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

enum behavior {
    BEHAVIOR_CONTINUE,
    BEHAVIOR_WARN,
    BEHAVIOR_FAIL,
    BEHAVIOR_SUCCEED,
    BEHAVIOR_CANCEL,
    BEHAVIOR_KILL,
};

enum comment_rule { COMMENT_NEVER, COMMENT_ALWAYS, COMMENT_ON_DENY, COMMENT_ON_APPROVE };

struct props {
    int comment;
    bool auto_approve;
    int approve;
    int deny;
    int expire;
};

#define APPROVED "APPROVED"
#define DENIED   "DENIED"
#define EXPIRED  "EXPIRED"

/*
 * memo: behaviors of the three decisions (approve, deny, expire), comment (rule), auto, timeout,
 * decision (once there is one), mapped (its behavior was applied), warns.
 */
static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    struct props bound = { 0 };
    usec_t timeout = 0;
    struct arena *arena = engine->scratch;
    if (!engine_bind(engine, run, &bound, err) || !task_timeout(engine, run, &timeout, err))
        return false;
    run->memo = NULL;
    engine_put_memo(engine, run, "approve", value_int(arena, bound.approve));
    engine_put_memo(engine, run, "deny", value_int(arena, bound.deny));
    engine_put_memo(engine, run, "expire", value_int(arena, bound.expire));
    engine_put_memo(engine, run, "comment", value_int(arena, bound.comment));
    engine_put_memo(engine, run, "auto", value_bool(bound.auto_approve));
    engine_put_memo(engine, run, "timeout", value_int(arena, timeout));
    return true;
}

static const char *decision_of(const struct task_run *run)
{
    return value_get_text(run->memo, "decision", NULL);
}

static bool plan(struct engine *engine,
                 const struct task_run *run,
                 struct plan *plan,
                 struct error *err)
{
    (void)engine;
    (void)err;
    const char *decision = decision_of(run);
    if (str_eq(decision, APPROVED))
        plan->main = task_list(run->task, SLOT_ON_APPROVE);
    if (str_eq(decision, DENIED))
        plan->main = task_list(run->task, SLOT_ON_DENY);
    return true;
}

/* The branch of the decision is known now: the scope is planned again. */
static void decide_now(struct engine *engine,
                       struct task_run *run,
                       const char *decision,
                       const struct event *event,
                       bool is_auto)
{
    struct arena *arena = engine->scratch;
    struct error err = { 0 };
    engine_put_memo(engine, run, "decision", value_string(arena, decision));
    engine_put_output(engine, run, "decision", value_string(arena, decision));
    engine_put_output(engine, run, "auto", value_bool(is_auto));
    engine_put_output(engine, run, "on",
                      value_string(arena, time_format_instant(arena, engine->now)));
    if (event != NULL && event->user != NULL)
        engine_put_output(engine, run, "by", value_string(arena, event->user));
    if (event != NULL && event->comment != NULL)
        engine_put_output(engine, run, "comment", value_string(arena, event->comment));
    if (event != NULL && value_is_map(event->values))
        engine_put_output(engine, run, "inputs", event->values);
    memory_close_scope(engine, run);
    engine_move(engine, run, STATE_RUNNING);
    if (memory_open_scope(engine, run, &err))
        engine_changed(engine, run->scope);
    else
        finish_flowable(engine, run, STATE_FAILED);
}

static void wait_for_decision(struct engine *engine, struct task_run *run)
{
    struct arena *arena = engine->scratch;
    usec_t timeout = value_get_int(run->memo, "timeout", 0);
    const char *url = value_get_text(engine->world->kestra, "url", NULL);
    const struct execution *execution = engine->execution;
    engine_move(engine, run, STATE_PAUSED);
    if (url != NULL)
        engine_put_output(
            engine, run, "url",
            value_string(arena, arena_printf(arena, "%s/ui/main/executions/%s/%s/%s", url,
                                             execution->namespace, execution->flow_id,
                                             execution->id.text)));
    if (timeout <= 0)
        return;
    engine_put_output(engine, run, "due",
                      value_string(arena, time_format_instant(arena, engine->now + timeout)));
    command_timer(engine, run, TIMER_PAUSE, engine->now + timeout);
}

/* onWait first, then the decision. true: it is not made yet. */
static bool before_decision(struct engine *engine, struct task_run *run, struct scope *scope)
{
    const struct task_list *waiting = task_list(run->task, SLOT_ON_WAIT);
    const struct scope_count *count = &scope->lists[LIST_ASIDE];
    if (count->failed > 0) {
        flowable_must_fail(engine, run);
        return true;
    }
    if (count->ended < count->runs || resolve_sequence(engine, scope, LIST_ASIDE, waiting))
        return true;
    if (value_get_bool(run->memo, "auto", false))
        decide_now(engine, run, APPROVED, NULL, true);
    else
        wait_for_decision(engine, run);
    return true;
}

static enum behavior behavior_of(const struct task_run *run)
{
    const char *decision = decision_of(run);
    const char *key = str_eq(decision, APPROVED) ? "approve"
                      : str_eq(decision, DENIED) ? "deny"
                                                 : "expire";
    return (enum behavior)value_get_int(run->memo, key, BEHAVIOR_CONTINUE);
}

/* The branch has ended well: what the decision means for the rest. */
static bool apply_behavior(struct engine *engine, struct task_run *run)
{
    engine_put_memo(engine, run, "mapped", &value_true);
    switch (behavior_of(run)) {
    case BEHAVIOR_CONTINUE:
        return false;
    case BEHAVIOR_WARN:
        engine_put_memo(engine, run, "warns", &value_true);
        return false;
    case BEHAVIOR_FAIL:
        flowable_must_fail(engine, run);
        return true;
    case BEHAVIOR_SUCCEED:
        settle_exit(engine, run, STATE_SUCCESS);
        return true;
    case BEHAVIOR_CANCEL:
        settle_exit(engine, run, STATE_CANCELLED);
        return true;
    case BEHAVIOR_KILL:
        settle_exit(engine, run, STATE_KILLED);
        return true;
    }
    return false;
}

static bool gate(struct engine *engine, struct task_run *run, struct scope *scope)
{
    if (scope->forced_fail)
        return false;
    if (decision_of(run) == NULL)
        return before_decision(engine, run, scope);
    const struct scope_count *main = &scope->lists[LIST_MAIN];
    bool is_over = scope_list_ended(scope, LIST_MAIN) && main->failed == 0 && main->killed == 0;
    if (!is_over || value_get_bool(run->memo, "mapped", false))
        return false;
    return apply_behavior(engine, run);
}

static enum flowable_end done(struct engine *engine, struct task_run *run, enum state *state)
{
    (void)engine;
    if (*state == STATE_SUCCESS && value_get_bool(run->memo, "warns", false))
        *state = STATE_WARNING;
    return FLOWABLE_ENDS;
}

static void timer(struct engine *engine, struct task_run *run, const struct event *event)
{
    (void)event;
    decide_now(engine, run, EXPIRED, NULL, false);
    settle_resumed(engine);
}

static bool is_decision(const char *text)
{
    return str_eq(text, APPROVED) || str_eq(text, DENIED);
}

static void decide(struct engine *engine, struct task_run *run, const struct event *event)
{
    if (!is_decision(event->key))
        return;
    decide_now(engine, run, str_eq(event->key, APPROVED) ? APPROVED : DENIED, event, false);
    settle_resumed(engine);
}

bool approval_allows(const struct task_run *run, const struct event *event, struct error *err)
{
    if (!is_decision(event->key))
        return error_set(err, ERR_INVALID, "a decision is APPROVED or DENIED");
    enum comment_rule rule = (enum comment_rule)value_get_int(run->memo, "comment", COMMENT_NEVER);
    bool is_denied = str_eq(event->key, DENIED);
    bool needs = rule == COMMENT_ALWAYS || (rule == COMMENT_ON_DENY && is_denied) ||
                 (rule == COMMENT_ON_APPROVE && !is_denied);
    if (needs && str_empty(event->comment))
        return error_set(err, ERR_INVALID, "this decision needs a comment");
    return true;
}

static const struct flowable_ops ops = {
    .start = start,
    .plan = plan,
    .gate = gate,
    .done = done,
    .timer = timer,
    .decide = decide,
};

static const char *const behaviors[] = { "CONTINUE", "WARN", "FAIL", "SUCCEED",
                                         "CANCEL",   "KILL", NULL };
static const char *const rules[] = { "NEVER", "ALWAYS", "ON_DENY", "ON_APPROVE", NULL };

static const struct prop decision_props[] = {
    { "approve", .kind = PROP_STRING, .fallback = "Approve", .doc = "Caption of the approval." },
    { "deny", .kind = PROP_STRING, .fallback = "Deny", .doc = "Caption of the denial." },
    { 0 },
};

static const struct prop props[] = {
    { "inputs", .kind = PROP_INPUTS, .doc = "Values asked for with the decision." },
    { "decisions", .kind = PROP_OBJECT, .object = decision_props,
      .doc = "How the decisions are called." },
    { "commentRequired", ENUM(struct props, comment), .words = rules, .fallback = "NEVER",
      .doc = "When a comment must be given." },
    { "autoApprove", BOOL(struct props, auto_approve), .flags = PROP_EXPR, .fallback = "false",
      .doc = "Approve without asking anybody." },
    { "approveBehavior", ENUM(struct props, approve), .words = behaviors, .fallback = "CONTINUE",
      .doc = "What an approval does after its tasks." },
    { "denyBehavior", ENUM(struct props, deny), .words = behaviors, .fallback = "CANCEL",
      .doc = "What a denial does after its tasks." },
    { "expireBehavior", ENUM(struct props, expire), .words = behaviors, .fallback = "CANCEL",
      .doc = "What happens when nobody decides before `timeout`." },
    { "onWait", .kind = PROP_TASKS, .doc = "Tasks before the wait, to ask people." },
    { "onApprove", .kind = PROP_TASKS, .doc = "Tasks after an approval." },
    { "onDeny", .kind = PROP_TASKS, .doc = "Tasks after a denial." },
    { 0 },
};

static const struct plugin_output outputs[] = {
    { "decision", "string", "APPROVED, DENIED or EXPIRED." },
    { "auto", "boolean", "Whether nobody was asked." },
    { "by", "string", "Who decided." },
    { "on", "string", "When." },
    { "comment", "string", "What was said." },
    { "inputs", "map", "The values given." },
    { "due", "string", "Until when a decision was awaited." },
    { "url", "string", "Where to decide." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Ask before the deployment, for a day at most.", "timeout: PT24H\n"
                                                       "commentRequired: ON_DENY\n"
                                                       "onDeny:\n"
                                                       "  - id: tell\n"
                                                       "    type: io.kestra.plugin.core.log.Log\n"
                                                       "    message: denied\n" },
    { 0 },
};

const struct plugin task_flow_approval = {
    .id = FLOW_TYPE("Approval"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Wait for a person's approval.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .flowable_ops = &ops,
};
