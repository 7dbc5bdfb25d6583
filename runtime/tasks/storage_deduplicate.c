/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two passes over the file: the first remembers where the last row of each key stands, the second
 * writes those rows. Keys are kept as digests, so memory follows their number, not their length.
 */
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/map.h"
#include "core/ion.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/rows.h"
#include "runtime/worker/evaluate.h"
#include "runtime/worker/task.h"

#define KEYS_MAX  20000000U
#define KEY_BYTES 16U

struct props {
    const char *from;
    const char *expr;
};

static const struct prop props[] = {
    { "from", STR(struct props, from), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "URI of a file with one row per line." },
    { "expr", STR(struct props, expr), .flags = PROP_REQUIRED | PROP_RAW,
      .doc = "Expression that gives the key of a row; the fields of the row are its variables." },
    { 0 },
};

/* Digest of the row's key, as bytes of a map key. */
static bool key_of(struct evaluate_line *line,
                   const struct props *p,
                   const char *row,
                   size_t length,
                   struct sha256 *key,
                   struct error *err)
{
    struct arena *scratch = arena_new();
    const struct value *fields = ion_parse_first(scratch, row, length, NULL, err);
    bool ok = fields != NULL;
    if (ok) {
        evaluate_line_set(line, fields);
        const char *text = expr_render_text(&line->env, scratch, p->expr, NULL, err);
        ok = text != NULL;
        if (ok)
            *key = digest_sha256(text, strlen(text));
    }
    arena_free(scratch);
    return ok;
}

/* First pass: last[key] = number of its last row, from 1. *rows counts those that are not blank. */
static bool find_last(struct evaluate_line *line,
                      const struct props *p,
                      int fd,
                      struct map *last,
                      int64_t *rows,
                      struct error *err)
{
    struct rows_reader reader;
    rows_reader_init(&reader, fd, NULL);
    uintptr_t number = 0;
    bool ok;
    for (;;) {
        const char *row = NULL;
        size_t length = 0;
        struct sha256 key;
        ok = rows_next(&reader, &row, &length, err);
        if (!ok || row == NULL)
            break;
        number++;
        if (rows_is_blank(row, length))
            continue;
        (*rows)++;
        ok = key_of(line, p, row, length, &key, err);
        if (!ok) {
            (void)error_wrap(err, "row %zu", (size_t)number);
            break;
        }
        (void)map_put_bytes(last, key.bytes, KEY_BYTES, (void *)number);
        if (last->count > KEYS_MAX) {
            ok = error_set(err, ERR_LIMIT, "more than %u different keys", KEYS_MAX);
            break;
        }
    }
    rows_reader_free(&reader);
    return ok;
}

/* Second pass: the rows whose number is remembered. */
static bool write_last(struct task_ctx *ctx,
                       int fd,
                       const struct map *last,
                       struct rows_writer *writer,
                       struct error *err)
{
    // The numbers alone, so that keys need not be rendered again.
    struct map wanted = { 0 };
    size_t at = 0;
    const struct map_slot *slot;
    while ((slot = map_next(last, &at)) != NULL) {
        uintptr_t number = (uintptr_t)slot->value;
        (void)map_put_bytes(&wanted, &number, sizeof(number), slot->value);
    }
    struct rows_reader reader;
    rows_reader_init(&reader, fd, NULL);
    bool ok = true;
    for (uintptr_t number = 1; ok; number++) {
        const char *row = NULL;
        size_t length = 0;
        ok = rows_next(&reader, &row, &length, err) && task_check(ctx, err);
        if (!ok || row == NULL)
            break;
        if (map_find_bytes(&wanted, &number, sizeof(number)) != NULL)
            ok = rows_write(writer, row, length, err) && rows_write(writer, "\n", 1, err);
    }
    rows_reader_free(&reader);
    map_free(&wanted);
    return ok;
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct rows_writer writer;
    struct map last = { 0 };
    struct evaluate_line line;
    int64_t rows = 0;

    AUTO_FD int fd = task_open_file(ctx, p->from, err);
    if (fd < 0 || !rows_writer_open(&writer, ctx, ".ion", err))
        return false;
    struct expr_cache *cache = expr_cache_new();
    evaluate_line_init(&line, ctx, cache);
    const char *uri = NULL;
    if (find_last(&line, p, fd, &last, &rows, err)) {
        if (lseek(fd, 0, SEEK_SET) != 0)
            (void)error_set(err, ERR_INTERNAL, "'%s' cannot be read twice", p->from);
        else if (write_last(ctx, fd, &last, &writer, err))
            uri = rows_writer_store(&writer, "deduplicated.ion", err);
    }
    if (uri != NULL) {
        value_put_text(out, "uri", uri);
        value_put_int(out, "numKeys", (int64_t)last.count);
        value_put_int(out, "processedItemsTotal", rows);
        value_put_int(out, "droppedItemsTotal", rows - (int64_t)last.count);
    }
    expr_cache_free(cache);
    map_free(&last);
    rows_writer_free(&writer);
    return uri != NULL;
}

static const struct plugin_output outputs[] = {
    { "uri", "uri", "File with the rows that were kept." },
    { "numKeys", "integer", "Number of different keys." },
    { "processedItemsTotal", "integer", "Rows read." },
    { "droppedItemsTotal", "integer", "Rows left out." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.storages.DeduplicateItems", NULL };

static const struct plugin_example examples[] = {
    { "Keep the last row of each customer", "from: \"{{ outputs.extract.uri }}\"\n"
                                            "expr: \"{{ customer_id }}\"\n" },
    { 0 },
};

const struct plugin task_storage_deduplicate = {
    .id = "io.kestra.plugin.core.storage.DeduplicateItems",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Keep the last row of each key.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
