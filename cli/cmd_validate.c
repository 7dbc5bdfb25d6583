/* SPDX-License-Identifier: Apache-2.0 */
/* Checks files without a server: a folder as the reconciler would read it, or single flows. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"
#include "cli/checkout.h"
#include "cli/command.h"
#include "cli/output.h"
#include "core/diag.h"
#include "core/flow.h"
#include "core/module.h"
#include "core/repo_config.h"
#include "core/value.h"
#include "reconciler/reconcile.h"
#include "reconciler/render_json.h"
#include "reconciler/render_text.h"
#include "reconciler/target.h"
#include "runtime/plugins.h"

/* What all arguments gave together. */
struct result {
    struct value_builder findings;
    size_t files;        /* that were checked */
    size_t files_failed; /* with errors */
    size_t errors;
    size_t warnings;
};

/* Findings come sorted by file. */
static void take(struct result *result, const struct value *findings)
{
    const char *failed = NULL;
    for (size_t i = 0; i < value_count(findings); i++) {
        const struct value *finding = value_item(findings, i);
        const char *level = value_get_text(finding, "level", "");
        const char *file = value_get_text(finding, "file", "");
        value_add(&result->findings, finding);
        result->warnings += str_eq(level, "warning");
        if (!str_eq(level, "error"))
            continue;
        result->errors++;
        result->files_failed += !str_eq(failed, file);
        failed = file;
    }
}

/* ---- a folder ---- */

static bool check_folder(struct command_line *line,
                         const char *path,
                         struct result *result,
                         struct error *err)
{
    struct checkout checkout;
    if (!checkout_open(&checkout, line->arena, path, NULL, err))
        return false;
    struct snapshot snapshot = {
        .source = "folder",
        .shown = path,
        .branch = "files",
        .folder = "",
        .repo = checkout.repo,
    };
    AUTO(target_freep) struct target *target = target_memory_new();
    struct reconcile_options options = {
        .plugins = plugins(),
        .now = clock_now(),
        .namespace = line_option(line, "namespace"),
    };
    struct plan *plan = NULL;
    bool ok = checkout_files(&checkout, line->arena, &snapshot.commit, NULL, err);
    if (ok)
        plan = reconcile_plan(&snapshot, target, &options, err);
    if (plan != NULL) {
        const struct value *document = plan_to_value(line->arena, plan);
        take(result, value_get(document, "findings"));
        result->files += plan->read;
    }
    plan_free(plan);
    checkout_close(&checkout);
    return ok && plan != NULL;
}

/* ---- a file ---- */

static bool is_config(const char *path)
{
    const char *slash = strrchr(path, '/');
    return str_eq(slash == NULL ? path : slash + 1, REPO_CONFIG_NAME);
}

static bool check_file(struct command_line *line,
                       const char *path,
                       struct result *result,
                       struct error *err)
{
    struct arena *arena = line->arena;
    size_t length = 0;
    const char *text = fs_read(arena, path, FLOW_BYTES_MAX, &length, err);
    if (text == NULL)
        return false;
    struct diag_list list = diag_list_new(arena, path);
    if (is_config(path)) {
        (void)repo_config_parse(arena, text, length, path, &list);
    } else if (module_of(arena, text, length) != NULL) {
        return error_set(err, ERR_INVALID,
                         "'%s' is written with a module; validate the folder of its repository",
                         path);
    } else {
        struct flow_options options = {
            .file = path,
            .namespace = line_option(line, "namespace"),
        };
        flow_unref(flow_parse(plugins(), text, length, &options, &list));
    }
    diag_sort(&list);
    struct value_builder findings = value_build(arena);
    const struct diag *diag;
    VEC_EACH(diag, &list.all)
        value_add(&findings, finding_to_value(arena, diag, text, length));
    take(result, value_build_list(&findings));
    result->files++;
    return true;
}

/* ---- all ---- */

static const struct value *result_value(struct arena *arena,
                                        const struct result *result,
                                        const struct value *findings)
{
    struct value_builder map = value_build(arena);
    value_put_int(&map, "version", 1);
    value_put_int(&map, "files", (int64_t)result->files);
    value_put_int(&map, "errors", (int64_t)result->errors);
    value_put_int(&map, "warnings", (int64_t)result->warnings);
    value_put(&map, "findings", findings);
    return value_build_map(&map);
}

static void print(const struct command_line *line,
                  const struct result *result,
                  const struct value *findings)
{
    struct render_options options = {
        .colour = *output_paint(1, PAINT_RED) != '\0',
        .full = line_flag(line, "full"),
        .now = clock_now(),
    };
    struct buf out = { 0 };
    findings_render_text(&out, findings, &options);
    const char *files = result->files == 1 ? "file" : "files";
    if (result->errors > 0)
        buf_printf(&out, "%s%zu error%s%s in %zu of %zu %s; nothing was changed\n",
                   output_paint(1, PAINT_RED), result->errors, result->errors == 1 ? "" : "s",
                   output_paint(1, PAINT_OFF), result->files_failed, result->files, files);
    else
        buf_printf(&out, "%s✓%s %zu %s without errors%s\n", output_paint(1, PAINT_GREEN),
                   output_paint(1, PAINT_OFF), result->files, files,
                   result->warnings == 0
                       ? ""
                       : arena_printf(line->arena, ", %zu warning%s", result->warnings,
                                      result->warnings == 1 ? "" : "s"));
    (void)fwrite(buf_text(&out), 1, out.length, stdout);
    buf_free(&out);
}

static int run(struct command_line *line)
{
    struct result result = { .findings = value_build(line->arena) };
    for (size_t i = 0; i < line->arguments_count; i++) {
        const char *path = line->arguments[i];
        struct error err = { 0 };
        struct stat info;
        bool is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
        bool ok = is_folder ? check_folder(line, path, &result, &err)
                            : check_file(line, path, &result, &err);
        if (!ok)
            return command_fail(line, &err);
    }
    const struct value *findings = value_build_list(&result.findings);
    if (output_is_json())
        output_json(result_value(line->arena, &result, findings));
    else if (result.files > 0 || result.errors > 0)
        print(line, &result, findings);
    if (result.files == 0 && result.errors == 0)
        (void)fputs("no flows found: a flow is a YAML mapping with 'id' and 'tasks'\n", stderr);
    return result.errors > 0 ? EXIT_ERROR : EXIT_OK;
}

static const struct option options[] = {
    { "namespace", 'n', OPTION_VALUE, "NAMESPACE", .doc = "Of flows that name none." },
    { "full", 0, OPTION_FLAG, .doc = "Show every finding, also notes about older spellings." },
    { 0 },
};

static const char *const examples[] = {
    "weir validate .",
    "weir validate flows/load_orders.yml",
    NULL,
};

const struct cli_command command_validate = {
    .name = "validate",
    .arguments = "PATH...",
    .summary = "check flows and repository files, without Git and without a server",
    .doc = "A folder is read as a commit of it would be: weir.yaml says what its files are for;\n"
           "without one, every YAML file that looks like a flow is checked. Also references\n"
           "between flows are looked at then. A file is checked by itself.",
    .options = options,
    .complete = COMPLETE_FILE,
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .exits = "0 no errors, 1 errors were found or a path cannot be read",
    .examples = examples,
    .run = run,
};
