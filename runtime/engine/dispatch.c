/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beginning a task run that is ready: breakpoint, runIf, then by kind: evaluated here, handed to a
 * worker, or started as a flowable.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/plugin.h"
#include "core/value_codec.h"
#include "runtime/engine/engine_internal.h"

const struct task *run_task(const struct task_run *run)
{
    return run->dynamic != NULL ? run->dynamic : run->task;
}

const struct flowable_ops *run_flowable(const struct task_run *run)
{
    bool known = run->task != NULL && run->task->type != NULL;
    return known ? run->task->type->flowable_ops : NULL;
}

bool run_shares_value(const struct task_run *parent, const struct task *task)
{
    const struct flowable_ops *ops = parent == NULL ? NULL : run_flowable(parent);
    return ops != NULL && ops->has_directory && parent->value != NULL && task->list != NULL &&
           task->list->slot == SLOT_TASKS;
}

/* A TemplatedTask that has not become its task, at the beginning or after a restart. */
static bool must_become(const struct task_run *run)
{
    const struct inline_ops *ops = run->task->type->inline_ops;
    return run->dynamic == NULL && ops != NULL && ops->become != NULL;
}

static enum task_kind kind_of(const struct task_run *run)
{
    const struct task *task = run_task(run);
    if (task == NULL || task->type == NULL)
        return TASK_NONE;
    return must_become(run) ? TASK_CALL : task->type->task_kind;
}

bool run_is_on_worker(const struct task_run *run)
{
    if (run->state.current != STATE_RUNNING && run->state.current != STATE_KILLING)
        return false;
    switch (kind_of(run)) {
    case TASK_CALL:
    case TASK_PROCESS:
    case TASK_REMOTE:
        return true;
    case TASK_NONE:
    case TASK_INLINE:
    case TASK_FLOWABLE:
    case TASK_EXECUTABLE:
        break;
    }
    return directory_is_on_worker(run);
}

/*
 * What a worker is told has a number of its own: an order that was given up without an attempt to
 * show for it (a submitted task that was killed, and restarted) is not taken for the next one.
 */
uint32_t run_attempt(const struct task_run *run)
{
    const struct flowable_ops *ops = run_flowable(run);
    if (ops != NULL && ops->has_directory)
        return directory_attempt(run);
    if (run->state.current == STATE_SUBMITTED || run_is_on_worker(run))
        return run->orders;
    bool runs = run->state.current == STATE_RUNNING || run->state.current == STATE_KILLING;
    return (uint32_t)run->attempts.count + (runs ? 0 : 1);
}

uint32_t engine_attempt(const struct task_run *run)
{
    bool has = run->state.current == STATE_SUBMITTED || run_is_on_worker(run);
    return has ? run_attempt(run) : 0;
}

static uint32_t next_order(const struct task_run *run)
{
    uint32_t made = (uint32_t)run->attempts.count;
    return (made > run->orders ? made : run->orders) + 1;
}

bool engine_bind(struct engine *engine, struct task_run *run, void *bound, struct error *err)
{
    const struct plugin *type = run->task->type;
    struct expr_env env = engine_env(engine, run);
    const struct value *map = prop_render(type->props, run->task->doc, &env, engine->scratch, err);
    return map != NULL && prop_bind(type->props, map, bound, engine->scratch, err);
}

/* An expression asks the world: the run stays where it is until the answer is there. */
static bool is_waiting(struct task_run *run, const struct error *err)
{
    run->is_waiting = err->code == ERR_UNAVAILABLE;
    return run->is_waiting;
}

/* ---- attempts that end at once ---- */

static void begin_attempt(struct engine *engine, struct task_run *run, bool via_worker)
{
    if (via_worker)
        engine_move(engine, run, STATE_SUBMITTED);
    engine_move(engine, run, STATE_RUNNING);
    (void)task_run_add_attempt(engine->execution, run, engine->now);
    effects_forget(engine, run);
}

static void fail_attempt(struct engine *engine,
                         struct task_run *run,
                         bool via_worker,
                         const char *message)
{
    begin_attempt(engine, run, via_worker);
    command_log(engine, run, LOG_ERROR, "%s", message);
    finish_attempt(engine, run, STATE_FAILED);
}

