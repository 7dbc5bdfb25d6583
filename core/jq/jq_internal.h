/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of core/jq: the tree of a program, its evaluation, and what built-in functions use.
 *
 * Evaluation pushes: every result of an expression is handed to an output; when that answers false
 * the expression stops at once and answers false as well. Why it stopped is in jq->stop.
 */
#ifndef CORE_JQ_JQ_INTERNAL_H
#define CORE_JQ_JQ_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/jq/jq.h"
#include "core/value.h"

struct buf;

/* C stack that a run may use. */
#define JQ_STACK_MAX ((size_t)2 * 1024 * 1024)
/* Brackets and keywords inside one another, and operators in a row. */
#define JQ_NEST_MAX 500U
/* Indexes of lists that assignments may create. */
#define JQ_INDEX_MAX 1000000
/* Lists and maps inside one another that are walked. */
#define JQ_DEPTH_MAX 1000U
/* Arguments of a builtin written in C. */
#define JQ_ARGS_MAX 3U
/* Bytes of a text. */
#define JQ_TEXT_MAX ((size_t)16 * 1024 * 1024)

enum jq_kind {
    JQ_IDENTITY,
    JQ_RECURSE, /* .. */
    JQ_INDEX,   /* left[right]; .a is an index by a literal */
    JQ_SLICE,   /* left[right:third]; either may be NULL */
    JQ_ITERATE, /* left[] */
    JQ_LITERAL,
    JQ_STRING, /* parts, with `name` the format of interpolations or NULL */
    JQ_FORMAT, /* @name */
    JQ_ARRAY,  /* [left], left may be NULL */
    JQ_OBJECT, /* parts: key, value, key, value … */
    JQ_NEGATE,
    JQ_PIPE,
    JQ_COMMA,
    JQ_ALTERNATIVE, /* left // right */
    JQ_ASSIGN,      /* = */
    JQ_UPDATE,      /* |= */
    JQ_UPDATE_WITH, /* += and so on: `operation` */
    JQ_OR,
    JQ_AND,
    JQ_COMPARE,   /* `operation` */
    JQ_CALCULATE, /* `operation` */
    JQ_IF,        /* left: condition, right: then, third: else or NULL */
    JQ_TRY,       /* left, catch right or NULL */
    JQ_REDUCE,    /* left as pattern (right; third) */
    JQ_FOREACH,   /* left as pattern (right; third; fourth or NULL) */
    JQ_BIND,      /* left as pattern | right */
    JQ_LABEL,     /* label $name | left */
    JQ_BREAK,
    JQ_VARIABLE,
    JQ_CALL,
    JQ_DEFINE, /* def name(params): left; right */
};

enum jq_operation {
    JQ_ADD,
    JQ_SUBTRACT,
    JQ_MULTIPLY,
    JQ_DIVIDE,
    JQ_MODULO,
    JQ_DEFINED_OR, /* //= only */
    JQ_EQUAL,
    JQ_NOT_EQUAL,
    JQ_LESS,
    JQ_LESS_EQUAL,
    JQ_GREATER,
    JQ_GREATER_EQUAL,
};

/* What `as` binds: a variable, or parts of a list or a map. */
struct jq_pattern {
    const char *variable; /* NULL: a list or a map */
    bool is_map;
    size_t count;
    const struct jq_pattern **items;
    const struct jq_node **keys; /* maps: expressions of the keys; NULL item: `$name` alone */
};

struct jq_node {
    enum jq_kind kind;
    enum jq_operation operation;
    uint32_t line;
    uint32_t column;
    const char *name;
    const struct value *literal;
    const struct jq_node *left;
    const struct jq_node *right;
    const struct jq_node *third;
    const struct jq_node *fourth;
    const struct jq_pattern *pattern;
    const struct jq_node **parts; /* of strings and maps; arguments of calls */
    size_t count;
    const char **params; /* of definitions; `$x` with its dollar */
};

/*
 * Parses a program and checks that every name in it is defined.
 * Errors   ERR_INVALID with line and column
 */
const struct jq_node *jq_parse(struct arena *arena,
                               const char *text,
                               size_t length,
                               struct error *err);

/* ---- evaluation ---- */

/* One step of a path; the root has parent NULL. */
struct jq_path {
    const struct jq_path *parent;
    const struct value *key;
};

