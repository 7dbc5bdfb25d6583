/* SPDX-License-Identifier: Apache-2.0 */
#include "core/repo_config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "core/ident.h"
#include "core/prop_internal.h"
#include "core/tz.h"
#include "core/yaml.h"

/* ---- tables; structs are what the rows bind into ---- */

struct bound_path {
    const char *path;
    const char *namespace;
};

static const struct prop flow_path_props[] = {
    { "path", STR(struct bound_path, path), .flags = PROP_REQUIRED,
      .doc = "Folder with flow files; `.` is the whole repository." },
    { "namespace", STR(struct bound_path, namespace), .max = IDENT_NAMESPACE_MAX,
      .pattern = IDENT_NAMESPACE,
      .doc =
          "Namespace of the folder, to which folders below are added, of flows that name none." },
    { 0 },
};

static const struct prop namespaced_path_props[] = {
    { "path", STR(struct bound_path, path), .flags = PROP_REQUIRED,
      .doc = "Folder or file of the repository." },
    { "namespace", STR(struct bound_path, namespace), .max = IDENT_NAMESPACE_MAX,
      .pattern = IDENT_NAMESPACE,
      .doc = "Namespace that it belongs to; taken from its name when not given." },
    { 0 },
};

struct bound_stack {
    const char *name;
    const char *path;
    int engine;
    int apply;
    usec_t drift;
    const char *workspace;
    const char *version;
    const struct value *variables;
};

static const char *const engine_words[] = { "terraform", "tofu", NULL };
static const char *const apply_words[] = { "manual", "approved", "automatic", NULL };

static const struct prop stack_props[] = {
    { "name", STR(struct bound_stack, name), .flags = PROP_REQUIRED, .min = 1, .max = 100,
      .pattern = IDENT_TASK, .doc = "Name of the stack." },
    { "path", STR(struct bound_stack, path), .flags = PROP_REQUIRED,
      .doc = "Folder with the configuration." },
    { "engine", ENUM(struct bound_stack, engine), .words = engine_words, .fallback = "terraform",
      .doc = "Program that plans and applies." },
    { "apply", ENUM(struct bound_stack, apply), .words = apply_words, .fallback = "approved",
      .doc = "Who decides that a plan is applied." },
    { "drift", DURATION(struct bound_stack, drift), .min = USEC_MIN, .max = 366 * USEC_DAY,
      .doc = "How often to look for changes made elsewhere." },
    { "workspace", STR(struct bound_stack, workspace), .doc = "Workspace of the engine." },
    { "version", STR(struct bound_stack, version), .doc = "Version of the engine." },
    { "variables", MAP(struct bound_stack, variables), .item = PROP_ANY,
      .doc = "Values of input variables." },
    { 0 },
};

struct bound_approval {
    const struct value *paths;
    const struct value *by;
    int64_t count;
};

