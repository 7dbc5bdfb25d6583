/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/rows.h"
#include "runtime/worker/task.h"

struct props {
    const struct value *files;
    const char *separator;
    const char *extension;
};

static const struct prop props[] = {
    { "files", STRINGS(struct props, files), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "URIs of the files, or an expression that gives a JSON list of them." },
    { "separator", STR(struct props, separator), .flags = PROP_EXPR,
      .doc = "Text to add after each file." },
    { "extension", STR(struct props, extension), .flags = PROP_EXPR, .fallback = ".tmp",
      .doc = "Extension of the new file." },
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct rows_writer writer;

    if (!rows_writer_open(&writer, ctx, NULL, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < value_count(p->files); i++) {
        const char *uri = value_cstr(value_item(p->files, i));
        if (uri == NULL)
            continue;
        AUTO_FD int fd = task_open_file(ctx, uri, err);
        size_t bytes = 0;
        ok = fd >= 0 && fs_copy(fd, writer.fd, uri, SIZE_MAX, &bytes, err) &&
             (p->separator == NULL ||
              fs_write_fd(writer.fd, p->separator, strlen(p->separator), "concat", err)) &&
             task_check(ctx, err);
    }
    const char *uri =
        ok ? rows_writer_store(&writer, arena_printf(ctx->arena, "concat%s", p->extension), err)
           : NULL;
    rows_writer_free(&writer);
    value_put_text(out, "uri", uri);
    return uri != NULL;
}

static const struct plugin_output outputs[] = {
    { "uri", "uri", "The joined file." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.storages.Concat", NULL };

static const struct plugin_example examples[] = {
    { "Join the files of two tasks", "files:\n"
                                     "  - \"{{ outputs.first.uri }}\"\n"
                                     "  - \"{{ outputs.second.uri }}\"\n"
                                     "extension: .csv\n" },
    { 0 },
};

const struct plugin task_storage_concat = {
    .id = "io.kestra.plugin.core.storage.Concat",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Join files of the internal storage.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
