/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/text_diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/map.h"
#include "base/str.h"

/*
 * Longest edit that is looked for. Its search costs about its square in time and, because the way
 * is kept, in memory: 2,000 lines are 16 MiB for an instant.
 */
#define EDIT_MAX 2000

#define BINARY_LOOK 8192U

struct line {
    const char *text;
    size_t length; /* with its line end */
    uint32_t id;   /* equal lines have equal ids */
};

struct lines {
    struct line *items;
    size_t count;
};

static void add_lines(
    struct lines *lines, struct map *ids, uint32_t *next, const char *text, size_t length)
{
    size_t capacity = 64;
    lines->items = check_malloc(capacity * sizeof(*lines->items)); // an array also for no lines
    const char *end = text + length;
    for (const char *at = text; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t span = stop == NULL ? (size_t)(end - at) : (size_t)(stop + 1 - at);
        if (lines->count == capacity) {
            capacity *= 2;
            lines->items = check_realloc(lines->items, capacity * sizeof(*lines->items));
        }
        uintptr_t id = (uintptr_t)map_find_bytes(ids, at, span);
        if (id == 0) {
            id = ++*next;
            (void)map_put_bytes(ids, at, span, (void *)id);
        }
        lines->items[lines->count++] =
            (struct line){ .text = at, .length = span, .id = (uint32_t)id };
        at += span;
    }
}

/* Two texts as lines, without what they have in common at both ends. */
struct pair {
    struct lines a;
    struct lines b;
    uint32_t ids;
    size_t head; /* common lines in front */
    size_t n;    /* lines between, of each */
    size_t m;
};

static struct pair pair_new(const char *before,
                            size_t before_length,
                            const char *after,
                            size_t after_length)
{
    struct pair pair = { 0 };
    struct map ids = { 0 };
    add_lines(&pair.a, &ids, &pair.ids, before, before_length);
    add_lines(&pair.b, &ids, &pair.ids, after, after_length);
    map_free(&ids);
    size_t n = pair.a.count;
    size_t m = pair.b.count;
    while (pair.head < n && pair.head < m &&
           pair.a.items[pair.head].id == pair.b.items[pair.head].id)
        pair.head++;
    while (n > pair.head && m > pair.head && pair.a.items[n - 1].id == pair.b.items[m - 1].id) {
        n--;
        m--;
    }
    pair.n = n - pair.head;
    pair.m = m - pair.head;
    return pair;
}

static void pair_release(struct pair *pair)
{
    free(pair->a.items);
    free(pair->b.items);
}

/*
 * Furthest positions per diagonal, for each length of edit. rows[d] holds 2d + 1 of them, or is
 * NULL when the way is not wanted.
 *
 * Returns  the length of the shortest edit, or -1 when it is longer than EDIT_MAX
 */
static int shortest_edit(const struct pair *pair, int32_t **rows)
{
    int32_t n = (int32_t)pair->n;
    int32_t m = (int32_t)pair->m;
    const struct line *a = pair->a.items + pair->head;
    const struct line *b = pair->b.items + pair->head;
    int32_t *v = check_calloc(2 * EDIT_MAX + 3, sizeof(*v));
    int32_t *middle = v + EDIT_MAX + 1;
    int found = -1;
    for (int32_t d = 0; d <= EDIT_MAX && found < 0; d++) {
        for (int32_t k = -d; k <= d; k += 2) {
            bool is_down = k == -d || (k != d && middle[k - 1] < middle[k + 1]);
            int32_t x = is_down ? middle[k + 1] : middle[k - 1] + 1;
            int32_t y = x - k;
            while (x < n && y < m && a[x].id == b[y].id) {
                x++;
                y++;
            }
            middle[k] = x;
            if (x >= n && y >= m) {
                found = d;
                break;
            }
        }
        if (rows != NULL) {
            rows[d] = check_malloc((size_t)(2 * d + 1) * sizeof(**rows));
            memcpy(rows[d], middle - d, (size_t)(2 * d + 1) * sizeof(**rows));
        }
    }
    free(v);
    return found;
}

/* Lines left over when equal ones are paired off wherever they stand. */
static struct text_stat stat_by_count(const struct pair *pair)
{
    int32_t *counts = check_calloc((size_t)pair->ids + 1, sizeof(*counts));
    struct text_stat stat = { 0 };
    for (size_t i = 0; i < pair->n; i++)
        counts[pair->a.items[pair->head + i].id]++;
    for (size_t i = 0; i < pair->m; i++) {
        int32_t *left = &counts[pair->b.items[pair->head + i].id];
        if (*left > 0)
            --*left;
        else
            stat.added++;
    }
    stat.removed = (uint32_t)(pair->n - (pair->m - stat.added));
    free(counts);
    return stat;
}

struct text_stat text_diff_stat(const char *before,
                                size_t before_length,
                                const char *after,
                                size_t after_length)
{
    struct pair pair = pair_new(before, before_length, after, after_length);
    int edit = shortest_edit(&pair, NULL);
    struct text_stat stat;
    if (edit < 0) {
        stat = stat_by_count(&pair);
    } else {
        // an edit of d steps from n lines to m lines adds (d + m - n) / 2 of them
        size_t d = (size_t)edit;
        stat.added = (uint32_t)((d + pair.m - pair.n) / 2);
        stat.removed = (uint32_t)((d + pair.n - pair.m) / 2);
    }
    pair_release(&pair);
    return stat;
}

