/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the file from its end in blocks, so that memory holds one block and one row.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/rows.h"
#include "runtime/worker/task.h"

#define BLOCK_BYTES (1024 * 1024)

struct props {
    const char *from;
    const char *separator;
    const char *charset;
};

static const struct prop props[] = {
    { "from", STR(struct props, from), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "URI of a file with one row per line." },
    { "separator", STR(struct props, separator), .flags = PROP_EXPR, .fallback = "\n",
      .doc = "What ends a row." },
    { "charset", STR(struct props, charset), .flags = PROP_EXPR, .fallback = "UTF-8",
      .doc = "Charset of the file; any in which the separator has the bytes of ASCII." },
    { 0 },
};

/* Last occurrence of the separator that ends at or before `end`. */
static const char *find_last(const char *from,
                             const char *end,
                             const char *separator,
                             size_t length)
{
    for (const char *at = end - length; at >= from; at--)
        if (memcmp(at, separator, length) == 0)
            return at;
    return NULL;
}

static bool put_row(struct rows_writer *writer,
                    const char *row,
                    size_t length,
                    const char *separator,
                    struct error *err)
{
    return rows_write(writer, row, length, err) &&
           rows_write(writer, separator, strlen(separator), err);
}

static bool reverse(struct task_ctx *ctx,
                    int fd,
                    const char *separator,
                    struct rows_writer *writer,
                    struct error *err)
{
    struct stat info;
    size_t length = strlen(separator);
    if (fstat(fd, &info) != 0)
        return fs_error(err, errno, "read", "rows");
    struct buf held = { 0 }; // start of the file's part that was read and not written
    off_t position = info.st_size;
    bool is_first = true; // the separator at the end of the file ends the last row
    bool ok = true;
    while (ok && position > 0) {
        size_t block = position < BLOCK_BYTES ? (size_t)position : BLOCK_BYTES;
        position -= (off_t)block;
        size_t rest = held.length;
        (void)buf_reserve(&held, block);
        memmove(held.bytes + block, held.bytes, rest);
        ssize_t got = pread(fd, held.bytes, block, position);
        if (got != (ssize_t)block) {
            ok = fs_error(err, got < 0 ? errno : EIO, "read", "rows");
            break;
        }
        held.length = rest + block;
        held.bytes[held.length] = '\0';
        const char *end = held.bytes + held.length;
        if (is_first && held.length >= length && memcmp(end - length, separator, length) == 0)
            end -= length;
        is_first = false;
        const char *at;
        while (ok && (at = find_last(held.bytes, end, separator, length)) != NULL) {
            ok = put_row(writer, at + length, (size_t)(end - at) - length, separator, err);
            end = at;
        }
        held.length = (size_t)(end - held.bytes);
        if (ok && held.length > ROW_BYTES_MAX)
            ok = error_set(err, ERR_LIMIT, "a row is longer than %zu bytes", ROW_BYTES_MAX);
        ok = ok && task_check(ctx, err);
    }
    if (ok && info.st_size > 0)
        ok = put_row(writer, buf_text(&held), held.length, separator, err);
    buf_free(&held);
    return ok;
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct rows_writer writer;

    if (strncasecmp(p->charset, "UTF-16", 6) == 0 || strncasecmp(p->charset, "UTF-32", 6) == 0)
        return error_set(err, ERR_INVALID, "charset '%s' cannot be reversed", p->charset);
    AUTO_FD int fd = task_open_file(ctx, p->from, err);
    const char *extension = rows_extension(ctx, p->from, ".tmp");
    if (fd < 0 || !rows_writer_open(&writer, ctx, extension, err))
        return false;
    const char *separator = str_empty(p->separator) ? "\n" : p->separator;
    const char *name = arena_printf(ctx->arena, "reversed%s", extension);
    const char *uri =
        reverse(ctx, fd, separator, &writer, err) ? rows_writer_store(&writer, name, err) : NULL;
    rows_writer_free(&writer);
    value_put_text(out, "uri", uri);
    return uri != NULL;
}

static const struct plugin_output outputs[] = {
    { "uri", "uri", "The reversed file." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.storages.Reverse", NULL };

static const struct plugin_example examples[] = {
    { "Newest row first", "from: \"{{ outputs.extract.uri }}\"\n" },
    { 0 },
};

const struct plugin task_storage_reverse = {
    .id = "io.kestra.plugin.core.storage.Reverse",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Put the rows of a file in reverse order.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
