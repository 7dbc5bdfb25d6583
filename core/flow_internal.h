/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the parts of the flow parser.
 */
#ifndef CORE_FLOW_INTERNAL_H
#define CORE_FLOW_INTERNAL_H

#include "base/vec.h"
#include "core/flow.h"
#include "core/prop_internal.h"

/* Tables of the document, flow_props.c. */
extern const struct prop flow_props[];
extern const struct prop listener_props[];
extern const struct prop plugin_default_props[];
extern const struct prop input_common_props[];
extern const struct prop output_props[];

/* Properties of one input type besides the common ones. */
const struct prop *input_type_props(enum input_type type);

/* Names of enum input_type, ended by NULL; INPUT_NONE has none. */
extern const char *const input_type_words[];

struct flow_parser {
    struct check_scope scope;
    struct flow *flow;
    struct arena *arena; /* of the flow */
    const struct flow_options *options;
    const struct value *doc;  /* with plugin defaults merged in */
    VEC(struct task *) tasks; /* arena */
    uint32_t depth;
    bool too_many; /* said once */
};

/* A finding about a bound of what a flow may hold. */
void flow_too_many(struct flow_parser *parser,
                   const struct value *at,
                   const struct doc_path *path,
                   const char *what,
                   unsigned limit);

/* ---- flow_defaults.c ---- */

/*
 * The document with plugin defaults merged into everything that has a type; findings for entries
 * that make no sense and for unknown pluginDefaultsRef.
 */
const struct value *flow_apply_defaults(struct flow_parser *parser, const struct value *doc);

/* ---- flow_inputs.c ---- */

/* Checks a list of inputs and flattens FORM members; *count receives their number. */
struct flow_input *flow_parse_inputs(struct flow_parser *parser,
                                     const struct value *list,
                                     const struct doc_path *path,
                                     size_t *count);

/* Rules between inputs (7.2); inputs as flow_parse_inputs() gave them. */
void flow_check_inputs(struct flow_parser *parser,
                       const struct flow_input *inputs,
                       size_t count,
                       const struct doc_path *path);

struct flow_input *flow_parse_outputs(struct flow_parser *parser,
                                      const struct value *list,
                                      const struct doc_path *path,
                                      size_t *count);

/* ---- flow_tasks.c ---- */

/* Which list of tasks a property holds. */
enum task_slot flow_task_slot(const char *property);

/* All lists of tasks of the document, with everything below. */
void flow_parse_tasks(struct flow_parser *parser);

/* Zero when absent. Findings beyond what the table of properties says. */
struct retry flow_parse_retry(struct flow_parser *parser,
                              const struct value *value,
                              const struct doc_path *path);

/* ---- flow_triggers.c ---- */

void flow_parse_triggers(struct flow_parser *parser);

/* ---- flow_check.c ---- */

/* Rules of 7.2 and warnings, over the whole flow. */
void flow_check_rules(struct flow_parser *parser);

/* Does a task of this type create executions of a flow named by `namespace` and `flowId`? */
bool flow_task_calls(const struct task *task);

#endif
