/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/engine_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/diag.h"
#include "core/plugin.h"
#include "core/value.h"
#include "core/yaml.h"
#include "runtime/plugins.h"
#include "runtime/worker/task.h"

/* ---- types for tests ---- */

struct work {
    const char *say;
};

static const struct prop work_props[] = {
    { "say", STR(struct work, say), .flags = PROP_EXPR, .doc = "Anything." },
    { 0 },
};

static const struct plugin work_plugin = {
    .id = "io.weir.test.Work",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Done by the test.",
    .props = work_props,
    .props_size = sizeof(struct work),
    .call_ops = &(const struct call_ops){ 0 },
};

static const struct plugin process_plugin = {
    .id = "io.weir.test.Process",
    .role = PLUGIN_TASK,
    .task_kind = TASK_PROCESS,
    .title = "Done by the test.",
    .props = work_props,
    .props_size = sizeof(struct work),
    .process_ops = &(const struct process_ops){ 0 },
};

static const struct plugin remote_plugin = {
    .id = "io.weir.test.Remote",
    .role = PLUGIN_TASK,
    .task_kind = TASK_REMOTE,
    .title = "Done by the test.",
    .props = work_props,
    .props_size = sizeof(struct work),
    .remote_ops = &(const struct remote_ops){ 0 },
};

const struct plugin_set *bed_plugins(void)
{
    static struct plugin_set *set;
    static const struct plugin *all[512];
    if (set != NULL)
        return set;
    size_t count = 0;
    while (plugins_builtin[count] != NULL) {
        CHECK(count + 4 < COUNT_OF(all));
        all[count] = plugins_builtin[count];
        count++;
    }
    all[count++] = &work_plugin;
    all[count++] = &process_plugin;
    all[count++] = &remote_plugin;
    set = plugin_set_new(all);
    return set;
}

/* ---- flows ---- */

static const char *full_type(const char *name, size_t length)
{
    size_t count = 0;
    const struct plugin *const *all = plugin_all(bed_plugins(), &count);
    for (size_t i = 0; i < count; i++) {
        const char *dot = strrchr(all[i]->id, '.');
        if (strlen(dot + 1) == length && strncmp(dot + 1, name, length) == 0)
            return all[i]->id;
    }
    return NULL;
}

void bed_write_types(struct buf *out, const char *text)
{
    static const char key[] = "type: ";
    for (const char *at = text; *at != '\0';) {
        const char *found = strstr(at, key);
        if (found == NULL) {
            buf_puts(out, at);
            return;
        }
        const char *name = found + sizeof(key) - 1;
        size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
        buf_add(out, at, (size_t)(name - at));
        const char *full = name[length] == '.' ? NULL : full_type(name, length);
        if (full != NULL)
            buf_puts(out, full);
        else
            buf_add(out, name, length);
        at = name + length;
    }
}

struct flow *bed_flow(const char *tasks_yaml)
{
    struct arena *arena = arena_new();
    struct diag_list findings = diag_list_new(arena, "flow");
    struct buf text = { 0 };
    buf_puts(&text, "id: flow\nnamespace: tests\n");
    bed_write_types(&text, tasks_yaml);
    struct flow *flow = flow_parse(bed_plugins(), buf_text(&text), text.length, NULL, &findings);
    if (flow == NULL) {
        struct buf shown = { 0 };
        for (size_t i = 0; i < findings.all.count; i++)
            diag_render(&shown, &findings.all.items[i], buf_text(&text), false);
        (void)fprintf(stderr, "%s\n", buf_text(&shown));
        exit(EXIT_FAILURE);
    }
    flow->revision = 1;
    buf_free(&text);
    arena_free(arena);
    return flow;
}

/* ---- the bench ---- */

static const struct value *fake_decrypt(void *data, struct arena *arena, const struct value *stored)
{
    (void)data;
    const char *text = value_get_text(stored, "value", "");
    return value_string(arena, text + (*text == '~' ? 1 : 0));
}

