/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property tables: what a mapping in a flow, a plugin or a setting may hold.
 *
 * One table drives checking (unknown names, shapes, bounds), defaults, rendering of expressions,
 * binding into a C struct, JSON Schema, the reference page and secret masking.
 *
 * To add a property: one row here, its member in the struct, `make generate`.
 */
#ifndef CORE_PROP_H
#define CORE_PROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct arena;
struct diag_list;
struct error;
struct expr_env;
struct plugin_set;
struct value;

enum prop_kind {
    PROP_STRING,   /* const char *, NULL when absent */
    PROP_INT,      /* int64_t */
    PROP_DOUBLE,   /* double */
    PROP_BOOL,     /* bool */
    PROP_DURATION, /* usec_t; -1 when absent and without fallback */
    PROP_INSTANT,  /* usec_t; USEC_NEVER when absent */
    PROP_ENUM,     /* int, index into `words`; -1 when absent and without fallback */
    PROP_BYTES,    /* int64_t bytes from "10MB"; -1 when absent */
    PROP_ANY,      /* const struct value *, NULL when absent */
    PROP_LIST,     /* const struct value * list; `item` tells the kind of the elements */
    PROP_MAP,      /* const struct value * map; `item` tells the kind of the values */
    PROP_OBJECT,   /* nested table `object`; bound in place at its offset */
    PROP_OBJECTS,  /* const struct value * list of maps checked against `object` */
    PROP_STRINGS,  /* const struct value * list; a single string counts as a list of one */
    PROP_LABELS,   /* const struct value * map or list of {key, value} */
    PROP_PLUGIN,   /* const struct value * map with `type`, checked against the plugin set */
    /* Below: understood by the flow parser, never bound. */
    PROP_TASK,          /* one nested task */
    PROP_TASKS,         /* list of tasks */
    PROP_TASK_MAP,      /* map name -> list of tasks (Switch cases) */
    PROP_DAG_TASKS,     /* list of {task, dependsOn} */
    PROP_TRIGGERS,      /* list of triggers */
    PROP_CONDITIONS,    /* list of conditions */
    PROP_CONDITION_MAP, /* map name -> condition (MultipleCondition) */
    PROP_INPUTS,        /* list of flow inputs */
    PROP_OUTPUTS,       /* list of flow outputs */
};

enum prop_flag {
    PROP_REQUIRED = 1 << 0,
    PROP_EXPR = 1 << 1,       /* may hold expressions; rendered before binding */
    PROP_SECRET = 1 << 2,     /* value is masked wherever it is shown; literals are warned about */
    PROP_DEPRECATED = 1 << 3, /* note in the validation result */
    PROP_NOT_EMPTY = 1 << 4,  /* list, map or string must hold something */
    PROP_TYPED = 1 << 5,      /* render keeps the type (expressions.md 3.5) */
    PROP_RAW = 1 << 6,        /* never rendered, e.g. a per-line expression */
    PROP_INTERNAL = 1 << 7,   /* accepted and ignored; left out of the reference */
    PROP_VERBATIM = 1 << 8,   /* STRINGS: a text that renders to a JSON list stays one text */
};

struct prop {
    const char *name;
    enum prop_kind kind;
    enum prop_kind item; /* of PROP_LIST and PROP_MAP */
    bool is_bound;       /* set by the macros below; a row without member is checked only */
    size_t offset;       /* of the member in the bound struct */
    unsigned flags;
    /*
     * Default, NULL none; may be an expression. Kinds that are a text (string, enum, duration,
     * instant, bytes): the text itself. All others: YAML, such as "5", "true", "[]".
     */
    const char *fallback;
    const char *alias;         /* older spelling, NULL none */
    const char *const *words;  /* PROP_ENUM: NULL-terminated */
    const struct prop *object; /* PROP_OBJECT(S): nested table, ended by a zero row */
    int64_t min;               /* PROP_INT, PROP_DURATION (usec), PROP_STRING (length) */
    int64_t max;               /* 0 with min 0: unbounded */
    const char *pattern;       /* PROP_STRING: whole text must match this regular expression */
    const char *doc;           /* one or two sentences, Markdown */
};

