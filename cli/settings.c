/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/settings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/fs.h"
#include "cli/output.h"
#include "core/config.h"
#include "core/diag.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024)
#define OPTIONS_MAX    32U

struct option settings_options[OPTIONS_MAX];

void settings_options_init(void)
{
    size_t count = 0;
    settings_options[count++] = (struct option){
        .name = "config",
        .letter = 'c',
        .kind = OPTION_VALUE,
        .metavar = "FILE",
        .complete = COMPLETE_FILE,
        .doc = "Settings file; " SETTINGS_FILE " in the current folder when it exists.",
    };
    for (const struct setting *row = settings; row->name != NULL; row++) {
        if (row->option == NULL)
            continue;
        CHECK(count + 1 < OPTIONS_MAX);
        settings_options[count++] = (struct option){
            .name = row->option,
            .kind = OPTION_VALUE,
            .metavar = row->metavar,
            .words = row->words,
            .complete = row->words == NULL ? COMPLETE_NONE : COMPLETE_WORDS,
            .doc = row->doc,
        };
    }
}

static void print_findings(const struct diag_list *findings, const char *text)
{
    struct buf out = { 0 };
    for (size_t i = 0; i < findings->all.count; i++)
        diag_render(&out, &findings->all.items[i], text, output_paint(2, PAINT_RED)[0] != '\0');
    (void)fputs(buf_text(&out), stderr);
    buf_free(&out);
}

const struct config *settings_load(const struct command_line *line)
{
    struct error err = { 0 };
    const char *file = line_option(line, "config");
    if (file == NULL && access(SETTINGS_FILE, F_OK) == 0)
        file = SETTINGS_FILE;
    struct config_sources sources = { .file = file, .environment = environ };
    if (file != NULL) {
        sources.text = fs_read(line->arena, file, FILE_BYTES_MAX, &sources.length, &err);
        if (sources.text == NULL) {
            (void)command_fail(line, &err);
            return NULL;
        }
    }
    struct config_override overrides[OPTIONS_MAX];
    for (const struct setting *row = settings; row->name != NULL; row++) {
        const char *text = row->option == NULL ? NULL : line_option(line, row->option);
        if (text != NULL)
            overrides[sources.overrides_count++] = (struct config_override){ row->name, text };
    }
    sources.overrides = overrides;
    struct diag_list findings = diag_list_new(line->arena, file);
    const struct config *config = config_load(line->arena, &sources, &findings);
    if (findings.all.count > 0)
        print_findings(&findings, sources.text);
    return config;
}
