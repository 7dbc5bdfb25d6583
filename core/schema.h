/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Schemas (draft 7, which editors understand) made from the property tables.
 */
#ifndef CORE_SCHEMA_H
#define CORE_SCHEMA_H

struct arena;
struct buf;
struct plugin_set;
struct prop;
struct setting;
struct value;

/* Of a flow document, with every type of the set. */
const struct value *schema_flow(struct arena *arena, const struct plugin_set *plugins);

/* Of a document that one table describes: weir.yaml. */
const struct value *schema_table(struct arena *arena,
                                 const char *id,
                                 const char *title,
                                 const struct prop *table);

/* Of the server's settings file. */
const struct value *schema_settings(struct arena *arena, const struct setting *table);

/* JSON over several lines, indented by two, with a line end. */
void schema_write(struct buf *out, const struct value *schema);

#endif
