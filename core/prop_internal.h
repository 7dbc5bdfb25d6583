/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the parts of prop and by the flow parser: places inside a document, what a check knows,
 * and conversions of values to the declared kinds.
 */
#ifndef CORE_PROP_INTERNAL_H
#define CORE_PROP_INTERNAL_H

#include "core/diag.h"
#include "core/plugin.h"
#include "core/prop.h"
#include "core/value.h"

/* A place inside a document, written out only when somebody must read it. */
struct doc_path {
    const struct doc_path *parent; /* NULL at the start */
    const char *key;               /* NULL: an item of a list */
    size_t index;
};

/* "tasks[0].retry.interval"; "" for NULL. */
char *doc_path_text(struct arena *arena, const struct doc_path *path);

/* As above with one more key. */
char *doc_path_key(struct arena *arena, const struct doc_path *path, const char *key);

/* What all checks of one document share. */
struct check_scope {
    const struct plugin_set *plugins; /* may be NULL: types are not looked up */
    const struct flow *flow;          /* may be NULL */
    const char *source;               /* text of the document, may be NULL */
    size_t source_length;
    bool lenient; /* unknown properties are ignored */
    struct diag_list *findings;
    struct arena *scratch; /* for what is needed during one check only */
};

/* Who owns the mapping under check; put into words only when there is a finding. */
struct check_owner {
    const char *text;            /* "a flow", NULL: see below */
    const struct plugin *plugin; /* "task type 'io.…'", NULL: see below */
    const char *kind;            /* "input type" of `name`, or NULL: 'name' alone */
    const char *name;
};

void check_map(const struct check_scope *scope,
               const struct prop *const *tables,
               const struct value *map,
               const struct doc_path *path,
               struct check_owner owner);

/*
 * A mapping with a `type`: looks the type up and checks the mapping against its tables and rules.
 * Returns NULL after a finding when the type is missing, unknown or of another role.
 */
const struct plugin *check_typed(const struct check_scope *scope,
                                 enum plugin_role role,
                                 const struct value *map,
                                 const struct doc_path *path);

/* As check_typed() without the tables and rules: resolves the type only. */
const struct plugin *check_type(const struct check_scope *scope,
                                enum plugin_role role,
                                const struct value *map,
                                const struct doc_path *path);

/* The tables of a type that was resolved. */
void check_properties(const struct check_scope *scope,
                      const struct plugin *plugin,
                      const struct value *map,
                      const struct doc_path *path);

/* Labels as map or list of {key, value}: shapes, keys, no system labels (flow-language.md 1.4). */
void check_labels(const struct check_scope *scope,
                  const struct value *labels,
                  const struct doc_path *path);

/* Warns about a text whose expressions have mistakes. */
void check_expression(const struct check_scope *scope,
                      const struct value *value,
                      const struct doc_path *path);

/* As above for every text below a value. */
void check_expression_tree(const struct check_scope *scope,
                           const struct value *value,
                           const struct doc_path *path);

/* A finding of stage DIAG_SYNTAX: the value has the wrong shape. */
void check_shape_error(const struct check_scope *scope,
                       const struct value *value,
                       const struct doc_path *path,
                       const char *expected);

/* ---- conversions: false when the value is not of that kind ---- */

/* Does the text hold anything to evaluate? */
bool prop_is_dynamic(const char *text);

/* Text of a scalar as it was written, of lists and maps their JSON; NULL for null. */
const char *prop_text(struct arena *arena, const struct value *value);

bool prop_to_int(const struct value *value, int64_t *out);
bool prop_to_double(const struct value *value, double *out);
bool prop_to_bool(const struct value *value, bool *out);
bool prop_to_duration(const struct value *value, usec_t *out);
bool prop_to_instant(const struct value *value, usec_t *out);
bool prop_to_bytes(const struct value *value, int64_t *out);
/* Position in the list, -1 when it is none of the words. */
int prop_to_word(const struct value *value, const char *const *words);

/* "a boolean", "a duration" … what a kind accepts. */
const char *prop_kind_text(enum prop_kind kind);

/* "A, B, C" owned by the arena. */
char *prop_words_text(struct arena *arena, const char *const *words);

/* The fallback of a property as a value, NULL when it has none. */
const struct value *prop_fallback(const struct prop *prop, struct arena *arena);

/* The member of a map for a property, by name, else by alias; NULL when absent or null. */
const struct value *prop_value(const struct prop *prop, const struct value *map);

#endif