static const struct prop approval_props[] = {
    { "paths", STRINGS(struct bound_approval, paths), .item = PROP_STRING,
      .doc = "Globs of files that need it; all when absent." },
    { "by", STRINGS(struct bound_approval, by), .item = PROP_STRING,
      .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Teams or people, one of whom must approve." },
    { "count", INT(struct bound_approval, count), .fallback = "1", .min = 1, .max = 100,
      .doc = "How many of them." },
    { 0 },
};

struct bound_window {
    const char *name;
    const char *allow;
    usec_t span;
    const char *zone;
};

static const struct prop window_props[] = {
    { "name", STR(struct bound_window, name), .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Name of the window." },
    { "allow", STR(struct bound_window, allow), .flags = PROP_REQUIRED,
      .doc = "Cron expression of its beginnings." },
    { "for", DURATION(struct bound_window, span), .flags = PROP_REQUIRED, .min = USEC_MIN,
      .max = 366 * USEC_DAY, .doc = "How long it stays open." },
    { "zone", STR(struct bound_window, zone), .fallback = "UTC", .doc = "Time zone of `allow`." },
    { 0 },
};

struct bound_deletions {
    int64_t per_commit;
    int64_t percent;
};

static const struct prop deletions_props[] = {
    { "perCommit", INT(struct bound_deletions, per_commit), .fallback = "-1", .min = -1,
      .max = INT32_MAX, .doc = "Objects that one commit may delete; -1 is no limit." },
    { "percent", INT(struct bound_deletions, percent), .fallback = "-1", .min = -1, .max = 100,
      .doc = "Part of all objects that one commit may delete; -1 is no limit." },
    { 0 },
};

struct bound_policy {
    int on_invalid;
    struct bound_deletions deletions;
    const struct value *protected;
    const struct value *approvals;
    const struct value *windows;
};

static const char *const invalid_words[] = { "hold", "skip", NULL };

static const struct prop policy_props[] = {
    { "onInvalid", ENUM(struct bound_policy, on_invalid), .words = invalid_words,
      .fallback = "hold", .doc = "A file with mistakes holds its commit, or only itself." },
    { "deletions", OBJECT(struct bound_policy, deletions, deletions_props),
      .doc = "How much a commit may delete without an approval." },
    { "protected", STRINGS(struct bound_policy, protected), .item = PROP_STRING,
      .doc = "Namespaces, with those below, where nothing is deleted." },
    { "approvals", OBJECTS(struct bound_policy, approvals), .object = approval_props,
      .doc = "Who must approve what." },
    { "windows", OBJECTS(struct bound_policy, windows), .object = window_props,
      .doc = "When commits are applied; always when there is none." },
    { 0 },
};

struct bound_drift {
    int remedy;
    const struct value *operator_owns;
};

static const char *const drift_words[] = { "report", "revert", "adopt", NULL };

static const struct prop drift_props[] = {
    { "default", ENUM(struct bound_drift, remedy), .words = drift_words, .fallback = "report",
      .doc = "What happens to changes made elsewhere." },
    { "operatorOwns", STRINGS(struct bound_drift, operator_owns), .item = PROP_STRING,
      .doc = "Fields, as globs, that may be changed elsewhere." },
    { 0 },
};

struct bound_pull_requests {
    bool comment;
    int64_t rehearse;
};

static const struct prop pull_request_props[] = {
    { "comment", BOOL(struct bound_pull_requests, comment), .fallback = "true",
      .doc = "Write the plan as a comment." },
    { "rehearse", INT(struct bound_pull_requests, rehearse), .fallback = "20", .min = 0,
      .max = 1000, .doc = "Past executions to try a changed flow on." },
    { 0 },
};

struct bound_config {
    int64_t version;
    const struct value *flows;
    const struct value *files;
    const struct value *kv;
    const struct value *modules;
    const struct value *stacks;
    struct bound_policy policy;
    struct bound_drift drift;
    struct bound_pull_requests pull_requests;
};

const struct prop repo_config_props[] = {
    { "version", INT(struct bound_config, version), .fallback = "1", .min = 1, .max = 1,
      .doc = "Version of this format." },
    { "flows", OBJECTS(struct bound_config, flows), .object = flow_path_props,
      .doc = "Where flows are; the whole repository when absent." },
    { "files", OBJECTS(struct bound_config, files), .object = namespaced_path_props,
      .doc = "Folders whose files become namespace files." },
    { "kv", OBJECTS(struct bound_config, kv), .object = namespaced_path_props,
      .doc = "Files, or folders of files, with key-value entries." },
    { "modules", STRINGS(struct bound_config, modules), .item = PROP_STRING,
      .doc = "Folders with modules." },
    { "stacks", OBJECTS(struct bound_config, stacks), .object = stack_props,
      .doc = "Terraform stacks." },
    { "policy", OBJECT(struct bound_config, policy, policy_props),
      .doc = "What a plan must satisfy." },
    { "drift", OBJECT(struct bound_config, drift, drift_props), .doc = "Changes made elsewhere." },
    { "pullRequests", OBJECT(struct bound_config, pull_requests, pull_request_props),
      .doc = "What happens on pull requests." },
    { 0 },
};

/* ---- reading ---- */

struct reading {
    struct arena *arena;
    struct diag_list *findings;
    struct repo_config *config;
};

static struct diag *problem(struct reading *reading,
                            const char *code,
                            const struct value *at,
                            const char *path,
                            const char *message)
{
    return diag_add(reading->findings, DIAG_ERROR, DIAG_RULE, code, at, path, "%s", message);
}

/* Binds one map of a list; the tables were checked before, so it only fails after a finding. */
static bool bind(struct reading *reading,
                 const struct prop *table,
                 const struct value *map,
                 void *bound)
{
    struct error err = { 0 };
    return prop_bind(table, map, bound, reading->arena, &err);
}

static size_t items_of(struct reading *reading, const struct value *list, const char *path)
{
    size_t count = value_count(list);
    if (count <= REPO_CONFIG_ITEMS_MAX)
        return count;
    (void)problem(reading, "too-many", list, path,
                  arena_printf(reading->findings->arena, "'%s' holds more than %u entries", path,
                               REPO_CONFIG_ITEMS_MAX));
    return 0;
}

/* NULL after a finding. Without slashes at its ends and "." segments. */
static const char *clean_path(struct reading *reading,
                              const char *given,
                              const struct value *at,
                              const char *path)
{
    struct buf out = { 0 };
    bool ok = given[0] != '/' && strchr(given, '\\') == NULL;
    for (const char *segment = given; ok && *segment != '\0';) {
        size_t length = strcspn(segment, "/");
        bool is_dot = length == 0 || (length == 1 && segment[0] == '.');
        if ((length == 2 && memcmp(segment, "..", 2) == 0) ||
            (length == 4 && strncasecmp(segment, ".git", 4) == 0))
            ok = false;
        if (ok && !is_dot) {
            if (out.length > 0)
                buf_putc(&out, '/');
            buf_add(&out, segment, length);
        }
        segment += length + (segment[length] == '/' ? 1 : 0);
    }
    const char *cleaned = ok ? buf_dup(&out, reading->arena) : NULL;
    buf_free(&out);
    if (cleaned == NULL)
        (void)problem(reading, "bad-path", at, path,
                      arena_printf(reading->findings->arena,
                                   "'%s' must be a path inside the repository", given));
    return cleaned;
}

static struct repo_path *read_paths(struct reading *reading,
                                    const struct value *list,
                                    const struct prop *table,
                                    const char *path,
                                    size_t *count)
{
    size_t given = items_of(reading, list, path);
    struct repo_path *out = ARENA_ARRAY(reading->arena, given, struct repo_path);
    *count = 0;
    for (size_t i = 0; i < given; i++) {
        const struct value *map = value_item(list, i);
        struct bound_path bound = { 0 };
        if (!bind(reading, table, map, &bound))
            continue;
        const char *cleaned =
            clean_path(reading, bound.path, value_get(map, "path"),
                       arena_printf(reading->findings->arena, "%s[%zu].path", path, i));
        if (cleaned != NULL)
            out[(*count)++] = (struct repo_path){ cleaned, bound.namespace, map->line };
    }
    return out;
}

static struct repo_path *read_modules(struct reading *reading,
                                      const struct value *list,
                                      size_t *count)
{
    size_t given = items_of(reading, list, "modules");
    struct repo_path *out = ARENA_ARRAY(reading->arena, given, struct repo_path);
    *count = 0;
    for (size_t i = 0; i < given; i++) {
        const struct value *item = value_item(list, i);
        const char *text = prop_text(reading->arena, item);
        const char *cleaned = clean_path(reading, text == NULL ? "" : text, item,
                                         arena_printf(reading->findings->arena, "modules[%zu]", i));
        if (cleaned != NULL)
            out[(*count)++] = (struct repo_path){ cleaned, NULL, item->line };
    }
    return out;
}

static void read_stacks(struct reading *reading, const struct value *list)
{
    struct repo_config *config = reading->config;
    size_t given = items_of(reading, list, "stacks");
    struct map names = { 0 };
    config->stacks = ARENA_ARRAY(reading->arena, given, struct repo_stack);
    for (size_t i = 0; i < given; i++) {
        const struct value *map = value_item(list, i);
        struct bound_stack bound = { 0 };
        if (!bind(reading, stack_props, map, &bound))
            continue;
        const char *where = arena_printf(reading->findings->arena, "stacks[%zu]", i);
        const char *path = clean_path(reading, bound.path, value_get(map, "path"), where);
        if (map_put(&names, bound.name, config) != NULL)
            (void)problem(
                reading, "duplicate-id", value_get(map, "name"), where,
                arena_printf(reading->findings->arena, "two stacks are called '%s'", bound.name));
        config->stacks[config->stacks_count++] = (struct repo_stack){
            .name = bound.name,
            .path = path,
            .engine = (enum stack_engine)bound.engine,
            .apply = (enum stack_apply)bound.apply,
            .drift = bound.drift,
            .workspace = bound.workspace,
            .version = bound.version,
            .variables = bound.variables,
            .line = map->line,
        };
    }
    map_free(&names);
}

/* NULL-terminated texts of a list. */
static const char *const *texts_of(struct reading *reading,
                                   const struct value *list,
                                   const char *path)
{
    size_t count = items_of(reading, list, path);
    const char **out = ARENA_ARRAY(reading->arena, count + 1, const char *);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const char *text = prop_text(reading->arena, value_item(list, i));
        if (text != NULL)
            out[kept++] = text;
    }
    return out;
}

static void read_approvals(struct reading *reading, const struct value *list)
{
    struct repo_config *config = reading->config;
    size_t given = items_of(reading, list, "policy.approvals");
    config->approvals = ARENA_ARRAY(reading->arena, given, struct repo_approval);
    for (size_t i = 0; i < given; i++) {
        struct bound_approval bound = { 0 };
        if (!bind(reading, approval_props, value_item(list, i), &bound))
            continue;
        config->approvals[config->approvals_count++] = (struct repo_approval){
            .paths = texts_of(reading, bound.paths, "policy.approvals.paths"),
            .by = texts_of(reading, bound.by, "policy.approvals.by"),
            .count = bound.count,
        };
    }
}

static void read_windows(struct reading *reading, const struct value *list)
{
    struct repo_config *config = reading->config;
    size_t given = items_of(reading, list, "policy.windows");
    config->windows = ARENA_ARRAY(reading->arena, given, struct repo_window);
    for (size_t i = 0; i < given; i++) {
        const struct value *map = value_item(list, i);
        struct bound_window bound = { 0 };
        if (!bind(reading, window_props, map, &bound))
            continue;
        struct repo_window *window = &config->windows[config->windows_count++];
        struct error err = { 0 };
        window->name = bound.name;
        window->allow_text = bound.allow;
        window->span = bound.span;
        window->line = map->line;
        const char *where = arena_printf(reading->findings->arena, "policy.windows[%zu]", i);
        if (!cron_parse(&window->allow, bound.allow, false, &err))
            (void)problem(reading, "invalid-cron", value_get(map, "allow"), where, err.text);
        window->zone = tz_get(bound.zone, &err);
        if (window->zone == NULL)
            (void)problem(reading, "invalid-zone", value_get(map, "zone"), where, err.text);
    }
}

static void check_protected(struct reading *reading, const struct value *list)
{
    for (size_t i = 0; i < value_count(list); i++) {
        const struct value *item = value_item(list, i);
        const char *text = prop_text(reading->arena, item);
        if (text != NULL && !ident_matches(IDENT_NAMESPACE, text, strlen(text)))
            (void)problem(reading, "bad-namespace", item, "policy.protected",
                          arena_printf(reading->findings->arena, "'%s' is not a namespace", text));
    }
}

static void read_config(struct reading *reading, const struct bound_config *bound)
{
    struct repo_config *config = reading->config;
    config->has_flows = bound->flows != NULL;
    config->flows =
        read_paths(reading, bound->flows, flow_path_props, "flows", &config->flows_count);
    config->files =
        read_paths(reading, bound->files, namespaced_path_props, "files", &config->files_count);
    config->kv = read_paths(reading, bound->kv, namespaced_path_props, "kv", &config->kv_count);
    config->modules = read_modules(reading, bound->modules, &config->modules_count);
    read_stacks(reading, bound->stacks);

    config->skips_invalid = bound->policy.on_invalid == 1;
    config->deletions_per_commit = bound->policy.deletions.per_commit;
    config->deletions_percent = bound->policy.deletions.percent;
    config->protected = texts_of(reading, bound->policy.protected, "policy.protected");
    check_protected(reading, bound->policy.protected);
    read_approvals(reading, bound->policy.approvals);
    read_windows(reading, bound->policy.windows);

    config->drift_default = (enum drift_remedy)bound->drift.remedy;
    config->operator_owns = texts_of(reading, bound->drift.operator_owns, "drift.operatorOwns");
    config->comments = bound->pull_requests.comment;
    config->rehearse = bound->pull_requests.rehearse;
}

static const struct value *read_document(struct reading *reading, const char *text, size_t length)
{
    struct yaml_limits limits = yaml_limits_default;
    limits.bytes_max = REPO_CONFIG_BYTES_MAX;
    struct error err = { 0 };
    const struct value *doc = yaml_parse(reading->arena, text, length, &limits, &err);
    if (doc == NULL) {
        struct diag *diag = problem(reading, "yaml-syntax", NULL, "", err.text);
        diag->stage = DIAG_SYNTAX;
        diag->line = err.line;
        diag->column = err.column;
        return NULL;
    }
    if (value_is_null(doc))
        return &value_empty_map;
    if (!value_is_map(doc)) {
        (void)problem(reading, "wrong-shape", doc, "", "weir.yaml is a map");
        return NULL;
    }
    static const struct prop *const tables[] = { repo_config_props, NULL };
    prop_check(tables, NULL, doc, "", "weir.yaml", reading->findings);
    return doc;
}

const struct repo_config *repo_config_parse(struct arena *arena,
                                            const char *text,
                                            size_t length,
                                            const char *file,
                                            struct diag_list *findings)
{
    const char *file_before = findings->file;
    findings->file = arena_strdup(findings->arena, file);
    size_t errors_before = findings->errors;
    struct reading reading = {
        .arena = arena,
        .findings = findings,
        .config = ARENA_NEW(arena, struct repo_config),
    };
    const struct value *doc = read_document(&reading, text, length);
    struct bound_config bound = { 0 };
    struct error err = { 0 };
    if (doc != NULL && findings->errors == errors_before) {
        if (prop_bind(repo_config_props, doc, &bound, arena, &err))
            read_config(&reading, &bound);
        else
            (void)problem(&reading, "invalid-value", doc, "", err.text);
    }
    findings->file = file_before;
    return findings->errors == errors_before ? reading.config : NULL;
}

const struct repo_config *repo_config_default(struct arena *arena)
{
    struct diag_list findings = diag_list_new(arena, NULL);
    return repo_config_parse(arena, "", 0, NULL, &findings);
}

bool repo_window_is_open(const struct repo_window *window, usec_t now, usec_t *changes)
{
    usec_t opened = cron_previous(&window->allow, window->zone, now + 1);
    if (opened > -USEC_NEVER && now - opened < window->span) {
        *changes = opened + window->span;
        return true;
    }
    *changes = cron_next(&window->allow, window->zone, now);
    return false;
}
