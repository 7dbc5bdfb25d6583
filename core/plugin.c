/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "base/str.h"

/* Longest type name that is looked up. */
#define TYPE_BYTES_MAX 256U

/* Edits between a misspelt type and a suggestion. */
#define TYPE_DISTANCE_MAX 3U

struct plugin_set {
    const struct plugin *const *plugins;
    size_t count;
    struct map by_id;
    struct map by_alias; /* keys in lower case */
};

static bool lower_case(const char *text, size_t length, char out[TYPE_BYTES_MAX + 1])
{
    if (length > TYPE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        out[i] = (char)tolower((unsigned char)text[i]);
    out[length] = '\0';
    return true;
}

static void add_alias(struct plugin_set *set, const char *alias, const struct plugin *plugin)
{
    char key[TYPE_BYTES_MAX + 1];
    CHECK(lower_case(alias, strlen(alias), key));
    const struct plugin *old = map_put(&set->by_alias, key, (void *)(uintptr_t)plugin);
    CHECK(old == NULL || old == plugin);
}

struct plugin_set *plugin_set_new(const struct plugin *const *plugins)
{
    struct plugin_set *set = check_calloc(1, sizeof(struct plugin_set));
    set->plugins = plugins;
    while (plugins[set->count] != NULL) {
        const struct plugin *plugin = plugins[set->count++];
        CHECK(map_put(&set->by_id, plugin->id, (void *)(uintptr_t)plugin) == NULL);
        for (size_t i = 0; plugin->aliases != NULL && plugin->aliases[i] != NULL; i++)
            add_alias(set, plugin->aliases[i], plugin);
    }
    return set;
}

void plugin_set_free(struct plugin_set *set)
{
    if (set == NULL)
        return;
    map_free(&set->by_id);
    map_free(&set->by_alias);
    free(set);
}

const struct plugin *plugin_find(const struct plugin_set *set, const char *type)
{
    size_t length = strcspn(type, ":"); // a version behind a colon has no meaning here
    const struct plugin *plugin = map_find_bytes(&set->by_id, type, length);
    if (plugin != NULL)
        return plugin;
    char key[TYPE_BYTES_MAX + 1];
    return lower_case(type, length, key) ? map_find(&set->by_alias, key) : NULL;
}

const struct plugin *const *plugin_all(const struct plugin_set *set, size_t *count)
{
    *count = set->count;
    return set->plugins;
}

const char *plugin_role_name(enum plugin_role role)
{
    static const char *const names[] = {
        [PLUGIN_TASK] = "task",
        [PLUGIN_TRIGGER] = "trigger",
        [PLUGIN_CONDITION] = "condition",
        [PLUGIN_RUNNER] = "task runner",
    };
    return names[role];
}

static const char *last_segment(const char *type)
{
    const char *dot = strrchr(type, '.');
    return dot == NULL ? type : dot + 1;
}

const char *plugin_nearest(const struct plugin_set *set, enum plugin_role role, const char *type)
{
    const char *nearest = NULL;
    size_t nearest_distance = TYPE_DISTANCE_MAX + 1;
    const char *same_segment = NULL;
    for (size_t i = 0; i < set->count; i++) {
        const struct plugin *plugin = set->plugins[i];
        if (plugin->role != role)
            continue;
        size_t distance = str_distance(type, plugin->id, nearest_distance - 1);
        if (distance < nearest_distance) {
            nearest = plugin->id;
            nearest_distance = distance;
        }
        if (same_segment == NULL && str_eq_nocase(last_segment(type), last_segment(plugin->id)))
            same_segment = plugin->id;
        if (nearest_distance == 0)
            break;
    }
    return nearest != NULL ? nearest : same_segment;
}

struct prop_tables plugin_tables(const struct plugin *plugin)
{
    struct prop_tables tables = { { NULL } };
    size_t count = 0;
    switch (plugin->role) {
    case PLUGIN_TASK:
        tables.items[count++] = task_common_props;
        if (plugin->task_kind == TASK_FLOWABLE)
            tables.items[count++] = flowable_common_props;
        break;
    case PLUGIN_TRIGGER:
        tables.items[count++] = trigger_common_props;
        break;
    case PLUGIN_CONDITION:
    case PLUGIN_RUNNER:
        tables.items[count++] = plugin_common_props;
        break;
    }
    if (plugin->props != NULL)
        tables.items[count++] = plugin->props;
    return tables;
}
