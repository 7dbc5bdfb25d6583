/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flow document, parsed: what the YAML says, with types resolved and positions kept.
 *
 * Immutable once made; owned by an arena of its own, shared by reference count between the engine,
 * the store's cache and whoever reads it. Plugin defaults are merged into the tasks; `source` is
 * the text as written. Rules: flow-language.md.
 */
#ifndef CORE_FLOW_H
#define CORE_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"

struct arena;
struct diag_list;
struct error;
struct expr_cache;
struct plugin;
struct plugin_set;
struct value;

enum retry_type { RETRY_NONE, RETRY_CONSTANT, RETRY_EXPONENTIAL, RETRY_RANDOM };
enum retry_behavior { RETRY_FAILED_TASK, RETRY_NEW_EXECUTION };

struct retry {
    enum retry_type type;
    usec_t interval;      /* constant, exponential */
    usec_t min_interval;  /* random */
    usec_t max_interval;  /* exponential, random */
    double delay_factor;  /* exponential, default 2 */
    int64_t max_attempts; /* 0 unlimited; counts the first attempt */
    usec_t max_duration;  /* 0 unlimited */
    bool warning_on_retry;
    enum retry_behavior behavior;
};

/* Which property of the owner a list of tasks came from. */
enum task_slot {
    SLOT_TASKS, /* tasks, If.then */
    SLOT_ERRORS,
    SLOT_FINALLY,
    SLOT_ELSE,    /* If.else */
    SLOT_CASE,    /* Switch.cases, one list per case */
    SLOT_DEFAULT, /* Switch.defaults */
    SLOT_ON_PAUSE,
    SLOT_AFTER_EXECUTION,
    SLOT_LISTENER, /* one list per listener */
    SLOT_ON_WAIT,  /* Approval */
    SLOT_ON_APPROVE,
    SLOT_ON_DENY,
};

/*
 * Tasks that follow one another under one owner. Disabled tasks are left out of `items`.
 * is_present tells an empty list from an absent one.
 */
struct task_list {
    enum task_slot slot;
    const char *name;               /* case key of SLOT_CASE, else NULL */
    const struct value *conditions; /* of SLOT_LISTENER, else NULL */
    struct task **items;
    size_t count;
    struct task **all; /* with the disabled ones, in document order */
    size_t all_count;
};

struct task {
    const char *id;
    const char *type_name;     /* as written */
    const struct plugin *type; /* never NULL in a valid flow */
    uint32_t index;            /* position in flow->tasks_all */
    struct task *parent;       /* NULL at flow level */
    struct task_list *list;    /* the list that holds it */
    uint32_t list_at;          /* position in list->items; UINT32_MAX when disabled */
    const struct value *doc;   /* the mapping, with defaults merged in */
    const char *path;          /* "tasks[0].tasks[1]" */
    uint32_t line;             /* of the mapping */
    struct retry retry;        /* type RETRY_NONE when absent */
    const char *run_if;        /* NULL: always */
    const char *timeout;       /* duration text or expression, NULL none */
    bool disabled;
    bool allow_failure;
    bool allow_warning;
    bool log_to_file;
    enum log_level log_level;
    bool cache_enabled;
    usec_t cache_ttl;               /* 0 none */
    const struct value *depends_on; /* of a Dag entry, list of ids, may be NULL */
    struct task_list *lists;        /* children, by slot */
    size_t lists_count;
    const struct value *inputs; /* Pause.onResume, Approval.inputs: list, may be NULL */
};

enum input_type {
    INPUT_STRING,
    INPUT_EMAIL,
    INPUT_INT,
    INPUT_FLOAT,
    INPUT_BOOL,
    INPUT_BOOLEAN,
    INPUT_DATETIME,
    INPUT_DATE,
    INPUT_TIME,
    INPUT_DURATION,
    INPUT_FILE,
    INPUT_JSON,
    INPUT_YAML,
    INPUT_URI,
    INPUT_SECRET,
    INPUT_ENUM,
    INPUT_SELECT,
    INPUT_MULTISELECT,
    INPUT_ARRAY,
    INPUT_FORM,
    INPUT_NONE, /* output without a type */
};

/* One input (FORM members flattened, ids dotted) or one output. */
struct flow_input {
    const char *id;
    enum input_type type;
    enum input_type item_type; /* ARRAY, MULTISELECT */
    bool required;
    const struct value *defaults;   /* NULL none */
    const struct value *values;     /* SELECT, MULTISELECT, ENUM: list, NULL none */
    const char *expression;         /* SELECT, MULTISELECT */
    const char *validator;          /* regular expression */
    const struct value *depends_on; /* list of ids, NULL none */
    const char *condition;          /* of dependsOn */
    const struct value *doc;        /* everything as written: min, max, after … */
    const struct value *value;      /* outputs only: the expression tree */
};

enum trigger_flag { TRIGGER_DISABLED = 1 };