bool text_is_binary(const char *bytes, size_t length)
{
    size_t look = length < BINARY_LOOK ? length : BINARY_LOOK;
    if (memchr(bytes, '\0', look) != NULL)
        return true;
    // a character may be cut by the look's end
    while (look < length && look > 0 && ((unsigned char)bytes[look] & 0xc0) == 0x80)
        look--;
    return !utf8_valid(bytes, look);
}

/* ---- unified form ---- */

struct edit {
    char sign; /* ' ', '-', '+' */
    const struct line *line;
};

struct script {
    struct edit *items;
    size_t count;
};

static void push(struct script *script, char sign, const struct line *line)
{
    script->items[script->count++] = (struct edit){ .sign = sign, .line = line };
}

/* Walks the kept positions backwards; fills the part between head and tail in reverse. */
static void trace(const struct pair *pair, int32_t **rows, int edit, struct script *reversed)
{
    const struct line *a = pair->a.items + pair->head;
    const struct line *b = pair->b.items + pair->head;
    int32_t x = (int32_t)pair->n;
    int32_t y = (int32_t)pair->m;
    for (int32_t d = edit; d > 0; d--) {
        const int32_t *row = rows[d - 1] + (d - 1); // row[k] for -d < k < d
        int32_t k = x - y;
        bool is_down = k == -d || (k != d && row[k - 1] < row[k + 1]);
        int32_t from_k = is_down ? k + 1 : k - 1;
        int32_t from_x = row[from_k];
        int32_t from_y = from_x - from_k;
        int32_t start_x = is_down ? from_x : from_x + 1;
        while (x > start_x) {
            x--;
            y--;
            push(reversed, ' ', &a[x]);
        }
        if (is_down)
            push(reversed, '+', &b[from_y]);
        else
            push(reversed, '-', &a[from_x]);
        x = from_x;
        y = from_y;
    }
    while (x > 0) {
        x--;
        push(reversed, ' ', &a[x]);
    }
}

static struct script script_new(const struct pair *pair)
{
    struct script script = {
        .items = check_calloc(pair->a.count + pair->b.count + 1, sizeof(struct edit)),
    };
    for (size_t i = 0; i < pair->head; i++)
        push(&script, ' ', &pair->a.items[i]);

    int32_t **rows = check_calloc(EDIT_MAX + 1, sizeof(*rows));
    int edit = shortest_edit(pair, rows);
    if (edit >= 0) {
        struct script reversed = {
            .items = check_calloc(pair->n + pair->m + 1, sizeof(struct edit)),
        };
        trace(pair, rows, edit, &reversed);
        for (size_t i = reversed.count; i > 0; i--)
            script.items[script.count++] = reversed.items[i - 1];
        free(reversed.items);
    } else {
        for (size_t i = 0; i < pair->n; i++)
            push(&script, '-', &pair->a.items[pair->head + i]);
        for (size_t i = 0; i < pair->m; i++)
            push(&script, '+', &pair->b.items[pair->head + i]);
    }
    for (size_t d = 0; d <= EDIT_MAX; d++)
        free(rows[d]);
    free(rows);

    for (size_t i = pair->head + pair->n; i < pair->a.count; i++)
        push(&script, ' ', &pair->a.items[i]);
    return script;
}

static void put_range(struct buf *out, char sign, size_t start, size_t count)
{
    // a range without lines is named by the line before it
    buf_printf(out, "%c%zu", sign, count == 0 ? start : start + 1);
    if (count != 1)
        buf_printf(out, ",%zu", count);
}

void text_diff_write(struct buf *out,
                     const char *before,
                     size_t before_length,
                     const char *after,
                     size_t after_length,
                     size_t context)
{
    struct pair pair = pair_new(before, before_length, after, after_length);
    struct script script = script_new(&pair);
    size_t a = 0; // lines of both texts before the edit at i
    size_t b = 0;
    for (size_t i = 0; i < script.count;) {
        if (script.items[i].sign == ' ') {
            i++;
            a++;
            b++;
            continue;
        }
        // a hunk: until more than twice the context is equal
        size_t lead = i < context ? i : context;
        size_t stop = i;
        size_t equal = 0;
        for (size_t j = i; j < script.count && equal <= 2 * context; j++) {
            equal = script.items[j].sign == ' ' ? equal + 1 : 0;
            if (equal == 0)
                stop = j + 1;
        }
        size_t last = stop + context < script.count ? stop + context : script.count;
        size_t count_a = 0;
        size_t count_b = 0;
        for (size_t j = i - lead; j < last; j++) {
            count_a += script.items[j].sign != '+';
            count_b += script.items[j].sign != '-';
        }
        buf_puts(out, "@@ ");
        put_range(out, '-', a - lead, count_a);
        buf_putc(out, ' ');
        put_range(out, '+', b - lead, count_b);
        buf_puts(out, " @@\n");
        for (size_t j = i - lead; j < last; j++) {
            const struct line *line = script.items[j].line;
            buf_putc(out, script.items[j].sign);
            buf_add(out, line->text, line->length);
            if (line->text[line->length - 1] != '\n')
                buf_puts(out, "\n\\ No newline at end of file\n");
        }
        a += count_a - lead;
        b += count_b - lead;
        i = last;
    }
    free(script.items);
    pair_release(&pair);
}
