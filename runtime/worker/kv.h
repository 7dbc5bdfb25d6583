/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key-value entries as tasks and kv() see them: lookup through namespaces, kinds of values.
 */
#ifndef RUNTIME_WORKER_KV_H
#define RUNTIME_WORKER_KV_H

#include <stdbool.h>

struct arena;
struct error;
struct kv_entry;
struct services;
struct value;

/* STRING NUMBER BOOLEAN DATETIME DATE DURATION JSON, NULL-terminated; index is the kind. */
enum kv_kind { KV_STRING, KV_NUMBER, KV_BOOLEAN, KV_DATETIME, KV_DATE, KV_DURATION, KV_JSON };
extern const char *const kv_kinds[];

/*
 * An entry of `namespace`; when that is NULL or the flow's own, also of its ancestors, nearest
 * first.
 *
 * Errors   ERR_NOT_FOUND  none of them has the key
 */
bool kv_find(const struct services *services,
             struct arena *arena,
             const char *flow_namespace,
             const char *namespace,
             const char *key,
             struct kv_entry *out,
             struct error *err);

/* May it be the name of a key: [a-zA-Z0-9][a-zA-Z0-9._-]*, at most 256 characters. */
bool kv_key_check(const char *key, struct error *err);

/* Kind that a value has by itself. */
enum kv_kind kv_kind_of(const struct value *value);

/*
 * The value as the given kind: texts are converted (numbers, booleans, instants, JSON), a duration
 * is checked and stays text, a number as STRING becomes text.
 *
 * Errors   ERR_INVALID
 */
const struct value *kv_convert(struct arena *arena,
                               enum kv_kind kind,
                               const struct value *value,
                               struct error *err);

#endif
