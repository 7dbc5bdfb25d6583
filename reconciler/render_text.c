/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/render_text.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/diag.h"
#include "core/tz.h"
#include "core/value.h"

/* Code points of a value that are shown. */
#define VALUE_SHOWN_MAX 60U

/* Where the second column starts, at least and at most. */
#define COLUMN_MIN 24U
#define COLUMN_MAX 56U

/* Changes listed one by one; a first deployment of thousands is counted. */
#define CHANGES_SHOWN_MAX 200U

enum paint { OFF, GREEN, RED, YELLOW, GREY, BOLD };

struct page {
    struct buf *out;
    const struct render_options *options;
    struct arena *arena;
    size_t column;
};

static const char *paint(const struct page *page, enum paint colour)
{
    static const char *const escapes[] = {
        [OFF] = "\x1b[0m",     [GREEN] = "\x1b[32m", [RED] = "\x1b[31m",
        [YELLOW] = "\x1b[33m", [GREY] = "\x1b[2m",   [BOLD] = "\x1b[1m",
    };
    return page->options->colour ? escapes[colour] : "";
}

static size_t code_points(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static void spaces(struct buf *out, size_t count)
{
    for (; count > 0; count--)
        buf_putc(out, ' ');
}

/* A row: something indented, then, in line with the other rows, what is said about it. */
static void put_row(
    struct page *page, size_t indent, const char *left, enum paint colour, const char *right)
{
    spaces(page->out, indent);
    buf_printf(page->out, "%s%s%s", paint(page, colour), left, paint(page, OFF));
    if (*right != '\0') {
        size_t used = indent + code_points(left);
        spaces(page->out, used < page->column ? page->column - used : 2);
        buf_puts(page->out, right);
    }
    buf_putc(page->out, '\n');
}

/* ---- values ---- */

/* On one line: line ends as ⏎, cut with … unless everything is wanted. */
static const char *on_one_line(const struct page *page, const char *text, size_t length)
{
    struct buf out = { 0 };
    const char *end = text + length;
    size_t shown = 0;
    for (const char *at = text; at < end;) {
        if (shown++ == VALUE_SHOWN_MAX && !page->options->full) {
            buf_puts(&out, "…");
            break;
        }
        uint32_t c = utf8_next(&at, end);
        if (c == '\n')
            buf_puts(&out, "⏎");
        else
            buf_put_utf8(&out, c < 0x20 || (c >= 0x7f && c < 0xa0) ? ' ' : c);
    }
    const char *line = buf_dup(&out, page->arena);
    buf_free(&out);
    return line;
}

static const char *shown(const struct page *page, const struct value *value)
{
    if (value_is_string(value)) {
        // what could be taken for something else is quoted
        const char *text = value->string.bytes;
        bool is_plain = value->string.length > 0 && text[0] != ' ' && text[0] != '[' &&
                        text[0] != '{' && !str_ends(text, " ");
        if (is_plain)
            return on_one_line(page, text, value->string.length);
    }
    const char *json = value_to_json(page->arena, value);
    return on_one_line(page, json, strlen(json));
}

static const char *lines_text(const struct page *page, int64_t added, int64_t removed)
{
    return arena_printf(page->arena, "%s+%" PRId64 "%s %s−%" PRId64 "%s",
                        added > 0 ? paint(page, GREEN) : "", added,
                        added > 0 ? paint(page, OFF) : "", removed > 0 ? paint(page, RED) : "",
                        removed, removed > 0 ? paint(page, OFF) : "");
}

static const char *field_text(const struct page *page, const struct value *field)
{
    const struct value *before = value_get(field, "before");
    const struct value *after = value_get(field, "after");
    int64_t added = value_get_int(field, "linesAdded", 0);
    int64_t removed = value_get_int(field, "linesRemoved", 0);
    if (added > 0 || removed > 0)
        return arena_printf(page->arena, "%s lines", lines_text(page, added, removed));
    if (before == NULL)
        return arena_printf(page->arena, "+ %s", shown(page, after));
    if (after == NULL)
        return arena_printf(page->arena, "− %s", shown(page, before));
    return arena_printf(page->arena, "%s  →  %s", shown(page, before), shown(page, after));
}

static const char *short_oid(const struct value *commit)
{
    return value_get_text(commit, "commit", "");
}

/* ---- times ---- */

static bool same_day(usec_t a, usec_t b)
{
    struct civil one = civil_of(a);
    struct civil two = civil_of(b);
    return one.year == two.year && one.yearday == two.yearday;
}

static void put_run(struct page *page, struct buf *out, const struct value *run, const char *zone)
{
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    struct error ignored = { 0 };
    usec_t at = 0;
    const struct tz *tz = tz_get(zone, &ignored);
    if (!time_parse_instant(value_cstr(run), &at, NULL, &ignored))
        return;
    if (tz == NULL)
        tz = tz_utc();
    usec_t local = tz_local(tz, at);
    struct civil civil = civil_of(local);
    if (!same_day(local, tz_local(tz, page->options->now)))
        buf_printf(out, "%d %s ", civil.day, months[civil.month - 1]);
    buf_printf(out, "%02d:%02d ", civil.hour, civil.minute);
}

static const char *runs_text(struct page *page, const struct value *runs, const char *zone)
{
    struct buf out = { 0 };
    for (size_t i = 0; i < value_count(runs); i++)
        put_run(page, &out, value_item(runs, i), zone);
    buf_puts(&out, value_count(runs) == 0 ? "never" : "…");
    const char *text = buf_dup(&out, page->arena);
    buf_free(&out);
    return text;
}

static const char *ago(struct page *page, const char *iso)
{
    struct error ignored = { 0 };
    usec_t at = 0;
    if (iso == NULL || !time_parse_instant(iso, &at, NULL, &ignored))
        return "";
    int64_t seconds = (page->options->now - at) / USEC_SEC;
    if (seconds < 0)
        seconds = 0;
    static const struct {
        int64_t span;
        const char *unit;
    } units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (seconds >= units[i].span || units[i].span == 1)
            return arena_printf(page->arena, "%" PRId64 " %s ago", seconds / units[i].span,
                                units[i].unit);
    return "";
}

/* ---- changes ---- */

static const struct look {
    const char *action;
    const char *symbol;
    enum paint colour;
} looks[] = {
    { "create", "+", GREEN }, { "update", "~", YELLOW }, { "delete", "-", RED },
    { "take", "=", GREY },    { "move", ">", GREY },     { "forget", "·", GREY },
};

static const struct look *look_of(const struct value *change)
{
    const char *action = value_get_text(change, "action", "");
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
        if (str_eq(looks[i].action, action))
            return &looks[i];
    return &looks[1];
}

/* "~ flow company.team/load_orders" */
static const char *title_of(const struct page *page, const struct value *change)
{
    return arena_printf(page->arena, "%s %s %s/%s", look_of(change)->symbol,
                        value_get_text(change, "kind", ""), value_get_text(change, "namespace", ""),
                        value_get_text(change, "name", ""));
}

static void append(struct buf *out, const char *text)
{
    if (*text == '\0')
        return;
    if (out->length > 0)
        buf_puts(out, "   ");
    buf_puts(out, text);
}

static const char *bytes_text(const struct page *page, int64_t bytes)
{
    if (bytes < 1024)
        return arena_printf(page->arena, "%" PRId64 " B", bytes);
    if (bytes < (int64_t)1024 * 1024)
        return arena_printf(page->arena, "%.1f KiB", (double)bytes / 1024);
    return arena_printf(page->arena, "%.1f MiB", (double)bytes / (1024 * 1024));
}

static void append_running(struct page *page, struct buf *out, const struct value *running)
{
    int64_t count = value_get_int(running, "count", 0);
    if (count == 0)
        return;
    const char *their =
        value_get_bool(running, "isMixed", false)
            ? "their revisions"
            : arena_printf(page->arena, "revision %" PRId64, value_get_int(running, "revision", 0));
    append(out,
           arena_printf(page->arena, "%" PRId64 " execution%s running: %s on %s", count,
                        count == 1 ? "" : "s", count == 1 ? "it finishes" : "they finish", their));
}

/* What is said beside the title of a change. */
static const char *remark_of(struct page *page, const struct value *change)
{
    struct buf out = { 0 };
    const char *action = value_get_text(change, "action", "");
    bool is_update = str_eq(action, "update");
    int64_t before = value_get_int(change, "revisionBefore", 0);
    int64_t after = value_get_int(change, "revisionAfter", 0);
    int64_t added = value_get_int(change, "linesAdded", 0);
    int64_t removed = value_get_int(change, "linesRemoved", 0);
    bool is_same = value_get_bool(change, "sameMeaning", false);
    bool is_flow = str_eq(value_get_text(change, "kind", ""), "flow");
    if (is_update && before > 0)
        append(&out, arena_printf(page->arena, "revision %" PRId64 " → %" PRId64, before, after));
    else if (str_eq(action, "create") && after > 1)
        append(&out, arena_printf(page->arena, "revision %" PRId64, after));
    if (is_update && (!is_flow || is_same) && (added > 0 || removed > 0))
        append(&out, lines_text(page, added, removed));
    if (is_same)
        append(&out, is_flow ? "same meaning" : "type, description or time to live");
    if (value_get_bool(change, "isBinary", false) ||
        (is_update && added == 0 && removed == 0 && value_get(change, "bytesAfter") != NULL))
        append(&out, arena_printf(page->arena, "%s → %s",
                                  bytes_text(page, value_get_int(change, "bytesBefore", 0)),
                                  bytes_text(page, value_get_int(change, "bytesAfter", 0))));
    append_running(page, &out, value_get(change, "running"));
    if (str_eq(action, "take"))
        append(&out, "is there as wanted; from now on the repository owns it");
    if (str_eq(action, "forget"))
        append(&out, "was deleted already");
    const char *moved = value_get_text(change, "pathBefore", NULL);
    if (moved != NULL)
        append(&out,
               arena_printf(page->arena, "%s → %s", moved, value_get_text(change, "path", "")));
    const char *text = buf_dup(&out, page->arena);
    buf_free(&out);
    return text;
}

static void put_schedule(struct page *page, const struct value *schedule)
{
    const char *zone = value_get_text(schedule, "zone", "UTC");
    const struct value *before = value_get(schedule, "before");
    const struct value *after = value_get(schedule, "after");
    const char *was = before == NULL
                          ? ""
                          : arena_printf(page->arena, "  (was %s)", runs_text(page, before, zone));
    put_row(page, 8,
            arena_printf(page->arena, "next runs of %s", value_get_text(schedule, "trigger", "")),
            GREY, arena_printf(page->arena, "%s %s%s", runs_text(page, after, zone), zone, was));
}

static const char *field_path(const struct value *field)
{
    const char *path = value_get_text(field, "path", "");
    return *path == '\0' ? "value" : path;
}

static void put_change(struct page *page, const struct value *change)
{
    put_row(page, 2, title_of(page, change), look_of(change)->colour, remark_of(page, change));
    const struct value *fields = value_get(change, "fields");
    for (size_t i = 0; i < value_count(fields); i++) {
        const struct value *field = value_item(fields, i);
        put_row(page, 6, field_path(field), OFF, field_text(page, field));
    }
    int64_t more = value_get_int(change, "fieldsMore", 0);
    if (more > 0)
        put_row(page, 6, arena_printf(page->arena, "and %" PRId64 " more fields", more), GREY, "");
    const struct value *schedules = value_get(change, "schedules");
    for (size_t i = 0; i < value_count(schedules); i++)
        put_schedule(page, value_item(schedules, i));
}

/* The second column starts behind the longest title and field, within reason. */
static void set_column(struct page *page, const struct value *changes)
{
    page->column = COLUMN_MIN;
    for (size_t i = 0; i < value_count(changes) && i < CHANGES_SHOWN_MAX; i++) {
        const struct value *change = value_item(changes, i);
        size_t width = 2 + code_points(title_of(page, change)) + 2;
        const struct value *fields = value_get(change, "fields");
        for (size_t k = 0; k < value_count(fields); k++) {
            size_t field = 6 + code_points(field_path(value_item(fields, k))) + 2;
            width = field > width ? field : width;
        }
        if (width > page->column)
            page->column = width;
    }
    if (page->column > COLUMN_MAX)
        page->column = COLUMN_MAX;
}

/* Flows first: they are what people look for. */
static void put_changes(struct page *page, const struct value *changes)
{
    static const char *const kinds[] = { "flow", "file", "kv" };
    size_t count = value_count(changes);
    size_t shown_max = page->options->full ? count : CHANGES_SHOWN_MAX;
    size_t shown_count = 0;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t i = 0; i < count && shown_count < shown_max; i++)
            if (str_eq(value_get_text(value_item(changes, i), "kind", ""), kinds[k])) {
                put_change(page, value_item(changes, i));
                shown_count++;
            }
    if (count > shown_max)
        buf_printf(page->out, "  %sand %zu more (--full shows all)%s\n", paint(page, GREY),
                   count - shown_max, paint(page, OFF));
    if (count > 0)
        buf_putc(page->out, '\n');
}

