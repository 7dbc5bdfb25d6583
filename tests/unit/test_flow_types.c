/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes in flows made of the types that are built in, in the words that API clients match on. */
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "core/diag.h"
#include "core/flow.h"
#include "runtime/plugins.h"
#include "tests/support/test.h"

#define CORE "io.kestra.plugin.core."
#define HEAD "id: a\nnamespace: n.s\n"
#define LOG  "{id: t, type: " CORE "log.Log, message: hi}"
#define TASK "tasks:\n- " LOG "\n"

static void flow_of_real_types_is_refused_with_known_words(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        const char *fragment;
        uint32_t line;
    } rows[] = {
        { HEAD "tasks:\n- id: d\n  type: " CORE "flow.Dag\n  tasks:\n"
               "  - {task: {id: x, type: " CORE "log.Log, message: a}, dependsOn: [y]}\n"
               "  - {task: {id: y, type: " CORE "log.Log, message: a}, dependsOn: [x]}\n",
          "Cyclic dependency detected: x, y", 7 },
        { HEAD "tasks:\n- id: d\n  type: " CORE "flow.Dag\n  tasks:\n"
               "  - {task: {id: x, type: " CORE "log.Log, message: a}, dependsOn: [z]}\n",
          "Not existing task id in dependency: z", 7 },
        { HEAD "tasks:\n- {id: s, type: " CORE "flow.Switch, value: x, cases: {}}\n",
          "No task defined, neither cases or default have any tasks", 4 },
        { HEAD "tasks:\n- {id: w, type: " CORE "flow.WorkingDirectory}\n",
          "The 'tasks' property cannot be empty", 4 },
        { HEAD "tasks:\n- id: w\n  type: " CORE "flow.WorkingDirectory\n  tasks:\n"
               "  - {id: s, type: " CORE "flow.Sequential, tasks: [" LOG "]}\n",
          "Only runnable tasks are allowed as children of a WorkingDirectory task", 7 },
        { HEAD TASK "triggers:\n- {id: s, type: " CORE "trigger.Schedule, cron: nonsense}\n",
          "invalid cron expression 'nonsense'", 6 },
        { HEAD TASK "triggers:\n- {id: s, type: " CORE "trigger.Schedule, cron: '* * * * * *'}\n",
          "invalid cron expression", 6 },
        { HEAD TASK "triggers:\n- {id: s, type: " CORE
                    "trigger.Schedule, cron: '* * * * *', timezone: Mars/Base}\n",
          "timezone 'Mars/Base' is not a valid time-zone ID", 6 },
        { HEAD TASK "triggers:\n- id: w\n  type: " CORE "trigger.Webhook\n  key: k\n  conditions:\n"
                    "  - {id: m, type: " CORE
                    "condition.MultipleCondition, conditions: {a: {type: " CORE
                    "condition.Weekend}}}\n",
          "invalid webhook: conditions of type MultipleCondition are not supported", 10 },
        { HEAD TASK "triggers:\n- id: f\n  type: " CORE "trigger.Flow\n  preconditions:\n"
                    "    {id: p, where: [{id: w, filters: [{field: STATE, type: EQUAL_TO}]}]}\n",
          "`value` cannot be null for type EQUAL_TO", 9 },
        { HEAD TASK
          "triggers:\n- id: f\n  type: " CORE "trigger.Flow\n  preconditions:\n"
          "    {id: p, timeWindow: {type: DAILY_TIME_DEADLINE}, flows: [{namespace: x}]}\n",
          "Time window of type `DAILY_TIME_DEADLINE` must have a deadline.", 9 },
        { HEAD TASK "triggers:\n- id: f\n  type: " CORE "trigger.Flow\n  preconditions:\n"
                    "    {id: p, timeWindow: {type: SLIDING_WINDOW, deadline: '09:00:00'}}\n",
          "Time window of type `SLIDING_WINDOW` cannot have a deadline.", 9 },
        { HEAD TASK "triggers:\n- id: f\n  type: " CORE "trigger.Flow\n  preconditions:\n"
                    "    {id: p, timeWindow: {type: DAILY_TIME_DEADLINE, deadline: 'nine'}}\n",
          "'nine' is not a time of day", 9 },
        { HEAD TASK "triggers:\n- id: f\n  type: " CORE "trigger.Flow\n  dependsOn: [{flowId: x}]\n"
                    "  window: {deadline: '09:00', lookback: PT1H}\n",
          "a window has either `deadline`", 9 },
        { HEAD TASK "triggers:\n- id: f\n  type: " CORE "trigger.Flow\n  dependsOn: [{flowId: x}]\n"
                    "  window: {from: '09:00'}\n",
          "`from` and `to` must be given together", 9 },
        { HEAD TASK "triggers:\n- id: f\n  type: " CORE "trigger.Flow\n  dependsOn: [{flowId: x}]\n"
                    "  window: {every: PT0S}\n",
          "must be greater than or equal to PT1S", 9 },
        { HEAD TASK "triggers:\n- {id: f, type: " CORE
                    "trigger.Flow, dependsOn: [{flowId: x}], mode: AT_LEAST, minSatisfied: 2}\n",
          "mode AT_LEAST needs a number from 1 to that of `dependsOn`, 1", 6 },
        { HEAD TASK "triggers:\n- {id: d, type: " CORE
                    "trigger.ScheduleOnDates, dates: [2026-01-01T00:00:00Z, tomorrow]}\n",
          "'tomorrow' is not a date with an offset", 6 },
        { HEAD "pluginDefaults:\n- {type: " CORE "log.Log, values: {not: existing}}\n" TASK,
          "Invalid Plugin Default: No property 'not' exists in plugin '" CORE "log.Log'", 4 },
        { HEAD "tasks:\n- {id: s, type: " CORE "flow.Subflow, namespace: n.s, flowId: a}\n",
          "Recursive call to flow [n.s.a]", 4 },
        { HEAD "tasks:\n- {id: t, type: " CORE "log.Log, mesage: hi}\n",
          "Unrecognized field \"mesage\"", 4 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct diag_list list = diag_list_new(arena, "f.yml");
        struct flow *flow =
            flow_parse(plugins(), rows[i].source, strlen(rows[i].source), NULL, &list);
        if (flow != NULL)
            fail_msg("accepted:\n%s", rows[i].source);
        const char *text = diag_constraints(&list, true);
        if (strstr(text, rows[i].fragment) == NULL)
            fail_msg("%s\nsays: %s\nnot: %s", rows[i].source, text, rows[i].fragment);
        bool placed = false;
        for (size_t k = 0; k < list.all.count; k++)
            placed = placed || (list.all.items[k].level == DIAG_ERROR &&
                                list.all.items[k].line == rows[i].line);
        if (!placed)
            fail_msg("%s\nno error at line %u but at %u", rows[i].source, rows[i].line,
                     list.all.items[0].line);
    }
}

