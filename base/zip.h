/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zip archives in memory: written for exports, read for imports; the only user of libarchive here.
 *
 * Reading is bounded in entries and in bytes, whatever the archive claims about itself.
 */
#ifndef BASE_ZIP_H
#define BASE_ZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct buf;
struct error;
struct zip_writer;

struct zip_writer *zip_writer_new(void);
/* name: relative, with '/'. Errors: ERR_INTERNAL. */
bool zip_writer_add(struct zip_writer *writer,
                    const char *name,
                    const void *bytes,
                    size_t length,
                    usec_t modified_at,
                    struct error *err);
/* Appends the archive to `out` and frees the writer, also on failure. */
bool zip_writer_finish(struct zip_writer *writer, struct buf *out, struct error *err);
void zip_writer_free(struct zip_writer *writer);

struct zip_limits {
    size_t entries_max;
    size_t entry_bytes_max;
    size_t total_bytes_max;
};

/*
 * One file of an archive; folders, links and devices are left out. name is as written, so a caller
 * that makes paths of it checks it. Returns false to stop, with err filled.
 */
typedef bool zip_visit_fn(
    void *data, const char *name, const char *bytes, size_t length, struct error *err);

/*
 * Visits all files of an archive.
 *
 * Errors   ERR_INVALID  not a zip archive, damaged
 *          ERR_LIMIT    beyond a limit
 *          and those of visit
 */
bool zip_read(const void *bytes,
              size_t length,
              const struct zip_limits *limits,
              zip_visit_fn *visit,
              void *data,
              struct error *err);

#endif
