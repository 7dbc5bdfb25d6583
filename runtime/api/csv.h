/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of maps as CSV (api.md 2.15): the first row names the columns; RFC 4180. Pure.
 */
#ifndef RUNTIME_API_CSV_H
#define RUNTIME_API_CSV_H

struct arena;
struct buf;
struct value;

/* Nothing is written for an empty list. Nested values are JSON text. */
void csv_write(struct buf *out, const struct value *rows);

#endif
