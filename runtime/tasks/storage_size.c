/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/worker/task.h"

struct props {
    const char *uri;
};

static const struct prop props[] = {
    { "uri", STR(struct props, uri), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "URI of the file." },
    { 0 },
};

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct stat info;

    AUTO_FD int fd = task_open_file(ctx, p->uri, err);
    if (fd < 0)
        return false;
    if (fstat(fd, &info) != 0)
        return fs_error(err, errno, "read", p->uri);
    value_put_int(out, "size", info.st_size);
    return true;
}

static const struct plugin_output outputs[] = {
    { "size", "integer", "Bytes of the file." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.storages.Size", NULL };

static const struct plugin_example examples[] = {
    { "Size of an output", "uri: \"{{ outputs.extract.uri }}\"\n" },
    { 0 },
};

const struct plugin task_storage_size = {
    .id = "io.kestra.plugin.core.storage.Size",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Tell the size of a file of the internal storage.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
