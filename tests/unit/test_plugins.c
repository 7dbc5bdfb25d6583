/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every type that is built in, whatever it does. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "core/diag.h"
#include "core/docgen.h"
#include "core/flow.h"
#include "core/plugin.h"
#include "core/prop_internal.h"
#include "core/value.h"
#include "runtime/plugins.h"
#include "runtime/worker/runner.h"
#include "tests/support/test.h"

#define DEPTH_MAX 8

static const struct plugin *plugin_at(size_t i)
{
    size_t count = 0;
    const struct plugin *const *all = plugin_all(plugins(), &count);
    return i < count ? all[i] : NULL;
}

static void plugin_examples_are_flows_without_findings(void **state)
{
    (void)state;
    const struct plugin *plugin;
    size_t failed = 0;
    for (size_t i = 0; (plugin = plugin_at(i)) != NULL; i++) {
        for (size_t k = 0; plugin->examples != NULL && plugin->examples[k].yaml != NULL; k++) {
            AUTO(arena_freep) struct arena *arena = arena_new();
            struct diag_list findings = diag_list_new(arena, plugin->id);
            const char *source = docgen_example_flow(arena, plugin, k);
            struct flow *flow = flow_parse(plugins(), source, strlen(source), NULL, &findings);
            bool deprecated = (plugin->flags & PLUGIN_DEPRECATED) != 0;
            struct buf out = { 0 };
            for (size_t f = 0; f < findings.all.count; f++) {
                const struct diag *diag = &findings.all.items[f];
                if (diag->level == DIAG_ERROR ||
                    (diag->level != DIAG_INFO && !(deprecated && diag->level == DIAG_DEPRECATION)))
                    diag_render(&out, diag, source, false);
            }
            if (out.length > 0) {
                print_message("example '%s':\n%s\n%s", plugin->examples[k].title, out.bytes,
                              source);
                failed++;
            }
            flow_unref(flow);
            buf_free(&out);
        }
    }
    assert_int_equal(failed, 0);
}