/* ---- impact ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static const char *place_text(struct page *page, const struct value *place, bool is_alone)
{
    const char *file = value_get_text(place, "file", NULL);
    int64_t line = value_get_int(place, "line", 0);
    const char *where =
        file == NULL ? "" : arena_printf(page->arena, " (%s:%" PRId64 ")", base_name(file), line);
    if (is_alone)
        return where;
    return arena_printf(page->arena, "%s/%s%s", value_get_text(place, "namespace", ""),
                        value_get_text(place, "name", ""), where);
}

static void put_impact(struct page *page, const struct value *impact)
{
    bool is_warning = str_eq(value_get_text(impact, "level", ""), "warning");
    const struct value *places = value_get(impact, "places");
    // the text of such an impact names its only place
    bool is_named = str_eq(value_get_text(impact, "code", ""), "deletes-used");
    buf_printf(page->out, "  %s%s%s %s%s\n", paint(page, is_warning ? YELLOW : GREY),
               is_warning ? "!" : "·", paint(page, OFF), value_get_text(impact, "text", ""),
               is_named && value_count(places) == 1 ? place_text(page, value_item(places, 0), true)
                                                    : "");
    for (size_t i = 0; !is_named && i < value_count(places); i++)
        buf_printf(page->out, "      %s\n", place_text(page, value_item(places, i), false));
    int64_t more = value_get_int(impact, "placesMore", 0);
    if (more > 0)
        buf_printf(page->out, "      and %" PRId64 " more\n", more);
}

/* ---- findings ---- */