/* ---- inline tasks ---- */

static bool is_logged(const struct inline_ctx *ctx, enum log_level level)
{
    return ctx->task == NULL || level >= ctx->task->log_level;
}

void inline_log(struct inline_ctx *ctx, enum log_level level, const char *format, ...)
{
    if (!is_logged(ctx, level))
        return;
    va_list args;
    va_start(args, format);
    struct command *command = command_add(ctx->engine, COMMAND_LOG, ctx->run);
    command->level = level;
    command->message = arena_vprintf(ctx->engine->commands->arena, format, args);
    command->attempt = run_attempt(ctx->run);
    va_end(args);
}

void inline_metric(struct inline_ctx *ctx,
                   const char *type,
                   const char *name,
                   double number,
                   const struct value *tags)
{
    struct command *command = command_add(ctx->engine, COMMAND_METRIC, ctx->run);
    command->metric_type = type;
    command->key = arena_strdup(ctx->engine->commands->arena, name);
    command->number = number;
    command->tags = tags;
}

void inline_set_label(struct inline_ctx *ctx, const char *key, const char *value)
{
    execution_set_label(ctx->execution, key, value);
}

void inline_set_variables(struct inline_ctx *ctx, const struct value *variables)
{
    ctx->execution->variables = value_copy(ctx->execution->arena, variables);
    execution_touch(ctx->execution);
}

/* Takes back what was written since `mark`, except questions. */
static void rewind_commands(struct engine *engine, size_t mark)
{
    struct command_list *list = engine->commands;
    size_t kept = mark;
    for (size_t i = mark; i < list->all.count; i++) {
        if (list->all.items[i].type == COMMAND_EVALUATE)
            list->all.items[kept++] = list->all.items[i];
    }
    list->all.count = kept;
}

/* ---- remembered outputs (2.6) ---- */

enum cached { CACHE_MISS, CACHE_HIT, CACHE_WAITS };

static const char *cache_key(struct engine *engine,
                             const struct task_run *run,
                             const struct value *props)
{
    const struct execution *execution = engine->execution;
    struct buf buf = { 0 };
    buf_printf(&buf, "%s\n%s\n%s\n%s\n%s\n", execution->namespace, execution->flow_id, run->task_id,
               run_task(run)->type->id, run->value == NULL ? "" : run->value);
    value_write_json_full(&buf, props);
    const char *key = digest_sha256_hex(engine->commands->arena, buf.bytes, buf.length);
    buf_free(&buf);
    return key;
}

static enum cached ask_cache(struct engine *engine,
                             struct task_run *run,
                             const struct value *props,
                             const struct value **outputs)
{
    if (!run->task->cache_enabled)
        return CACHE_MISS;
    const char *key = cache_key(engine, run, props);
    const struct value *arguments =
        value_with(engine->scratch, NULL, "key", value_string(engine->scratch, key));
    struct error err = { 0 };
    const struct value *answer = effects_ask(engine, run, "cache", arguments, &err);
    if (answer == NULL && is_waiting(run, &err))
        return CACHE_WAITS;
    if (answer == NULL)
        command_log(engine, run, LOG_WARN, "The task cache cannot be read: %s", err.text);
    *outputs = value_get(answer, "outputs");
    if (*outputs == NULL) {
        run->cache_key = arena_strdup(engine->execution->arena, key);
        task_run_touch(engine->execution, run);
    }
    return *outputs == NULL ? CACHE_MISS : CACHE_HIT;
}

static void take_cached(struct engine *engine, struct task_run *run, const struct value *outputs)
{
    begin_attempt(engine, run, true);
    command_log(engine, run, LOG_INFO, "Outputs of an earlier run are used (task cache)");
    engine_set_outputs(engine, run, outputs);
    finish_attempt(engine, run, STATE_SUCCESS);
}

static const struct value *rendered(struct engine *engine,
                                    struct task_run *run,
                                    struct expr_env *env,
                                    struct error *err)
{
    const struct task *task = run_task(run);
    if (task->type->props == NULL)
        return task->doc;
    return prop_render(task->type->props, task->doc, env, engine->commands->arena, err);
}

