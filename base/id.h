/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identifiers: 128 bits written as 22 URL-safe characters [0-9A-Za-z].
 *
 * Execution ids made in time order share a prefix of about the same second, so that indexes stay
 * compact. Derived ids are a hash of their parts: the same parts give the same id.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define ID_LENGTH 22

struct rng;

/* NUL-terminated text of an id. */
struct id {
    char text[ID_LENGTH + 1];
};

/* New id: 48 bits of milliseconds, 80 bits of `rng`. */
struct id id_new(usec_t now, struct rng *rng);

/* Id derived from `seed` text and a path of bytes; stable across versions. */
struct id id_derive(const char *seed, const void *path, size_t length);

#endif