static enum diag_level level_of(const struct value *finding)
{
    const char *level = value_get_text(finding, "level", "error");
    return str_eq(level, "error")         ? DIAG_ERROR
           : str_eq(level, "warning")     ? DIAG_WARNING
           : str_eq(level, "deprecation") ? DIAG_DEPRECATION
                                          : DIAG_INFO;
}

/* A text that holds the excerpt's lines at their numbers, for diag_render(). */
static const char *excerpt_source(struct page *page, const struct value *finding)
{
    const struct value *excerpt = value_get(finding, "excerpt");
    if (value_count(excerpt) == 0)
        return NULL;
    struct buf out = { 0 };
    int64_t line = 1;
    for (size_t i = 0; i < value_count(excerpt); i++) {
        const struct value *row = value_item(excerpt, i);
        for (; line < value_get_int(row, "line", 0); line++)
            buf_putc(&out, '\n');
        buf_puts(&out, value_get_text(row, "text", ""));
    }
    const char *text = buf_dup(&out, page->arena);
    buf_free(&out);
    return text;
}

static void put_finding(struct page *page, const struct value *finding)
{
    struct diag diag = {
        .level = level_of(finding),
        .code = value_get_text(finding, "code", ""),
        .file = value_get_text(finding, "file", NULL),
        .line = (uint32_t)value_get_int(finding, "line", 0),
        .column = (uint32_t)value_get_int(finding, "column", 0),
        .width = (uint32_t)value_get_int(finding, "width", 1),
        .path = value_get_text(finding, "path", ""),
        .message = value_get_text(finding, "message", ""),
        .advice = value_get_text(finding, "advice", NULL),
        .see = value_get_text(finding, "see", NULL),
    };
    diag_render(page->out, &diag, excerpt_source(page, finding), page->options->colour);
    buf_putc(page->out, '\n');
}