static const struct value *fake_encrypt(void *data, struct arena *arena, const struct value *clear)
{
    (void)data;
    struct value_builder map = value_build(arena);
    value_put_text(&map, "type", "io.kestra.datatype:aes_encrypted");
    value_put_text(&map, "value", arena_printf(arena, "~%s", value_cstr(clear)));
    return value_build_map(&map);
}

struct bed *bed_new(struct flow *flow, usec_t now)
{
    struct bed *bed = check_calloc(1, sizeof(*bed));
    struct id id = id_derive("bed", &now, sizeof(now));
    bed->arena = arena_new();
    bed->commands_arena = arena_new();
    bed->commands.arena = bed->commands_arena;
    bed->flow = flow;
    bed->now = now;
    bed->seed = 1;
    bed->execution = execution_new(&id, flow, now);
    bed->world = (struct engine_world){
        .plugins = bed_plugins(),
        .envs = value_with(bed->arena, NULL, "stage", value_string(bed->arena, "test")),
        .globals = &value_empty_map,
        .kestra = &value_empty_map,
        .zone = "UTC",
        .decrypt = fake_decrypt,
        .encrypt = fake_encrypt,
        .work_root = "/work-root",
    };
    for (size_t i = 0; i < flow->labels_count; i++)
        execution_set_label(bed->execution, flow->labels[i].key, flow->labels[i].value);
    return bed;
}

void bed_free(struct bed *bed)
{
    if (bed == NULL)
        return;
    execution_free(bed->execution);
    flow_unref(bed->flow);
    VEC_FREE(&bed->timers);
    VEC_FREE(&bed->logs);
    VEC_FREE(&bed->children);
    arena_free(bed->commands_arena);
    arena_free(bed->arena);
    free(bed);
}

static void keep(struct bed *bed, const struct command *command)
{
    switch (command->type) {
    case COMMAND_TIMER: {
        struct bed_timer *timer = VEC_PUSH(&bed->timers);
        *timer = (struct bed_timer){ .kind = command->timer,
                                     .at = command->at,
                                     .generation = command->generation };
        if (command->run != NULL)
            memcpy(timer->run_id, command->run->id.text, sizeof(timer->run_id));
        break;
    }
    case COMMAND_LOG:
        *VEC_PUSH(&bed->logs) = (struct bed_log){
            .level = command->level,
            .task_id =
                command->run == NULL ? NULL : arena_strdup(bed->arena, command->run->task_id),
            .text = arena_strdup(bed->arena, command->message),
        };
        break;
    case COMMAND_ENDED:
        bed->ended++;
        break;
    case COMMAND_CONTINUE:
        bed->wants_continue = true;
        break;
    case COMMAND_CHILD:
    case COMMAND_CHILD_RESTART: {
        struct bed_child *child = VEC_PUSH(&bed->children);
        child->iteration = command->iteration;
        memcpy(child->run_id, command->run->id.text, sizeof(child->run_id));
        (void)snprintf(child->id, sizeof(child->id), "%s", command->child_id);
        break;
    }
    case COMMAND_RUN:
    case COMMAND_CANCEL:
    case COMMAND_EVALUATE:
    case COMMAND_KILL_CHILDREN:
    case COMMAND_METRIC:
    case COMMAND_STATE:
    case COMMAND_NEW_EXECUTION:
    case COMMAND_CACHE:
        break;
    }
}

static void step_once(struct bed *bed, struct event event)
{
    struct arena *scratch = arena_new();
    size_t before = bed->commands.all.count;
    event.at = bed->now;
    event.seed = bed->seed++;
    bed->wants_continue = false;
    bed->steps++;
    engine_step(bed->execution, &event, &bed->world, scratch, &bed->commands);
    for (size_t i = before; i < bed->commands.all.count; i++)
        keep(bed, &bed->commands.all.items[i]);
    arena_free(scratch);
}

void bed_step(struct bed *bed, struct event event)
{
    arena_reset(bed->commands_arena);
    memset(&bed->commands.all, 0, sizeof(bed->commands.all));
    step_once(bed, event);
    while (bed->wants_continue && !bed->holds_continue &&
           bed->execution->state.current != STATE_RESTARTED)
        step_once(bed, (struct event){ .type = EVENT_CONTINUE, .admission = bed->admission });
}

