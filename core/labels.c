/* SPDX-License-Identifier: Apache-2.0 */
#include "core/labels.h"

#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "core/ident.h"
#include "core/prop_internal.h"

#define SYSTEM_PREFIX "system."

bool label_is_reserved(const char *key)
{
    return str_starts(key, SYSTEM_PREFIX) && strcmp(key, SYSTEM_PREFIX "readOnly") != 0;
}

/* Strings, numbers and booleans can be a label's value. */
static bool is_label_value(const struct value *value)
{
    return value_is_string(value) || value_is_number(value) ||
           (value != NULL && value->kind == VALUE_BOOL);
}

/* Labels are typed: 1.10 is the number 1.1, and so is its text. */
static const char *label_text(struct arena *arena, const struct value *value)
{
    struct value plain = *value;
    if (!value_is_string(value) && value->kind != VALUE_BIGINT)
        plain.literal = NULL;
    return arena_strdup(arena, prop_text(arena, &plain));
}

/* Labels so far; the map is only used when there are many. */
struct collected {
    struct arena *arena;
    struct label *all;
    size_t count;
    struct map by_key;
};

/* Up to here a walk is faster. */
#define FEW_LABELS 16U

static struct label *find_label(struct collected *labels, const char *key)
{
    if (labels->count > FEW_LABELS) {
        for (size_t i = labels->by_key.count; i < labels->count; i++)
            (void)map_put(&labels->by_key, labels->all[i].key, &labels->all[i]);
        return map_find(&labels->by_key, key);
    }
    for (size_t i = 0; i < labels->count; i++) {
        if (strcmp(labels->all[i].key, key) == 0)
            return &labels->all[i];
    }
    return NULL;
}

static void put_label(struct collected *labels, const char *key, const struct value *value)
{
    if (key == NULL || !is_label_value(value))
        return;
    struct label *label = find_label(labels, key);
    if (label == NULL) {
        label = &labels->all[labels->count++];
        label->key = key;
    }
    label->value = label_text(labels->arena, value);
}

struct label *labels_of(struct arena *arena, const struct value *labels, size_t *count)
{
    size_t given = value_count(labels);
    struct collected collected = { .arena = arena, .all = ARENA_ARRAY(arena, given, struct label) };
    for (size_t i = 0; value_is_map(labels) && i < given; i++) {
        const struct value_member *member = &labels->map.members[i];
        put_label(&collected, member->key, member->value);
    }
    for (size_t i = 0; value_is_list(labels) && i < given; i++) {
        const struct value *item = labels->list.items[i];
        const struct value *key = value_get(item, "key");
        put_label(&collected, value_is_null(key) ? NULL : prop_text(arena, key),
                  value_get(item, "value"));
    }
    map_free(&collected.by_key);
    *count = collected.count;
    return collected.all;
}

/* ---- checks ---- */

static void check_key(const struct check_scope *scope,
                      const char *key,
                      const struct value *value,
                      const struct value_member *member,
                      const struct doc_path *path)
{
    struct arena *arena = scope->findings->arena;
    struct diag *diag = NULL;
    if (key[0] == '\0') {
        diag = diag_add(scope->findings, DIAG_ERROR, DIAG_CONSTRAINT, "label-key", value,
                        doc_path_text(arena, path), "a label needs a key");
        diag->api = "must not be empty";
    } else if (!scope->lenient && !prop_is_dynamic(key) &&
               !ident_matches(IDENT_LABEL, key, strlen(key))) {
        diag = diag_add(scope->findings, DIAG_ERROR, DIAG_CONSTRAINT, "label-key", value,
                        doc_path_text(arena, path),
                        "label '%s' must start with a lower-case letter and hold only letters, "
                        "digits, '.', '_' and '-'",
                        key);
        diag->api = arena_printf(arena, "must match \"^%s\"", IDENT_LABEL);
    }
    if (diag != NULL)
        diag_point(diag, member);
}

static void check_label(const struct check_scope *scope,
                        const char *key,
                        const struct value *value,
                        const struct value_member *member,
                        const struct doc_path *path)
{
    struct arena *arena = scope->findings->arena;
    check_key(scope, key, value, member, path);
    struct diag *diag = NULL;
    if (!is_label_value(value)) {
        diag = diag_add(scope->findings, DIAG_ERROR, DIAG_SYNTAX, "label-value", value,
                        doc_path_text(arena, path),
                        "label '%s' must be a text, a number or a boolean, not %s", key,
                        value_kind_name(value));
        diag->api =
            arena_printf(arena, "Unsupported type for key '%s': %s", key, value_kind_name(value));
    } else if (value_is_string(value) && value->string.length == 0) {
        diag = diag_add(scope->findings, DIAG_ERROR, DIAG_CONSTRAINT, "label-value", value,
                        doc_path_text(arena, path), "label '%s' must not be empty", key);
        diag->api = "must not be empty";
    } else if (label_is_reserved(key)) {
        const char *text = label_text(arena, value);
        diag = diag_add(scope->findings, DIAG_ERROR, DIAG_RULE, "system-label", value,
                        doc_path_text(arena, path), "label '%s' is set by weir alone", key);
        diag->api = arena_printf(
            arena, "System labels can only be set by Kestra itself, offending label: %s=%s", key,
            text);
    }
    if (diag != NULL)
        diag_point(diag, member);
}

void check_labels(const struct check_scope *scope,
                  const struct value *labels,
                  const struct doc_path *path)
{
    if (!value_is_map(labels) && !value_is_list(labels)) {
        check_shape_error(scope, labels, path, prop_kind_text(PROP_LABELS));
        return;
    }
    for (size_t i = 0; value_is_map(labels) && i < labels->map.count; i++) {
        const struct value_member *member = &labels->map.members[i];
        struct doc_path at = { .parent = path, .key = member->key };
        check_label(scope, member->key, member->value, member, &at);
    }
    for (size_t i = 0; value_is_list(labels) && i < labels->list.count; i++) {
        const struct value *item = labels->list.items[i];
        struct doc_path at = { .parent = path, .index = i };
        if (!value_is_map(item)) {
            check_shape_error(scope, item, &at, "a map with key and value");
            continue;
        }
        const struct value *key = value_get(item, "key");
        const char *text = value_is_null(key) ? "" : prop_text(scope->findings->arena, key);
        check_label(scope, text, value_get(item, "value"), value_member(item, "key"), &at);
    }
}