static void put_findings(struct page *page, const struct value *findings)
{
    size_t shown_count = 0;
    size_t hidden = 0;
    for (size_t i = 0; i < value_count(findings); i++) {
        const struct value *finding = value_item(findings, i);
        bool is_note = level_of(finding) == DIAG_INFO || level_of(finding) == DIAG_DEPRECATION;
        if (is_note && !page->options->full)
            continue;
        if (shown_count++ < RENDER_FINDINGS_MAX || page->options->full)
            put_finding(page, finding);
        else
            hidden++;
    }
    if (hidden > 0)
        buf_printf(page->out, "%sand %zu more (--full shows all)%s\n\n", paint(page, GREY), hidden,
                   paint(page, OFF));
}

void findings_render_text(struct buf *out,
                          const struct value *findings,
                          const struct render_options *options)
{
    struct page page = { .out = out, .options = options, .arena = arena_new() };
    put_findings(&page, findings);
    arena_free(page.arena);
}

/* ---- plans ---- */

static void put_heading(struct page *page, const struct value *plan)
{
    const struct value *base = value_get(plan, "base");
    const struct value *head = value_get(plan, "head");
    const char *digest = value_get_text(plan, "digest", "");
    buf_printf(page->out, "%sPlan for %s%s   ", paint(page, BOLD),
               value_get_text(plan, "repository", ""), paint(page, OFF));
    if (value_is_null(base))
        buf_puts(page->out, "nothing yet");
    else
        buf_printf(page->out, "%.7s", short_oid(base));
    buf_printf(page->out, " → %s %.7s   digest %.4s %.4s …\n", value_get_text(plan, "branch", ""),
               short_oid(head), digest, strlen(digest) > 4 ? digest + 4 : "");
    const char *subject = value_get_text(head, "subject", "");
    if (*subject != '\0')
        buf_printf(page->out, "%s“%s”  %s, %s%s\n", paint(page, GREY),
                   on_one_line(page, subject, strlen(subject)), value_get_text(head, "author", ""),
                   ago(page, value_get_text(head, "committedAt", NULL)), paint(page, OFF));
    if (value_get_bool(plan, "isRewritten", false))
        buf_printf(page->out, "%s!%s history was rewritten: %.7s is not an ancestor of %.7s\n",
                   paint(page, YELLOW), paint(page, OFF), short_oid(base), short_oid(head));
    buf_putc(page->out, '\n');
}

