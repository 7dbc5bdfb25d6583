/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Child executions of Subflow and ForEachItem: asked for, and what their end means for the task
 * run.
 */
#ifndef RUNTIME_ENGINE_CHILD_H
#define RUNTIME_ENGINE_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/prop.h"
#include "runtime/engine/execution.h"

struct arena;
struct engine;
struct error;
struct event;
struct value;

enum restart_behavior { RESTART_FAILED, RESTART_NEW };

/* Properties that both have; bound from child_props. */
struct child_spec {
    const char *namespace;
    const char *flow_id;
    int64_t revision;
    const struct value *inputs;
    const struct value *labels;
    bool wait;
    bool transmit_failed;
    bool inherit_labels;
    usec_t schedule_at;
    int restart;
};

/* Of a task that has nothing else. */
struct child_only {
    struct child_spec child;
};

/* Rows for a property table, of a struct whose member `member` is a struct child_spec. */
#define CHILD_PROPS(struct_, member)                                                               \
    { "namespace", STR(struct_, member.namespace), .flags = PROP_REQUIRED | PROP_EXPR,             \
      .doc = "Namespace of the flow." },                                                           \
        { "flowId", STR(struct_, member.flow_id), .flags = PROP_REQUIRED | PROP_EXPR,              \
          .doc = "Id of the flow." },                                                              \
        { "revision", INT(struct_, member.revision), .min = 1, .max = INT32_MAX,                   \
          .doc = "Revision of the flow; the latest by default." },                                 \
        { "inputs", MAP(struct_, member.inputs), .item = PROP_ANY, .flags = PROP_EXPR,             \
          .doc = "Inputs by id." },                                                                \
        { "labels", LABELS(struct_, member.labels), .flags = PROP_EXPR,                            \
          .doc = "Labels to give the execution." },                                                \
        { "wait", BOOL(struct_, member.wait), .fallback = "true",                                  \
          .doc = "Whether the task ends when the execution has ended." },                          \
        { "transmitFailed", BOOL(struct_, member.transmit_failed), .fallback = "true",             \
          .doc = "Whether the task ends as the execution did." },                                  \
        { "inheritLabels", BOOL(struct_, member.inherit_labels), .flags = PROP_EXPR,               \
          .fallback = "false",                                                                     \
          .doc = "Whether the execution takes over the labels of this one." },                     \
        { "scheduleDate", INSTANT(struct_, member.schedule_at), .flags = PROP_EXPR,                \
          .doc = "When the execution may begin." },                                                \
    {                                                                                              \
        "restartBehavior", ENUM(struct_, member.restart),                                          \
            .fallback = "RETRY_FAILED", .words = child_restart_words,                              \
            .doc =                                                                                 \
                "What a restart of this execution does with a failed one: RETRY_FAILED restarts "  \
                "it, NEW_EXECUTION starts another."                                                \
    }

extern const char *const child_restart_words[];

/*
 * Emits COMMAND_CHILD for the attempt under way.
 *
 * iteration  of a batch or item, -1 none
 * Returns    its id
 */
const char *child_create(struct engine *engine,
                         struct task_run *run,
                         const struct child_spec *spec,
                         int64_t iteration);
/* Emits COMMAND_CHILD for one that exists, to hear of it. */
void child_ask_again(struct engine *engine,
                     struct task_run *run,
                     const char *child_id,
                     int64_t iteration);
/* No system label among them. Errors: ERR_INVALID */
bool child_labels_allowed(struct arena *arena, const struct value *written, struct error *err);
/* Id that child_create() gives in an attempt. */
const char *child_id(struct engine *engine,
                     const struct task_run *run,
                     int64_t iteration,
                     uint32_t attempt);

/* {executionId, taskRunId …} of the child's trigger; its iteration is that of the run when < 0. */
const struct value *child_trigger(struct engine *engine,
                                  const struct task_run *run,
                                  int64_t iteration);

/* State of the task run for the end of its child (table in flow-language.md 3.6). */
enum state child_state(enum state ended, bool transmit_failed);

/*
 * Is the news about the child that is awaited? One that ends RETRIED goes on as another execution
 * of the same task run: memo.replaced then lets in any.
 */
bool child_is_awaited(const struct task_run *run, const struct event *event, const char *awaited);

/* Does the parent restart what failed, rather than begin anew? */
bool child_is_restart(const struct engine *engine, const struct task_run *run, int behavior);

#endif