usec_t bed_next_timer(const struct bed *bed)
{
    usec_t next = USEC_NEVER;
    for (size_t i = 0; i < bed->timers.count; i++)
        next = bed->timers.items[i].at < next ? bed->timers.items[i].at : next;
    return next;
}

void bed_advance(struct bed *bed, usec_t at)
{
    while (bed_next_timer(bed) <= at) {
        size_t first = 0;
        for (size_t i = 1; i < bed->timers.count; i++) {
            if (bed->timers.items[i].at < bed->timers.items[first].at)
                first = i;
        }
        struct bed_timer timer = bed->timers.items[first];
        memmove(&bed->timers.items[first], &bed->timers.items[first + 1],
                (bed->timers.count - first - 1) * sizeof(timer));
        bed->timers.count--;
        bed->now = timer.at > bed->now ? timer.at : bed->now;
        bed_step(bed, (struct event){
                          .type = EVENT_TIMER,
                          .timer = timer.kind,
                          .generation = timer.generation,
                          .run_id = timer.run_id[0] == '\0' ? NULL : timer.run_id,
                          .admission = bed->admission,
                      });
    }
    bed->now = at > bed->now ? at : bed->now;
}

void bed_restore(struct bed *bed)
{
    struct buf row = { 0 };
    struct error err = { 0 };
    execution_encode(&row, bed->execution);
    struct execution *again = execution_decode(row.bytes, row.length, bed->flow, &err);
    CHECK(again != NULL);
    for (size_t i = 0; i < bed->execution->runs.count; i++) {
        buf_clear(&row);
        task_run_encode(&row, bed->execution->runs.items[i]);
        CHECK(task_run_decode(again, row.bytes, row.length, &err));
    }
    execution_link(again);
    buf_free(&row);
    execution_free(bed->execution);
    bed->execution = again;
    bed->timers.count = 0;
    bed_step(bed, (struct event){ .type = EVENT_RECOVER });
}

/* ---- runs ---- */

struct task_run *bed_run(const struct bed *bed, const char *task_id, const char *value, size_t nth)
{
    for (size_t i = 0; i < bed->execution->runs.count; i++) {
        struct task_run *run = bed->execution->runs.items[i];
        if (strcmp(run->task_id, task_id) == 0 && (value == NULL || str_eq(run->value, value)) &&
            nth-- == 0)
            return run;
    }
    return NULL;
}

const char *bed_child_id(const struct bed *bed, const struct task_run *run, int64_t iteration)
{
    for (size_t i = bed->children.count; i-- > 0;) {
        const struct bed_child *child = &bed->children.items[i];
        if (strcmp(child->run_id, run->id.text) == 0 && child->iteration == iteration)
            return child->id;
    }
    return NULL;
}

uint32_t bed_attempt(const struct bed *bed, const struct task_run *run)
{
    (void)bed;
    const struct task *task = run->task;
    bool shares =
        task != NULL && task->type != NULL && strstr(task->type->id, "WorkingDirectory") != NULL;
    if (shares) {
        uint32_t made = (uint32_t)run->attempts.count;
        int64_t phase = value_get_int(run->memo, "phase", 0);
        return phase <= 1 ? 2 * made - 1 : 2 * made;
    }
    return run->orders;
}

void bed_end_run(struct bed *bed,
                 const struct task_run *run,
                 enum state state,
                 const struct value *outputs,
                 const char *message)
{
    bed_step(bed, (struct event){
                      .type = EVENT_RUN_ENDED,
                      .run_id = run->id.text,
                      .attempt = bed_attempt(bed, run),
                      .state = state,
                      .outputs = outputs,
                      .message = message,
                      .worker = "worker",
                  });
}

/* ---- texts ---- */

