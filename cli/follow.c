/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/follow.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "cli/command.h"
#include "cli/output.h"
#include "core/value.h"

/* Log lines shown under a failed task. */
#define LINES_OF_FAILURE 10U
/* Outputs shown on one line are cut here; `weir executions ID` shows them whole. */
#define OUTPUT_BYTES_MAX 60U

void follow_free(struct follow *follow)
{
    map_free(&follow->seen);
}

long long follow_instant(const struct value *text)
{
    usec_t at = 0;
    const char *chars = value_cstr(text);
    return chars != NULL && time_parse_instant(chars, &at, NULL, NULL) ? at : 0;
}

static const char *current(const struct value *owner)
{
    return value_get_text(value_get(owner, "state"), "current", "?");
}

static bool is_final(const char *state)
{
    static const char *const finals[] = {
        "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "SKIPPED", "RETRIED",
    };
    for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
        if (strcmp(finals[i], state) == 0)
            return true;
    }
    return false;
}

/* First time for this key? */
static bool is_news(struct follow *follow, const char *key)
{
    static char mark;
    return map_put(&follow->seen, key, &mark) == NULL;
}

static void print_title(struct follow *follow, struct arena *scratch, const struct value *execution)
{
    if (follow->has_title)
        return;
    follow->has_title = true;
    const char *id = value_get_text(execution, "id", "?");
    (void)printf("%s▶%s %s %s%s/%s%s revision %lld\n", output_paint(1, PAINT_BLUE),
                 output_paint(1, PAINT_OFF), id, output_paint(1, PAINT_BOLD),
                 value_get_text(execution, "namespace", ""),
                 value_get_text(execution, "flowId", ""), output_paint(1, PAINT_OFF),
                 (long long)value_get_int(execution, "flowRevision", 0));
    (void)scratch;
}

/* "rows=18,220 file=orders.csv" of the small scalar outputs. */
static char *short_outputs(struct arena *scratch, const struct value *outputs)
{
    struct buf out = { 0 };
    for (size_t i = 0; value_is_map(outputs) && i < value_count(outputs); i++) {
        const struct value_member *member = &outputs->map.members[i];
        if (value_is_map(member->value) && value_count(member->value) > 0) {
            buf_printf(&out, "%s  ", short_outputs(scratch, member->value));
            continue;
        }
        if (value_is_list(member->value) || value_is_map(member->value) ||
            value_is_null(member->value))
            continue;
        struct buf text = { 0 };
        value_write_print(&text, member->value);
        bool fits =
            text.length <= OUTPUT_BYTES_MAX && memchr(buf_text(&text), '\n', text.length) == NULL;
        buf_printf(&out, "%s=%.*s%s  ", member->key,
                   (int)(fits ? text.length
                         : strcspn(buf_text(&text), "\n") < OUTPUT_BYTES_MAX
                             ? strcspn(buf_text(&text), "\n")
                             : OUTPUT_BYTES_MAX),
                   buf_text(&text), fits ? "" : "…");
        buf_free(&text);
        if (out.length > 3 * (size_t)OUTPUT_BYTES_MAX)
            break;
    }
    char *text = buf_dup(&out, scratch);
    buf_free(&out);
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ')
        text[--length] = '\0';
    return text;
}

static size_t depth_of(const struct value *runs, const struct value *run)
{
    size_t depth = 0;
    const char *parent = value_get_text(run, "parentTaskRunId", NULL);
    while (parent != NULL && depth < 32) {
        const char *next = NULL;
        for (size_t i = 0; i < value_count(runs); i++) {
            const struct value *other = value_item(runs, i);
            if (str_eq(value_get_text(other, "id", NULL), parent)) {
                next = value_get_text(other, "parentTaskRunId", NULL);
                break;
            }
        }
        parent = next;
        depth++;
    }
    return depth;
}

static usec_t duration_of(const struct value *owner)
{
    const struct value *histories = value_path(owner, "state.histories");
    size_t count = value_count(histories);
    if (count == 0)
        return 0;
    return follow_instant(value_get(value_item(histories, count - 1), "date")) -
           follow_instant(value_get(value_item(histories, 0), "date"));
}

static void print_run(struct arena *scratch, const struct value *runs, const struct value *run)
{
    const char *state = current(run);
    const char *value = value_get_text(run, "value", NULL);
    struct buf name = { 0 };
    buf_puts(&name, value_get_text(run, "taskId", "?"));
    if (value != NULL)
        buf_printf(&name, "[%.40s]", value);
    size_t attempts = value_count(value_get(run, "attempts"));
    (void)printf("  %*s%s%s%s %-24s %8s", (int)(2 * depth_of(runs, run)), "",
                 output_paint(1, output_state_paint(state)), output_state_symbol(state),
                 output_paint(1, PAINT_OFF), buf_text(&name), text_span(scratch, duration_of(run)));
    if (strcmp(state, "SUCCESS") != 0)
        (void)printf("  %s", state);
    if (attempts > 1)
        (void)printf("  attempt %zu", attempts);
    const char *outputs = short_outputs(scratch, value_get(run, "outputs"));
    if (outputs[0] != '\0')
        (void)printf("  %s%s%s", output_paint(1, PAINT_GREY), outputs, output_paint(1, PAINT_OFF));
    (void)putchar('\n');
    buf_free(&name);
}

