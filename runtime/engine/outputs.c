/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `outputs` and `tasks` of expressions: maps nested by iteration values (flow-language.md 6.12),
 * looked up one step at a time, so that an expression costs what it asks for.
 */
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "runtime/engine/engine_internal.h"

/* Ancestors of a task run: nested tasks, and nothing else nests. */
#define ANCESTORS_MAX (FLOW_DEPTH_MAX + 2)

/* One step of a path of values. */
struct output_node {
    const char *key;
    VEC(struct task_run *) runs; /* whose path ends here, in order of creation */
    struct output_node **slots;  /* of the steps below, by key */
    size_t count;
    size_t capacity;           /* a power of two, or 0 */
    struct output_node *first; /* steps below in order of appearance */
    struct output_node *last;
    struct output_node *next;
};

/* What a lazy map needs. */
struct output_view {
    const struct execution *execution;
    const struct engine_world *world;
    const struct output_node *node;
};

/* ---- encrypted values ---- */

#define ENCRYPTED_TYPE "io.kestra.datatype:aes_encrypted"

static bool is_encrypted(const struct value *value)
{
    return value_is_map(value) && value->map.count <= 3 &&
           str_eq(value_get_text(value, "type", NULL), ENCRYPTED_TYPE);
}

bool value_has_encrypted(const struct value *value)
{
    if (!value_is_map(value))
        return false;
    if (is_encrypted(value))
        return true;
    for (uint32_t i = 0; i < value->map.count; i++) {
        if (value_has_encrypted(value->map.members[i].value))
            return true;
    }
    return false;
}

const struct value *value_decrypt(const struct engine_world *world,
                                  struct arena *arena,
                                  const struct value *value)
{
    if (!value_has_encrypted(value) || world->decrypt == NULL)
        return value;
    if (is_encrypted(value)) {
        const struct value *clear = world->decrypt(world->data, arena, value);
        return clear == NULL ? value : clear;
    }
    struct value_builder map = value_build(arena);
    for (uint32_t i = 0; i < value->map.count; i++) {
        const struct value_member *member = &value->map.members[i];
        value_put_n(&map, member->key, member->key_length,
                    value_decrypt(world, arena, member->value));
    }
    return value_build_map(&map);
}

/* Every text of a decrypted value is masked in logs from now on. */
static void mask_texts(const struct execution *execution,
                       const struct engine_world *world,
                       const struct value *stored,
                       const struct value *clear)
{
    if (world->mask == NULL || stored == clear)
        return;
    if (value_is_string(clear)) {
        world->mask(world->data, execution->id.text, clear->string.bytes, clear->string.length);
        return;
    }
    for (uint32_t i = 0; value_is_map(clear) && i < clear->map.count; i++)
        mask_texts(execution, world, value_is_map(stored) ? stored->map.members[i].value : NULL,
                   clear->map.members[i].value);
}

const struct value *outputs_clear(const struct execution *execution,
                                  const struct engine_world *world,
                                  struct task_run *run)
{
    if (!run->has_encrypted)
        return run->outputs;
    if (run->clear == NULL) {
        run->clear = value_decrypt(world, execution->arena, run->outputs);
        mask_texts(execution, world, run->outputs, run->clear);
    }
    return run->clear;
}

/* ---- trees ---- */

static size_t slot_of(const struct output_node *node, const char *key, size_t length)
{
    size_t mask = node->capacity - 1;
    size_t at = (size_t)map_hash(key, length) & mask;
    while (node->slots[at] != NULL && (strncmp(node->slots[at]->key, key, length) != 0 ||
                                       node->slots[at]->key[length] != '\0'))
        at = (at + 1) & mask;
    return at;
}

static struct output_node *find_below(const struct output_node *node,
                                      const char *key,
                                      size_t length)
{
    return node->capacity == 0 ? NULL : node->slots[slot_of(node, key, length)];
}

static void grow(struct arena *arena, struct output_node *node)
{
    node->capacity = node->capacity == 0 ? 4 : node->capacity * 2;
    node->slots = ARENA_ARRAY(arena, node->capacity, struct output_node *);
    for (struct output_node *below = node->first; below != NULL; below = below->next)
        node->slots[slot_of(node, below->key, strlen(below->key))] = below;
}

static struct output_node *below(struct arena *arena, struct output_node *node, const char *key)
{
    struct output_node *found = find_below(node, key, strlen(key));
    if (found != NULL)
        return found;
    if ((node->count + 1) * 4 > node->capacity * 3)
        grow(arena, node);
    found = ARENA_NEW(arena, struct output_node);
    found->key = key;
    if (node->last == NULL)
        node->first = found;
    else
        node->last->next = found;
    node->last = found;
    node->slots[slot_of(node, key, strlen(key))] = found;
    node->count++;
    return found;
}

