/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference pages in Markdown, made from the tables: what `weir docs` shows and docs/reference
 * holds.
 */
#ifndef CORE_DOCGEN_H
#define CORE_DOCGEN_H

#include <stddef.h>

struct arena;
struct buf;
struct expr_builtin;
struct plugin;
struct plugin_set;
struct prop;
struct setting;

/* Page of one type. */
void docgen_plugin(struct buf *out, const struct plugin *plugin);

/* Page of a document that one table describes, such as weir.yaml. */
void docgen_table(struct buf *out,
                  const char *title,
                  const char *summary,
                  const struct prop *table);

/* Page of the flow document: properties, inputs, what all tasks and triggers share. */
void docgen_flow(struct buf *out);

void docgen_settings(struct buf *out, const struct setting *table);

/* Functions, filters and tests of expressions. */
void docgen_expressions(struct buf *out, const struct expr_builtin *builtins, size_t count);

/* First page: all types by role, with links to their pages and to the pages above. */
void docgen_index(struct buf *out, const struct plugin_set *plugins);

/* A whole flow for an example of a type: properties alone are put into a task or trigger. */
char *docgen_example_flow(struct arena *arena, const struct plugin *plugin, size_t example);

#endif
