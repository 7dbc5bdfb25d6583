/* SPDX-License-Identifier: Apache-2.0 */
/* People: they create, operate, save and delete, whether or not it makes sense just then. */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "core/diag.h"
#include "core/value.h"
#include "tests/sim/driver/world.h"
#include "tests/sim/generate.h"
#include "tests/sim/judge.h"
#include "tests/support/engine_bed.h"

#define NAMESPACE "company.team"

/* More executions than this are not started over. */
#define EXECUTIONS_MAX 12

static void wish_done(struct driver_request *request)
{
    ((struct wish *)request->data)->is_done = true;
}

static struct wish *wish_new(struct sim *sim, enum request_type type)
{
    struct wish *wish = check_calloc(1, sizeof(*wish));
    wish->arena = arena_new();
    wish->request.type = type;
    wish->request.arena = wish->arena;
    wish->request.done = wish_done;
    wish->request.data = wish;
    wish->driver = sim->starts;
    *VEC_PUSH(&sim->wishes) = wish;
    return wish;
}

static void submit_wish(struct sim *sim, struct wish *wish)
{
    if (!driver_submit(sim->driver, &wish->request))
        wish->is_done = true; // refused at the door
}

void sim_take_answers(struct sim *sim)
{
    for (size_t i = 0; i < sim->wishes.count; i++) {
        struct wish *wish = sim->wishes.items[i];
        if (!wish->is_done || wish->is_seen)
            continue;
        wish->is_seen = true;
        bool ok = wish->request.ok;
        if (wish->request.type == REQUEST_CREATE && ok)
            sim_copy_id(VEC_PUSH(&sim->acknowledged)->id, wish->execution_id);
        struct seen *seen = sim_seen(sim, wish->execution_id);
        if (wish->request.type == REQUEST_DELETE && ok && seen != NULL)
            seen->is_gone = true;
        bool is_stored_later = !ok && wish->request.error.code == ERR_UNAVAILABLE;
        if (wish->reopens && seen != NULL && !is_stored_later)
            seen->wishes--;
    }
}

/* ---- creating ---- */

static struct wish *create(struct sim *sim)
{
    struct wish *wish = wish_new(sim, REQUEST_CREATE);
    struct id *kept = ARENA_NEW(wish->arena, struct id);
    *kept = id_derive("simulation", &sim->ids, sizeof(sim->ids));
    sim->ids++;
    sim_trace(sim, "create %s", kept->text);
    sim_copy_id(wish->execution_id, kept->text);
    wish->request.create.id = kept;
    wish->request.create.namespace = NAMESPACE;
    wish->request.create.flow_id = "flow";
    return wish;
}

void sim_create_plain(struct sim *sim)
{
    sim->doing = "create";
    submit_wish(sim, create(sim));
}

void sim_create(struct sim *sim)
{
    sim->doing = "create";
    struct wish *wish = create(sim);
    struct create_request *request = &wish->request.create;
    if (sim_chance(sim, 5))
        request->schedule_at = sim->now + (sim_chance(sim, 50) ? USEC_SEC : 90 * USEC_SEC);
    if (sim_chance(sim, 4)) {
        struct value_builder list = value_build(wish->arena);
        const char *task = arena_printf(wish->arena, "t%u", (unsigned)sim_pick(sim, 6));
        value_add(&list, value_with(wish->arena, NULL, "id", value_string(wish->arena, task)));
        request->breakpoints = value_build_list(&list);
    }
    if (sim_chance(sim, 4)) { // as a webhook does
        request->flow_id = "watcher";
        request->trigger_id = "hook";
        request->trigger_type = "io.kestra.plugin.core.trigger.Webhook";
        request->lenient_inputs = true;
    }
    submit_wish(sim, wish);
}

/* ---- flows ---- */