struct trigger {
    const char *id;
    const char *type_name;
    const struct plugin *type;
    const struct value *doc; /* with defaults merged in */
    const char *path;
    uint32_t line;
    bool disabled;
    bool allow_concurrent;
    bool fail_on_trigger_error;
    const char *when;               /* NULL: always */
    const struct value *conditions; /* list, NULL none */
    const struct value *inputs;     /* map, NULL none */
    const struct value *labels;     /* as written, NULL none */
    const struct value *stop_after; /* list of state names, NULL none */
};

enum concurrency_behavior { CONCURRENCY_QUEUE, CONCURRENCY_CANCEL, CONCURRENCY_FAIL };
enum sla_type { SLA_MAX_DURATION, SLA_ASSERTION };
enum sla_behavior { SLA_FAIL, SLA_CANCEL, SLA_NONE };
enum check_behavior { CHECK_BLOCK, CHECK_FAIL, CHECK_CREATE };

struct sla {
    const char *id;
    enum sla_type type;
    usec_t duration;
    const char *assertion;
    enum sla_behavior behavior;
    const struct value *labels;
};

struct flow_check {
    const char *condition;
    const char *message;
    const char *style; /* ERROR SUCCESS WARNING INFO */
    enum check_behavior behavior;
};

struct label {
    const char *key;
    const char *value;
};

struct flow {
    _Atomic uint32_t refs;
    struct arena *arena; /* owns everything here */
    const char *id;
    const char *namespace;
    int64_t revision; /* 0 until the store gave one */
    const char *description;
    const char *source;      /* text as written */
    const struct value *doc; /* parsed source, without defaults merged in */
    bool disabled;
    bool deleted;

    struct label *labels; /* duplicates resolved, values as text */
    size_t labels_count;
    struct flow_input *inputs;
    size_t inputs_count;
    struct flow_input *outputs;
    size_t outputs_count;
    const struct value *variables; /* map, never NULL */

    struct task_list *lists; /* tasks, errors, finally, afterExecution, listeners */
    size_t lists_count;
    struct task **tasks_all; /* every task at any depth, document order */
    size_t tasks_all_count;
    struct map tasks_by_id;

    struct trigger *triggers;
    size_t triggers_count;

    int64_t concurrency_limit; /* 0: none */
    enum concurrency_behavior concurrency_behavior;
    struct retry retry;
    struct sla *slas;
    size_t slas_count;
    struct flow_check *checks;
    size_t checks_count;

    struct expr_cache *cache; /* for the engine's thread only */
};

/* Sizes of what a user may give. */
#define FLOW_BYTES_MAX    ((size_t)4 * 1024 * 1024)
#define FLOW_TASKS_MAX    20000U
#define FLOW_TRIGGERS_MAX 1000U
#define FLOW_INPUTS_MAX   5000U /* and outputs */
#define FLOW_DEPTH_MAX    64U   /* of nested tasks */
#define FLOW_FINDINGS_MAX 200U

struct flow_options {
    const char *file;             /* for findings */
    const char *namespace;        /* used when the document names none; may be NULL */
    const struct value *defaults; /* server-wide plugin defaults, list; may be NULL */
    bool lenient;                 /* stored flow: unknown properties are ignored */
};

/*
 * Parses and checks a flow. Always fills findings; returns NULL when they hold errors.
 * The result holds one reference.
 */
struct flow *flow_parse(const struct plugin_set *plugins,
                        const char *source,
                        size_t length,
                        const struct flow_options *options,
                        struct diag_list *findings);

/*
 * Id and namespace (NULL when absent) of a text that need not be a valid flow: which flow a broken
 * file is about. False when it is no YAML map with an id.
 */
bool flow_identity(struct arena *arena,
                   const char *source,
                   size_t length,
                   const char **namespace,
                   const char **id);

struct flow *flow_ref(struct flow *flow);
void flow_unref(struct flow *flow);
void flow_unrefp(struct flow **flow);

struct task *flow_find_task(const struct flow *flow, const char *id);
const struct trigger *flow_find_trigger(const struct flow *flow, const char *id);
/* NULL when absent (which differs from empty). */
struct task_list *flow_list(const struct flow *flow, enum task_slot slot);
struct task_list *task_list(const struct task *task, enum task_slot slot);

/* Canonical JSON (flow-language.md 7.7): as API answers show a flow. */
const struct value *flow_to_value(const struct flow *flow, struct arena *arena);

/* SHA-256 hex over the canonical form; equal for sources that mean the same. */
const char *flow_digest(const struct flow *flow, struct arena *arena);

/* Same source except for a top-level `revision:` line (1.3). */
bool flow_source_equal(const char *a, const char *b);

/* What a flow refers to, for dependency indexes and impact. */
enum flow_ref_kind { REF_SUBFLOW, REF_FLOW_TRIGGER, REF_FILE, REF_KV, REF_SECRET };
struct flow_reference {
    enum flow_ref_kind kind;
    const char *namespace; /* NULL: the flow's own */
    const char *name;      /* flow id, path, key */
    const char *path;      /* where in the document */
    uint32_t line;
    uint32_t column;
};
/* Literal references only; *count receives their number. */
const struct flow_reference *flow_references(const struct flow *flow,
                                             struct arena *arena,
                                             size_t *count);

#endif