/* A value on its way; its path is NULL unless paths are asked for. */
struct jq_item {
    const struct value *value;
    const struct jq_path *path;
};

typedef bool jq_emit_fn(void *data, struct jq_item item);

struct jq_out {
    jq_emit_fn *emit;
    void *data;
};

/* Names in sight, innermost first. */
struct jq_scope {
    const struct jq_scope *outer;
    const char *name;            /* variables and labels without `$` */
    const struct value *value;   /* variable */
    const struct jq_node *node;  /* closure: what to evaluate; function: its definition */
    const struct jq_scope *home; /* closure: where to evaluate; function: its own scope */
    enum {
        JQ_SCOPE_VARIABLE,
        JQ_SCOPE_CLOSURE,
        JQ_SCOPE_FUNCTION,
        JQ_SCOPE_LABEL,
    } kind;
    size_t count;  /* parameters of a function */
    bool is_param; /* a variable that can be called as a function too */
};

enum jq_stop {
    JQ_RUNNING,
    JQ_ERROR,  /* `error` holds the value */
    JQ_BROKEN, /* out of the label */
    JQ_DONE,   /* an output wants no more, see jq_take() */
    JQ_LIMIT,  /* not to be caught */
};

struct jq {
    struct arena *arena;
    struct jq_budget *budget;
    const char *stack;
    enum jq_stop stop;
    const struct value *error;
    const void *target;        /* the label or the output that stopped it */
    const char *limit;         /* why, for JQ_LIMIT */
    struct jq_source *sources; /* builtins written in jq that were parsed so far */
};

struct jq_source {
    struct jq_source *next;
    const struct jq_builtin *builtin;
    const struct jq_node *node;
};

bool jq_eval(struct jq *jq,
             const struct jq_node *node,
             const struct jq_scope *scope,
             struct jq_item in,
             struct jq_out out);

/* ---- between jq_eval.c and jq_bind.c ---- */

/* Everything a callback needs of the evaluation it belongs to. */
struct jq_frame {
    struct jq *jq;
    const struct jq_node *node;
    const struct jq_scope *scope;
    struct jq_item in;
    struct jq_out out;
    const struct value *first;
    const struct value *second;
    bool found;      /* an alternative has given something */
    bool downstream; /* stopped by whom the results are handed to */
};

/*
 * Outputs of the expression that a construct evaluates first, with its frame as data: the source of
 * `as`, the initial state of a loop, the right side of an assignment.
 */
bool jq_source_emit(void *data, struct jq_item item);
bool jq_reduce_init(void *data, struct jq_item item);
bool jq_foreach_init(void *data, struct jq_item item);
bool jq_assign_value(void *data, struct jq_item item);
bool jq_update_with(void *data, struct jq_item item);
bool jq_eval_update(struct jq_frame *f);

/* ---- paths, items, outputs ---- */

/* The path of the whole, and that of values that have none although paths are asked for. */
extern const struct jq_path jq_root_path;
extern const struct jq_path jq_no_path;

/* One step further; NULL when it stopped, for values without a path have no steps. */
const struct jq_path *jq_step(struct jq *jq, struct jq_item from, const struct value *key);

/* Item of a value that is not looked at by path. */
struct jq_item jq_plain(const struct value *value);

/* Hands on a computed value. */
bool jq_give(struct jq_out out, struct jq_item in, const struct value *value);

