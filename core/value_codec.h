/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as compact bytes and back: what executions, KV entries and caches are stored as.
 *
 * Every kind survives; lazy maps are forced; positions in a source text are not kept. Reading
 * checks every bound: damaged bytes are an error, never a crash.
 */
#ifndef CORE_VALUE_CODEC_H
#define CORE_VALUE_CODEC_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;
struct error;
struct unpack;
struct value;

/* Nesting of lists and maps that can be stored. */
#define VALUE_CODEC_DEPTH_MAX 2000U

/*
 * Can it be stored? False when it is nested deeper than VALUE_CODEC_DEPTH_MAX. What comes from
 * outside (outputs of tasks) is asked before it is accepted.
 */
bool value_can_encode(const struct value *value);

/* Appends. NULL is written as null. CHECKs the depth. */
void value_encode(struct buf *out, const struct value *value);

/* One value; the rest of the input stays. NULL and in->bad when damaged. Owned by the arena. */
const struct value *value_unpack(struct unpack *in, struct arena *arena);

/* The whole input is one value. Errors: ERR_INTERNAL when damaged. */
const struct value *value_decode(struct arena *arena,
                                 const void *bytes,
                                 size_t length,
                                 struct error *err);

#endif
