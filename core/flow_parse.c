/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/flow_internal.h"
#include "core/ident.h"
#include "core/labels.h"
#include "core/words.h"
#include "core/yaml.h"

/*
 * First chunk of a flow's arena, by the length of its text: a flow takes eight times that, small
 * ones up to twelve. Flows are kept by the thousand, so what they do not need counts.
 */
#define ARENA_BYTES_MIN    ((size_t)1024)
#define ARENA_PER_BYTE     ((size_t)12)
#define ARENA_LENGTH_LARGE ((size_t)64 * 1024)

static const struct yaml_limits flow_limits = {
    .bytes_max = FLOW_BYTES_MAX,
    .depth_max = YAML_DEPTH_MAX,
    .values_max = 400000,
    .expansion_max = FLOW_BYTES_MAX,
};

/* ---- the text ---- */

static void syntax_finding(struct diag_list *findings, const struct error *err)
{
    struct diag *diag =
        diag_add(findings, DIAG_ERROR, DIAG_SYNTAX,
                 err->code == ERR_LIMIT ? "too-large" : "yaml-syntax", NULL, "", "%s", err->text);
    diag->line = err->line;
    diag->column = err->column;
    diag->api = arena_printf(findings->arena, "YAML syntax error: %s", err->text);
}

static const struct value *parse_document(struct arena *arena,
                                          const char *source,
                                          size_t length,
                                          struct diag_list *findings)
{
    struct error err = { 0 };
    const struct value *doc = yaml_parse(arena, source, length, &flow_limits, &err);
    if (doc == NULL) {
        syntax_finding(findings, &err);
        return NULL;
    }
    if (value_is_map(doc))
        return doc;
    struct diag *diag =
        diag_add(findings, DIAG_ERROR, DIAG_SYNTAX, "wrong-shape", doc, "",
                 value_is_null(doc) ? "the file is empty, a flow is a map with id, namespace, tasks"
                                    : "a flow is a map with id, namespace, tasks");
    diag->api = arena_printf(findings->arena, "YAML parsing error: a flow is a map, not %s",
                             value_kind_name(doc));
    return NULL;
}

void flow_too_many(struct flow_parser *parser,
                   const struct value *at,
                   const struct doc_path *path,
                   const char *what,
                   unsigned limit)
{
    struct diag_list *findings = parser->scope.findings;
    struct diag *diag =
        diag_add(findings, DIAG_ERROR, DIAG_SYNTAX, "too-many", at,
                 doc_path_text(findings->arena, path), "a flow holds at most %u %s", limit, what);
    diag->api = diag->message;
}

/* ---- parts of the document ---- */

static void parse_header(struct flow_parser *parser)
{
    struct flow *flow = parser->flow;
    const struct value *doc = parser->doc;
    const char *id = prop_text(parser->arena, value_get(doc, "id"));
    const char *namespace = prop_text(parser->arena, value_get(doc, "namespace"));
    flow->id = id == NULL ? "" : id;
    flow->namespace = namespace == NULL ? "" : namespace;
    flow->description = prop_text(parser->arena, value_get(doc, "description"));
    flow->revision = value_get_int(doc, "revision", 0);
    flow->disabled = value_get_bool(doc, "disabled", false);
    flow->deleted = value_get_bool(doc, "deleted", false);
    flow->labels = labels_of(parser->arena, value_get(doc, "labels"), &flow->labels_count);
    const struct value *variables = value_get(doc, "variables");
    flow->variables = value_is_map(variables) ? variables : &value_empty_map;
}

/* A document that names no namespace gets the given one. */
static const struct value *with_namespace(struct flow_parser *parser, const struct value *doc)
{
    const char *namespace = parser->options->namespace;
    if (namespace == NULL || !value_is_null(value_get(doc, "namespace")))
        return doc;
    const struct value *named =
        value_with(parser->arena, doc, "namespace", value_string(parser->arena, namespace));
    return value_at(parser->arena, named, doc->line, doc->column);
}

