/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parser of multipart/form-data, fed piece by piece (RFC 7578, RFC 2046).
 *
 * Bodies are kept byte for byte, CRLF included. Tolerated: a preamble, a missing CRLF after the
 * last boundary, bare LF between headers, UTF-8 and quoted file names, `filename*` of RFC 5987.
 */
#ifndef BASE_MULTIPART_H
#define BASE_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;
struct multipart;

/* Headers of one part. */
#define MULTIPART_HEAD_BYTES_MAX 8192U
#define MULTIPART_BOUNDARY_MAX   200U

struct multipart_head {
    const char *name;      /* "" when not given */
    const char *file_name; /* NULL when not given */
    const char *type;      /* NULL when not given */
};

/* Each returns false with err filled to stop. `begin` for every part, then `data` pieces, `end`. */
struct multipart_ops {
    bool (*begin)(void *context, const struct multipart_head *head, struct error *err);
    bool (*data)(void *context, const char *bytes, size_t length, struct error *err);
    bool (*end)(void *context, struct error *err);
};

/* The boundary in a Content-Type, owned by the arena; NULL when it is not multipart/form-data. */
const char *multipart_boundary(struct arena *arena, const char *content_type);

/* boundary: copied; the arena must outlive the parser and keeps the heads. */
struct multipart *multipart_new(struct arena *arena,
                                const char *boundary,
                                const struct multipart_ops *ops,
                                void *context);
void multipart_free(struct multipart *multipart);

/* ERR_INVALID on a malformed body, ERR_LIMIT on headers too long, errors of the callbacks. */
bool multipart_feed(struct multipart *multipart,
                    const char *bytes,
                    size_t length,
                    struct error *err);

/* After the last byte: ERR_INVALID when the closing boundary did not come. */
bool multipart_end(struct multipart *multipart, struct error *err);

#endif
