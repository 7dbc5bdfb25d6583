/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.yaml: what a repository deploys, and what a plan must satisfy.
 *
 * Every key is optional. Tables in repo_config.c drive checks, defaults and the JSON Schema. To add
 * a key: one row there, its member here, `make generate`.
 */
#ifndef CORE_REPO_CONFIG_H
#define CORE_REPO_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "core/cron.h"
#include "core/prop.h"

struct arena;
struct diag_list;
struct tz;

#define REPO_CONFIG_BYTES_MAX ((size_t)256 * 1024)

/* Entries of one list; no plan gets slow by its settings. */
#define REPO_CONFIG_ITEMS_MAX 500U

/* A folder or file of the repository: relative, no "." or ".." segment, no slash at its ends. */
struct repo_path {
    const char *path;      /* "" is the whole repository */
    const char *namespace; /* NULL when not given */
    uint32_t line;
};

enum stack_engine { STACK_TERRAFORM, STACK_TOFU };
enum stack_apply { STACK_APPLY_MANUAL, STACK_APPLY_APPROVED, STACK_APPLY_AUTOMATIC };

struct repo_stack {
    const char *name;
    const char *path;
    enum stack_engine engine;
    enum stack_apply apply;
    usec_t drift;                  /* between two looks for drift; -1: never */
    const char *workspace;         /* NULL: default */
    const char *version;           /* of the engine, NULL: the one installed */
    const struct value *variables; /* map, NULL none */
    uint32_t line;
};

struct repo_approval {
    const char *const *paths; /* globs, NULL-terminated; none: everything */
    const char *const *by;    /* teams or people, NULL-terminated */
    int64_t count;
};

/* Applying is allowed from each match of `allow` for the time `span`. */
struct repo_window {
    const char *name;
    const char *allow_text;
    struct cron allow;
    usec_t span;
    const struct tz *zone;
    uint32_t line;
};

enum drift_remedy { DRIFT_REPORT, DRIFT_REVERT, DRIFT_ADOPT };

struct repo_config {
    struct repo_path *flows; /* has_flows tells none from not given */
    size_t flows_count;
    bool has_flows;
    struct repo_path *files;
    size_t files_count;
    struct repo_path *kv;
    size_t kv_count;
    struct repo_path *modules;
    size_t modules_count;
    struct repo_stack *stacks;
    size_t stacks_count;

    bool skips_invalid;           /* policy.onInvalid: skip */
    int64_t deletions_per_commit; /* -1: no limit */
    int64_t deletions_percent;    /* -1: no limit */
    const char *const *protected; /* namespaces, NULL-terminated */
    struct repo_approval *approvals;
    size_t approvals_count;
    struct repo_window *windows;
    size_t windows_count;

    enum drift_remedy drift_default;
    const char *const *operator_owns; /* fields as globs, NULL-terminated */

    bool comments; /* pullRequests.comment */
    int64_t rehearse;
};

/* The table of the document, for the JSON Schema and the reference page. */
extern const struct prop repo_config_props[];

/* What holds without a weir.yaml. */
const struct repo_config *repo_config_default(struct arena *arena);

/*
 * Reads weir.yaml; an empty text gives the defaults. Reports every mistake.
 *
 * arena    owns the result
 * Returns  NULL when there were errors
 */
const struct repo_config *repo_config_parse(struct arena *arena,
                                            const char *text,
                                            size_t length,
                                            const char *file,
                                            struct diag_list *findings);

/*
 * Is the window open? *changes: when it closes, or when it opens next (USEC_NEVER: never).
 * Adjoining or overlapping openings count as one only up to the next closing.
 */
bool repo_window_is_open(const struct repo_window *window, usec_t now, usec_t *changes);

#endif
