/* SPDX-License-Identifier: Apache-2.0 */
/* Names of jq programs: variables, labels and functions must be defined before they are used. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "core/jq/jq_internal.h"
#include "core/jq/jq_lex.h"

/* Names in sight, innermost first. */
struct name {
    const struct name *outer;
    const char *text;
    char kind; /* '$' variable, 'l' label, 'f' function or closure */
    size_t count;
};

struct resolver {
    struct jq_parser *parser;
    const struct name *names;
};

static bool resolve(struct resolver *r, const struct jq_node *node);

static bool is_known(const struct name *name, const char *text, char kind, size_t count)
{
    for (; name != NULL; name = name->outer) {
        if (name->kind == kind && name->count == count && strcmp(name->text, text) == 0)
            return true;
    }
    return false;
}

static bool undefined(struct resolver *r, const struct jq_node *node, const char *what)
{
    if (node->line == 0)
        return error_set_at(r->parser->err, ERR_INVALID, 1, 1, "jq: %s%.60s is not defined", what,
                            node->name);
    return error_set_at(r->parser->err, ERR_INVALID, node->line, node->column,
                        "jq: %s%.60s/%zu is not defined", what, node->name, node->count);
}

static bool resolve_all(struct resolver *r, const struct jq_node *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!resolve(r, nodes[i]))
            return false;
    }
    return true;
}

/* Adds the variables of a pattern; their names live in the arena. */
static bool resolve_pattern(struct resolver *r, const struct jq_pattern *pattern)
{
    if (pattern->variable != NULL) {
        struct name *name = ARENA_NEW(r->parser->arena, struct name);
        *name = (struct name){ r->names, pattern->variable, '$', 0 };
        r->names = name;
        return true;
    }
    for (size_t i = 0; i < pattern->count; i++) {
        if (pattern->is_map && !resolve(r, pattern->keys[i]))
            return false;
        if (!resolve_pattern(r, pattern->items[i]))
            return false;
    }
    return true;
}

/* Nodes that see the variables of a pattern. */
static bool resolve_bound(struct resolver *r, const struct jq_node *node)
{
    struct resolver inner = *r;
    if (!resolve(r, node->left) || !resolve_pattern(&inner, node->pattern))
        return false;
    if (node->kind == JQ_BIND)
        return resolve(&inner, node->right);
    return resolve(r, node->right) && resolve(&inner, node->third) &&
           (node->fourth == NULL || resolve(&inner, node->fourth));
}

static bool resolve_definition(struct resolver *r, const struct jq_node *node)
{
    struct name function = { r->names, node->name, 'f', node->count };
    struct resolver inner = { r->parser, &function };
    for (size_t i = 0; i < node->count; i++) {
        bool is_variable = *node->params[i] == '$';
        const char *text = node->params[i] + (is_variable ? 1 : 0);
        for (int as_function = is_variable ? 0 : 1; as_function < 2; as_function++) {
            struct name *name = ARENA_NEW(r->parser->arena, struct name);
            *name = (struct name){ inner.names, text, as_function ? 'f' : '$', 0 };
            inner.names = name;
        }
    }
    struct resolver rest = { r->parser, &function };
    return resolve(&inner, node->left) && (node->right == NULL || resolve(&rest, node->right));
}

/* Every name must be defined, even where it is never reached. */
static bool resolve(struct resolver *r, const struct jq_node *node)
{
    struct name label;
    switch (node->kind) {
    case JQ_BIND:
    case JQ_REDUCE:
    case JQ_FOREACH:
        return resolve_bound(r, node);
    case JQ_DEFINE:
        return resolve_definition(r, node);
    case JQ_LABEL:
        label = (struct name){ r->names, node->name, 'l', 0 };
        return resolve(&(struct resolver){ r->parser, &label }, node->left);
    case JQ_BREAK:
        return is_known(r->names, node->name, 'l', 0) || undefined(r, node, "label $");
    case JQ_VARIABLE:
        return is_known(r->names, node->name, '$', 0) || undefined(r, node, "$");
    case JQ_CALL:
        if (!is_known(r->names, node->name, 'f', node->count) &&
            jq_builtin_find(node->name, node->count) == NULL)
            return undefined(r, node, "");
        return resolve_all(r, node->parts, node->count);
    case JQ_IDENTITY:
    case JQ_RECURSE:
    case JQ_INDEX:
    case JQ_SLICE:
    case JQ_ITERATE:
    case JQ_LITERAL:
    case JQ_STRING:
    case JQ_FORMAT:
    case JQ_ARRAY:
    case JQ_OBJECT:
    case JQ_NEGATE:
    case JQ_PIPE:
    case JQ_COMMA:
    case JQ_ALTERNATIVE:
    case JQ_ASSIGN:
    case JQ_UPDATE:
    case JQ_UPDATE_WITH:
    case JQ_OR:
    case JQ_AND:
    case JQ_COMPARE:
    case JQ_CALCULATE:
    case JQ_IF:
    case JQ_TRY:
        break;
    }
    return (node->left == NULL || resolve(r, node->left)) &&
           (node->right == NULL || resolve(r, node->right)) &&
           (node->third == NULL || resolve(r, node->third)) &&
           resolve_all(r, node->parts, node->count);
}

bool jq_resolve(struct jq_parser *parser, const struct jq_node *node)
{
    struct resolver resolver = { parser, NULL };
    return resolve(&resolver, node);
}
