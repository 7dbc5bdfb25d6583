/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the body of a key-value PUT means (api.md 2.7). Pure.
 */
#ifndef RUNTIME_API_KV_VALUE_H
#define RUNTIME_API_KV_VALUE_H

#include <stddef.h>

struct arena;

struct kv_value {
    const char *type; /* STRING NUMBER BOOLEAN DATETIME DATE DURATION JSON */
    const char *json; /* owned by the arena */
};

struct kv_value kv_value_of(struct arena *arena, const char *body, size_t length);

#endif