/* Names of older releases, flow-language.md appendix A; the canonical ones without their prefix. */
static const struct {
    const char *id;
    const char *alias;
} old_names[] = {
    { "log.Log", "io.kestra.core.tasks.log.Log" },
    { "log.Fetch", "io.kestra.core.tasks.log.Fetch" },
    { "debug.Return", "io.kestra.core.tasks.debugs.Return" },
    { "debug.Echo", "io.kestra.core.tasks.debugs.Echo" },
    { "flow.Sequential", "io.kestra.core.tasks.flows.Sequential" },
    { "flow.Parallel", "io.kestra.core.tasks.flows.Parallel" },
    { "flow.Dag", "io.kestra.core.tasks.flows.Dag" },
    { "flow.EachSequential", "io.kestra.core.tasks.flows.EachSequential" },
    { "flow.EachParallel", "io.kestra.core.tasks.flows.EachParallel" },
    { "flow.ForEachItem", "io.kestra.core.tasks.flows.ForEachItem" },
    { "flow.If", "io.kestra.core.tasks.flows.If" },
    { "flow.Switch", "io.kestra.core.tasks.flows.Switch" },
    { "flow.Pause", "io.kestra.core.tasks.flows.Pause" },
    { "flow.AllowFailure", "io.kestra.core.tasks.flows.AllowFailure" },
    { "flow.Subflow", "io.kestra.core.tasks.flows.Subflow" },
    { "flow.Subflow", "io.kestra.core.tasks.flows.Flow" },
    { "flow.Template", "io.kestra.core.tasks.flows.Template" },
    { "flow.WorkingDirectory", "io.kestra.core.tasks.flows.WorkingDirectory" },
    { "flow.WorkingDirectory", "io.kestra.core.tasks.flows.Worker" },
    { "flow.LoopUntil", "io.kestra.plugin.core.flow.WaitFor" },
    { "http.Request", "io.kestra.plugin.fs.http.Request" },
    { "http.Download", "io.kestra.plugin.fs.http.Download" },
    { "templating.TemplatedTask", "io.kestra.core.tasks.templating.TemplatedTask" },
    { "trigger.Toggle", "io.kestra.core.tasks.trigger.Toggle" },
    { "storage.Size", "io.kestra.core.tasks.storages.Size" },
    { "storage.Delete", "io.kestra.core.tasks.storages.Delete" },
    { "storage.Concat", "io.kestra.core.tasks.storages.Concat" },
    { "storage.DeduplicateItems", "io.kestra.core.tasks.storages.DeduplicateItems" },
    { "storage.FilterItems", "io.kestra.core.tasks.storages.FilterItems" },
    { "storage.LocalFiles", "io.kestra.core.tasks.storages.LocalFiles" },
    { "storage.Reverse", "io.kestra.core.tasks.storages.Reverse" },
    { "storage.Split", "io.kestra.core.tasks.storages.Split" },
    { "storage.PurgeCurrentExecutionFiles", "io.kestra.core.tasks.storages.PurgeExecution" },
    { "storage.PurgeCurrentExecutionFiles", "io.kestra.plugin.core.storage.PurgeExecution" },
    { "execution.PurgeExecutions", "io.kestra.core.tasks.storages.Purge" },
    { "execution.PurgeExecutions", "io.kestra.plugin.core.storage.Purge" },
    { "execution.Count", "io.kestra.core.tasks.executions.Counts" },
    { "execution.Fail", "io.kestra.core.tasks.executions.Fail" },
    { "execution.Labels", "io.kestra.core.tasks.executions.Labels" },
    { "state.Get", "io.kestra.core.tasks.states.Get" },
    { "state.Set", "io.kestra.core.tasks.states.Set" },
    { "state.Delete", "io.kestra.core.tasks.states.Delete" },
    { "trigger.Schedule", "io.kestra.core.models.triggers.types.Schedule" },
    { "trigger.Webhook", "io.kestra.core.models.triggers.types.Webhook" },
    { "trigger.Flow", "io.kestra.core.models.triggers.types.Flow" },
    { "http.Trigger", "io.kestra.plugin.fs.http.Trigger" },
    { "condition.DateTimeBetween",
      "io.kestra.core.models.conditions.types.DateTimeBetweenCondition" },
    { "condition.DateTimeBetween", "io.kestra.plugin.core.condition.DateTimeBetweenCondition" },
    { "condition.DayWeek", "io.kestra.core.models.conditions.types.DayWeekCondition" },
    { "condition.DayWeek", "io.kestra.plugin.core.condition.DayWeekCondition" },
    { "condition.DayWeekInMonth",
      "io.kestra.core.models.conditions.types.DayWeekInMonthCondition" },
    { "condition.DayWeekInMonth", "io.kestra.plugin.core.condition.DayWeekInMonthCondition" },
    { "condition.ExecutionFlow", "io.kestra.core.models.conditions.types.ExecutionFlowCondition" },
    { "condition.ExecutionFlow", "io.kestra.plugin.core.condition.ExecutionFlowCondition" },
    { "condition.ExecutionLabels",
      "io.kestra.core.models.conditions.types.ExecutionLabelsCondition" },
    { "condition.ExecutionLabels", "io.kestra.plugin.core.condition.ExecutionLabelsCondition" },
    { "condition.ExecutionNamespace",
      "io.kestra.core.models.conditions.types.ExecutionNamespaceCondition" },
    { "condition.ExecutionNamespace",
      "io.kestra.plugin.core.condition.ExecutionNamespaceCondition" },
    { "condition.ExecutionOutputs",
      "io.kestra.core.models.conditions.types.ExecutionOutputsCondition" },
    { "condition.ExecutionOutputs", "io.kestra.plugin.core.condition.ExecutionOutputsCondition" },
    { "condition.ExecutionStatus",
      "io.kestra.core.models.conditions.types.ExecutionStatusCondition" },
    { "condition.ExecutionStatus", "io.kestra.plugin.core.condition.ExecutionStatusCondition" },
    { "condition.Expression", "io.kestra.core.models.conditions.types.VariableCondition" },
    { "condition.Expression", "io.kestra.plugin.core.condition.ExpressionCondition" },
    { "condition.FlowCondition", "io.kestra.core.models.conditions.types.FlowCondition" },
    { "condition.FlowNamespaceCondition",
      "io.kestra.core.models.conditions.types.FlowNamespaceCondition" },
    { "condition.HasRetryAttempt",
      "io.kestra.core.models.conditions.types.HasRetryAttemptCondition" },
    { "condition.HasRetryAttempt", "io.kestra.plugin.core.condition.HasRetryAttemptCondition" },
    { "condition.MultipleCondition", "io.kestra.core.models.conditions.types.MultipleCondition" },
    { "condition.Not", "io.kestra.core.models.conditions.types.NotCondition" },
    { "condition.Not", "io.kestra.plugin.core.condition.NotCondition" },
    { "condition.Or", "io.kestra.core.models.conditions.types.OrCondition" },
    { "condition.Or", "io.kestra.plugin.core.condition.OrCondition" },
    { "condition.PublicHoliday", "io.kestra.core.models.conditions.types.PublicHolidayCondition" },
    { "condition.PublicHoliday", "io.kestra.plugin.core.condition.PublicHolidayCondition" },
    { "condition.TimeBetween", "io.kestra.core.models.conditions.types.TimeBetweenCondition" },
    { "condition.TimeBetween", "io.kestra.plugin.core.condition.TimeBetweenCondition" },
    { "condition.Weekend", "io.kestra.core.models.conditions.types.WeekendCondition" },
    { "condition.Weekend", "io.kestra.plugin.core.condition.WeekendCondition" },
    { "runner.Process", "io.kestra.core.models.tasks.runners.types.ProcessTaskRunner" },
    { "runner.Process", "io.kestra.plugin.core.runner.ProcessTaskRunner" },
};