void follow_update(struct follow *follow, struct arena *scratch, const struct value *execution)
{
    if (output_is_json())
        return;
    print_title(follow, scratch, execution);
    const struct value *runs = value_get(execution, "taskRunList");
    for (size_t i = 0; i < value_count(runs); i++) {
        const struct value *run = value_item(runs, i);
        const char *state = current(run);
        bool is_waiting = strcmp(state, "RETRYING") == 0 || strcmp(state, "PAUSED") == 0;
        if (!is_final(state) && !is_waiting)
            continue;
        const char *key = arena_printf(scratch, "%s %s %zu", value_get_text(run, "id", ""), state,
                                       value_count(value_get(run, "attempts")));
        if (is_news(follow, key))
            print_run(scratch, runs, run);
    }
    (void)fflush(stdout);
}

static void print_entry(struct arena *scratch, const struct value *entry, const char *indent)
{
    const char *level = value_get_text(entry, "level", "INFO");
    usec_t at = follow_instant(value_get(entry, "timestamp"));
    const char *when = text_local(scratch, at);
    enum paint paint = strcmp(level, "ERROR") == 0  ? PAINT_RED
                       : strcmp(level, "WARN") == 0 ? PAINT_YELLOW
                                                    : PAINT_GREY;
    // only the time of day: the day stands in the title's neighbourhood
    const char *space = strchr(when, ' ');
    (void)printf("%s%.8s %s%-5s%s %s%s%s\n", indent, space == NULL ? when : space + 1,
                 output_paint(1, paint), level, output_paint(1, PAINT_OFF),
                 value_get_text(entry, "taskId", ""),
                 value_get(entry, "taskId") == NULL ? "" : "  ",
                 value_get_text(entry, "message", ""));
}

void follow_log(struct follow *follow, struct arena *scratch, const struct value *entry)
{
    if (output_is_json() || value_get(entry, "message") == NULL)
        return;
    const char *level = value_get_text(entry, "level", "INFO");
    if (!follow->all_logs && strcmp(level, "WARN") != 0 && strcmp(level, "ERROR") != 0)
        return;
    print_entry(scratch, entry, "    ");
    (void)fflush(stdout);
}

static const struct value *first_failed(const struct value *runs)
{
    // the innermost failed run: children come after their parents
    for (size_t i = value_count(runs); i-- > 0;) {
        const struct value *run = value_item(runs, i);
        if (strcmp(current(run), "FAILED") == 0)
            return run;
    }
    return NULL;
}

static void print_failure(struct arena *scratch,
                          const struct value *execution,
                          const struct value *logs)
{
    const struct value *run = first_failed(value_get(execution, "taskRunList"));
    const char *run_id = value_get_text(run, "id", NULL);
    if (run != NULL)
        (void)printf("\n%s✗%s task %s failed\n", output_paint(1, PAINT_RED),
                     output_paint(1, PAINT_OFF), value_get_text(run, "taskId", "?"));
    size_t matching = 0;
    for (size_t i = 0; i < value_count(logs); i++) {
        if (run_id == NULL ||
            str_eq(value_get_text(value_item(logs, i), "taskRunId", NULL), run_id))
            matching++;
    }
    for (size_t i = 0; i < value_count(logs); i++) {
        const struct value *entry = value_item(logs, i);
        if (run_id != NULL && !str_eq(value_get_text(entry, "taskRunId", NULL), run_id))
            continue;
        if (matching-- <= LINES_OF_FAILURE)
            print_entry(scratch, entry, "    ");
    }
}

int follow_end(struct follow *follow,
               struct arena *scratch,
               const struct value *execution,
               const struct value *logs,
               const char *again)
{
    const char *state = current(execution);
    bool is_good = strcmp(state, "SUCCESS") == 0 || strcmp(state, "WARNING") == 0;
    if (output_is_json()) {
        output_json(execution);
        return is_good ? EXIT_OK : EXIT_ERROR;
    }
    follow_update(follow, scratch, execution);
    const struct value *outputs = value_get(execution, "outputs");
    if (!is_good)
        print_failure(scratch, execution, logs);
    if (value_count(outputs) > 0) {
        (void)puts("\n  outputs");
        for (size_t i = 0; i < value_count(outputs); i++) {
            struct buf text = { 0 };
            value_write_print(&text, outputs->map.members[i].value);
            (void)printf("    %-20s %s\n", outputs->map.members[i].key, buf_text(&text));
            buf_free(&text);
        }
    }
    (void)printf("\n%s%s %s%s after %s\n", output_paint(1, output_state_paint(state)),
                 output_state_symbol(state), state, output_paint(1, PAINT_OFF),
                 text_span(scratch, duration_of(execution)));
    if (!is_good && again != NULL)
        (void)printf("  again from there: %s\n", again);
    return is_good ? EXIT_OK : EXIT_ERROR;
}
