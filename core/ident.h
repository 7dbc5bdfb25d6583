/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identifiers of flows (flow-language.md 1.2): patterns, and whether a text matches one.
 */
#ifndef CORE_IDENT_H
#define CORE_IDENT_H

#include <stdbool.h>
#include <stddef.h>

/* Regular expressions that the whole text must match. */
#define IDENT_FLOW      "[a-zA-Z0-9][a-zA-Z0-9._-]*"
#define IDENT_NAMESPACE "[a-z0-9][a-z0-9._-]*"
#define IDENT_TASK      "[a-zA-Z0-9][a-zA-Z0-9_-]*"
#define IDENT_INPUT     "[a-zA-Z0-9][.a-zA-Z0-9_-]*"
#define IDENT_LABEL     "[\\p{Ll}][\\p{L}0-9._-]*"
#define IDENT_KV        "[a-zA-Z0-9][a-zA-Z0-9._-]*"

#define IDENT_FLOW_MAX      100
#define IDENT_NAMESPACE_MAX 150
#define IDENT_INPUT_MAX     1000 /* ours: bounds the checks of dotted paths */

/*
 * Does the whole text match the pattern? The patterns above cost a walk over the text; any other
 * is compiled for the call.
 */
bool ident_matches(const char *pattern, const char *text, size_t length);

/* Flow ids that would hide a route of the API. */
bool ident_is_reserved(const char *flow_id);

/* All of them, "a, b, c". */
extern const char ident_reserved_words[];

#endif
