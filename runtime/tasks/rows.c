/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tasks/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "runtime/worker/task.h"

#define READ_BYTES  ((size_t)256 * 1024)
#define WRITE_BYTES ((size_t)256 * 1024)

void rows_reader_init(struct rows_reader *reader, int fd, const char *separator)
{
    *reader =
        (struct rows_reader){ .fd = fd, .separator = str_empty(separator) ? "\n" : separator };
    reader->separator_length = strlen(reader->separator);
}

void rows_reader_free(struct rows_reader *reader)
{
    buf_free(&reader->buffer);
}

/* Drops rows that were given, reads more. */
static bool fill(struct rows_reader *reader, struct error *err)
{
    struct buf *buffer = &reader->buffer;
    if (reader->at > 0) {
        memmove(buffer->bytes, buffer->bytes + reader->at, buffer->length - reader->at);
        buffer->length -= reader->at;
        reader->at = 0;
    }
    if (buffer->length > ROW_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "a row is longer than %zu bytes", ROW_BYTES_MAX);
    char *room = buf_reserve(buffer, READ_BYTES);
    ssize_t got;
    do {
        got = read(reader->fd, room, READ_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return fs_error(err, errno, "read", "rows");
    buf_added(buffer, (size_t)got);
    reader->is_ended = got == 0;
    return true;
}

bool rows_next(struct rows_reader *reader, const char **row, size_t *length, struct error *err)
{
    size_t searched = 0; // bytes after `at` known to hold no separator
    for (;;) {
        const char *from = buf_text(&reader->buffer) + reader->at;
        size_t left = reader->buffer.length - reader->at;
        const char *stop =
            memmem(from + searched, left - searched, reader->separator, reader->separator_length);
        if (stop != NULL) {
            *row = from;
            *length = (size_t)(stop - from);
            reader->at += *length + reader->separator_length;
            return true;
        }
        if (reader->is_ended) {
            *row = left > 0 ? from : NULL;
            *length = left;
            reader->at += left;
            return true;
        }
        searched = left < reader->separator_length ? 0 : left - reader->separator_length + 1;
        if (!fill(reader, err))
            return false;
    }
}

bool rows_is_blank(const char *row, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (row[i] != ' ' && row[i] != '\t' && row[i] != '\r' && row[i] != '\n')
            return false;
    return true;
}

bool rows_writer_open(struct rows_writer *writer,
                      struct task_ctx *ctx,
                      const char *extension,
                      struct error *err)
{
    *writer = (struct rows_writer){ .ctx = ctx, .fd = -1 };
    writer->local = task_temp_path(ctx, extension, err);
    if (writer->local == NULL)
        return false;
    writer->fd = open(writer->local, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return writer->fd >= 0 || fs_error(err, errno, "create", writer->local);
}

static bool flush(struct rows_writer *writer, struct error *err)
{
    bool ok =
        fs_write_fd(writer->fd, buf_text(&writer->buffer), writer->buffer.length, "rows", err);
    buf_clear(&writer->buffer);
    return ok;
}

bool rows_write(struct rows_writer *writer, const void *bytes, size_t length, struct error *err)
{
    buf_add(&writer->buffer, bytes, length);
    writer->bytes += (int64_t)length;
    return writer->buffer.length < WRITE_BYTES || flush(writer, err);
}

const char *rows_writer_store(struct rows_writer *writer, const char *name, struct error *err)
{
    bool ok = flush(writer, err);
    (void)close(writer->fd);
    writer->fd = -1;
    return ok ? task_store_file(writer->ctx, writer->local, name, err) : NULL;
}

void rows_writer_free(struct rows_writer *writer)
{
    buf_free(&writer->buffer);
    if (writer->fd >= 0)
        (void)close(writer->fd);
    writer->fd = -1;
}

const char *rows_extension(struct task_ctx *ctx, const char *uri, const char *fallback)
{
    const char *slash = strrchr(uri, '/');
    const char *dot = slash == NULL ? NULL : strrchr(slash, '.');
    if (dot == NULL || dot == slash + 1 || dot[1] == '\0' || strlen(dot) > 16 ||
        strchr(dot, '%') != NULL)
        return fallback;
    return arena_strdup(ctx->arena, dot);
}
