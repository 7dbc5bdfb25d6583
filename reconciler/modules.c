/* SPDX-License-Identifier: Apache-2.0 */
/* Modules of a commit, read when a flow file asks for one; kept for the making of one plan. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/git_walk.h"
#include "base/str.h"
#include "core/value.h"
#include "reconciler/planner.h"

struct module_cache {
    pthread_mutex_t lock; /* guards everything here; held while a module is read */
    struct arena *arena;
    struct map by_name; /* name -> struct planned_module */
};

struct module_cache *module_cache_new(void)
{
    struct module_cache *cache = check_calloc(1, sizeof(*cache));
    CHECK(pthread_mutex_init(&cache->lock, NULL) == 0);
    cache->arena = arena_new();
    return cache;
}

void module_cache_free(struct module_cache *cache)
{
    if (cache == NULL)
        return;
    map_free(&cache->by_name);
    arena_free(cache->arena);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static bool name_is_valid(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        bool is_word = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                       (*at >= 'A' && *at <= 'Z') || *at == '_' || *at == '-';
        if (!is_word)
            return false;
    }
    return *name != '\0' && strlen(name) <= 100;
}

/* Looks below each folder of modules, in the order of weir.yaml. */
static bool find_file(struct planner *planner,
                      struct arena *arena,
                      const char *name,
                      const char **path,
                      struct oid *blob,
                      struct error *err)
{
    for (size_t i = 0; i < planner->layout.count && name_is_valid(name); i++) {
        const struct layout_rule *rule = &planner->layout.rules[i];
        if (rule->role != LAYOUT_MODULE)
            continue;
        bool is_folder = true;
        struct error absent = { 0 };
        *path = *rule->path == '\0'
                    ? arena_printf(arena, "%s/" MODULE_FILE_NAME, name)
                    : arena_printf(arena, "%s/%s/" MODULE_FILE_NAME, rule->path, name);
        if (walk_find(planner->snapshot->repo, &planner->tree, *path, blob, &is_folder, &absent) &&
            !is_folder)
            return true;
        if (absent.code != ERR_NONE && absent.code != ERR_NOT_FOUND) {
            *err = absent;
            return false;
        }
    }
    *path = NULL;
    return true;
}

static bool load(struct planner *planner,
                 const char *name,
                 struct planned_module *out,
                 struct error *err)
{
    struct arena *arena = planner->modules->arena;
    struct oid blob;
    size_t length = 0;
    out->findings = diag_list_new(arena, NULL);
    if (!find_file(planner, arena, name, &out->path, &blob, err))
        return false;
    if (out->path == NULL)
        return true;
    const char *text =
        git_repo_blob(planner->snapshot->repo, arena, &blob, MODULE_BYTES_MAX, &length, err);
    if (text != NULL) {
        out->module = module_parse(arena, name, out->path, text, length, &out->findings);
        return true;
    }
    if (err->code != ERR_LIMIT)
        return false;
    out->findings.file = out->path;
    (void)diag_add(&out->findings, DIAG_ERROR, DIAG_SYNTAX, "too-big", NULL, NULL, "%s", err->text);
    return true;
}

const struct planned_module *planner_module(struct planner *planner,
                                            const char *name,
                                            struct error *err)
{
    struct module_cache *cache = planner->modules;
    (void)pthread_mutex_lock(&cache->lock);
    struct planned_module *found = map_find(&cache->by_name, name);
    if (found == NULL) {
        found = ARENA_NEW(cache->arena, struct planned_module);
        if (load(planner, name, found, err))
            (void)map_put(&cache->by_name, name, found);
        else
            found = NULL;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return found;
}

void planner_take_module_findings(struct planner *planner)
{
    struct map_slot *slot;
    size_t at = 0;
    while ((slot = map_next(&planner->modules->by_name, &at)) != NULL) {
        const struct planned_module *module = slot->value;
        planner_take_findings(planner, &module->findings);
    }
}

const char *module_note_key(struct arena *arena, const char *name, const struct object_key *flow)
{
    return flow == NULL
               ? arena_printf(arena, MODULE_NOTES "%s\t", name)
               : arena_printf(arena, MODULE_NOTES "%s\t%s/%s", name, flow->namespace, flow->name);
}
