/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of the flowable and executable tasks, for runtime/plugins.c, and what their files
 * share.
 */
#ifndef RUNTIME_ENGINE_FLOWABLES_H
#define RUNTIME_ENGINE_FLOWABLES_H

#include <stdbool.h>

#include "core/plugin.h"

struct engine;
struct error;
struct plan;
struct task_run;
struct value;

extern const struct plugin task_flow_sequential;
extern const struct plugin task_flow_parallel;
extern const struct plugin task_flow_dag;
extern const struct plugin task_flow_each_sequential;
extern const struct plugin task_flow_each_parallel;
extern const struct plugin task_flow_for_each;
extern const struct plugin task_flow_if;
extern const struct plugin task_flow_switch;
extern const struct plugin task_flow_allow_failure;
extern const struct plugin task_flow_pause;
extern const struct plugin task_flow_loop_until;
extern const struct plugin task_flow_working_directory;
extern const struct plugin task_flow_subflow;
extern const struct plugin task_flow_loop;
extern const struct plugin task_flow_approval;
extern const struct plugin task_flow_template;

/* ForEachItem: its descriptors are in runtime/tasks/for_each_item.c, the first has the parts as
 * `ops`. */
struct for_each_item_parts {
    const struct plugin *split;
    const struct plugin *items;
    const struct plugin *merge;
};
extern const struct flowable_ops for_each_item_ops;
extern const struct prop for_each_item_props[];
extern const struct flowable_ops for_each_item_run_ops; /* of <id>_items */
extern const struct prop for_each_item_run_props[];     /* bound into a struct child_only */

#define FLOW_TYPE(name) "io.kestra.plugin.core.flow." name

/* A plan that follows the `tasks` of the run's task, one after the other. */
bool plan_tasks(struct engine *engine,
                const struct task_run *run,
                struct plan *plan,
                struct error *err);

/* Keeps a limit of simultaneous children in the memo, and reads it back. */
void put_limit(struct engine *engine, struct task_run *run, int64_t limit);
uint32_t get_limit(const struct task_run *run);

/*
 * The values that a ForEach goes through, as texts without duplicates (flow-language.md 3.6).
 *
 * Errors  ERR_INVALID      no list, a null, a value of a kind that cannot be one
 *         ERR_UNAVAILABLE  an expression waits for an answer
 */
const struct value *each_values(struct engine *engine,
                                struct task_run *run,
                                const struct value *spec,
                                struct error *err);

/* Does a value hold anything to render, at any depth? */
bool value_is_dynamic(const struct value *value);

/*
 * The run, RUNNING or PAUSED, must fail: at once, or after its errors and finally when it has any.
 */
void flowable_must_fail(struct engine *engine, struct task_run *run);

#endif