static void plugin_names_of_older_releases_mean_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(old_names); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        const struct plugin *found = plugin_find(plugins(), old_names[i].alias);
        if (found == NULL)
            fail_msg("'%s' is unknown", old_names[i].alias);
        assert_string_equal(found->id,
                            arena_printf(arena, "io.kestra.plugin.core.%s", old_names[i].id));
    }
}

/* Can what a type stands for be done under a name of its own? Runners are looked up by name. */
static void check_alias(const struct plugin *plugin, const char *alias)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    if (plugin_find(plugins(), alias) != plugin)
        fail_msg("'%s' does not mean '%s'", alias, plugin->id);
    if (plugin->role == PLUGIN_RUNNER && plugin->ops == NULL && !runner_is_process(alias))
        fail_msg("runner '%s' has nothing that runs it", alias);
    if (plugin->examples == NULL || plugin->examples[0].yaml == NULL)
        return;
    // The type is written once more under the alias, and found again in the parsed flow.
    const char *source = docgen_example_flow(arena, plugin, 0);
    const char *at = strstr(source, plugin->id);
    if (at == NULL)
        fail_msg("the example of '%s' does not use it", plugin->id);
    const char *text =
        arena_printf(arena, "%.*s%s%s", (int)(at - source), source, alias, at + strlen(plugin->id));
    struct diag_list findings = diag_list_new(arena, alias);
    struct flow *flow = flow_parse(plugins(), text, strlen(text), NULL, &findings);
    for (size_t i = 0; i < findings.all.count; i++)
        if (findings.all.items[i].level == DIAG_ERROR)
            fail_msg("'%s': %s\n%s", alias, findings.all.items[i].message, text);
    assert_non_null(flow);
    flow_unref(flow);
}

static void plugin_can_be_used_under_each_of_its_aliases(void **state)
{
    (void)state;
    const struct plugin *plugin;
    size_t runners = 0;
    for (size_t i = 0; (plugin = plugin_at(i)) != NULL; i++) {
        check_alias(plugin, plugin->id);
        for (size_t k = 0; plugin->aliases != NULL && plugin->aliases[k] != NULL; k++) {
            check_alias(plugin, plugin->aliases[k]);
            runners += plugin->role == PLUGIN_RUNNER;
        }
    }
    assert_int_equal(runners, 3);
}

static bool is_sentence(const char *text)
{
    size_t length = text == NULL ? 0 : strlen(text);
    return length > 2 &&
           (text[length - 1] == '.' || text[length - 1] == '`' || text[length - 1] == ')');
}

