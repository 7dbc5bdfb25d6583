/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/value.h"

#define FDS 3

static bool use_color[FDS];
static bool is_json;

static const char *const escapes[] = {
    [PAINT_OFF] = "\x1b[0m",     [PAINT_GREEN] = "\x1b[32m", [PAINT_RED] = "\x1b[31m",
    [PAINT_YELLOW] = "\x1b[33m", [PAINT_BLUE] = "\x1b[34m",  [PAINT_GREY] = "\x1b[90m",
    [PAINT_BOLD] = "\x1b[1m",
};

/* One row per state that people see; a symbol stands beside every colour. */
static const struct state_look {
    const char *state;
    enum paint paint;
    const char *symbol;
} looks[] = {
    { "SUCCESS", PAINT_GREEN, "✓" },     { "FAILED", PAINT_RED, "✗" },
    { "KILLED", PAINT_RED, "✗" },        { "WARNING", PAINT_YELLOW, "!" },
    { "CANCELLED", PAINT_YELLOW, "!" },  { "PAUSED", PAINT_YELLOW, "◷" },
    { "QUEUED", PAINT_YELLOW, "◷" },     { "RETRYING", PAINT_YELLOW, "◷" },
    { "BREAKPOINT", PAINT_YELLOW, "◷" }, { "RUNNING", PAINT_BLUE, "▶" },
    { "KILLING", PAINT_BLUE, "▶" },      { "RESTARTED", PAINT_BLUE, "▶" },
    { "CREATED", PAINT_GREY, "·" },      { "SUBMITTED", PAINT_GREY, "·" },
    { "SKIPPED", PAINT_GREY, "·" },      { "RETRIED", PAINT_GREY, "·" },
};

static const struct state_look *look_of(const char *state)
{
    for (size_t i = 0; i < COUNT_OF(looks); i++) {
        if (str_eq(looks[i].state, state))
            return &looks[i];
    }
    return NULL;
}

void output_setup(const char *color, bool json)
{
    is_json = json;
    const char *no_color = getenv("NO_COLOR");
    for (int fd = 1; fd < FDS; fd++) {
        if (str_eq(color, "always"))
            use_color[fd] = true;
        else if (str_eq(color, "never") || !str_empty(no_color))
            use_color[fd] = false;
        else
            use_color[fd] = isatty(fd) == 1 && !str_eq(getenv("TERM"), "dumb");
    }
}

bool output_is_json(void)
{
    return is_json;
}

const char *output_paint(int fd, enum paint paint)
{
    return fd < FDS && use_color[fd] ? escapes[paint] : "";
}

enum paint output_state_paint(const char *state)
{
    const struct state_look *look = look_of(state);
    return look == NULL ? PAINT_OFF : look->paint;
}

const char *output_state_symbol(const char *state)
{
    const struct state_look *look = look_of(state);
    return look == NULL ? "·" : look->symbol;
}

