/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the log of an execution: blocks in order of time, merged where they overlap, so that
 * memory follows the number of tasks that printed at the same time, not the length of the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/store/logstore_internal.h"
#include "runtime/store/store.h"

/* Index rows of one execution that are read: a log of 256 GiB. */
#define ROWS_MAX 1000000U

/* A block being read. */
struct open_block {
    struct arena *arena;
    struct log_line *lines;
    size_t count;
    size_t at; /* next line to give */
    struct open_block *next;
};

/* Reads blocks of some rows, merged by time. */
struct merge {
    struct log_files files;
    bool descending;
    struct log_row *rows; /* sorted by first time, or by last time when descending */
    size_t count;
    size_t next;
    struct open_block *open; /* few: those that overlap */
};

static int compare_ascending(const void *a, const void *b)
{
    const struct log_row *x = a;
    const struct log_row *y = b;
    if (x->first_at != y->first_at)
        return x->first_at < y->first_at ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

static int compare_descending(const void *a, const void *b)
{
    const struct log_row *x = a;
    const struct log_row *y = b;
    if (x->last_at != y->last_at)
        return x->last_at > y->last_at ? -1 : 1;
    return x->key > y->key ? -1 : x->key < y->key;
}

static void merge_start(struct merge *merge, struct log_row *rows, size_t count)
{
    merge->rows = rows;
    merge->count = count;
    merge->next = 0;
    if (count > 1)
        qsort(rows, count, sizeof(*rows),
              merge->descending ? compare_descending : compare_ascending);
}

void log_files_close(struct log_files *files)
{
    if (files->fd >= 0)
        (void)close(files->fd);
    files->fd = -1;
}

static void block_free(struct open_block *block)
{
    arena_free(block->arena);
}

static void merge_end(struct merge *merge)
{
    while (merge->open != NULL) {
        struct open_block *next = merge->open->next;
        block_free(merge->open);
        merge->open = next;
    }
    log_files_close(&merge->files);
}

/* Stored bytes of a block in a file; NULL when they are not there. */
static const void *read_bytes(struct log_files *files,
                              const struct log_row *row,
                              struct arena *arena)
{
    if (files->fd < 0 || strcmp(files->file_id, row->execution_id.text) != 0) {
        log_files_close(files);
        files->fd = logstore_open(files->logstore, row->execution_id.text, O_RDONLY, NULL);
        memcpy(files->file_id, row->execution_id.text, sizeof(files->file_id));
    }
    if (files->fd < 0 || row->file_length < 0 ||
        row->file_length > (int64_t)(2 * (LOG_BLOCK_BYTES + LOG_MESSAGE_MAX)))
        return NULL;
    char *bytes = arena_bytes_alloc(arena, (size_t)row->file_length);
    size_t got = 0;
    while (got < (size_t)row->file_length) {
        ssize_t length = pread(files->fd, bytes + got, (size_t)row->file_length - got,
                               row->file_at + (int64_t)got);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            return NULL;
        got += (size_t)length;
    }
    return bytes;
}

bool log_files_read(struct log_files *files,
                    struct arena *arena,
                    const struct log_row *row,
                    struct log_line **lines,
                    size_t *count)
{
    struct error err = { 0 };
    const void *bytes = row->body.at;
    size_t length = row->body.length;
    if (row->file_at >= 0) {
        bytes = read_bytes(files, row, arena);
        length = (size_t)row->file_length;
    }
    if (bytes != NULL && log_block_decode(arena, row, bytes, length, lines, count, &err))
        return true;
    log_debug("a log block is left out", LOG_STR("execution", row->execution_id.text));
    return false;
}

static void open_row(struct merge *merge, const struct log_row *row)
{
    struct arena *arena = arena_new();
    struct open_block *block = ARENA_NEW(arena, struct open_block);
    block->arena = arena;
    if (!log_files_read(&merge->files, arena, row, &block->lines, &block->count)) {
        block_free(block);
        return;
    }
    if (merge->descending)
        for (size_t i = 0; i < block->count / 2; i++) {
            struct log_line line = block->lines[i];
            block->lines[i] = block->lines[block->count - 1 - i];
            block->lines[block->count - 1 - i] = line;
        }
    // At the end: of lines with the same time, those of earlier blocks come first.
    struct open_block **end = &merge->open;
    while (*end != NULL)
        end = &(*end)->next;
    *end = block;
}

static bool is_before(const struct merge *merge, usec_t a, usec_t b)
{
    return merge->descending ? a > b : a < b;
}

/* The open block with the next line; NULL when there is none. */
static struct open_block *first_open(struct merge *merge)
{
    struct open_block *best = NULL;
    for (struct open_block **at = &merge->open; *at != NULL;) {
        struct open_block *block = *at;
        if (block->at == block->count) {
            *at = block->next;
            block_free(block);
            continue;
        }
        if (best == NULL || is_before(merge, block->lines[block->at].at, best->lines[best->at].at))
            best = block;
        at = &block->next;
    }
    return best;
}

/* First time at which a row can have a line. */
static usec_t row_begin(const struct merge *merge, const struct log_row *row)
{
    return merge->descending ? row->last_at : row->first_at;
}

/* The next line, borrowed until the next call; NULL at the end. */
static const struct log_line *merge_next(struct merge *merge)
{
    for (;;) {
        struct open_block *best = first_open(merge);
        bool opens = merge->next < merge->count &&
                     (best == NULL || !is_before(merge, best->lines[best->at].at,
                                                 row_begin(merge, &merge->rows[merge->next])));
        if (!opens)
            return best == NULL ? NULL : &best->lines[best->at++];
        open_row(merge, &merge->rows[merge->next++]);
    }
}

/* Passes over a whole block without reading it; 0 when it overlaps with another. */
static size_t merge_skip(struct merge *merge, size_t most)
{
    if (merge->next == merge->count || first_open(merge) != NULL)
        return 0;
    const struct log_row *row = &merge->rows[merge->next];
    const struct log_row *after = row + 1;
    usec_t end = merge->descending ? row->first_at : row->last_at;
    bool is_alone =
        merge->next + 1 == merge->count || is_before(merge, end, row_begin(merge, after));
    if (!is_alone || row->lines > most)
        return 0;
    merge->next++;
    return row->lines;
}

/* ---- rows ---- */

static bool all_rows(struct store_reader *reader,
                     struct arena *arena,
                     int64_t execution,
                     const struct query *query,
                     struct log_row **out,
                     size_t *count,
                     struct error *err)
{
    VEC(struct log_row) all = { 0 };
    int64_t after = 0;
    size_t found = LOG_ROWS_PAGE;
    while (found == LOG_ROWS_PAGE && all.count < ROWS_MAX) {
        struct log_row *rows = NULL;
        if (!reader->ops->log_rows(reader, arena, execution, query, false, after, LOG_ROWS_PAGE,
                                   &rows, &found, err))
            return false;
        for (size_t i = 0; i < found; i++) {
            *VEC_PUSH_ARENA(arena, &all) = rows[i];
            after = rows[i].key;
        }
    }
    *out = all.items;
    *count = all.count;
    return true;
}

bool log_looks_at_lines(const struct query *query)
{
    for (size_t i = 0; i < query->filters_count; i++) {
        enum field field = query->filters[i].field;
        if (field != FIELD_NAMESPACE && field != FIELD_FLOW && field != FIELD_EXECUTION &&
            field != FIELD_TRIGGER)
            return true;
    }
    return false;
}

/* ---- pages ---- */

struct page {
    const struct query *query;
    struct arena *arena;
    VEC(struct log_line) lines;
    size_t matched;
    bool counts; /* goes on behind the page */
    bool line_by_line;
};

static bool page_is_full(const struct page *page)
{
    return !page->counts && page->lines.count >= page->query->limit;
}

struct log_line log_line_keep(struct arena *arena, const struct log_line *line)
{
    struct log_line kept = *line;
    kept.message = arena_strndup(arena, line->message, line->length);
    kept.source.execution_id = arena_strdup(arena, line->source.execution_id);
    kept.source.task_id = arena_strdup(arena, line->source.task_id);
    kept.source.run_id = arena_strdup(arena, line->source.run_id);
    kept.source.namespace = arena_strdup(arena, line->source.namespace);
    kept.source.flow_id = arena_strdup(arena, line->source.flow_id);
    kept.source.trigger_id = arena_strdup(arena, line->source.trigger_id);
    return kept;
}

static void page_add(struct page *page, const struct log_line *line)
{
    if (page->line_by_line && !query_matches_line(page->query, line))
        return;
    size_t at = page->matched++;
    if (at < page->query->offset || page->lines.count >= page->query->limit)
        return;
    *VEC_PUSH_ARENA(page->arena, &page->lines) = log_line_keep(page->arena, line);
}

/* Lines of the merge: blocks before and after the page are only counted where that is possible. */
static void page_fill(struct page *page, struct merge *merge)
{
    while (!page_is_full(page)) {
        if (!page->line_by_line) {
            bool is_behind = page->lines.count >= page->query->limit;
            size_t most = is_behind ? SIZE_MAX
                          : page->matched < page->query->offset
                              ? page->query->offset - page->matched
                              : 0;
            size_t skipped = most == 0 ? 0 : merge_skip(merge, most);
            page->matched += skipped;
            if (skipped > 0)
                continue;
        }
        const struct log_line *line = merge_next(merge);
        if (line == NULL)
            return;
        page_add(page, line);
    }
}

bool logstore_search(struct logstore *logstore,
                     struct store_reader *reader,
                     struct arena *arena,
                     int64_t execution,
                     const struct query *query,
                     struct log_line **lines,
                     size_t *count,
                     int64_t *total,
                     struct error *err)
{
    if (execution == 0)
        return log_search_all(logstore, reader, arena, query, lines, count, total, err);
    struct merge merge = { .files = { .logstore = logstore, .fd = -1 },
                           .descending = query->descending };
    struct page page = { .query = query,
                         .arena = arena,
                         .counts = total != NULL,
                         .line_by_line = log_looks_at_lines(query) };
    struct arena *scratch = arena_new();
    struct log_row *rows = NULL;
    size_t found = 0;
    bool ok = all_rows(reader, scratch, execution, query, &rows, &found, err);
    if (ok) {
        merge_start(&merge, rows, found);
        page_fill(&page, &merge);
    }
    merge_end(&merge);
    arena_free(scratch);
    if (!ok)
        return false;
    *lines = page.lines.items;
    *count = page.lines.count;
    if (total != NULL)
        *total = (int64_t)page.matched;
    return true;
}

bool logstore_walk(struct logstore *logstore,
                   struct store_reader *reader,
                   int64_t execution,
                   const struct query *query,
                   log_visit_fn *visit,
                   void *data,
                   struct error *err)
{
    struct merge merge = { .files = { .logstore = logstore, .fd = -1 },
                           .descending = query->descending };
    struct arena *arena = arena_new();
    struct log_row *rows = NULL;
    size_t count = 0;
    bool ok = all_rows(reader, arena, execution, query, &rows, &count, err);
    if (ok) {
        const struct log_line *line;
        merge_start(&merge, rows, count);
        while ((line = merge_next(&merge)) != NULL)
            if (query_matches_line(query, line) && !visit(data, line))
                break;
        merge_end(&merge);
    }
    arena_free(arena);
    return ok;
}