static void put_holds(struct page *page, const struct value *holds)
{
    if (value_count(holds) == 0)
        return;
    buf_puts(page->out, "Not applied as it is:\n");
    for (size_t i = 0; i < value_count(holds); i++)
        buf_printf(page->out, "  %s!%s %s\n", paint(page, YELLOW), paint(page, OFF),
                   value_get_text(value_item(holds, i), "text", ""));
    buf_putc(page->out, '\n');
}

static void put_totals(struct page *page, const struct value *plan)
{
    const struct value *summary = value_get(plan, "summary");
    int64_t others = value_get_int(summary, "other", 0);
    buf_printf(page->out,
               "%sPlan:%s %" PRId64 " to create, %" PRId64 " to change, %" PRId64
               " to delete, %" PRId64 " unchanged",
               paint(page, BOLD), paint(page, OFF), value_get_int(summary, "create", 0),
               value_get_int(summary, "change", 0), value_get_int(summary, "delete", 0),
               value_get_int(summary, "unchanged", 0));
    if (others > 0)
        buf_printf(page->out, ", %" PRId64 " only noted", others);
    int64_t errors = value_get_int(summary, "errors", 0);
    if (errors > 0)
        buf_printf(page->out, "; %s%" PRId64 " error%s%s", paint(page, RED), errors,
                   errors == 1 ? "" : "s",
                   value_get_bool(plan, "isPartial", false) ? " (those files are skipped)" : "");
    buf_printf(page->out, "%s\n", errors > 0 ? paint(page, OFF) : "");
}

