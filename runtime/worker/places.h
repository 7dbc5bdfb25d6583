/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file URI names: an object of the storage, a namespace file, a local file.
 *
 *     kestra:///<path>                     storage; a namespace file when it has /_files/
 *     nsfile:///<path>, nsfile://<ns>/<path>
 *     file:///<path>                       local, below configured folders only
 */
#ifndef RUNTIME_WORKER_PLACES_H
#define RUNTIME_WORKER_PLACES_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct error;
struct services;

enum place_kind { PLACE_STORAGE, PLACE_NAMESPACE, PLACE_LOCAL };

struct place {
    enum place_kind kind;
    bool is_storage_uri;   /* was written as kestra:// */
    const char *namespace; /* NAMESPACE */
    const char *path;      /* in the storage, in the namespace, of the machine */
    int64_t revision;      /* NAMESPACE: 0 the latest */
};

/*
 * namespace  of nsfile:/// URIs
 * Errors     ERR_INVALID  no such URI, or one that leaves its root
 */
bool place_find(struct arena *arena,
                const char *namespace,
                const char *uri,
                struct place *out,
                struct error *err);

/* Opens for reading from the start; -1: ERR_NOT_FOUND, ERR_DENIED (local files), others. */
int place_open(const struct services *services,
               struct arena *arena,
               const struct place *place,
               struct error *err);

#endif
