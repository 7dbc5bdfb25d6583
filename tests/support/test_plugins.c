/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test_plugins.h"

#include <string.h>

#include "core/diag.h"
#include "core/plugin.h"
#include "core/value.h"

#define CORE "io.kestra.plugin.core."

static const char *const level_words[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", NULL };

static const struct prop log_props[] = {
    { "message", .kind = PROP_STRINGS, .item = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR },
    { "level", .kind = PROP_ENUM, .words = level_words, .flags = PROP_EXPR, .fallback = "INFO" },
    { 0 },
};

static const struct prop return_props[] = {
    { "format", .kind = PROP_STRING, .flags = PROP_EXPR },
    { 0 },
};

static const struct prop sequence_props[] = {
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED },
    { 0 },
};

static const struct prop parallel_props[] = {
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY },
    { "concurrent", .kind = PROP_INT, .flags = PROP_EXPR, .fallback = "0" },
    { 0 },
};

static const struct prop if_props[] = {
    { "condition", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR },
    { "then", .kind = PROP_TASKS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY },
    { "else", .kind = PROP_TASKS },
    { 0 },
};

static const struct prop switch_props[] = {
    { "value", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR },
    { "cases", .kind = PROP_TASK_MAP },
    { "defaults", .kind = PROP_TASKS },
    { 0 },
};

static const struct prop dag_props[] = {
    { "tasks", .kind = PROP_DAG_TASKS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY },
    { "concurrent", .kind = PROP_INT },
    { 0 },
};

static const struct prop pause_props[] = {
    { "pauseDuration", .kind = PROP_DURATION, .flags = PROP_EXPR, .alias = "delay" },
    { "onResume", .kind = PROP_INPUTS },
    { "onPause", .kind = PROP_TASK },
    { "tasks", .kind = PROP_TASKS, .flags = PROP_DEPRECATED },
    { 0 },
};

static const struct prop subflow_props[] = {
    { "namespace", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR },
    { "flowId", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR },
    { "inputs", .kind = PROP_MAP, .item = PROP_ANY, .flags = PROP_EXPR },
    { "labels", .kind = PROP_LABELS, .flags = PROP_EXPR },
    { "wait", .kind = PROP_BOOL, .fallback = "true" },
    { 0 },
};

static const struct prop script_props[] = {
    { "commands", .kind = PROP_STRINGS, .item = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR },
    { "env", .kind = PROP_MAP, .item = PROP_STRING, .flags = PROP_EXPR },
    { "taskRunner", .kind = PROP_PLUGIN },
    { "password", .kind = PROP_STRING, .flags = PROP_EXPR | PROP_SECRET },
    { "inputFiles", .kind = PROP_MAP, .item = PROP_STRING, .flags = PROP_EXPR },
    { 0 },
};

static const struct prop kv_props[] = {
    { "key", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR },
    { "namespace", .kind = PROP_STRING, .flags = PROP_EXPR },
    { 0 },
};

static const struct prop schedule_props[] = {
    { "cron", .kind = PROP_STRING, .flags = PROP_REQUIRED },
    { 0 },
};

static const struct prop flow_trigger_props[] = {
    { "states", .kind = PROP_LIST, .item = PROP_STRING },
    { "preconditions", .kind = PROP_ANY },
    { 0 },
};

static const struct prop webhook_props[] = {
    { "key", .kind = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR, .max = 256 },
    { 0 },
};

static const struct prop status_props[] = {
    { "in", .kind = PROP_LIST, .item = PROP_STRING },
    { 0 },
};

static void check_switch(const struct flow *flow,
                         const struct value *map,
                         const char *path,
                         struct diag_list *findings)
{
    (void)flow;
    if (value_count(value_get(map, "cases")) > 0 || value_count(value_get(map, "defaults")) > 0)
        return;
    diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "switch", map, path, "a Switch needs cases")
        ->api = "No task defined, neither cases or default have any tasks";
}

static const char *const log_aliases[] = { "io.kestra.core.tasks.log.Log", NULL };

#define TASK(name_, kind_, table_)                                                                 \
    {                                                                                              \
        .id = (name_), .role = PLUGIN_TASK, .task_kind = (kind_), .props = (table_)                \
    }

static const struct plugin types[] = {
    { .id = CORE "log.Log",
      .role = PLUGIN_TASK,
      .task_kind = TASK_INLINE,
      .props = log_props,
      .aliases = log_aliases },
    TASK(CORE "debug.Return", TASK_INLINE, return_props),
    { .id = CORE "debug.Echo",
      .role = PLUGIN_TASK,
      .task_kind = TASK_INLINE,
      .props = return_props,
      .flags = PLUGIN_DEPRECATED },
    TASK(CORE "flow.Sequential", TASK_FLOWABLE, sequence_props),
    TASK(CORE "flow.Parallel", TASK_FLOWABLE, parallel_props),
    TASK(CORE "flow.If", TASK_FLOWABLE, if_props),
    { .id = CORE "flow.Switch",
      .role = PLUGIN_TASK,
      .task_kind = TASK_FLOWABLE,
      .props = switch_props,
      .check = check_switch },
    TASK(CORE "flow.Dag", TASK_FLOWABLE, dag_props),
    TASK(CORE "flow.Pause", TASK_FLOWABLE, pause_props),
    TASK(CORE "flow.Subflow", TASK_EXECUTABLE, subflow_props),
    TASK(CORE "kv.Get", TASK_CALL, kv_props),
    TASK("io.kestra.plugin.scripts.shell.Commands", TASK_PROCESS, script_props),
    { .id = CORE "runner.Process", .role = PLUGIN_RUNNER },
    { .id = CORE "trigger.Schedule",
      .role = PLUGIN_TRIGGER,
      .trigger_kind = TRIGGER_SCHEDULE,
      .props = schedule_props },
    { .id = CORE "trigger.Flow",
      .role = PLUGIN_TRIGGER,
      .trigger_kind = TRIGGER_FLOW,
      .props = flow_trigger_props },
    { .id = CORE "trigger.Webhook",
      .role = PLUGIN_TRIGGER,
      .trigger_kind = TRIGGER_WEBHOOK,
      .props = webhook_props },
    { .id = CORE "condition.ExecutionStatus", .role = PLUGIN_CONDITION, .props = status_props },
};

const struct plugin_set *test_plugins(void)
{
    static const struct plugin *list[sizeof(types) / sizeof(types[0]) + 1];
    static struct plugin_set *set;
    if (set == NULL) {
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
            list[i] = &types[i];
        set = plugin_set_new(list);
    }
    return set;
}
