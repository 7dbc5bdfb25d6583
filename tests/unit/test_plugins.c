/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every type that is built in, whatever it does. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "core/diag.h"
#include "core/docgen.h"
#include "core/flow.h"
#include "core/plugin.h"
#include "core/prop_internal.h"
#include "core/value.h"
#include "runtime/plugins.h"
#include "tests/support/test.h"

#define DEPTH_MAX 8

static const struct plugin *plugin_at(size_t i)
{
    size_t count = 0;
    const struct plugin *const *all = plugin_all(plugins(), &count);
    return i < count ? all[i] : NULL;
}

static void plugin_examples_are_flows_without_findings(void **state)
{
    (void)state;
    const struct plugin *plugin;
    size_t failed = 0;
    for (size_t i = 0; (plugin = plugin_at(i)) != NULL; i++) {
        for (size_t k = 0; plugin->examples != NULL && plugin->examples[k].yaml != NULL; k++) {
            AUTO(arena_freep) struct arena *arena = arena_new();
            struct diag_list findings = diag_list_new(arena, plugin->id);
            const char *source = docgen_example_flow(arena, plugin, k);
            struct flow *flow = flow_parse(plugins(), source, strlen(source), NULL, &findings);
            bool deprecated = (plugin->flags & PLUGIN_DEPRECATED) != 0;
            struct buf out = { 0 };
            for (size_t f = 0; f < findings.all.count; f++) {
                const struct diag *diag = &findings.all.items[f];
                if (diag->level == DIAG_ERROR ||
                    (diag->level != DIAG_INFO && !(deprecated && diag->level == DIAG_DEPRECATION)))
                    diag_render(&out, diag, source, false);
            }
            if (out.length > 0) {
                print_message("example '%s':\n%s\n%s", plugin->examples[k].title, out.bytes,
                              source);
                failed++;
            }
            flow_unref(flow);
            buf_free(&out);
        }
    }
    assert_int_equal(failed, 0);
}

static bool is_sentence(const char *text)
{
    size_t length = text == NULL ? 0 : strlen(text);
    return length > 2 &&
           (text[length - 1] == '.' || text[length - 1] == '`' || text[length - 1] == ')');
}

static void check_rows(const struct plugin *plugin, const struct prop *table, int depth)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    for (const struct prop *prop = table; prop != NULL && prop->name != NULL; prop++) {
        if ((prop->flags & PROP_INTERNAL) != 0)
            continue;
        if (!is_sentence(prop->doc))
            fail_msg("%s: property '%s' needs a sentence of documentation", plugin->id, prop->name);
        if (prop->kind == PROP_ENUM && prop->words == NULL)
            fail_msg("%s: property '%s' has no words", plugin->id, prop->name);
        if (prop->item == PROP_ENUM && prop->words == NULL)
            fail_msg("%s: items of '%s' have no words", plugin->id, prop->name);
        if ((prop->kind == PROP_OBJECT || prop->kind == PROP_OBJECTS) && prop->object == NULL)
            fail_msg("%s: property '%s' has no table", plugin->id, prop->name);
        const struct value *fallback = prop_fallback(prop, arena); // aborts when malformed
        if (fallback != NULL && prop->kind == PROP_ENUM &&
            prop_to_word(fallback, prop->words) < 0 && !prop_is_dynamic(prop->fallback))
            fail_msg("%s: default of '%s' is none of its words", plugin->id, prop->name);
        if (prop->object != NULL && depth < DEPTH_MAX)
            check_rows(plugin, prop->object, depth + 1);
    }
}

static void plugin_tables_are_complete(void **state)
{
    (void)state;
    const struct plugin *plugin;
    for (size_t i = 0; (plugin = plugin_at(i)) != NULL; i++) {
        if (!is_sentence(plugin->title))
            fail_msg("%s needs a title that is a sentence", plugin->id);
        if (plugin->props != NULL)
            check_rows(plugin, plugin->props, 0);
        for (const struct plugin_output *o = plugin->outputs; o != NULL && o->name != NULL; o++) {
            if (!is_sentence(o->doc) || o->type == NULL)
                fail_msg("%s: output '%s' needs a type and a sentence", plugin->id, o->name);
        }
    }
}

static void plugin_has_the_operations_of_its_kind(void **state)
{
    (void)state;
    const struct plugin *plugin;
    for (size_t i = 0; (plugin = plugin_at(i)) != NULL; i++) {
        bool ok = true;
        switch (plugin->task_kind) {
        case TASK_NONE:
            ok = plugin->role != PLUGIN_TASK;
            break;
        case TASK_INLINE:
            ok = plugin->inline_ops != NULL;
            break;
        case TASK_CALL:
            ok = plugin->call_ops != NULL;
            break;
        case TASK_PROCESS:
            ok = plugin->process_ops != NULL;
            break;
        case TASK_REMOTE:
            ok = plugin->remote_ops != NULL;
            break;
        case TASK_FLOWABLE:
            ok = plugin->flowable_ops != NULL;
            break;
        case TASK_EXECUTABLE:
            break;
        }
        if (!ok || (plugin->role == PLUGIN_TRIGGER) != (plugin->trigger_kind != TRIGGER_NONE))
            fail_msg("%s lacks the operations of its kind", plugin->id);
    }
}

static void plugin_binds_defaults_of_every_table(void **state)
{
    (void)state;
    const struct plugin *plugin;
    for (size_t i = 0; (plugin = plugin_at(i)) != NULL; i++) {
        if (plugin->props == NULL || plugin->props_size == 0)
            continue;
        AUTO(arena_freep) struct arena *arena = arena_new();
        void *bound = arena_alloc(arena, plugin->props_size);
        struct error err = { 0 };
        // a required property or a default that is an expression may be in the way, nothing else
        if (!prop_bind(plugin->props, &value_empty_map, bound, arena, &err) &&
            strstr(err.text, "is required") == NULL && strstr(err.text, "{{") == NULL)
            fail_msg("%s: %s", plugin->id, err.text);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(plugin_examples_are_flows_without_findings),
    cmocka_unit_test(plugin_tables_are_complete),
    cmocka_unit_test(plugin_has_the_operations_of_its_kind),
    cmocka_unit_test(plugin_binds_defaults_of_every_table),
};
TEST_GROUP(plugins, tests)