static void parse_concurrency(struct flow_parser *parser)
{
    const struct value *map = value_get(parser->doc, "concurrency");
    if (!value_is_map(map))
        return;
    const struct value *limit = value_get(map, "limit");
    if (!value_is_null(limit))
        (void)prop_to_int(limit, &parser->flow->concurrency_limit);
    static const char *const words[] = { "QUEUE", "CANCEL", "FAIL", NULL };
    int found = words_find(words, value_get_text(map, "behavior", "QUEUE"));
    parser->flow->concurrency_behavior =
        found < 0 ? CONCURRENCY_QUEUE : (enum concurrency_behavior)found;
}

static void need(struct flow_parser *parser,
                 const struct value *map,
                 const struct doc_path *path,
                 const char *key,
                 const char *why)
{
    if (!value_is_null(value_get(map, key)))
        return;
    struct diag_list *findings = parser->scope.findings;
    struct diag *diag =
        diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "missing-property", map,
                 doc_path_key(findings->arena, path, key), "%s needs '%s'", why, key);
    diag->api = "must not be null";
}

static void parse_sla(struct flow_parser *parser,
                      struct sla *sla,
                      const struct value *map,
                      const struct doc_path *path)
{
    static const char *const behaviors[] = { "FAIL", "CANCEL", "NONE", NULL };
    const struct value *duration = value_get(map, "duration");
    const char *id = prop_text(parser->arena, value_get(map, "id"));
    int behavior = words_find(behaviors, value_get_text(map, "behavior", ""));
    *sla = (struct sla){
        .id = id == NULL ? "" : id,
        .type = strcmp(value_get_text(map, "type", ""), "EXECUTION_ASSERTION") == 0
                    ? SLA_ASSERTION
                    : SLA_MAX_DURATION,
        .assertion = prop_text(parser->arena, value_get(map, "assert")),
        .behavior = behavior < 0 ? SLA_NONE : (enum sla_behavior)behavior,
        .labels = value_get(map, "labels"),
    };
    if (!value_is_null(duration))
        (void)prop_to_duration(duration, &sla->duration);
    if (sla->type == SLA_ASSERTION)
        need(parser, map, path, "assert", "an sla of type EXECUTION_ASSERTION");
    else
        need(parser, map, path, "duration", "an sla of type MAX_DURATION");
}

static void parse_slas(struct flow_parser *parser)
{
    const struct value *list = value_get(parser->doc, "sla");
    if (!value_is_list(list))
        return;
    struct flow *flow = parser->flow;
    struct doc_path path = { .key = "sla" };
    flow->slas = ARENA_ARRAY(parser->arena, list->list.count, struct sla);
    for (size_t i = 0; i < list->list.count; i++) {
        struct doc_path at = { .parent = &path, .index = i };
        if (value_is_map(list->list.items[i]))
            parse_sla(parser, &flow->slas[flow->slas_count++], list->list.items[i], &at);
    }
}

static void parse_check(struct flow_parser *parser,
                        struct flow_check *check,
                        const struct value *map,
                        const struct doc_path *path)
{
    static const char *const behaviors[] = { "BLOCK_EXECUTION", "FAIL_EXECUTION",
                                             "CREATE_EXECUTION", NULL };
    const struct value *when = value_get(map, "when");
    int behavior = words_find(behaviors, value_get_text(map, "behavior", ""));
    *check = (struct flow_check){
        .condition =
            prop_text(parser->arena, value_is_null(when) ? value_get(map, "condition") : when),
        .message = prop_text(parser->arena, value_get(map, "message")),
        .style = value_get_text(map, "style", "INFO"),
        .behavior = behavior < 0 ? CHECK_BLOCK : (enum check_behavior)behavior,
    };
    if (value_is_null(when))
        need(parser, map, path, "condition", "a check");
}

static void parse_checks(struct flow_parser *parser)
{
    const struct value *list = value_get(parser->doc, "checks");
    if (!value_is_list(list))
        return;
    struct flow *flow = parser->flow;
    struct doc_path path = { .key = "checks" };
    flow->checks = ARENA_ARRAY(parser->arena, list->list.count, struct flow_check);
    for (size_t i = 0; i < list->list.count; i++) {
        struct doc_path at = { .parent = &path, .index = i };
        if (value_is_map(list->list.items[i]))
            parse_check(parser, &flow->checks[flow->checks_count++], list->list.items[i], &at);
    }
}

