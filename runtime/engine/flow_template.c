/* SPDX-License-Identifier: Apache-2.0 */
/* Templates existed in older generations; flows that use them are told so when they are saved. */
#include "core/diag.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    (void)engine;
    (void)run;
    return error_set(err, ERR_INVALID, "Templates are disabled");
}

static void check(const struct flow *flow,
                  const struct value *map,
                  const char *path,
                  struct diag_list *findings)
{
    (void)flow;
    (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "templates-disabled", map, path,
                   "Templates are disabled");
}

static const struct flowable_ops ops = { .start = start };

static const struct prop props[] = {
    { "namespace", .kind = PROP_STRING, .flags = PROP_REQUIRED, .doc = "Of the template." },
    { "templateId", .kind = PROP_STRING, .flags = PROP_REQUIRED, .doc = "Name of the template." },
    { "args", .kind = PROP_MAP, .item = PROP_ANY, .doc = "Arguments." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.flows.Template", NULL };

const struct plugin task_flow_template = {
    .id = FLOW_TYPE("Template"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Inline a template: not supported, use a Subflow.",
    .aliases = aliases,
    .props = props,
    .flags = PLUGIN_DEPRECATED,
    .check = check,
    .flowable_ops = &ops,
};