/*
 * Rows: { "message", STR(struct props, message), .flags = PROP_REQUIRED | PROP_EXPR, .doc = … }.
 * The type of the member is checked at compile time.
 */
#define PROP_AT(kind_, type_, struct_, member_)                                                    \
    .kind = (kind_), .is_bound = true,                                                             \
    .offset = offsetof(struct_, member_) +                                                         \
              0 * sizeof(char[_Generic(((struct_ *)0)->member_, type_ : 1)])
#define STR(s, m)      PROP_AT(PROP_STRING, const char *, s, m)
#define INT(s, m)      PROP_AT(PROP_INT, int64_t, s, m)
#define DOUBLE(s, m)   PROP_AT(PROP_DOUBLE, double, s, m)
#define BOOL(s, m)     PROP_AT(PROP_BOOL, bool, s, m)
#define DURATION(s, m) PROP_AT(PROP_DURATION, int64_t, s, m)
#define INSTANT(s, m)  PROP_AT(PROP_INSTANT, int64_t, s, m)
#define ENUM(s, m)     PROP_AT(PROP_ENUM, int, s, m)
#define BYTES(s, m)    PROP_AT(PROP_BYTES, int64_t, s, m)
#define ANY(s, m)      PROP_AT(PROP_ANY, const struct value *, s, m)
#define LIST(s, m)     PROP_AT(PROP_LIST, const struct value *, s, m)
#define MAP(s, m)      PROP_AT(PROP_MAP, const struct value *, s, m)
#define STRINGS(s, m)  PROP_AT(PROP_STRINGS, const struct value *, s, m)
#define LABELS(s, m)   PROP_AT(PROP_LABELS, const struct value *, s, m)
#define PLUGIN(s, m)   PROP_AT(PROP_PLUGIN, const struct value *, s, m)
#define OBJECTS(s, m)  PROP_AT(PROP_OBJECTS, const struct value *, s, m)
#define OBJECT(s, m, table)                                                                        \
    .kind = PROP_OBJECT, .is_bound = true, .offset = offsetof(s, m), .object = (table)

/* One property by name or alias; NULL when the table has none. */
const struct prop *prop_find(const struct prop *table, const char *name);

/*
 * Checks a mapping against one or more tables (common properties first): unknown properties with a
 * suggestion, wrong shapes, missing required ones, bounds of literals, deprecations. Texts that
 * hold expressions are checked for expression syntax only.
 *
 * tables   NULL-terminated array of tables
 * path     of the mapping, "" for the document
 * owner    for messages: "task type 'io.…'" or "flow"
 */
void prop_check(const struct prop *const *tables,
                const struct plugin_set *plugins,
                const struct value *map,
                const char *path,
                const char *owner,
                struct diag_list *findings);

/*
 * Renders every PROP_EXPR property of `map` (expressions.md 3.6) and gives the map with literal
 * values and defaults filled in. Aliases become their canonical name; members beyond the table are
 * kept as they are. A PROP_EXPR string that holds a list or map has it as JSON text.
 *
 * Errors  those of expr_render(); ERR_INVALID when the text of a list or map is not JSON
 */
const struct value *prop_render(const struct prop *table,
                                const struct value *map,
                                struct expr_env *env,
                                struct arena *arena,
                                struct error *err);

/*
 * Fills `bound` (zeroed by the caller) from a rendered map; converts texts to the declared kinds.
 * Text and values are borrowed from `map` or owned by the arena.
 *
 * Errors  ERR_INVALID  a value does not convert, or a required one is missing
 */
bool prop_bind(const struct prop *table,
               const struct value *map,
               void *bound,
               struct arena *arena,
               struct error *err);

#endif
