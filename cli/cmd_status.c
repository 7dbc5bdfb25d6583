/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/output.h"
#include "core/value.h"

static const struct table_column columns[] = {
    { .title = "SOURCE" },
    { .title = "BRANCH" },
    { .title = "APPLIED" },
    { .title = "STATE", .may_cut = true },
};

/* How a source's state looks; a symbol stands beside every colour. */
static const struct source_look {
    const char *state;
    const char *symbol;
    const char *words;
    enum paint paint;
} looks[] = {
    { "in step", "✓", "in step", PAINT_GREEN },  { "held", "!", "held", PAINT_YELLOW },
    { "error", "✗", "error", PAINT_RED },        { "fetching", "▶", "fetching", PAINT_BLUE },
    { "starting", "·", "starting", PAINT_GREY },
};

static const struct source_look *look_of(const char *state)
{
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        if (strcmp(looks[i].state, state) == 0)
            return &looks[i];
    }
    return &looks[0];
}

static void add_source(struct table *table,
                       struct arena *arena,
                       const struct value *source,
                       usec_t now)
{
    const struct source_look *look = look_of(value_get_text(source, "state", ""));
    const char *applied = value_get_text(source, "applied", NULL);
    usec_t applied_at = follow_instant(value_get(source, "appliedAt"));
    usec_t polled_at = follow_instant(value_get(source, "polledAt"));
    const char *reason = value_get_text(source, "message", NULL);
    table_cell(table, PAINT_OFF, "%s", value_get_text(source, "name", ""));
    table_cell(table, PAINT_OFF, "%s", value_get_text(source, "branch", ""));
    if (applied == NULL)
        table_cell(table, PAINT_GREY, "nothing yet");
    else
        table_cell(table, PAINT_OFF, "%.7s  %s", applied,
                   applied_at == 0 ? "" : text_ago(arena, applied_at, now));
    if (reason != NULL)
        table_cell(table, look->paint, "%s %s  %s", look->symbol, look->words, reason);
    else
        table_cell(table, look->paint, "%s %s%s%s", look->symbol, look->words,
                   polled_at == 0 ? "" : "   last poll ",
                   polled_at == 0 ? "" : text_ago(arena, polled_at, now));
}

static void print_findings(const struct value *sources)
{
    for (size_t i = 0; i < value_count(sources); i++) {
        const struct value *findings = value_get(value_item(sources, i), "findings");
        for (size_t k = 0; k < value_count(findings); k++) {
            const struct value *finding = value_item(findings, k);
            const char *advice = value_get_text(finding, "advice", NULL);
            (void)printf("  %s:%lld:%lld: %s%s%s%s\n", value_get_text(finding, "file", ""),
                         (long long)value_get_int(finding, "line", 0),
                         (long long)value_get_int(finding, "column", 0),
                         value_get_text(finding, "message", ""), advice == NULL ? "" : " (",
                         advice == NULL ? "" : advice, advice == NULL ? "" : ")");
        }
    }
}

static int run(struct command_line *line)
{
    struct client client = client_open(line);
    struct error err = { 0 };
    const struct value *status = client_get(&client, line->arena, "weir/status", &err);
    if (status == NULL)
        return command_fail(line, &err);
    if (output_is_json()) {
        output_json(status);
        return EXIT_OK;
    }
    struct arena *arena = line->arena;
    usec_t now = clock_now();
    const struct value *sources = value_get(status, "sources");
    if (value_count(sources) == 0) {
        (void)puts("no repository is watched; name one: weir up FOLDER-OR-URL");
    } else {
        struct table *table = table_new(arena, columns, sizeof(columns) / sizeof(columns[0]));
        for (size_t i = 0; i < value_count(sources); i++)
            add_source(table, arena, value_item(sources, i), now);
        table_print(table);
        print_findings(sources);
    }
    usec_t next = follow_instant(value_get(status, "nextFire"));
    int64_t flows = value_get_int(status, "flows", 0);
    int64_t schedules = value_get_int(status, "schedules", 0);
    (void)printf("\n%s flow%s · %s schedule%s%s%s · %s running, %s queued, %s waiting\n",
                 text_count(arena, flows), flows == 1 ? "" : "s", text_count(arena, schedules),
                 schedules == 1 ? "" : "s", next == 0 ? "" : ", next ",
                 next == 0 ? "" : text_ago(arena, next, now),
                 text_count(arena, value_get_int(status, "running", 0)),
                 text_count(arena, value_get_int(status, "queued", 0)),
                 text_count(arena, value_get_int(status, "waiting", 0)));
    const struct value *day = value_get(status, "last24h");
    (void)printf(
        "last 24 h: %s%s ✓%s   %s%s ✗%s   %s%s !%s\n", output_paint(1, PAINT_GREEN),
        text_count(arena, value_get_int(day, "SUCCESS", 0)), output_paint(1, PAINT_OFF),
        output_paint(1, PAINT_RED),
        text_count(arena, value_get_int(day, "FAILED", 0) + value_get_int(day, "KILLED", 0)),
        output_paint(1, PAINT_OFF), output_paint(1, PAINT_YELLOW),
        text_count(arena, value_get_int(day, "WARNING", 0) + value_get_int(day, "CANCELLED", 0)),
        output_paint(1, PAINT_OFF));
    return EXIT_OK;
}

const struct cli_command command_status = {
    .name = "status",
    .arguments = "",
    .summary = "tell what is in step with Git, what runs, and what is next",
    .run = run,
    .needs_server = true,
};