/* Brings a tree up to the runs that there are. */
static const struct output_node *indexed(struct arena *arena,
                                         struct task_runs *runs,
                                         struct output_tree *tree,
                                         bool whole_path)
{
    if (tree->root == NULL)
        tree->root = ARENA_NEW(arena, struct output_node);
    for (; tree->indexed < runs->runs.count; tree->indexed++) {
        struct task_run *run = runs->runs.items[tree->indexed];
        const char *path[ANCESTORS_MAX];
        size_t depth = 0;
        if (run->value != NULL)
            path[depth++] = run->value;
        for (const struct task_run *above = run->parent; whole_path && above != NULL;
             above = above->parent) {
            if (above->value != NULL && depth < ANCESTORS_MAX)
                path[depth++] = above->value;
        }
        struct output_node *node = tree->root;
        bool is_shared =
            whole_path && run->task != NULL && run_shares_value(run->parent, run->task);
        while (depth > 0) {
            // Inside the iteration, `outputs.a[taskrun.value]` means a sibling in the directory
            // too.
            if (depth == 1 && is_shared && run->value != NULL)
                *VEC_PUSH_ARENA(arena, &node->runs) = run;
            node = below(arena, node, path[--depth]);
        }
        *VEC_PUSH_ARENA(arena, &node->runs) = run;
    }
    return tree->root;
}

/* ---- outputs ---- */

/*
 * A run counts as soon as it has an outputs map: when something is in it, when a flowable has
 * started, when it ended well.
 */
static bool has_outputs(const struct task_run *run)
{
    return value_count(run->outputs) > 0 || run->state.current == STATE_SUCCESS ||
           run->state.current == STATE_WARNING ||
           (run->state.current == STATE_RUNNING && run_flowable(run) != NULL);
}

static const struct value *merged_outputs(const struct output_view *view, struct arena *arena)
{
    const struct value *merged = NULL;
    for (size_t i = 0; i < view->node->runs.count; i++) {
        struct task_run *run = view->node->runs.items[i];
        if (!has_outputs(run))
            continue;
        const struct value *own = outputs_clear(view->execution, view->world, run);
        merged = merged == NULL ? own : value_merge(arena, merged, own, false);
    }
    return merged;
}

static const struct value *node_value(const struct output_view *parent,
                                      const struct output_node *node,
                                      struct arena *arena);

static bool node_is_filled(const struct output_node *node)
{
    for (size_t i = 0; i < node->runs.count; i++) {
        if (has_outputs(node->runs.items[i]))
            return true;
    }
    for (const struct output_node *at = node->first; at != NULL; at = at->next) {
        if (node_is_filled(at))
            return true;
    }
    return false;
}

static const struct value *node_get(const void *data,
                                    struct arena *arena,
                                    const char *key,
                                    size_t length)
{
    const struct output_view *view = data;
    const struct output_node *found = find_below(view->node, key, length);
    if (found != NULL && node_is_filled(found))
        return node_value(view, found, arena);
    return value_get_n(merged_outputs(view, arena), key, length);
}

static const struct value *node_force(const void *data, struct arena *arena)
{
    const struct output_view *view = data;
    struct value_builder map = value_build(arena);
    const struct value *own = merged_outputs(view, arena);
    for (uint32_t i = 0; own != NULL && i < own->map.count; i++)
        value_put_n(&map, own->map.members[i].key, own->map.members[i].key_length,
                    own->map.members[i].value);
    for (const struct output_node *at = view->node->first; at != NULL; at = at->next) {
        if (node_is_filled(at))
            value_put(&map, at->key, value_force(arena, node_value(view, at, arena)));
    }
    return value_build_map(&map);
}

static const struct value_lazy_ops node_ops = { .get = node_get, .force = node_force };

static const struct value *node_value(const struct output_view *parent,
                                      const struct output_node *node,
                                      struct arena *arena)
{
    struct output_view *view = ARENA_NEW(arena, struct output_view);
    *view = *parent;
    view->node = node;
    if (node->first != NULL)
        return value_lazy(arena, &node_ops, view);
    const struct value *own = merged_outputs(view, arena);
    return own == NULL ? &value_empty_map : own;
}

/* NULL when no run of the task has outputs. */
static const struct value *task_outputs(const struct output_view *view,
                                        struct task_runs *runs,
                                        struct arena *arena)
{
    const struct output_node *root = indexed(view->execution->arena, runs, &runs->by_path, true);
    return node_is_filled(root) ? node_value(view, root, arena) : NULL;
}

