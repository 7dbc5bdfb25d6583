/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plan_output.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/url.h"
#include "cli/output.h"
#include "core/value.h"
#include "reconciler/render_text.h"

const char *plan_query(const struct command_line *line, const char *path)
{
    static const char *const names[] = { "source", "ref", "override" };
    struct buf out = { 0 };
    buf_puts(&out, path);
    char separator = '?';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = line_option(line, names[i]);
        if (value == NULL)
            continue;
        buf_printf(&out, "%c%s=%s", separator, names[i], url_encode_text(line->arena, value));
        separator = '&';
    }
    const char *text = buf_dup(&out, line->arena);
    buf_free(&out);
    return text;
}

static struct render_options render_options(const struct command_line *line, const char *command)
{
    return (struct render_options){
        .colour = *output_paint(1, PAINT_RED) != '\0',
        .full = line_flag(line, "full"),
        .now = clock_now(),
        .command = command,
    };
}

static void print(const struct buf *out)
{
    (void)fwrite(buf_text(out), 1, out->length, stdout);
}

void plan_print(const struct command_line *line, const struct value *plan, const char *command)
{
    if (output_is_json()) {
        output_json(plan);
        return;
    }
    struct render_options options = render_options(line, command);
    struct buf out = { 0 };
    plan_render_text(&out, plan, &options);
    print(&out);
    buf_free(&out);
}

void drift_print(const struct command_line *line, const struct value *drift)
{
    struct render_options options = render_options(line, NULL);
    struct buf out = { 0 };
    drift_render_text(&out, drift, &options);
    print(&out);
    buf_free(&out);
}
