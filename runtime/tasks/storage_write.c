/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/task.h"

struct props {
    const char *content;
    const char *extension;
};

static const struct prop props[] = {
    { "content", STR(struct props, content), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "Text of the file." },
    { "extension", STR(struct props, extension), .flags = PROP_EXPR,
      .doc = "Extension of the file, with its dot." },
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    const char *extension = str_empty(p->extension) ? "" : p->extension;
    const char *dot = *extension == '\0' || *extension == '.' ? "" : ".";
    const char *uri =
        task_store_bytes(ctx, p->content, strlen(p->content),
                         arena_printf(ctx->arena, "content%s%s", dot, extension), err);
    value_put_text(out, "uri", uri);
    return uri != NULL;
}

static const struct plugin_output outputs[] = {
    { "uri", "uri", "The new file." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "Keep a text as a file", "content: |\n"
                               "  Hello from {{ flow.id }}\n"
                               "extension: .txt\n" },
    { 0 },
};

const struct plugin task_storage_write = {
    .id = "io.kestra.plugin.core.storage.Write",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Write a text into a file of the internal storage.",
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
