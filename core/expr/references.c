/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a template refers to, found without evaluating it. Names that the template itself defines
 * (loop variables, `set`, parameters of macros) are not references.
 */
#include <string.h>

#include "base/buf.h"
#include "base/vec.h"
#include "core/expr/ast.h"
#include "core/expr/expr.h"
#include "core/value.h"

struct walk {
    expr_visit_fn *visit;
    void *data;
    VEC(struct name) bound; /* innermost last */
};

static void walk_body(struct walk *walk, const struct body *body);
static void walk_node(struct walk *walk, const struct node *node);

static bool is_bound(const struct walk *walk, const struct name *name)
{
    for (size_t i = walk->bound.count; i-- > 0;) {
        if (walk->bound.items[i].length == name->length &&
            memcmp(walk->bound.items[i].text, name->text, name->length) == 0)
            return true;
    }
    return false;
}

/* The constant key of an index node; false when it is computed. */
static bool constant_key(const struct node *key, struct buf *out)
{
    if (key->kind != NODE_LITERAL)
        return false;
    if (key->literal->kind != VALUE_STRING && key->literal->kind != VALUE_INT)
        return false;
    value_write_display(out, key->literal);
    return true;
}

/*
 * Appends the path that a node is the end of; false when it does not begin at a root name. Stops at
 * a computed key, which it visits.
 */
static bool add_path(struct walk *walk, const struct node *node, struct buf *path, bool *open)
{
    if (node->kind == NODE_NAME) {
        if (is_bound(walk, &node->name))
            return false;
        buf_add(path, node->name.text, node->name.length);
        return true;
    }
    if (node->kind == NODE_MEMBER) {
        if (!add_path(walk, node->member.object, path, open))
            return false;
        if (*open) {
            buf_putc(path, '.');
            buf_add(path, node->member.name.text, node->member.name.length);
        }
        return true;
    }
    if (node->kind != NODE_INDEX)
        return false;
    if (!add_path(walk, node->index.object, path, open))
        return false;
    struct buf key = { 0 };
    if (!constant_key(node->index.key, &key))
        *open = false;
    if (*open) {
        buf_putc(path, '.');
        buf_add(path, buf_text(&key), key.length);
    }
    buf_free(&key);
    return true;
}

/* Keys inside of brackets, and whatever a path does not begin with a name. */
static void walk_keys(struct walk *walk, const struct node *node)
{
    while (node->kind == NODE_MEMBER || node->kind == NODE_INDEX) {
        if (node->kind == NODE_INDEX)
            walk_node(walk, node->index.key);
        node = node->kind == NODE_INDEX ? node->index.object : node->member.object;
    }
    if (node->kind != NODE_NAME)
        walk_node(walk, node);
}

/* Where the path's first name stands. */
static const struct node *root_of(const struct node *node)
{
    while (node->kind == NODE_MEMBER || node->kind == NODE_INDEX)
        node = node->kind == NODE_INDEX ? node->index.object : node->member.object;
    return node;
}

static void walk_path(struct walk *walk, const struct node *node)
{
    struct buf path = { 0 };
    bool open = true;
    const struct node *root = root_of(node);
    if (add_path(walk, node, &path, &open))
        walk->visit(walk->data, buf_text(&path), root->line, root->column);
    buf_free(&path);
    walk_keys(walk, node);
}

static void walk_call(struct walk *walk, const struct call_node *call)
{
    if (call->input != NULL)
        walk_node(walk, call->input);
    for (uint32_t i = 0; i < call->count; i++)
        walk_node(walk, call->arguments[i].value);
}

static void walk_node(struct walk *walk, const struct node *node)
{
    switch ((enum node_kind)node->kind) {
    case NODE_LITERAL:
    case NODE_FILTERED:
        break;
    case NODE_LIST:
    case NODE_MAP:
    case NODE_INTERPOLATION:
        for (uint32_t i = 0; i < node->list.count; i++)
            walk_node(walk, node->list.items[i]);
        break;
    case NODE_NAME:
    case NODE_MEMBER:
    case NODE_INDEX:
        walk_path(walk, node);
        break;
    case NODE_METHOD:
    case NODE_FUNCTION:
    case NODE_FILTER:
    case NODE_TEST:
        walk_call(walk, node->call);
        break;
    case NODE_UNARY:
        walk_node(walk, node->operands.right);
        break;
    case NODE_BINARY:
        walk_node(walk, node->operands.left);
        walk_node(walk, node->operands.right);
        break;
    case NODE_TERNARY:
        walk_node(walk, node->ternary.condition);
        walk_node(walk, node->ternary.yes);
        walk_node(walk, node->ternary.no);
        break;
    }
}

static void walk_loop(struct walk *walk, const struct statement *statement)
{
    size_t before = walk->bound.count;
    walk_node(walk, statement->loop.over);
    *VEC_PUSH(&walk->bound) = statement->loop.variable;
    *VEC_PUSH(&walk->bound) = (struct name){ "loop", 4 };
    walk_body(walk, &statement->loop.body);
    walk->bound.count = before;
    walk_body(walk, &statement->loop.otherwise);
}

static void walk_statement(struct walk *walk, const struct statement *statement)
{
    switch ((enum statement_kind)statement->kind) {
    case STATEMENT_TEXT:
    case STATEMENT_BLOCK: // blocks are walked on their own
        break;
    case STATEMENT_PRINT:
        walk_node(walk, statement->expression);
        break;
    case STATEMENT_IF:
        for (size_t i = 0; i < statement->choice.count; i++) {
            if (statement->choice.branches[i].condition != NULL)
                walk_node(walk, statement->choice.branches[i].condition);
            walk_body(walk, &statement->choice.branches[i].body);
        }
        break;
    case STATEMENT_FOR:
        walk_loop(walk, statement);
        break;
    case STATEMENT_SET:
        walk_node(walk, statement->set.value);
        *VEC_PUSH(&walk->bound) = statement->set.variable;
        break;
    case STATEMENT_FILTER:
        walk_body(walk, &statement->filter.body);
        walk_node(walk, statement->filter.chain);
        break;
    }
}

/* A `set` inside counts up to the end of the body only: behind it, it may not have run. */
static void walk_body(struct walk *walk, const struct body *body)
{
    size_t before = walk->bound.count;
    for (size_t i = 0; i < body->count; i++)
        walk_statement(walk, &body->items[i]);
    walk->bound.count = before;
}

void expr_references(const struct expr *expr, expr_visit_fn *visit, void *data)
{
    struct walk walk = { .visit = visit, .data = data };
    walk_body(&walk, &expr->body);
    for (size_t i = 0; i < expr->block_count; i++)
        walk_body(&walk, &expr->blocks[i].body);
    VEC_FREE(&walk.bound);
}