/* ---- the log of an inline task as a file (logToFile) ---- */

/* What it wrote since `mark`, as pairs of level and text. */
static const struct value *lines_since(const struct engine *engine,
                                       size_t mark,
                                       const char *failure)
{
    struct value_builder lines = value_build(engine->scratch);
    for (size_t i = mark; i < engine->commands->all.count; i++) {
        const struct command *command = &engine->commands->all.items[i];
        if (command->type != COMMAND_LOG)
            continue;
        struct value_builder line = value_build(engine->scratch);
        value_add(&line, value_string(engine->scratch, log_level_name(command->level)));
        value_add(&line, value_string(engine->scratch, command->message));
        value_add(&lines, value_build_list(&line));
    }
    if (failure != NULL) {
        struct value_builder line = value_build(engine->scratch);
        value_add(&line, value_string(engine->scratch, log_level_name(LOG_ERROR)));
        value_add(&line, value_string(engine->scratch, failure));
        value_add(&lines, value_build_list(&line));
    }
    return value_build_list(&lines);
}

static void drop_lines(struct engine *engine, size_t mark)
{
    struct command_list *list = engine->commands;
    size_t kept = mark;
    for (size_t i = mark; i < list->all.count; i++) {
        if (list->all.items[i].type != COMMAND_LOG)
            list->all.items[kept++] = list->all.items[i];
    }
    list->all.count = kept;
}

/*
 * Has the lines stored instead of logged. *uri is the file, NULL when there are no lines or they
 * stay in the log. False: the file is being written.
 */
static bool store_lines(
    struct engine *engine, struct task_run *run, size_t mark, const char *failure, const char **uri)
{
    const struct value *lines = lines_since(engine, mark, failure);
    if (value_count(lines) == 0)
        return true;
    struct value_builder arguments = value_build(engine->scratch);
    value_put_text(&arguments, "name",
                   arena_printf(engine->scratch, "attempt-%zu.log", run->attempts.count + 1));
    value_put(&arguments, "lines", lines);
    struct error err = { 0 };
    const struct value *answer =
        effects_ask(engine, run, "logFile", value_build_map(&arguments), &err);
    if (answer == NULL && is_waiting(run, &err))
        return false;
    if (answer == NULL) {
        command_log(engine, run, LOG_WARN, "The log file cannot be stored: %s", err.text);
        return true;
    }
    drop_lines(engine, mark);
    *uri = arena_strdup(engine->execution->arena, value_cstr(answer));
    return true;
}

/* What an inline task asked for besides its outputs. */
static void apply_wishes(struct engine *engine, struct task_run *run, const struct inline_ctx *ctx)
{
    if (ctx->wait > 0) {
        usec_t wait = ctx->wait;
        usec_t timeout = 0;
        struct error err = { 0 };
        if (task_timeout(engine, run, &timeout, &err) && timeout > 0 && timeout < wait) {
            engine_put_memo(engine, run, "timeout", value_duration(engine->scratch, timeout));
            wait = timeout;
        }
        command_timer(engine, run, TIMER_SLEEP, engine->now + wait);
        return;
    }
    if (ctx->exits != STATE_COUNT) {
        settle_exit(engine, run, ctx->exits);
        return;
    }
    finish_attempt(engine, run, STATE_SUCCESS);
    if (ctx->kills)
        operation_kill(engine, ctx->is_cascade);
}