struct wish *sim_save(struct sim *sim, const char *id, const char *source)
{
    struct wish *wish = wish_new(sim, REQUEST_CHANGE);
    struct flow_change *change = ARENA_NEW(wish->arena, struct flow_change);
    if (source == NULL) {
        change->is_delete = true;
        change->namespace = NAMESPACE;
        change->id = arena_strdup(wish->arena, id);
        sim->limit_is_loose = true; // those that wait for a slot of it wait no more
    } else {
        struct diag_list findings = diag_list_new(wish->arena, "flow");
        struct buf text = { 0 };
        buf_printf(&text, "id: %s\nnamespace: " NAMESPACE "\n", id);
        bed_write_types(&text, source);
        buf_puts(&sim->text, buf_text(&text));
        struct flow *flow =
            flow_parse(bed_plugins(), buf_text(&text), text.length, NULL, &findings);
        if (flow == NULL) {
            struct buf shown = { 0 };
            for (size_t i = 0; i < findings.all.count; i++)
                diag_render(&shown, &findings.all.items[i], buf_text(&text), false);
            sim_fail(sim, "the flow is not valid:\n%s", buf_text(&shown));
            buf_free(&shown);
            buf_free(&text);
            wish->is_done = true;
            return wish;
        }
        flow_change_fill(wish->arena, flow, "UTC", change);
        change->source = arena_strdup(wish->arena, buf_text(&text));
        if (str_eq(id, "flow") && flow->concurrency_limit > sim->limit)
            sim->limit = flow->concurrency_limit;
        if (str_eq(id, "flow") && flow->concurrency_limit == 0)
            sim->limit_is_loose = true;
        flow_unref(flow);
        buf_free(&text);
    }
    sim_trace(sim, "save %s%s", id, source == NULL ? ": deleted" : "");
    wish->request.change.flows = change;
    wish->request.change.flows_count = 1;
    submit_wish(sim, wish);
    return wish;
}

/* A new revision, in the middle of the lives of others; now and then it goes away for a while. */
static void change_flows(struct sim *sim)
{
    const struct grammar grammar = { .namespace = NAMESPACE, .has_slow = true };
    struct buf source = { 0 };
    bool is_child = sim_chance(sim, 40);
    if (sim_chance(sim, 25)) {
        (void)sim_save(sim, is_child ? "child" : "flow", NULL);
        return;
    }
    if (is_child)
        generate_child(&sim->rng, &grammar, &source);
    else
        generate_flow(&sim->rng, &grammar, &source);
    (void)sim_save(sim, is_child ? "child" : "flow", buf_text(&source));
    buf_free(&source);
}

/* ---- triggers ---- */

static void operate_trigger(struct sim *sim, enum trigger_operation operation, bool disabled)
{
    struct wish *wish = wish_new(sim, REQUEST_TRIGGER);
    wish->request.trigger = (struct trigger_request){
        .namespace = NAMESPACE,
        .flow_id = "watcher",
        .trigger_id = "clock",
        .operation = operation,
        .disabled = disabled,
    };
    if (operation == TRIGGER_BACKFILL)
        wish->request.trigger.backfill = (struct backfill){
            .start = sim->now - 20 * USEC_MIN,
            .end = sim->now - 5 * USEC_MIN,
        };
    submit_wish(sim, wish);
}

void sim_stop_clock(struct sim *sim)
{
    operate_trigger(sim, TRIGGER_BACKFILL_REMOVE, false);
    operate_trigger(sim, TRIGGER_SET_DISABLED, true);
}

static void change_trigger(struct sim *sim)
{
    static const enum trigger_operation operations[] = {
        TRIGGER_SET_DISABLED,   TRIGGER_SET_DISABLED,     TRIGGER_UNLOCK,          TRIGGER_RESTART,
        TRIGGER_BACKFILL_PAUSE, TRIGGER_BACKFILL_UNPAUSE, TRIGGER_BACKFILL_REMOVE,
    };
    operate_trigger(sim, operations[sim_pick(sim, COUNT_OF(operations))], sim_chance(sim, 40));
}

/* ---- executions ---- */

