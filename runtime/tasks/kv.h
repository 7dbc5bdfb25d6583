/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property rows that the tasks of the key-value store share.
 */
#ifndef RUNTIME_TASKS_KV_H
#define RUNTIME_TASKS_KV_H

#include "core/prop.h"

#define KV_KEY_ROW(s, m)                                                                           \
    {                                                                                              \
        "key", STR(s, m), .flags = PROP_REQUIRED | PROP_EXPR, .doc = "Name of the entry."          \
    }

#define KV_NAMESPACE_ROW(s, m, doc_)                                                               \
    {                                                                                              \
        "namespace", STR(s, m), .flags = PROP_EXPR, .fallback = "{{ flow.namespace }}",            \
                                .doc = doc_                                                        \
    }

#define KV_MISSING_ROW(s, m)                                                                       \
    {                                                                                              \
        "errorOnMissing", BOOL(s, m), .flags = PROP_EXPR, .fallback = "false",                     \
                                      .doc = "Whether a missing entry fails the task."             \
    }

#define KV_MISSING_TEXT                                                                            \
    "No value found for key '%s' in namespace '%s' and `errorOnMissing` is set to true"

#endif