static void check_rows(const struct plugin *plugin, const struct prop *table, int depth)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    for (const struct prop *prop = table; prop != NULL && prop->name != NULL; prop++) {
        if ((prop->flags & PROP_INTERNAL) != 0)
            continue;
        if (!is_sentence(prop->doc))
            fail_msg("%s: property '%s' needs a sentence of documentation", plugin->id, prop->name);
        if (prop->kind == PROP_ENUM && prop->words == NULL)
            fail_msg("%s: property '%s' has no words", plugin->id, prop->name);
        if (prop->item == PROP_ENUM && prop->words == NULL)
            fail_msg("%s: items of '%s' have no words", plugin->id, prop->name);
        if ((prop->kind == PROP_OBJECT || prop->kind == PROP_OBJECTS) && prop->object == NULL)
            fail_msg("%s: property '%s' has no table", plugin->id, prop->name);
        const struct value *fallback = prop_fallback(prop, arena); // aborts when malformed
        if (fallback != NULL && prop->kind == PROP_ENUM &&
            prop_to_word(fallback, prop->words) < 0 && !prop_is_dynamic(prop->fallback))
            fail_msg("%s: default of '%s' is none of its words", plugin->id, prop->name);
        if (prop->object != NULL && depth < DEPTH_MAX)
            check_rows(plugin, prop->object, depth + 1);
    }
}

static void plugin_tables_are_complete(void **state)
{
    (void)state;
    const struct plugin *plugin;
    for (size_t i = 0; (plugin = plugin_at(i)) != NULL; i++) {
        if (!is_sentence(plugin->title))
            fail_msg("%s needs a title that is a sentence", plugin->id);
        if (plugin->props != NULL)
            check_rows(plugin, plugin->props, 0);
        for (const struct plugin_output *o = plugin->outputs; o != NULL && o->name != NULL; o++) {
            if (!is_sentence(o->doc) || o->type == NULL)
                fail_msg("%s: output '%s' needs a type and a sentence", plugin->id, o->name);
        }
    }
}

static void plugin_has_the_operations_of_its_kind(void **state)
{
    (void)state;
    const struct plugin *plugin;
    for (size_t i = 0; (plugin = plugin_at(i)) != NULL; i++) {
        bool ok = true;
        switch (plugin->task_kind) {
        case TASK_NONE:
            ok = plugin->role != PLUGIN_TASK;
            break;
        case TASK_INLINE:
            ok = plugin->inline_ops != NULL;
            break;
        case TASK_CALL:
            ok = plugin->call_ops != NULL;
            break;
        case TASK_PROCESS:
            ok = plugin->process_ops != NULL;
            break;
        case TASK_REMOTE:
            ok = plugin->remote_ops != NULL;
            break;
        case TASK_FLOWABLE:
            ok = plugin->flowable_ops != NULL;
            break;
        case TASK_EXECUTABLE:
            break;
        }
        if (!ok || (plugin->role == PLUGIN_TRIGGER) != (plugin->trigger_kind != TRIGGER_NONE))
            fail_msg("%s lacks the operations of its kind", plugin->id);
    }
}

static void plugin_binds_defaults_of_every_table(void **state)
{
    (void)state;
    const struct plugin *plugin;
    for (size_t i = 0; (plugin = plugin_at(i)) != NULL; i++) {
        if (plugin->props == NULL || plugin->props_size == 0)
            continue;
        AUTO(arena_freep) struct arena *arena = arena_new();
        void *bound = arena_alloc(arena, plugin->props_size);
        struct error err = { 0 };
        // a required property or a default that is an expression may be in the way, nothing else
        if (!prop_bind(plugin->props, &value_empty_map, bound, arena, &err) &&
            strstr(err.text, "is required") == NULL && strstr(err.text, "{{") == NULL)
            fail_msg("%s: %s", plugin->id, err.text);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(plugin_examples_are_flows_without_findings),
    cmocka_unit_test(plugin_names_of_older_releases_mean_the_same),
    cmocka_unit_test(plugin_can_be_used_under_each_of_its_aliases),
    cmocka_unit_test(plugin_tables_are_complete),
    cmocka_unit_test(plugin_has_the_operations_of_its_kind),
    cmocka_unit_test(plugin_binds_defaults_of_every_table),
};
TEST_GROUP(plugins, tests)
