/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store readers kept open between requests, each used by one thread at a time. Thread safe.
 */
#ifndef RUNTIME_API_READERS_H
#define RUNTIME_API_READERS_H

#include <stddef.h>

struct error;
struct readers;
struct store;
struct store_reader;

/* kept_max: readers that stay open while nobody uses them. */
struct readers *readers_new(struct store *store, size_t kept_max);
/* All must have been given back. NULL is fine. */
void readers_free(struct readers *readers);

/* Errors are those of store_reader_open(). */
struct store_reader *readers_take(struct readers *readers, struct error *err);
/* NULL is fine. */
void readers_put(struct readers *readers, struct store_reader *reader);

#endif