static void run_inline(struct engine *engine, struct task_run *run)
{
    const struct task *task = run_task(run);
    const struct inline_ops *ops = task->type->inline_ops;
    struct expr_env env = engine_env(engine, run);
    struct error err = { 0 };
    const struct value *props = rendered(engine, run, &env, &err);
    const struct value *cached = NULL;
    if (props != NULL) {
        enum cached found = ask_cache(engine, run, props, &cached);
        if (found == CACHE_WAITS)
            return;
        if (found == CACHE_HIT) {
            take_cached(engine, run, cached);
            return;
        }
    }
    struct inline_ctx ctx = {
        .execution = engine->execution,
        .run = run,
        .task = task,
        .env = &env,
        .arena = engine->commands->arena,
        .engine = engine,
        .at = engine->now,
        .exits = STATE_COUNT,
    };
    size_t mark = engine->commands->all.count;
    struct value_builder out = value_build(engine->scratch);
    void *bound = arena_alloc(engine->scratch, task->type->props_size);
    bool ok = props != NULL &&
              (task->type->props == NULL ||
               prop_bind(task->type->props, props, bound, engine->commands->arena, &err)) &&
              ops->run(&ctx, bound, &out, &err);
    if (!ok && is_waiting(run, &err)) {
        rewind_commands(engine, mark);
        return;
    }
    const char *log_file = NULL;
    if (task->log_to_file && !ops->updates_execution &&
        !store_lines(engine, run, mark, ok ? NULL : err.text, &log_file)) {
        rewind_commands(engine, mark);
        return;
    }
    begin_attempt(engine, run, !ops->updates_execution);
    run->attempts.items[run->attempts.count - 1].log_file = log_file;
    if (!ok) {
        if (log_file == NULL)
            command_log(engine, run, LOG_ERROR, "%s", err.text);
        finish_attempt(engine, run, STATE_FAILED);
        return;
    }
    if (out.count > 0)
        engine_set_outputs(engine, run, value_build_map(&out));
    apply_wishes(engine, run, &ctx);
}

/* ---- TemplatedTask ---- */

/* Properties that a generated task may bring along; the rest is its own business. */
static const struct task *make_dynamic(struct engine *engine,
                                       struct task_run *run,
                                       const struct value *doc,
                                       struct error *err)
{
    const char *type_name = value_get_text(doc, "type", NULL);
    const struct plugin *type =
        type_name == NULL ? NULL : plugin_find(engine->world->plugins, type_name);
    if (type == NULL) {
        error_set(err, ERR_INVALID, "Invalid type: %s", type_name == NULL ? "" : type_name);
        return NULL;
    }
    bool is_runnable = type->role == PLUGIN_TASK && type->task_kind != TASK_FLOWABLE &&
                       type->task_kind != TASK_EXECUTABLE;
    if (!is_runnable || (type->inline_ops != NULL && type->inline_ops->become != NULL)) {
        error_set(err, ERR_INVALID, "The templated task must be a runnable task");
        return NULL;
    }
    struct arena *arena = engine->execution->arena;
    struct task *task = ARENA_NEW(arena, struct task);
    *task = *run->task;
    task->type_name = arena_strdup(arena, type_name);
    task->type = type;
    task->doc = value_copy(arena, doc);
    task->timeout = value_get_text(task->doc, "timeout", NULL);
    return task;
}

static bool become(struct engine *engine, struct task_run *run, struct error *err)
{
    const struct plugin *type = run->task->type;
    struct expr_env env = engine_env(engine, run);
    struct inline_ctx ctx = {
        .execution = engine->execution,
        .run = run,
        .task = run->task,
        .env = &env,
        .arena = engine->scratch,
        .engine = engine,
        .at = engine->now,
    };
    void *bound = arena_alloc(engine->scratch, type->props_size);
    if (!engine_bind(engine, run, bound, err))
        return false;
    const struct value *doc = type->inline_ops->become(&ctx, bound, err);
    run->dynamic = doc == NULL ? NULL : make_dynamic(engine, run, doc, err);
    return run->dynamic != NULL;
}

/* ---- worker tasks ---- */

bool task_timeout(struct engine *engine, struct task_run *run, usec_t *out, struct error *err)
{
    const char *text = run->task->timeout;
    if (text == NULL && run->dynamic != NULL)
        text = run->dynamic->timeout;
    *out = 0;
    if (text == NULL)
        return true;
    struct expr_env env = engine_env(engine, run);
    text = expr_render_text(&env, engine->scratch, text, NULL, err);
    if (text == NULL)
        return false;
    if (*text == '\0')
        return true;
    if (!duration_parse(text, out, NULL, err))
        return error_wrap(err, "timeout");
    *out = *out < 1 ? 1 : *out;
    return true;
}