static void parse_inputs(struct flow_parser *parser)
{
    struct flow *flow = parser->flow;
    struct doc_path inputs = { .key = "inputs" };
    struct doc_path outputs = { .key = "outputs" };
    flow->inputs =
        flow_parse_inputs(parser, value_get(parser->doc, "inputs"), &inputs, &flow->inputs_count);
    flow->outputs = flow_parse_outputs(parser, value_get(parser->doc, "outputs"), &outputs,
                                       &flow->outputs_count);
    flow_check_inputs(parser, flow->inputs, flow->inputs_count, &inputs);
}

/* Rules that types have beyond their tables; they may look at the whole flow. */
static void check_types(struct flow_parser *parser)
{
    const struct flow *flow = parser->flow;
    for (size_t i = 0; i < flow->tasks_all_count; i++) {
        const struct task *task = flow->tasks_all[i];
        if (task->type != NULL && task->type->check != NULL)
            task->type->check(flow, task->doc, task->path, parser->scope.findings);
    }
    for (size_t i = 0; i < flow->triggers_count; i++) {
        const struct trigger *trigger = &flow->triggers[i];
        if (trigger->type != NULL && trigger->type->check != NULL)
            trigger->type->check(flow, trigger->doc, trigger->path, parser->scope.findings);
    }
}

static void parse_flow(struct flow_parser *parser)
{
    static const struct prop *const tables[] = { flow_props, NULL };
    check_map(&parser->scope, tables, parser->doc, NULL, (struct check_owner){ .text = "a flow" });
    parse_header(parser);
    parse_inputs(parser);
    struct doc_path retry = { .key = "retry" };
    parser->flow->retry = flow_parse_retry(parser, value_get(parser->doc, "retry"), &retry);
    parse_concurrency(parser);
    parse_slas(parser);
    parse_checks(parser);
    flow_parse_tasks(parser);
    flow_parse_triggers(parser);
    check_types(parser);
    flow_check_rules(parser);
}

struct flow *flow_parse(const struct plugin_set *plugins,
                        const char *source,
                        size_t length,
                        const struct flow_options *options,
                        struct diag_list *findings)
{
    static const struct flow_options no_options = { 0 };
    if (options == NULL)
        options = &no_options;
    const char *file_before = findings->file;
    if (options->file != NULL)
        findings->file = arena_strdup(findings->arena, options->file);
    size_t errors_before = findings->errors;

    struct arena *arena = arena_new_sized(
        length < ARENA_LENGTH_LARGE ? ARENA_BYTES_MIN + ARENA_PER_BYTE * length : length);
    struct flow *flow = ARENA_NEW(arena, struct flow);
    atomic_init(&flow->refs, 1);
    flow->arena = arena;
    flow->variables = &value_empty_map;
    flow->doc = parse_document(arena, source, length, findings);
    if (flow->doc != NULL) {
        struct arena *scratch = arena_new();
        flow->source = arena_strndup(arena, source, length);
        struct flow_parser parser = {
            .scope = {
                .plugins = plugins,
                .flow = flow,
                .source = source,
                .source_length = length,
                .lenient = options->lenient,
                .findings = findings,
                .scratch = scratch,
            },
            .flow = flow,
            .arena = arena,
            .options = options,
        };
        flow->doc = with_namespace(&parser, flow->doc);
        parser.doc = flow_apply_defaults(&parser, flow->doc);
        parse_flow(&parser);
        arena_free(scratch);
    }
    findings->file = file_before;
    if (findings->errors != errors_before) {
        flow_unref(flow);
        return NULL;
    }
    return flow;
}

bool flow_identity(
    struct arena *arena, const char *source, size_t length, const char **namespace, const char **id)
{
    struct error err = { 0 };
    const struct value *doc = yaml_parse(arena, source, length, &flow_limits, &err);
    const char *found = prop_text(arena, value_get(doc, "id"));
    if (found == NULL)
        return false;
    *id = found;
    *namespace = prop_text(arena, value_get(doc, "namespace"));
    return true;
}