static void operate(struct sim *sim, struct seen *seen, struct operate_request operate)
{
    struct wish *wish = wish_new(sim, REQUEST_OPERATE);
    sim_copy_id(wish->execution_id, seen->id);
    sim_trace(sim, "operation %d %d on %s", (int)operate.operation, (int)operate.event.type,
              seen->id);
    enum event_type type = operate.operation == OPERATE_EVENT ? operate.event.type : EVENT_START;
    wish->reopens = operate.operation == OPERATE_RESTART || type == EVENT_CHANGE_RUN ||
                    type == EVENT_CHANGE_STATE;
    if (wish->reopens) { // it may leave its end, once
        seen->wishes++;
        seen->is_lenient = true;
        seen->was_changed = true;
        seen->reopened++;
    }
    wish->request.operate = operate;
    wish->request.operate.execution_id = arena_strdup(wish->arena, seen->id);
    wish->request.operate.event.run_id = arena_strdup(wish->arena, operate.event.run_id);
    wish->request.operate.run_id = arena_strdup(wish->arena, operate.run_id);
    submit_wish(sim, wish);
}

/* Some task run of an execution, by what is stored; NULL none. */
static const char *any_run(struct sim *sim, const struct seen *seen)
{
    struct execution_row row;
    struct error err = { 0 };
    const char *id = NULL;
    if (!sim->reader->ops->execution_get(sim->reader, sim->scratch, seen->id, &row, &err))
        return NULL;
    struct execution *execution = execution_row_decode(&row, NULL, &err);
    if (execution != NULL && execution->runs.count > 0)
        id = arena_strdup(sim->scratch,
                          execution->runs.items[sim_pick(sim, execution->runs.count)]->id.text);
    execution_free(execution);
    return id;
}

static void op_kill(struct sim *sim, struct seen *seen)
{
    if (!sim_chance(sim, 40))
        return;
    operate(
        sim, seen,
        (struct operate_request){ .operation = OPERATE_KILL, .is_cascade = sim_chance(sim, 70) });
}

static void op_pause(struct sim *sim, struct seen *seen)
{
    operate(sim, seen, (struct operate_request){ .event = { .type = EVENT_PAUSE } });
}

static void op_resume(struct sim *sim, struct seen *seen)
{
    operate(sim, seen, (struct operate_request){ .event = { .type = EVENT_RESUME } });
}

static void op_restart(struct sim *sim, struct seen *seen)
{
    operate(sim, seen, (struct operate_request){ .operation = OPERATE_RESTART });
}

/* As another execution, with the newest revision of the flow. */
static void op_restart_anew(struct sim *sim, struct seen *seen)
{
    if (sim->seen.count <= EXECUTIONS_MAX)
        operate(sim, seen,
                (struct operate_request){ .operation = OPERATE_RESTART, .revision = -1 });
}

static void op_change_run(struct sim *sim, struct seen *seen)
{
    static const enum state to[] = { STATE_SUCCESS, STATE_FAILED, STATE_WARNING, STATE_CANCELLED };
    struct event event = { .type = EVENT_CHANGE_RUN, .run_id = any_run(sim, seen) };
    event.state = to[sim_pick(sim, COUNT_OF(to))];
    if (event.run_id != NULL)
        operate(sim, seen, (struct operate_request){ .event = event });
}

static void op_change_state(struct sim *sim, struct seen *seen)
{
    static const enum state to[] = { STATE_SUCCESS, STATE_FAILED, STATE_WARNING, STATE_CANCELLED };
    struct event event = { .type = EVENT_CHANGE_STATE, .state = to[sim_pick(sim, COUNT_OF(to))] };
    operate(sim, seen, (struct operate_request){ .event = event });
}

static void op_replay(struct sim *sim, struct seen *seen)
{
    if (sim->seen.count > EXECUTIONS_MAX)
        return;
    const char *run_id = sim_chance(sim, 50) ? NULL : any_run(sim, seen);
    operate(sim, seen,
            (struct operate_request){ .operation = OPERATE_REPLAY,
                                      .run_id = run_id,
                                      .revision = sim_chance(sim, 20) ? -1 : 0 });
}

