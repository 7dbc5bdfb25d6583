/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can stand behind a `type:` in a flow: tasks, triggers, conditions, task runners.
 *
 * One file per type, closed by a static descriptor. To add one: the file, one line in
 * runtime/plugins.c, one test, `make generate`.
 */
#ifndef CORE_PLUGIN_H
#define CORE_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/prop.h"

struct call_ops;
struct diag_list;
struct flow;
struct flowable_ops;
struct inline_ops;
struct process_ops;
struct remote_ops;
struct task;
struct trigger;
struct trigger_ops;

enum plugin_role {
    PLUGIN_TASK,
    PLUGIN_TRIGGER,
    PLUGIN_CONDITION,
    PLUGIN_RUNNER,
};

/* How a task runs; architecture.md 5. */
enum task_kind {
    TASK_NONE,       /* not a task */
    TASK_INLINE,     /* in the step, no effects; also those that change the execution */
    TASK_CALL,       /* worker pool, short and bounded */
    TASK_PROCESS,    /* child process supervised by the loop */
    TASK_REMOTE,     /* start, poll, cancel; id stored, polls are timers */
    TASK_FLOWABLE,   /* resolved by the engine through its children */
    TASK_EXECUTABLE, /* creates other executions */
};

enum trigger_kind {
    TRIGGER_NONE,
    TRIGGER_SCHEDULE, /* dates known in advance */
    TRIGGER_POLLING,  /* evaluated on a worker every interval */
    TRIGGER_WEBHOOK,
    TRIGGER_FLOW,
};

enum plugin_flag {
    PLUGIN_DEPRECATED = 1 << 0,
    PLUGIN_OPEN = 1 << 1, /* properties beyond the table are kept (parsed, never checked) */
};

struct plugin_output {
    const char *name;
    const char *type; /* "string", "integer", "map", "uri" … for the reference page */
    const char *doc;
};

struct plugin_example {
    const char *title;
    /*
     * Properties only (indented as in a task), or a whole flow. Of a condition: its properties; of
     * a task runner: properties of the task that uses it, with `taskRunner`.
     */
    const char *yaml;
};

struct plugin {
    const char *id; /* canonical fully qualified name */
    enum plugin_role role;
    enum task_kind task_kind;
    enum trigger_kind trigger_kind;
    const char *title;                     /* one sentence */
    const char *doc;                       /* more, Markdown, may be NULL */
    const char *const *aliases;            /* NULL-terminated, may be NULL */
    const struct prop *props;              /* ended by a zero row, may be NULL */
    size_t props_size;                     /* of the struct that props bind into */
    const struct plugin_output *outputs;   /* ended by a zero row, may be NULL */
    const struct plugin_example *examples; /* ended by a zero row, may be NULL */
    unsigned flags;

    /*
     * Rules beyond the property table, with findings of stage DIAG_RULE or DIAG_CONSTRAINT. Called
     * for every use, when the whole flow is parsed; `map` may still break the property table.
     * flow may be NULL (a task checked alone), its parts then cannot be asked for.
     */
    void (*check)(const struct flow *flow,
                  const struct value *map,
                  const char *path,
                  struct diag_list *findings);

    /* Exactly the one that the kind asks for. */
    const struct inline_ops *inline_ops;     /* runtime/engine/inline.h */
    const struct flowable_ops *flowable_ops; /* runtime/engine/flowable.h */
    const struct call_ops *call_ops;         /* runtime/worker/task.h */
    const struct process_ops *process_ops;   /* runtime/worker/task.h */
    const struct remote_ops *remote_ops;     /* runtime/worker/task.h */
    const struct trigger_ops *trigger_ops;   /* runtime/triggers/trigger.h */
    const void *ops;                         /* conditions, runners: see their headers */
};

/* Everything built in, sorted by nothing; lookups go through an index. */
struct plugin_set;

/* plugins: NULL-terminated array that outlives the set. */
struct plugin_set *plugin_set_new(const struct plugin *const *plugins);
void plugin_set_free(struct plugin_set *set);

/* By canonical name, or by alias in any letter case; NULL when unknown. */
const struct plugin *plugin_find(const struct plugin_set *set, const char *type);

/* All, in registration order; *count receives their number. */
const struct plugin *const *plugin_all(const struct plugin_set *set, size_t *count);

/* As written in canonical spelling: "task", "trigger", "condition", "task runner". */
const char *plugin_role_name(enum plugin_role role);

/* Nearest name of that role for "did you mean", or NULL. */
const char *plugin_nearest(const struct plugin_set *set, enum plugin_role role, const char *type);

/* Tables of properties that every task, and every trigger, has besides its own. */
extern const struct prop task_common_props[];
extern const struct prop trigger_common_props[];
extern const struct prop retry_props[];

/* What every flowable has besides: `errors` and `finally`. Need not be repeated in its table. */
extern const struct prop flowable_common_props[];

/* What conditions and task runners have besides their own properties: `type` and such. */
extern const struct prop plugin_common_props[];

/* Tables that a mapping of this type is checked against: common ones, then its own, then NULL. */
struct prop_tables {
    const struct prop *items[4];
};
struct prop_tables plugin_tables(const struct plugin *plugin);

#endif