/* Stops with an error; always false. */
bool jq_fail(struct jq *jq, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool jq_fail_value(struct jq *jq, const struct value *error);

/* Stops with an error that cannot be caught; always false. `why` must live long. */
bool jq_stop_at_limit(struct jq *jq, const char *why);

/* Pays; false when the budget is used up. */
bool jq_charge(struct jq *jq, uint64_t steps);

/* Evaluates without paths and collects all results; NULL when it stopped. */
const struct value *jq_collect(struct jq *jq,
                               const struct jq_node *node,
                               const struct jq_scope *scope,
                               const struct value *input);

/* Lists of keys of the paths an expression walks along; NULL when it stopped. */
const struct value *jq_collect_paths(struct jq *jq,
                                     const struct jq_node *node,
                                     const struct jq_scope *scope,
                                     const struct value *input);

/*
 * The first result of an expression in *out, NULL when it has none. False when it stopped for
 * another reason.
 */
bool jq_first(struct jq *jq,
              const struct jq_node *node,
              const struct jq_scope *scope,
              struct jq_item in,
              struct jq_item *out);

/* ---- values ---- */

bool jq_is_true(const struct value *value);

/*
 * Total order of all values: null false true numbers strings lists maps. *order is negative, 0 or
 * positive; false when it stopped.
 */
bool jq_compare(struct jq *jq, const struct value *a, const struct value *b, int *order);

/* Pays for every part of a value, and stops when it is nested too deeply to be walked. */
bool jq_measure(struct jq *jq, const struct value *value);

/* The number as a double. */
double jq_real(const struct value *number);

/* An integer where the number is one, else a double. */
const struct value *jq_number(struct jq *jq, double number);

/* NULL when it stopped. */
const struct value *jq_calculate(struct jq *jq,
                                 enum jq_operation operation,
                                 const struct value *a,
                                 const struct value *b);

/* x[key], NULL when it stopped; null for what is absent. */
const struct value *jq_index(struct jq *jq, const struct value *object, const struct value *key);
const struct value *jq_slice(struct jq *jq,
                             const struct value *object,
                             const struct value *from,
                             const struct value *to);

/* Index of a number in a list; negative ones count from the end. False when it is out of range. */
bool jq_index_in(const struct value *key, size_t count, size_t *index);

/* A bound of a slice, null or a number, within 0 … count; false when it stopped. */
bool jq_slice_bound(struct jq *jq, const struct value *bound, size_t count, bool up, size_t *out);

/* Stops, for a value has no such member; always NULL. */
const struct value *jq_cannot_index(struct jq *jq,
                                    const struct value *object,
                                    const struct value *key);

const struct value *jq_keys(struct jq *jq, const struct value *map, bool sorted);

/* The list of steps of a path. */
const struct value *jq_path_list(struct jq *jq, const struct jq_path *path);

/* Along a list of keys; NULL when it stopped. */
const struct value *jq_get_path(struct jq *jq, const struct value *value, const struct value *path);
const struct value *jq_set_path(struct jq *jq,
                                const struct value *value,
                                const struct value *path,
                                const struct value *new);
const struct value *jq_delete_paths(struct jq *jq,
                                    const struct value *value,
                                    const struct value *paths);

/* Type name: null boolean number string array object. */
const char *jq_type(const struct value *value);

/* The values of a map as a list; other values as they are. */
const struct value *jq_members(struct jq *jq, const struct value *value);

/* `tojson` of strings too, `tostring` of others. */
const struct value *jq_to_json(struct jq *jq, const struct value *value);
const struct value *jq_to_text(struct jq *jq, const struct value *value);

/* A string value of a buffer's bytes; frees it. NULL when it is too long. */
const struct value *jq_text_of(struct jq *jq, struct buf *buf);

/* @text @json @csv …; NULL when it stopped. */
const struct value *jq_format(struct jq *jq, const char *name, const struct value *value);

/* A list of items sorted by a list of keys of the same length; stable. */
const struct value *jq_sorted(struct jq *jq,
                              const struct value *items,
                              const struct value *keys,
                              const struct value **sorted_keys);

/* ---- built-in functions ---- */

struct jq_call {
    struct jq *jq;
    const struct jq_node *node; /* parts: the arguments */
    const struct jq_scope *scope;
    struct jq_item in;
    struct jq_out out;
};

typedef bool jq_builtin_fn(struct jq_call *call);

struct jq_builtin {
    const char *name;
    size_t count; /* of arguments */
    jq_builtin_fn *run;
    const char *source; /* instead of run: a definition in jq */
};

const struct jq_builtin *jq_builtin_find(const char *name, size_t count);

extern const struct jq_builtin jq_control_builtins[];
extern const size_t jq_control_builtins_count;
extern const struct jq_builtin jq_value_builtins[];
extern const size_t jq_value_builtins_count;
extern const struct jq_builtin jq_text_builtins[];
extern const size_t jq_text_builtins_count;

/* Calls `each` for every combination of the arguments' values, the last varying fastest. */
typedef bool jq_each_fn(struct jq_call *call, const struct value *const *args, void *data);
bool jq_each(struct jq_call *call, jq_each_fn *each, void *data);

#endif
