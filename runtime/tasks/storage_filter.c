/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "core/ion.h"
#include "core/plugin.h"
#include "core/value.h"
#include "runtime/tasks/rows.h"
#include "runtime/worker/evaluate.h"
#include "runtime/worker/task.h"

enum filter_type { FILTER_INCLUDE, FILTER_EXCLUDE };
enum error_behavior { ERROR_FAIL, ERROR_INCLUDE, ERROR_EXCLUDE };

struct props {
    const char *from;
    const char *condition;
    int type;     /* enum filter_type */
    int on_error; /* enum error_behavior */
};

static const char *const type_words[] = { "INCLUDE", "EXCLUDE", NULL };
static const char *const error_words[] = { "FAIL", "INCLUDE", "EXCLUDE", NULL };

static const struct prop props[] = {
    { "from", STR(struct props, from), .flags = PROP_REQUIRED | PROP_EXPR,
      .doc = "URI of a file with one row per line." },
    { "filterCondition", STR(struct props, condition), .flags = PROP_REQUIRED | PROP_RAW,
      .doc = "Expression over the fields of a row." },
    { "filterType", ENUM(struct props, type), .words = type_words, .flags = PROP_EXPR,
      .fallback = "INCLUDE",
      .doc = "Whether rows for which the condition holds are kept or left out." },
    { "errorOrNullBehavior", ENUM(struct props, on_error), .words = error_words, .flags = PROP_EXPR,
      .fallback = "FAIL", .doc = "What to do with a row whose condition fails or gives nothing." },
    { 0 },
};

/* *keep: does the row stay? */
static bool decide(struct evaluate_line *line,
                   const struct props *p,
                   const char *row,
                   size_t length,
                   bool *keep,
                   struct error *err)
{
    struct arena *scratch = arena_new();
    struct error failure = { 0 };
    const struct value *fields = ion_parse_first(scratch, row, length, NULL, &failure);
    const char *text = NULL;
    if (fields != NULL) {
        evaluate_line_set(line, fields);
        text = expr_render_text(&line->env, scratch, p->condition, NULL, &failure);
    }
    bool is_null = text == NULL || *str_trim(scratch, text) == '\0';
    bool ok = true;
    if (!is_null)
        *keep = expr_truthy_text(text) == (p->type == FILTER_INCLUDE);
    else if (p->on_error != ERROR_FAIL)
        *keep = p->on_error == ERROR_INCLUDE;
    else if (text == NULL) {
        if (err != NULL)
            *err = failure;
        ok = false;
    } else {
        ok = error_set(err, ERR_INVALID, "the condition gives nothing");
    }
    arena_free(scratch);
    return ok;
}

static bool run(struct task_ctx *ctx,
                const void *bound,
                struct value_builder *out,
                struct error *err)
{
    const struct props *p = bound;
    struct rows_reader reader;
    struct rows_writer writer;
    struct evaluate_line line;

    AUTO_FD int fd = task_open_file(ctx, p->from, err);
    if (fd < 0 || !rows_writer_open(&writer, ctx, ".ion", err))
        return false;
    struct expr_cache *cache = expr_cache_new();
    evaluate_line_init(&line, ctx, cache);
    rows_reader_init(&reader, fd, NULL);
    int64_t rows = 0;
    int64_t dropped = 0;
    bool ok;
    for (;;) {
        const char *row = NULL;
        size_t length = 0;
        bool keep = false;
        ok = rows_next(&reader, &row, &length, err) && task_check(ctx, err);
        if (!ok || row == NULL)
            break;
        if (rows_is_blank(row, length))
            continue;
        rows++;
        ok = decide(&line, p, row, length, &keep, err);
        if (!ok) {
            (void)error_wrap(err, "row %lld", (long long)rows);
            break;
        }
        if (!keep)
            dropped++;
        else if (!rows_write(&writer, row, length, err) || !rows_write(&writer, "\n", 1, err)) {
            ok = false;
            break;
        }
    }
    const char *uri = ok ? rows_writer_store(&writer, "filtered.ion", err) : NULL;
    if (uri != NULL) {
        value_put_text(out, "uri", uri);
        value_put_int(out, "processedItemsTotal", rows);
        value_put_int(out, "droppedItemsTotal", dropped);
    }
    rows_reader_free(&reader);
    rows_writer_free(&writer);
    expr_cache_free(cache);
    return uri != NULL;
}

static const struct plugin_output outputs[] = {
    { "uri", "uri", "File with the rows that were kept." },
    { "processedItemsTotal", "integer", "Rows read." },
    { "droppedItemsTotal", "integer", "Rows left out." },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.storages.FilterItems", NULL };

static const struct plugin_example examples[] = {
    { "Keep large orders", "from: \"{{ outputs.extract.uri }}\"\n"
                           "filterCondition: \"{{ amount > 1000 }}\"\n" },
    { 0 },
};

const struct plugin task_storage_filter = {
    .id = "io.kestra.plugin.core.storage.FilterItems",
    .role = PLUGIN_TASK,
    .task_kind = TASK_CALL,
    .title = "Keep the rows for which a condition holds.",
    .aliases = aliases,
    .props = props,
    .props_size = sizeof(struct props),
    .outputs = outputs,
    .examples = examples,
    .call_ops = &(const struct call_ops){ .run = run },
};
