/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How commands write: colours, symbols, tables, relative times, progress. experience.md 1.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"

struct buf;
struct value;

#define AUTO_ARENA AUTO(arena_freep)

enum paint { PAINT_OFF, PAINT_GREEN, PAINT_RED, PAINT_YELLOW, PAINT_BLUE, PAINT_GREY, PAINT_BOLD };

/* color: "auto", "always", "never" or NULL; decides once for the whole run. */
void output_setup(const char *color, bool json);
bool output_is_json(void);

/* Escape sequence, or "" when descriptor fd (1 or 2) shows no colours. */
const char *output_paint(int fd, enum paint paint);

/* Colour and symbol of an execution or task run state: "✓", PAINT_GREEN … */
enum paint output_state_paint(const char *state);
const char *output_state_symbol(const char *state);

/* Columns of the terminal behind fd; 0 when it is none. */
size_t output_width(int fd);

/* Prints JSON and a newline to standard output. */
void output_json(const struct value *value);

/* ---- tables ---- */

struct table_column {
    const char *title;
    bool is_right; /* numbers */
    bool may_cut;  /* may be shortened to fit the terminal; ids may not */
};

struct table;
struct table *table_new(struct arena *arena, const struct table_column *columns, size_t count);
/* One cell after the other; text is copied. paint colours the cell. */
void table_cell(struct table *table, enum paint paint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* To standard output; fits the terminal, plain when piped. Nothing for an empty table. */
void table_print(const struct table *table);

/* ---- words for numbers ---- */

char *text_ago(struct arena *arena, usec_t at, usec_t now); /* "12 s ago", "in 3 h" */
char *text_span(struct arena *arena, usec_t span);          /* "1m 12s", "350 ms" */
char *text_bytes(struct arena *arena, int64_t bytes);       /* "4.2 MiB" */
char *text_count(struct arena *arena, int64_t count);       /* "1,204" */
char *text_local(struct arena *arena, usec_t at);           /* reader's zone, zone named */

/* ---- progress ---- */

/*
 * A bar on a terminal, a line every ten seconds elsewhere, nothing before the first second.
 * total 0: unknown.
 */
struct progress {
    const char *label;
    usec_t started_at;
    usec_t shown_at;
    bool is_shown;
};
void progress_update(struct progress *progress, int64_t done, int64_t total, const char *unit);
void progress_end(struct progress *progress);

/* Asks "question [y/N]" on the terminal. Without a terminal: false and *asked = false. */
bool output_confirm(const char *question, bool *asked);

#endif