bool dispatch_to_worker(struct engine *engine,
                        struct task_run *run,
                        const char *phase,
                        uint32_t attempt,
                        struct error *err)
{
    const struct task *task = run_task(run);
    struct expr_env env = engine_env(engine, run);
    const struct value *props = run->props;
    if (props == NULL)
        props = rendered(engine, run, &env, err);
    usec_t timeout = 0;
    if (props == NULL || (phase == NULL && !task_timeout(engine, run, &timeout, err)))
        return false;
    if (task->type->task_kind == TASK_REMOTE && run->props == NULL)
        run->props = value_copy(engine->execution->arena, props);
    struct command *command = command_add(engine, COMMAND_RUN, run);
    command->plugin = task->type;
    command->props = props;
    command->attempt = attempt;
    if (phase == NULL)
        command->earlier = run->orders < attempt ? run->orders : attempt - 1;
    command->timeout = timeout;
    command->phase = phase;
    command->iteration = run->iteration;
    const struct flowable_ops *above = run->parent == NULL ? NULL : run_flowable(run->parent);
    if (above != NULL && above->has_directory && scope_list_of(run) == LIST_MAIN)
        command->working_dir_of = run->parent->id.text;
    return true;
}

static void submit(struct engine *engine, struct task_run *run)
{
    struct error err = { 0 };
    if (must_become(run) && !become(engine, run, &err)) {
        if (!is_waiting(run, &err))
            fail_attempt(engine, run, true, err.text);
        return;
    }
    bool is_again = run->state.current == STATE_SUBMITTED;
    const struct value *cached = NULL;
    if (!is_again && run->task->cache_enabled) {
        struct expr_env env = engine_env(engine, run);
        const struct value *props = rendered(engine, run, &env, &err);
        if (props == NULL && is_waiting(run, &err))
            return;
        enum cached found = props == NULL ? CACHE_MISS : ask_cache(engine, run, props, &cached);
        if (found == CACHE_WAITS)
            return;
        if (found == CACHE_HIT) {
            take_cached(engine, run, cached);
            return;
        }
    }
    run->props = NULL;
    uint32_t order = is_again ? run->orders : next_order(run);
    bool ok = dispatch_to_worker(engine, run, NULL, order, &err);
    if (!ok && is_waiting(run, &err))
        return;
    if (!ok) {
        fail_attempt(engine, run, true, err.text);
        return;
    }
    run->orders = order;
    run->is_handed = run->is_abandoned = false;
    engine_move(engine, run, STATE_SUBMITTED);
    task_run_touch(engine->execution, run);
    effects_forget(engine, run);
}

void dispatch_poll(struct engine *engine, struct task_run *run)
{
    struct error err = { 0 };
    bool ok = (!must_become(run) || become(engine, run, &err)) &&
              dispatch_to_worker(engine, run, NULL, run_attempt(run), &err);
    if (ok) {
        effects_forget(engine, run);
        return;
    }
    if (is_waiting(run, &err))
        return;
    command_log(engine, run, LOG_ERROR, "%s", err.text);
    finish_attempt(engine, run, STATE_FAILED);
}

/* ---- flowables ---- */

static void start_flowable(struct engine *engine, struct task_run *run)
{
    const struct flowable_ops *ops = run->task->type->flowable_ops;
    struct error err = { 0 };
    bool ok = ops->start == NULL || ops->start(engine, run, &err);
    if (!ok && is_waiting(run, &err))
        return;
    begin_attempt(engine, run, false);
    if (ok && ops->plan != NULL)
        ok = memory_open_scope(engine, run, &err);
    if (!ok) {
        if (run->task->type->task_kind == TASK_EXECUTABLE) {
            command_log(engine, run, LOG_ERROR, "%s", err.text);
            finish_attempt(engine, run, STATE_FAILED);
            return;
        }
        command_log(engine, run, LOG_ERROR, "Unable to resolve state from the Flowable task: %s",
                    err.text);
        engine_put_memo(engine, run, "unbegun", &value_true); // for a restart
        finish_flowable(engine, run, STATE_FAILED);
        return;
    }
    if (value_get_bool(run->memo, "unbegun", false))
        engine_put_memo(engine, run, "unbegun", &value_false);
    if (ops->began != NULL)
        ops->began(engine, run);
    engine_changed(engine, run->scope);
}