void plan_render_text(struct buf *out,
                      const struct value *plan,
                      const struct render_options *options)
{
    struct page page = { .out = out, .options = options, .arena = arena_new() };
    const struct value *changes = value_get(plan, "changes");
    const struct value *impact = value_get(plan, "impact");
    set_column(&page, changes);
    put_heading(&page, plan);
    put_changes(&page, changes);
    if (value_count(impact) > 0) {
        buf_printf(out, "%sImpact%s\n", paint(&page, BOLD), paint(&page, OFF));
        for (size_t i = 0; i < value_count(impact); i++)
            put_impact(&page, value_item(impact, i));
        buf_putc(out, '\n');
    }
    put_findings(&page, value_get(plan, "findings"));
    put_holds(&page, value_get(plan, "holds"));
    put_totals(&page, plan);
    bool can_apply = !value_get_bool(plan, "isHeld", false) && value_count(changes) > 0;
    if (can_apply && options->command != NULL)
        buf_printf(out, "Apply it with: %s\n", options->command);
    arena_free(page.arena);
}

/* ---- drift ---- */

static void put_drift_item(struct page *page, const struct value *item)
{
    bool is_deleted = str_eq(value_get_text(item, "drift", ""), "deleted");
    const char *actor = value_get_text(item, "actor", NULL);
    const char *channel = value_get_text(item, "channel", NULL);
    const char *at = value_get_text(item, "at", NULL);
    struct buf remark = { 0 };
    buf_puts(&remark, is_deleted ? "deleted" : "changed");
    if (actor != NULL)
        buf_printf(&remark, " by %s", actor);
    if (at != NULL)
        buf_printf(&remark, " %s", ago(page, at));
    if (channel != NULL)
        buf_printf(&remark, " through %s", channel);
    if (value_get_bool(item, "sameMeaning", false))
        buf_puts(&remark, "   same meaning");
    put_row(page, 2,
            arena_printf(page->arena, "%s %s %s/%s", is_deleted ? "-" : "~",
                         value_get_text(item, "kind", ""), value_get_text(item, "namespace", ""),
                         value_get_text(item, "name", "")),
            is_deleted ? RED : YELLOW, buf_text(&remark));
    buf_free(&remark);
    const struct value *fields = value_get(item, "fields");
    for (size_t i = 0; i < value_count(fields); i++) {
        const struct value *field = value_item(fields, i);
        put_row(page, 6, field_path(field), OFF, field_text(page, field));
    }
}

void drift_render_text(struct buf *out,
                       const struct value *drift,
                       const struct render_options *options)
{
    struct page page = { .out = out, .options = options, .arena = arena_new() };
    const struct value *items = value_get(drift, "items");
    int64_t tolerated = value_get_int(drift, "tolerated", 0);
    set_column(&page, items);
    buf_printf(out, "%sDrift of %s%s", paint(&page, BOLD), value_get_text(drift, "source", ""),
               paint(&page, OFF));
    const char *commit = value_get_text(drift, "commit", NULL);
    if (commit == NULL)
        buf_puts(out, ": nothing was applied yet\n");
    else
        buf_printf(out, "   since %.7s\n", commit);
    if (value_count(items) > 0)
        buf_putc(out, '\n');
    for (size_t i = 0; i < value_count(items); i++)
        put_drift_item(&page, value_item(items, i));
    if (value_count(items) > 0)
        buf_putc(out, '\n');
    if (commit != NULL)
        buf_printf(
            out, "%" PRId64 " of %" PRId64 " objects differ from what was applied%s\n",
            value_get_int(drift, "drifted", 0), value_get_int(drift, "objects", 0),
            tolerated == 0
                ? ""
                : arena_printf(page.arena, "; %" PRId64 " more by what operators own", tolerated));
    arena_free(page.arena);
}