size_t output_width(int fd)
{
    struct winsize size;
    if (isatty(fd) != 1 || ioctl(fd, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col;
}

void output_json(const struct value *value)
{
    struct buf out = { 0 };
    value_write_json_full(&out, value);
    buf_putc(&out, '\n');
    (void)fwrite(out.bytes, 1, out.length, stdout);
    buf_free(&out);
}

/* ---- tables ---- */

struct cell {
    const char *text;
    size_t width; /* columns, counting a code point as one */
    enum paint paint;
};

struct table {
    struct arena *arena;
    const struct table_column *columns;
    size_t columns_count;
    VEC(struct cell) cells;
};

struct table *table_new(struct arena *arena, const struct table_column *columns, size_t count)
{
    struct table *table = ARENA_NEW(arena, struct table);
    table->arena = arena;
    table->columns = columns;
    table->columns_count = count;
    return table;
}

static size_t width_of(const char *text)
{
    size_t width = 0;
    const char *end = text + strlen(text);
    while (text < end) {
        (void)utf8_next(&text, end);
        width++;
    }
    return width;
}

void table_cell(struct table *table, enum paint paint, const char *format, ...)
{
    struct cell *cell = VEC_PUSH_ARENA(table->arena, &table->cells);
    va_list args;
    va_start(args, format);
    cell->text = arena_vprintf(table->arena, format, args);
    va_end(args);
    cell->width = width_of(cell->text);
    cell->paint = paint;
}

static void put_cut(struct buf *out, const char *text, size_t columns)
{
    const char *end = text + strlen(text);
    for (size_t i = 0; i + 1 < columns && text < end; i++) {
        const char *start = text;
        (void)utf8_next(&text, end);
        buf_add(out, start, (size_t)(text - start));
    }
    buf_puts(out, "…");
}

static void put_cell(struct buf *out,
                     const struct cell *cell,
                     size_t width,
                     const struct table_column *column,
                     bool is_last)
{
    size_t shown = cell->width < width ? cell->width : width;
    size_t gap = width - shown;
    if (column->is_right)
        buf_printf(out, "%*s", (int)gap, "");
    const char *paint = cell->paint == PAINT_OFF ? "" : output_paint(1, cell->paint);
    buf_puts(out, paint);
    if (cell->width > width)
        put_cut(out, cell->text, width);
    else
        buf_puts(out, cell->text);
    if (paint[0] != '\0')
        buf_puts(out, output_paint(1, PAINT_OFF));
    if (is_last)
        return;
    buf_printf(out, "%*s", (int)(column->is_right ? 0 : gap) + 2, "");
}

void table_print(const struct table *table)
{
    size_t columns = table->columns_count;
    size_t rows = table->cells.count / columns;
    if (rows == 0)
        return;
    size_t *widths = ARENA_ARRAY(table->arena, columns, size_t);
    size_t total = 0;
    for (size_t c = 0; c < columns; c++) {
        widths[c] = width_of(table->columns[c].title);
        for (size_t r = 0; r < rows; r++) {
            size_t width = table->cells.items[r * columns + c].width;
            widths[c] = width > widths[c] ? width : widths[c];
        }
        total += widths[c] + 2;
    }
    size_t terminal = output_width(1);
    for (size_t c = columns; terminal > 0 && total > terminal + 2 && c-- > 0;) {
        size_t excess = total - terminal - 2;
        if (!table->columns[c].may_cut || widths[c] <= 12)
            continue;
        size_t less = widths[c] - 12 < excess ? widths[c] - 12 : excess;
        widths[c] -= less;
        total -= less;
    }

    struct buf out = { 0 };
    for (size_t c = 0; c < columns; c++) {
        struct cell title = { .text = table->columns[c].title, .paint = PAINT_GREY };
        title.width = width_of(title.text);
        put_cell(&out, &title, widths[c], &table->columns[c], c + 1 == columns);
    }
    buf_putc(&out, '\n');
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++)
            put_cell(&out, &table->cells.items[r * columns + c], widths[c], &table->columns[c],
                     c + 1 == columns);
        buf_putc(&out, '\n');
    }
    (void)fwrite(out.bytes, 1, out.length, stdout);
    buf_free(&out);
}

/* ---- words for numbers ---- */

char *text_span(struct arena *arena, usec_t span)
{
    if (span < USEC_SEC)
        return arena_printf(arena, "%lld ms", (long long)(span / USEC_MSEC));
    if (span < 10 * USEC_SEC)
        return arena_printf(arena, "%.1f s", (double)span / (double)USEC_SEC);
    if (span < USEC_MIN)
        return arena_printf(arena, "%lld s", (long long)(span / USEC_SEC));
    if (span < USEC_HOUR)
        return arena_printf(arena, "%lldm %llds", (long long)(span / USEC_MIN),
                            (long long)(span % USEC_MIN / USEC_SEC));
    if (span < USEC_DAY)
        return arena_printf(arena, "%lldh %lldm", (long long)(span / USEC_HOUR),
                            (long long)(span % USEC_HOUR / USEC_MIN));
    return arena_printf(arena, "%lldd %lldh", (long long)(span / USEC_DAY),
                        (long long)(span % USEC_DAY / USEC_HOUR));
}

