/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searching the logs of all executions by time.
 *
 * Blocks come in the order in which they were stored, which is not that of their lines: the lines
 * of a task may be hours older than its end. So all rows are looked at, a page at a time, and a
 * heap keeps the places of the best lines up to the end of the wanted page: 24 bytes each, whatever
 * the lines hold. A block that is worse than all of these is not read. At last the lines of the
 * wanted page are read again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "runtime/store/logstore_internal.h"
#include "runtime/store/store.h"

/* Lines before the end of a page that can be asked for: 24 MB of places. */
#define PLACES_MAX 1000000U

/* Where a line is, and its order. */
struct place {
    usec_t at;
    int64_t key;   /* of its row */
    uint32_t line; /* in its block */
};

struct search {
    struct log_files files;
    const struct query *query;
    bool line_by_line;
    size_t wanted;        /* offset + limit */
    struct place *places; /* a heap: the worst is the first */
    size_t count;
    size_t capacity;
    int64_t matched;
    bool counts; /* all matches, not only those of the page */
};

static int compare(const struct place *a, const struct place *b)
{
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Does `a` come before `b` in the answer? */
static bool is_before(const struct search *search, const struct place *a, const struct place *b)
{
    int order = compare(a, b);
    return search->query->descending ? order > 0 : order < 0;
}

static void swap(struct place *a, struct place *b)
{
    struct place kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_up(struct search *search)
{
    for (size_t at = search->count - 1; at > 0;) {
        size_t parent = (at - 1) / 2;
        if (!is_before(search, &search->places[parent], &search->places[at]))
            return;
        swap(&search->places[parent], &search->places[at]);
        at = parent;
    }
}

static void sift_down(struct search *search)
{
    for (size_t at = 0;;) {
        size_t worst = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < search->count &&
                is_before(search, &search->places[worst], &search->places[child]))
                worst = child;
        if (worst == at)
            return;
        swap(&search->places[worst], &search->places[at]);
        at = worst;
    }
}

static void offer(struct search *search, struct place place)
{
    if (search->count < search->wanted) {
        if (search->count == search->capacity) {
            search->capacity = search->capacity == 0 ? 256 : 2 * search->capacity;
            search->places =
                check_realloc(search->places, search->capacity * sizeof(*search->places));
        }
        search->places[search->count++] = place;
        sift_up(search);
    } else if (search->count > 0 && is_before(search, &place, &search->places[0])) {
        search->places[0] = place;
        sift_down(search);
    }
}

/* Could a line of the block be among the best? */
static bool may_be_among(const struct search *search, const struct log_row *row)
{
    if (search->count < search->wanted)
        return true;
    if (search->wanted == 0)
        return false;
    bool descending = search->query->descending;
    struct place best = { .at = descending ? row->last_at : row->first_at,
                          .key = row->key,
                          .line = descending ? UINT32_MAX : 0 };
    return is_before(search, &best, &search->places[0]);
}

static void look_at(struct search *search, const struct log_row *row)
{
    bool is_among = may_be_among(search, row);
    if (!is_among && !search->line_by_line)
        search->matched += row->lines;
    if (!is_among && (!search->line_by_line || !search->counts))
        return;
    struct arena *arena = arena_new();
    struct log_line *lines = NULL;
    size_t count = 0;
    if (!log_files_read(&search->files, arena, row, &lines, &count))
        count = 0;
    for (size_t i = 0; i < count; i++) {
        if (search->line_by_line && !query_matches_line(search->query, &lines[i]))
            continue;
        search->matched++;
        offer(search, (struct place){ .at = lines[i].at, .key = row->key, .line = (uint32_t)i });
    }
    arena_free(arena);
}

/* The filters, and that lines must be better than the worst of those found already. */
static struct query narrowed(const struct search *search,
                             struct filter filters[QUERY_FILTERS_MAX + 1])
{
    struct query query = *search->query;
    bool is_full = search->wanted > 0 && search->count == search->wanted;
    if (!is_full || search->counts || query.filters_count > QUERY_FILTERS_MAX)
        return query;
    if (query.filters_count > 0)
        memcpy(filters, query.filters, query.filters_count * sizeof(*filters));
    filters[query.filters_count++] = (struct filter){
        .field = FIELD_START,
        .match = query.descending ? MATCH_GREATER_EQUAL : MATCH_LESS_EQUAL,
        .at = search->places[0].at,
    };
    query.filters = filters;
    return query;
}

static bool look_at_all(struct search *search, struct store_reader *reader, struct error *err)
{
    int64_t after = 0;
    size_t found = LOG_ROWS_PAGE;
    bool ok = true;
    while (ok && found == LOG_ROWS_PAGE) {
        struct arena *arena = arena_new();
        struct log_row *rows = NULL;
        struct filter filters[QUERY_FILTERS_MAX + 1];
        struct query query = narrowed(search, filters);
        // The latest blocks have most of the latest lines: the heap soon holds the best.
        ok = reader->ops->log_rows(reader, arena, 0, &query, query.descending, after, LOG_ROWS_PAGE,
                                   &rows, &found, err);
        for (size_t i = 0; i < found && ok; i++)
            look_at(search, &rows[i]);
        if (ok && found > 0)
            after = rows[found - 1].key;
        arena_free(arena);
    }
    return ok;
}

/* ---- the page ---- */

/* A line of the page: its place, and where it stands in the answer. */
struct wanted {
    struct place place;
    size_t index;
};

static int compare_ascending(const void *a, const void *b)
{
    return compare(a, b);
}

static int compare_descending(const void *a, const void *b)
{
    return compare(b, a);
}

static int compare_by_row(const void *a, const void *b)
{
    const struct place *x = &((const struct wanted *)a)->place;
    const struct place *y = &((const struct wanted *)b)->place;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

/* Reads one row again and takes lines [0, count) of it. */
static bool read_row(struct search *search,
                     struct store_reader *reader,
                     struct arena *arena,
                     const struct wanted *wanted,
                     size_t count,
                     struct log_line *out,
                     struct error *err)
{
    static const struct query everything = { .sort = FIELD_COUNT, .limit = 1 };
    struct arena *scratch = arena_new();
    struct log_row *rows = NULL;
    size_t found = 0;
    struct log_line *lines = NULL;
    size_t lines_count = 0;
    bool ok = reader->ops->log_rows(reader, scratch, 0, &everything, false, wanted->place.key - 1,
                                    1, &rows, &found, err);
    // A row that was purged or thinned meanwhile leaves gaps.
    if (ok && found == 1 && rows[0].key == wanted->place.key &&
        log_files_read(&search->files, scratch, &rows[0], &lines, &lines_count))
        for (size_t i = 0; i < count; i++) {
            const struct place *place = &wanted[i].place;
            if (place->line < lines_count && lines[place->line].at == place->at)
                out[wanted[i].index] = log_line_keep(arena, &lines[place->line]);
        }
    arena_free(scratch);
    return ok;
}

/* The lines of `count` places in order of the answer; *kept of them are still there. */
static bool read_page(struct search *search,
                      struct store_reader *reader,
                      struct arena *arena,
                      const struct place *places,
                      size_t count,
                      struct log_line *lines,
                      size_t *kept,
                      struct error *err)
{
    struct arena *scratch = arena_new();
    struct wanted *wanted = ARENA_ARRAY(scratch, count + 1, struct wanted);
    for (size_t i = 0; i < count; i++)
        wanted[i] = (struct wanted){ .place = places[i], .index = i };
    if (count > 1)
        qsort(wanted, count, sizeof(*wanted), compare_by_row);
    bool ok = true;
    for (size_t i = 0; i < count && ok;) {
        size_t same = 1;
        while (i + same < count && wanted[i + same].place.key == wanted[i].place.key)
            same++;
        ok = read_row(search, reader, arena, &wanted[i], same, lines, err);
        i += same;
    }
    *kept = 0;
    for (size_t i = 0; i < count; i++)
        if (lines[i].message != NULL)
            lines[(*kept)++] = lines[i];
    arena_free(scratch);
    return ok;
}

bool log_search_all(struct logstore *logstore,
                    struct store_reader *reader,
                    struct arena *arena,
                    const struct query *query,
                    struct log_line **lines,
                    size_t *count,
                    int64_t *total,
                    struct error *err)
{
    if (query->offset > PLACES_MAX || query->limit > PLACES_MAX - query->offset)
        return error_set(err, ERR_LIMIT,
                         "only the first %u lines of a search can be asked for; narrow it by time, "
                         "flow or level",
                         PLACES_MAX);
    struct search search = {
        .files = { .logstore = logstore, .fd = -1 },
        .query = query,
        .line_by_line = log_looks_at_lines(query),
        .wanted = query->limit == 0 ? 0 : query->offset + query->limit,
        .counts = total != NULL,
    };
    bool ok = look_at_all(&search, reader, err);
    if (ok) {
        if (search.count > 1)
            qsort(search.places, search.count, sizeof(*search.places),
                  query->descending ? compare_descending : compare_ascending);
        size_t first = query->offset < search.count ? query->offset : search.count;
        size_t found = search.count - first;
        *lines = ARENA_ARRAY(arena, found + 1, struct log_line);
        ok = read_page(&search, reader, arena, search.places + first, found, *lines, count, err);
    }
    if (ok && total != NULL)
        *total = search.matched;
    log_files_close(&search.files);
    free(search.places);
    return ok;
}
