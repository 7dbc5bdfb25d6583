/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/error.h"
#include "core/plugin.h"
#include "core/value.h"
#include "core/yaml.h"
#include "runtime/engine/inline.h"

struct props {
    const char *spec;
};

static const struct value *become(struct inline_ctx *ctx, const void *bound, struct error *err)
{
    const struct props *p = bound;
    const struct value *doc = yaml_parse(ctx->arena, p->spec, strlen(p->spec), NULL, err);
    if (doc == NULL || value_is_map(doc))
        return doc;
    error_set(err, ERR_INVALID, "the rendered spec is no task");
    return NULL;
}

static const struct prop props[] = {
    { "spec", STR(struct props, spec), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "A task in YAML, rendered before it is read." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "A task whose type is an input", "spec: |\n"
                                       "  type: \"{{ inputs.type }}\"\n"
                                       "  format: hello\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.templating.TemplatedTask", NULL };

const struct plugin task_templated_task = {
    .id = "io.kestra.plugin.core.templating.TemplatedTask",
    .role = PLUGIN_TASK,
    .task_kind = TASK_INLINE,
    .title = "Run a task that a template describes.",
    .doc = "Outputs are those of the task that it became. It must be a runnable task.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .examples = examples,
    .inline_ops = &(const struct inline_ops){ .become = become },
};