/* A dynamic word that is wrong fails the task, not the flow. */
static void flow_with_a_wrong_dynamic_word_is_accepted_with_a_warning(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "f.yml");
    const char *source =
        HEAD "tasks:\n- {id: t, type: " CORE "log.Log, message: a, level: WRONG}\n";
    AUTO(flow_unrefp)
    struct flow *flow = flow_parse(plugins(), source, strlen(source), NULL, &list);
    assert_non_null(flow);
    assert_int_equal(list.warnings, 1);
    assert_non_null(strstr(list.all.items[0].message, "WRONG"));
}

static void flow_suggests_a_property_of_the_type(void **state)
{
    (void)state;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct diag_list list = diag_list_new(arena, "f.yml");
    const char *source = HEAD "tasks:\n- {id: t, type: " CORE "log.Log, mesage: hi}\n";
    assert_null(flow_parse(plugins(), source, strlen(source), NULL, &list));
    assert_string_equal(list.all.items[0].advice, "did you mean 'message'?");
    assert_string_equal(list.all.items[0].see, "weir docs " CORE "log.Log");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(flow_of_real_types_is_refused_with_known_words),
    cmocka_unit_test(flow_with_a_wrong_dynamic_word_is_accepted_with_a_warning),
    cmocka_unit_test(flow_suggests_a_property_of_the_type),
};
TEST_GROUP(flow_types, tests)
