/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts are kept as a path and a small buffer each, so that any number of them needs neither a
 * descriptor nor memory of its own size.
 */
#include "runtime/tasks/split.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/regex.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/value.h"
#include "runtime/tasks/rows.h"
#include "runtime/worker/task.h"

#define PART_BUFFER ((size_t)64 * 1024)
/* Buffers of all parts together. */
#define BUFFERS_MAX ((size_t)32 * 1024 * 1024)
#define GROUP_MAX   2

struct part {
    char *local;
    struct buf buffer;
    int64_t bytes;
    int64_t rows;
};

struct split {
    struct task_ctx *ctx;
    const struct split_options *options;
    const char *extension;
    VEC(struct part) parts; /* in order of appearance */
    size_t buffered;
    struct regex *regex;
    struct map groups; /* key -> index + 1 */
    int64_t row;
    VEC(const char *) uris; /* of parts stored already, by index */
};

static bool flush(struct split *split, struct part *part, struct error *err)
{
    if (part->buffer.length == 0)
        return true;
    AUTO_FD int fd = open(part->local, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return fs_error(err, errno, "create", part->local);
    bool ok = fs_write_fd(fd, part->buffer.bytes, part->buffer.length, part->local, err);
    split->buffered -= part->buffer.length;
    buf_free(&part->buffer);
    part->buffer = (struct buf){ 0 };
    return ok;
}

static struct part *add_part(struct split *split, struct error *err)
{
    if (split->parts.count == SPLIT_FILES_MAX) {
        error_set(err, ERR_LIMIT, "more than %u files", SPLIT_FILES_MAX);
        return NULL;
    }
    struct part part = { .local = task_temp_path(split->ctx, split->extension, err) };
    if (part.local == NULL)
        return NULL;
    struct part *added = VEC_PUSH(&split->parts);
    *added = part;
    return added;
}

/* A part that takes no more rows goes to the storage at once. */
static bool store(struct split *split, size_t index, struct error *err)
{
    struct part *part = &split->parts.items[index];
    while (split->uris.count <= index)
        *VEC_PUSH(&split->uris) = NULL;
    const char *name = arena_printf(split->ctx->arena, "%zu%s", index, split->extension);
    const char *uri;
    if (part->bytes == (int64_t)part->buffer.length) { // never reached the disk
        uri = task_store_bytes(split->ctx, buf_text(&part->buffer), part->buffer.length, name, err);
        split->buffered -= part->buffer.length;
        buf_free(&part->buffer);
        part->buffer = (struct buf){ 0 };
    } else {
        uri = flush(split, part, err) ? task_store_file(split->ctx, part->local, name, err) : NULL;
    }
    split->uris.items[index] = uri;
    return uri != NULL;
}

/* The last part, or a new one when that is full. */
static struct part *sequential(struct split *split, struct error *err)
{
    const struct split_options *options = split->options;
    size_t count = split->parts.count;
    if (count == 0)
        return add_part(split, err);
    const struct part *last = &split->parts.items[count - 1];
    bool is_full = options->bytes > 0 ? last->bytes >= options->bytes : last->rows >= options->rows;
    if (!is_full)
        return &split->parts.items[count - 1];
    return store(split, count - 1, err) ? add_part(split, err) : NULL;
}

/* *skip: no group for the row. */
static struct part *grouped(
    struct split *split, const char *row, size_t length, bool *skip, struct error *err)
{
    struct regex_span spans[GROUP_MAX];
    enum regex_result result = regex_find(split->regex, row, length, 0, spans, GROUP_MAX);
    if (result == REGEX_GAVE_UP) {
        error_set(err, ERR_INVALID, "row %lld cannot be matched", (long long)split->row);
        return NULL;
    }
    if (result == REGEX_NO_MATCH || spans[1].start == SIZE_MAX) {
        *skip = true;
        return NULL;
    }
    const char *key = row + spans[1].start;
    size_t key_length = spans[1].end - spans[1].start;
    uintptr_t found = (uintptr_t)map_find_bytes(&split->groups, key, key_length);
    if (found > 0)
        return &split->parts.items[found - 1];
    struct part *part = add_part(split, err);
    if (part != NULL)
        (void)map_put_bytes(&split->groups, key, key_length, (void *)(uintptr_t)split->parts.count);
    return part;
}

static struct part *choose(
    struct split *split, const char *row, size_t length, bool *skip, struct error *err)
{
    const struct split_options *options = split->options;
    if (split->regex != NULL)
        return grouped(split, row, length, skip, err);
    if (options->bytes > 0 || options->partitions <= 0)
        return sequential(split, err);
    if (split->parts.count < (size_t)options->partitions)
        return add_part(split, err);
    return &split->parts.items[(split->row - 1) % options->partitions];
}

static bool take(struct split *split, const char *row, size_t length, struct error *err)
{
    bool skip = false;
    split->row++;
    struct part *part = choose(split, row, length, &skip, err);
    if (part == NULL)
        return skip;
    const char *separator = split->options->separator;
    size_t separator_length = strlen(separator);
    buf_add(&part->buffer, row, length);
    buf_add(&part->buffer, separator, separator_length);
    part->bytes += (int64_t)(length + separator_length);
    part->rows++;
    split->buffered += length + separator_length;
    if (part->buffer.length >= PART_BUFFER)
        return flush(split, part, err);
    if (split->buffered < BUFFERS_MAX)
        return true;
    for (size_t i = 0; i < split->parts.count; i++)
        if (!flush(split, &split->parts.items[i], err))
            return false;
    return true;
}

static bool read_rows(struct split *split, int fd, struct error *err)
{
    struct rows_reader reader;
    rows_reader_init(&reader, fd, split->options->separator);
    bool ok;
    for (;;) {
        const char *row = NULL;
        size_t length = 0;
        ok = rows_next(&reader, &row, &length, err) && task_check(split->ctx, err);
        if (!ok || row == NULL)
            break;
        if (!take(split, row, length, err)) {
            ok = false;
            break;
        }
    }
    rows_reader_free(&reader);
    return ok;
}

const struct value *split_file(struct task_ctx *ctx,
                               const char *from,
                               const struct split_options *options,
                               struct error *err)
{
    struct split_options chosen = *options;
    if (str_empty(chosen.separator))
        chosen.separator = "\n";
    struct split split = { .ctx = ctx,
                           .options = &chosen,
                           .extension = rows_extension(ctx, from, ".tmp") };
    if (chosen.regex == NULL && chosen.bytes <= 0 && chosen.partitions <= 0 && chosen.rows <= 0) {
        error_set(err, ERR_INVALID,
                  "one of 'regexPattern', 'bytes', 'partitions' and 'rows' is needed");
        return NULL;
    }
    if (chosen.regex != NULL) {
        split.regex = regex_new(chosen.regex, strlen(chosen.regex), err);
        if (split.regex != NULL && regex_groups(split.regex) == 0) {
            error_set(err, ERR_INVALID, "'regexPattern' needs a group: '%s'", chosen.regex);
            regex_free(split.regex);
            split.regex = NULL;
        }
        if (split.regex == NULL)
            return NULL;
    }
    AUTO_FD int fd = task_open_file(ctx, from, err);
    bool ok = fd >= 0 && read_rows(&split, fd, err);
    struct value_builder uris = value_build(ctx->arena);
    for (size_t i = 0; ok && i < split.parts.count; i++) {
        if (i >= split.uris.count || split.uris.items[i] == NULL)
            ok = store(&split, i, err);
        if (ok)
            value_add(&uris, value_string(ctx->arena, split.uris.items[i]));
    }
    for (size_t i = 0; i < split.parts.count; i++)
        buf_free(&split.parts.items[i].buffer);
    VEC_FREE(&split.parts);
    VEC_FREE(&split.uris);
    map_free(&split.groups);
    regex_free(split.regex);
    return ok ? value_build_list(&uris) : NULL;
}