/* ---- the beginning ---- */

static bool stops_here(const struct execution *execution, const struct task_run *run)
{
    if (run->is_released || execution->breakpoints == NULL)
        return false;
    for (size_t i = 0; i < value_count(execution->breakpoints); i++) {
        const struct value *at = value_item(execution->breakpoints, i);
        const char *value = value_get_text(at, "value", NULL);
        if (str_eq(value_get_text(at, "id", NULL), run->task_id) &&
            (value == NULL || str_eq(value, run->value)))
            return true;
    }
    return false;
}

enum condition { CONDITION_HOLDS, CONDITION_FAILS, CONDITION_BROKEN, CONDITION_WAITS };

static enum condition run_if(struct engine *engine, struct task_run *run)
{
    const char *text = run->task->run_if;
    if (text == NULL || loop_until_is_later_round(run))
        return CONDITION_HOLDS;
    struct expr_env env = engine_env(engine, run);
    struct error err = { 0 };
    bool ok = true;
    bool holds = expr_render_truth(&env, text, &ok, &err);
    if (ok)
        return holds ? CONDITION_HOLDS : CONDITION_FAILS;
    if (is_waiting(run, &err))
        return CONDITION_WAITS;
    command_log(engine, run, LOG_ERROR,
                "Failed to evaluate the runIf condition for task %s. Cause: %s", run->task_id,
                err.text);
    return CONDITION_BROKEN;
}

static void skip(struct engine *engine, struct task_run *run)
{
    struct attempt *attempt = task_run_add_attempt(engine->execution, run, engine->now);
    attempt->state = STATE_SKIPPED;
    attempt->ended_at = engine->now;
    finish_flowable(engine, run, STATE_SKIPPED);
}

static void begin(struct engine *engine, struct task_run *run)
{
    struct error err = { 0 };
    if (run->task == NULL || run->task->type == NULL) {
        finish_unattempted(engine, run, "The task is not part of this revision of the flow");
        return;
    }
    switch (run_if(engine, run)) {
    case CONDITION_HOLDS:
        break;
    case CONDITION_FAILS:
        skip(engine, run);
        return;
    case CONDITION_BROKEN:
        finish_unattempted(engine, run, NULL);
        return;
    case CONDITION_WAITS:
        return;
    }
    if (must_become(run) && !become(engine, run, &err)) {
        if (!is_waiting(run, &err))
            fail_attempt(engine, run, true, err.text);
        return;
    }
    switch (kind_of(run)) {
    case TASK_INLINE:
        run_inline(engine, run);
        break;
    case TASK_CALL:
    case TASK_PROCESS:
    case TASK_REMOTE:
        submit(engine, run);
        break;
    case TASK_FLOWABLE:
    case TASK_EXECUTABLE:
        start_flowable(engine, run);
        break;
    case TASK_NONE:
        finish_unattempted(engine, run, "Its type is no task");
        break;
    }
}

void dispatch_run(struct engine *engine, struct task_run *run)
{
    struct execution *execution = engine->execution;
    bool is_over =
        states[execution->state.current].is_terminal || execution->state.current == STATE_KILLING;
    if (is_over && !run->force_execution)
        return;
    if (run->state.current == STATE_SUBMITTED) {
        submit(engine, run); // its order may have been lost with the process
        return;
    }
    if (run->state.current == STATE_RUNNING) {
        const struct flowable_ops *ops = run_flowable(run);
        if (ops == NULL)
            dispatch_poll(engine, run);
        else if (ops->recover != NULL)
            ops->recover(engine, run);
        return;
    }
    if (!states[run->state.current].is_created)
        return;
    if (!is_over && stops_here(execution, run)) {
        engine_move(engine, run, STATE_BREAKPOINT);
        engine_move_execution(engine, STATE_BREAKPOINT);
        engine_queue(engine, run);
        return;
    }
    begin(engine, run);
}
