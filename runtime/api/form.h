/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs that come with a request: multipart parts, a plain form, uploaded files (api.md 2.2.2).
 */
#ifndef RUNTIME_API_FORM_H
#define RUNTIME_API_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/httpd.h"
#include "core/inputs.h"
#include "runtime/api/call.h"

struct upload {
    const struct httpd_part *part;
    const char *path; /* in the storage */
};

struct form {
    const struct value *given; /* map by input id; of a file its URI */
    struct http_fields labels; /* parts named `labels`, when no input has that name */
    struct upload *uploads;
    size_t uploads_count;
};

/*
 * Reads the request without storing anything yet.
 *
 * folder   path in the storage below which files will lie, one folder per input
 * Errors   ERR_LIMIT  a text part is longer than a text may be
 */
bool form_read(struct call *call,
               const struct flow_input *inputs,
               size_t count,
               const char *folder,
               struct form *out,
               struct error *err);

/* Stores the files; those already stored are removed again on failure. */
bool form_store(struct call *call, const struct form *form, struct error *err);
/* Removes the stored files: nothing came of the request. */
void form_discard(struct call *call, const struct form *form);

/* Whole content of a part, NUL-terminated; ERR_LIMIT above max_bytes. Owned by the arena. */
const char *part_text(struct arena *arena,
                      const struct httpd_part *part,
                      size_t max_bytes,
                      size_t *length,
                      struct error *err);

#endif
