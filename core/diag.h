/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings about a user's text: file, line, column, path inside the document, message, advice.
 *
 * Checks report everything they find, not the first. A list grows in its arena.
 */
#ifndef CORE_DIAG_H
#define CORE_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct arena;
struct buf;
struct value;
struct value_member;

enum diag_level {
    DIAG_ERROR,
    DIAG_WARNING,
    DIAG_INFO,        /* alias replaced … */
    DIAG_DEPRECATION, /* path of a deprecated property or type */
};

/* Class of a finding: decides the prefix in API answers (flow-language.md 7.1). */
enum diag_stage {
    DIAG_SYNTAX,     /* YAML, wrong shapes: "Illegal flow source: " */
    DIAG_TYPE,       /* unknown types and properties */
    DIAG_CONSTRAINT, /* "<path>: <message>" */
    DIAG_RULE,       /* joined into one "Invalid Flow: a, b" */
};

struct diag {
    enum diag_level level;
    enum diag_stage stage;
    const char *code;    /* stable kebab-case name: "unknown-property", "duplicate-id" … */
    const char *file;    /* NULL when unknown */
    uint32_t line;       /* 1-based, 0 unknown */
    uint32_t column;     /* 1-based, 0 unknown */
    uint32_t width;      /* columns to underline, at least 1 */
    const char *path;    /* "tasks[0].retry.interval", "" for the document */
    const char *message; /* one sentence, lower case, no final stop */
    const char *api;     /* message in the words API clients match on; NULL: as message */
    const char *advice;  /* "did you mean 'commands'?", may be NULL */
    const char *see;     /* "weir docs TYPE", may be NULL */
};

/* A list keeps this many findings; the rest is only counted. */
#define DIAG_LIST_MAX 1000U

struct diag_list {
    struct arena *arena; /* owns the texts */
    const char *file;    /* given to every finding added from now on */
    VEC(struct diag) all;
    size_t errors;      /* with those that were not kept */
    size_t warnings;    /* likewise */
    size_t dropped;     /* findings beyond DIAG_LIST_MAX */
    struct diag *spare; /* takes what the caller fills in for those */
};

struct diag_list diag_list_new(struct arena *arena, const char *file);

/* Adds a finding; the caller fills the rest through the result. Texts must live in the arena. */
struct diag *diag_add(struct diag_list *list,
                      enum diag_level level,
                      enum diag_stage stage,
                      const char *code,
                      const struct value *at,
                      const char *path,
                      const char *format,
                      ...) __attribute__((format(printf, 7, 8)));

/* Are further findings only counted? Then costly texts need not be made. */
bool diag_is_full(const struct diag_list *list);

/* Moves the finding to a key of a mapping and underlines it; NULL changes nothing. */
void diag_point(struct diag *diag, const struct value_member *key);

/* By file, line, column; findings at one place keep their order. */
void diag_sort(struct diag_list *list);

/*
 * One finding as people see it (experience.md 2): level, message, position, the lines of `source`
 * around it, underline, advice. `source` may be NULL. colour: ANSI escapes.
 */
void diag_render(struct buf *out, const struct diag *diag, const char *source, bool colour);

/* "error", "warning", "info", "deprecation". */
const char *diag_level_name(enum diag_level level);

/* {level, code, file, line, column, path, message, advice, see}; what is unknown is left out. */
const struct value *diag_to_value(struct arena *arena, const struct diag *diag);

/*
 * All errors in the words of API answers (flow-language.md 7.1), joined by newlines; NULL when
 * there is none. prefix "Validation error: " is added to stages 2–4 when `prefixed`.
 */
char *diag_constraints(const struct diag_list *list, bool prefixed);

#endif