void bed_write_runs(const struct bed *bed, struct buf *out)
{
    for (size_t i = 0; i < bed->execution->runs.count; i++) {
        const struct task_run *run = bed->execution->runs.items[i];
        for (const struct task_run *above = run->parent; above != NULL; above = above->parent)
            buf_putc(out, '.');
        buf_puts(out, run->task_id);
        if (run->value != NULL)
            buf_printf(out, "[%s]", run->value);
        buf_printf(out, " %s", states[run->state.current].name);
        if (run->attempts.count > 1)
            buf_printf(out, " x%zu", run->attempts.count);
        buf_putc(out, '\n');
    }
}

void bed_write_history(const struct state_log *log, struct buf *out)
{
    for (size_t i = 0; i < log->history.count; i++)
        buf_printf(out, "%s%s", i == 0 ? "" : ", ", states[log->history.items[i].state].name);
}

static void write_run_name(struct buf *out, const struct task_run *run)
{
    buf_puts(out, run == NULL ? "-" : run->task_id);
    if (run != NULL && run->value != NULL)
        buf_printf(out, "[%s]", run->value);
}

static void write_json(struct buf *out, const struct value *value)
{
    buf_putc(out, ' ');
    value_write_json(out, value == NULL ? &value_null : value);
}

void bed_write_commands(const struct bed *bed, struct buf *out)
{
    for (size_t i = 0; i < bed->commands.all.count; i++) {
        const struct command *command = &bed->commands.all.items[i];
        switch (command->type) {
        case COMMAND_RUN:
            buf_puts(out, "run ");
            write_run_name(out, command->run);
            buf_printf(out, "#%u", command->attempt);
            if (command->phase != NULL)
                buf_printf(out, " %s", command->phase);
            if (command->working_dir_of != NULL)
                buf_puts(out, " shared");
            if (command->run->remote_id != NULL)
                buf_printf(out, " poll %s", command->run->remote_id);
            if (command->timeout != 0)
                buf_printf(out, " timeout %lldms", (long long)(command->timeout / USEC_MSEC));
            if (value_get(command->props, "say") != NULL)
                write_json(out, value_get(command->props, "say"));
            buf_putc(out, '\n');
            break;
        case COMMAND_CANCEL:
            buf_puts(out, "cancel ");
            write_run_name(out, command->run);
            buf_printf(out, "#%u\n", command->attempt);
            break;
        case COMMAND_EVALUATE:
            buf_puts(out, "evaluate ");
            write_run_name(out, command->run);
            buf_printf(out, " %s", command->key);
            write_json(out, command->props);
            buf_putc(out, '\n');
            break;
        case COMMAND_CHILD:
            buf_puts(out, "child ");
            write_run_name(out, command->run);
            if (command->iteration >= 0)
                buf_printf(out, " #%lld", (long long)command->iteration);
            if (command->flow_id == NULL)
                buf_puts(out, " again");
            else
                buf_printf(out, " %s.%s", command->namespace, command->flow_id);
            if (command->loop != NULL)
                write_json(out, value_get(command->loop, "item"));
            else if (command->props != NULL)
                write_json(out, command->props);
            if (value_count(command->labels) > 0)
                write_json(out, command->labels);
            buf_putc(out, '\n');
            break;
        case COMMAND_CHILD_RESTART:
            buf_puts(out, "restart-child ");
            write_run_name(out, command->run);
            buf_putc(out, '\n');
            break;
        case COMMAND_KILL_CHILDREN:
            buf_puts(out, "kill-children\n");
            break;
        case COMMAND_STATE:
            buf_printf(out, "state %s\n", states[command->state].name);
            break;
        case COMMAND_ENDED:
            buf_printf(out, "ended %s%s\n", states[command->state].name,
                       command->releases_slot ? " slot" : "");
            break;
        case COMMAND_NEW_EXECUTION:
            buf_puts(out, "new-execution\n");
            break;
        case COMMAND_CACHE:
            buf_puts(out, "cache ");
            write_run_name(out, command->run);
            write_json(out, command->props);
            buf_putc(out, '\n');
            break;
        case COMMAND_METRIC:
            buf_printf(out, "metric %s %s %g\n", command->metric_type, command->key,
                       command->number);
            break;
        case COMMAND_TIMER:
        case COMMAND_LOG:
        case COMMAND_CONTINUE:
            break;
        }
    }
}