static void op_force_run(struct sim *sim, struct seen *seen)
{
    sim->limit_is_loose = true;
    operate(sim, seen, (struct operate_request){ .operation = OPERATE_FORCE_RUN });
}

static void op_unqueue(struct sim *sim, struct seen *seen)
{
    static const enum state to[] = { STATE_RUNNING, STATE_CANCELLED, STATE_FAILED };
    sim->limit_is_loose = true;
    operate(sim, seen,
            (struct operate_request){ .operation = OPERATE_UNQUEUE,
                                      .state = to[sim_pick(sim, COUNT_OF(to))] });
}

static void op_decide(struct sim *sim, struct seen *seen)
{
    operate(sim, seen,
            (struct operate_request){ .event = { .type = EVENT_DECIDE,
                                                 .key = sim_chance(sim, 50) ? "APPROVED" : "DENIED",
                                                 .user = "ann" } });
}

static void op_labels(struct sim *sim, struct seen *seen)
{
    operate(sim, seen,
            (struct operate_request){
                .event = { .type = EVENT_SET_LABELS,
                           .values = value_with(sim->arena, NULL, "mark", &value_true) } });
}

static void op_release(struct sim *sim, struct seen *seen)
{
    operate(sim, seen,
            (struct operate_request){
                .event = { .type = EVENT_BREAKPOINT_RESUME, .values = &value_empty_list } });
}

static void op_delete(struct sim *sim, struct seen *seen)
{
    struct wish *wish = wish_new(sim, REQUEST_DELETE);
    const char **ids = ARENA_ARRAY(wish->arena, 1, const char *);
    ids[0] = arena_strdup(wish->arena, seen->id);
    sim_copy_id(wish->execution_id, seen->id);
    sim_trace(sim, "delete %s", seen->id);
    seen->may_vanish = true;
    wish->request.delete = (struct delete_request){
        .ids = ids,
        .count = 1,
        .non_terminated_too = sim_chance(sim, 30),
    };
    submit_wish(sim, wish);
}

static const struct {
    unsigned weight;
    void (*act)(struct sim *sim, struct seen *seen);
} deeds[] = {
    { 2, op_kill },         { 2, op_pause },      { 4, op_resume },       { 4, op_restart },
    { 1, op_restart_anew }, { 2, op_change_run }, { 1, op_change_state }, { 2, op_replay },
    { 2, op_force_run },    { 1, op_unqueue },    { 3, op_decide },       { 1, op_labels },
    { 1, op_release },      { 1, op_delete },
};

void sim_operate(struct sim *sim)
{
    sim->doing = "operation";
    if (sim_chance(sim, 8)) {
        change_flows(sim);
        return;
    }
    if (sim_chance(sim, 6)) {
        change_trigger(sim);
        return;
    }
    if (sim->seen.count == 0)
        return;
    struct seen *seen = &sim->seen.items[sim_pick(sim, sim->seen.count)];
    unsigned total = 0;
    for (size_t i = 0; i < COUNT_OF(deeds); i++)
        total += deeds[i].weight;
    size_t dice = sim_pick(sim, total);
    size_t at = 0;
    while (dice >= deeds[at].weight)
        dice -= deeds[at++].weight;
    deeds[at].act(sim, seen);
}

bool sim_nudge(struct sim *sim)
{
    bool is_open = false;
    for (size_t i = 0; i < sim->seen.count; i++) {
        struct seen *seen = &sim->seen.items[i];
        if (seen->is_gone || seen->has_vanished)
            continue;
        is_open = is_open || !seen->fully_ended;
        if (seen->state == STATE_PAUSED) {
            op_decide(sim, seen);
            op_resume(sim, seen);
        }
        if (seen->state == STATE_BREAKPOINT)
            op_release(sim, seen);
        if (seen->fully_ended || seen->state == STATE_PAUSED)
            continue;
        if (judge_is_over(seen->state)) // a decision that a task after the end waits for
            op_decide(sim, seen);
    }
    return is_open;
}