static const struct value *outputs_get(const void *data,
                                       struct arena *arena,
                                       const char *key,
                                       size_t length)
{
    const struct output_view *view = data;
    const char *task_id = arena_strndup(arena, key, length);
    struct task_runs *runs = memory_runs_of(view->execution, task_id);
    const struct value *found = runs == NULL ? NULL : task_outputs(view, runs, arena);
    if (found != NULL || view->execution->loop == NULL)
        return found;
    return value_get_n(value_get(view->execution->loop, "outputs"), key, length);
}

/* Calls for the runs of every task, in order of the flow. */
static void put_all_outputs(const struct output_view *view, struct value_builder *map)
{
    const struct engine_memory *memory = view->execution->memory;
    for (size_t i = 0; i < memory->by_task_count; i++) {
        struct task_runs *runs = &memory->by_task[i];
        const struct value *found =
            runs->runs.count == 0 ? NULL : task_outputs(view, runs, map->arena);
        if (found != NULL)
            value_put(map, runs->task_id, value_force(map->arena, found));
    }
    for (struct task_runs *runs = memory->others; runs != NULL; runs = runs->next) {
        const struct value *found = task_outputs(view, runs, map->arena);
        if (found != NULL)
            value_put(map, runs->task_id, value_force(map->arena, found));
    }
}

static const struct value *outputs_force(const void *data, struct arena *arena)
{
    const struct output_view *view = data;
    struct value_builder map = value_build(arena);
    const struct value *outer = value_get(view->execution->loop, "outputs");
    for (uint32_t i = 0; value_is_map(outer) && i < outer->map.count; i++)
        value_put(&map, outer->map.members[i].key, outer->map.members[i].value);
    put_all_outputs(view, &map);
    return value_build_map(&map);
}

static const struct value_lazy_ops outputs_ops = { .get = outputs_get, .force = outputs_force };

const struct value *outputs_lazy(const struct execution *execution,
                                 const struct engine_world *world,
                                 struct arena *arena)
{
    struct output_view *view = ARENA_NEW(arena, struct output_view);
    view->execution = execution;
    view->world = world;
    return value_lazy(arena, &outputs_ops, view);
}

/* ---- tasks ---- */

/* The last run says it. */
static const struct value *state_of(const struct output_node *node, struct arena *arena)
{
    const struct task_run *run = node->runs.items[node->runs.count - 1];
    const char *name = states[run->state.current].name;
    return value_with(arena, NULL, "state", value_string_ref(arena, name, strlen(name)));
}

static const struct value *states_get(const void *data,
                                      struct arena *arena,
                                      const char *key,
                                      size_t length)
{
    const struct output_node *found = find_below(data, key, length);
    return found == NULL ? NULL : state_of(found, arena);
}

static const struct value *states_force(const void *data, struct arena *arena)
{
    const struct output_node *node = data;
    struct value_builder map = value_build(arena);
    for (const struct output_node *at = node->first; at != NULL; at = at->next)
        value_put(&map, at->key, state_of(at, arena));
    return value_build_map(&map);
}

static const struct value_lazy_ops states_ops = { .get = states_get, .force = states_force };

static const struct value *task_states(const struct execution *execution,
                                       struct task_runs *runs,
                                       struct arena *arena)
{
    const struct output_node *root = indexed(execution->arena, runs, &runs->by_value, false);
    return root->runs.count > 0 ? state_of(root, arena) : value_lazy(arena, &states_ops, root);
}

static const struct value *tasks_get(const void *data,
                                     struct arena *arena,
                                     const char *key,
                                     size_t length)
{
    const struct execution *execution = data;
    struct task_runs *runs = memory_runs_of(execution, arena_strndup(arena, key, length));
    if (runs != NULL)
        return task_states(execution, runs, arena);
    return value_get_n(value_get(execution->loop, "tasks"), key, length);
}

static const struct value *tasks_force(const void *data, struct arena *arena)
{
    const struct execution *execution = data;
    const struct engine_memory *memory = execution->memory;
    struct value_builder map = value_build(arena);
    for (size_t i = 0; i < memory->by_task_count; i++) {
        struct task_runs *runs = &memory->by_task[i];
        if (runs->runs.count > 0)
            value_put(&map, runs->task_id, value_force(arena, task_states(execution, runs, arena)));
    }
    for (struct task_runs *runs = memory->others; runs != NULL; runs = runs->next) {
        if (runs->runs.count > 0)
            value_put(&map, runs->task_id, value_force(arena, task_states(execution, runs, arena)));
    }
    return value_build_map(&map);
}

static const struct value_lazy_ops tasks_ops = { .get = tasks_get, .force = tasks_force };

const struct value *tasks_lazy(const struct execution *execution, struct arena *arena)
{
    return value_lazy(arena, &tasks_ops, execution);
}
