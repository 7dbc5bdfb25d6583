/* SPDX-License-Identifier: Apache-2.0 */
/* weir.yaml of a commit: what its files are for, and what a plan must satisfy. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/git_walk.h"
#include "base/str.h"
#include "core/value.h"
#include "reconciler/planner.h"

/* Changes when files are read in another way, so that everything is read again once. */
#define LAYOUT_FORM "1"

static const char *joined(struct arena *arena, const char *folder, const char *path)
{
    if (str_empty(folder))
        return path;
    return *path == '\0' ? folder : arena_printf(arena, "%s/%s", folder, path);
}

/* The folder that the source names must be there: one that is gone has not deleted what it held. */
static bool check_tree(struct planner *planner, struct error *err)
{
    const struct snapshot *snapshot = planner->snapshot;
    char hex[OID_TEXT];
    struct oid folder;
    bool is_folder = false;
    (void)oid_format(&snapshot->commit.id, hex);
    enum git_kind kind;
    size_t bytes = 0;
    if (!walk_find(snapshot->repo, &planner->tree, snapshot->folder, &folder, &is_folder, err) ||
        !git_repo_header(snapshot->repo, &folder, &kind, &bytes, err))
        return error_wrap(err, "commit %.*s", OID_SHORT, hex);
    if (!is_folder)
        return error_set(err, ERR_INVALID, "commit %.*s: '%s' is not a folder", OID_SHORT, hex,
                         snapshot->folder);
    if (bytes == 0)
        return error_set(err, ERR_INVALID,
                         "commit %.*s has no files at all; nothing is deleted because of that",
                         OID_SHORT, hex);
    return true;
}

static void add_rules(struct planner *planner,
                      struct layout_rule **at,
                      enum layout_role role,
                      const struct repo_path *paths,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        *(*at)++ = (struct layout_rule){
            .role = role,
            .path = joined(planner->arena, planner->snapshot->folder, paths[i].path),
            .namespace = paths[i].namespace,
            .sniffs = paths[i].path[0] == '\0',
            .line = paths[i].line,
        };
}

static void make_layout(struct planner *planner)
{
    const struct repo_config *config = planner->config;
    size_t max =
        config->flows_count + config->files_count + config->kv_count + config->modules_count + 1;
    struct layout_rule *rules = ARENA_ARRAY(planner->arena, max, struct layout_rule);
    struct layout_rule *at = rules;
    add_rules(planner, &at, LAYOUT_FLOW, config->flows, config->flows_count);
    add_rules(planner, &at, LAYOUT_FILE, config->files, config->files_count);
    add_rules(planner, &at, LAYOUT_KV, config->kv, config->kv_count);
    add_rules(planner, &at, LAYOUT_MODULE, config->modules, config->modules_count);
    if (!config->has_flows)
        *at++ = (struct layout_rule){
            .role = LAYOUT_FLOW,
            .path = joined(planner->arena, planner->snapshot->folder, ""),
            .namespace = planner->options->namespace,
            .sniffs = true,
        };
    planner->layout = (struct layout){ .rules = rules, .count = (size_t)(at - rules) };

    struct buf text = { 0 };
    buf_puts(&text, LAYOUT_FORM "\n");
    layout_write(&text, &planner->layout);
    planner->layout_digest = digest_sha256_hex(planner->arena, text.bytes, text.length);
    buf_free(&text);
}

/* What weir.yaml names must be there, or be deleted from weir.yaml too. */
static bool check_paths(struct planner *planner, struct error *err)
{
    struct diag_list *findings = &planner->plan->findings;
    findings->file = planner->config_path;
    for (size_t i = 0; i < planner->layout.count; i++) {
        const struct layout_rule *rule = &planner->layout.rules[i];
        struct oid found;
        struct error absent = { 0 };
        if (rule->line == 0 ||
            walk_find(planner->snapshot->repo, &planner->tree, rule->path, &found, NULL, &absent))
            continue;
        if (absent.code != ERR_NOT_FOUND) {
            *err = absent;
            return false;
        }
        struct value at = { .line = rule->line, .column = 1 };
        struct diag *diag = diag_add(findings, DIAG_ERROR, DIAG_RULE, "no-such-path", &at, NULL,
                                     "the repository has no '%s'", rule->path);
        diag->advice = "remove the entry to delete what it deployed";
    }
    findings->file = NULL;
    return true;
}

bool planner_read_settings(struct planner *planner, struct error *err)
{
    const struct snapshot *snapshot = planner->snapshot;
    if (!check_tree(planner, err))
        return false;
    planner->config_path = joined(planner->arena, snapshot->folder, REPO_CONFIG_NAME);
    struct oid blob;
    bool is_folder = false;
    struct error absent = { 0 };
    if (walk_find(snapshot->repo, &planner->tree, planner->config_path, &blob, &is_folder,
                  &absent) &&
        !is_folder) {
        size_t length = 0;
        const char *text = git_repo_blob(snapshot->repo, planner->arena, &blob,
                                         REPO_CONFIG_BYTES_MAX, &length, err);
        if (text == NULL)
            return error_wrap(err, "'%s'", planner->config_path);
        planner->config = repo_config_parse(planner->arena, text, length, planner->config_path,
                                            &planner->plan->findings);
        if (planner->config == NULL)
            return true; // its mistakes are findings
    } else if (absent.code != ERR_NONE && absent.code != ERR_NOT_FOUND) {
        *err = absent;
        return false;
    } else {
        planner->config = repo_config_default(planner->arena);
    }
    make_layout(planner);
    return check_paths(planner, err);
}