char *text_ago(struct arena *arena, usec_t at, usec_t now)
{
    usec_t span = at > now ? at - now : now - at;
    const char *text;
    if (span < USEC_MIN)
        text = arena_printf(arena, "%lld s", (long long)(span / USEC_SEC));
    else if (span < USEC_HOUR)
        text = arena_printf(arena, "%lld min", (long long)(span / USEC_MIN));
    else if (span < 2 * USEC_DAY)
        text = arena_printf(arena, "%lld h", (long long)(span / USEC_HOUR));
    else
        text = arena_printf(arena, "%lld d", (long long)(span / USEC_DAY));
    return arena_printf(arena, at > now ? "in %s" : "%s ago", text);
}

char *text_bytes(struct arena *arena, int64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double number = (double)bytes;
    size_t unit = 0;
    while (number >= 1024 && unit + 1 < COUNT_OF(units)) {
        number /= 1024;
        unit++;
    }
    return arena_printf(arena, unit == 0 ? "%.0f %s" : "%.1f %s", number, units[unit]);
}

char *text_count(struct arena *arena, int64_t count)
{
    char digits[32];
    int length = snprintf(digits, sizeof(digits), "%lld", (long long)count);
    struct buf out = { 0 };
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
            buf_putc(&out, ',');
        buf_putc(&out, digits[i]);
    }
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

char *text_local(struct arena *arena, usec_t at)
{
    time_t seconds = (time_t)(at / USEC_SEC);
    struct tm fields;
    char text[64];
    if (localtime_r(&seconds, &fields) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %Z", &fields) == 0)
        return arena_strdup(arena, "?");
    return arena_strdup(arena, text);
}

/* ---- progress ---- */

#define BAR_COLUMNS 24
#define BAR_EVERY   (100 * USEC_MSEC)
#define LINE_EVERY  (10 * USEC_SEC)

static void show_progress(struct arena *arena,
                          const struct progress *progress,
                          int64_t done,
                          int64_t total,
                          const char *unit)
{
    usec_t spent = clock_monotonic() - progress->started_at;
    double rate = spent > 0 ? (double)done * (double)USEC_SEC / (double)spent : 0;
    bool is_terminal = isatty(STDERR_FILENO) == 1;
    struct buf out = { 0 };
    buf_printf(&out, "%s%-10s ", is_terminal ? "\r\x1b[K" : "", progress->label);
    if (total > 0) {
        int64_t filled = done >= total ? BAR_COLUMNS : done * BAR_COLUMNS / total;
        for (int64_t i = 0; is_terminal && i < BAR_COLUMNS; i++)
            buf_puts(&out, i < filled ? "█" : "░");
        buf_printf(&out, "  %s of %s %s", text_count(arena, done), text_count(arena, total), unit);
        if (rate > 0 && done < total)
            buf_printf(&out, "  %s left",
                       text_span(arena, (usec_t)((double)(total - done) / rate * 1e6)));
    } else {
        buf_printf(&out, "%s %s", text_count(arena, done), unit);
    }
    if (rate > 0)
        buf_printf(&out, "  %s/s", text_count(arena, (int64_t)rate));
    if (!is_terminal)
        buf_putc(&out, '\n');
    (void)fputs(buf_text(&out), stderr);
    (void)fflush(stderr);
    buf_free(&out);
}

void progress_update(struct progress *progress, int64_t done, int64_t total, const char *unit)
{
    usec_t now = clock_monotonic();
    if (progress->started_at == 0)
        progress->started_at = now;
    usec_t every = isatty(STDERR_FILENO) == 1 ? BAR_EVERY : LINE_EVERY;
    usec_t since = progress->is_shown ? now - progress->shown_at : now - progress->started_at;
    if (since < (progress->is_shown ? every : USEC_SEC))
        return;
    progress->is_shown = true;
    progress->shown_at = now;
    struct arena *scratch = arena_new();
    show_progress(scratch, progress, done, total, unit);
    arena_free(scratch);
}

void progress_end(struct progress *progress)
{
    if (progress->is_shown && isatty(STDERR_FILENO) == 1)
        (void)fputs("\r\x1b[K", stderr);
    *progress = (struct progress){ .label = progress->label };
}

bool output_confirm(const char *question, bool *asked)
{
    *asked = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
    if (!*asked)
        return false;
    (void)fprintf(stderr, "%s [y/N] ", question);
    char answer[16];
    if (fgets(answer, sizeof(answer), stdin) == NULL)
        return false;
    return answer[0] == 'y' || answer[0] == 'Y';
}
