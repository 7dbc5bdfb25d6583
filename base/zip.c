/* SPDX-License-Identifier: Apache-2.0 */
#include "base/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"

#define PIECE_BYTES 65536U

struct zip_writer {
    struct archive *archive;
    struct buf out;
};

static la_ssize_t collect(struct archive *archive, void *data, const void *bytes, size_t length)
{
    (void)archive;
    buf_add(data, bytes, length);
    return (la_ssize_t)length;
}

static bool failed(struct archive *archive, const char *what, struct error *err)
{
    const char *cause = archive_error_string(archive);
    return error_set(err, ERR_INTERNAL, "%s: %s", what, cause == NULL ? "unknown" : cause);
}

struct zip_writer *zip_writer_new(void)
{
    struct zip_writer *writer = check_calloc(1, sizeof(*writer));
    writer->archive = archive_write_new();
    CHECK(writer->archive != NULL);
    CHECK(archive_write_set_format_zip(writer->archive) == ARCHIVE_OK);
    // names are marked as UTF-8 whatever the locale is
    (void)archive_write_set_options(writer->archive, "zip:hdrcharset=UTF-8");
    // the end of the archive is not filled up to a block
    (void)archive_write_set_bytes_in_last_block(writer->archive, 1);
    CHECK(archive_write_open(writer->archive, &writer->out, NULL, collect, NULL) == ARCHIVE_OK);
    return writer;
}

bool zip_writer_add(struct zip_writer *writer,
                    const char *name,
                    const void *bytes,
                    size_t length,
                    usec_t modified_at,
                    struct error *err)
{
    struct archive_entry *entry = archive_entry_new();
    CHECK(entry != NULL);
    archive_entry_set_pathname_utf8(entry, name);
    archive_entry_set_size(entry, (la_int64_t)length);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, (time_t)(modified_at / USEC_SEC), 0);
    bool ok = archive_write_header(writer->archive, entry) == ARCHIVE_OK;
    archive_entry_free(entry);
    ok = ok &&
         (length == 0 || archive_write_data(writer->archive, bytes, length) == (la_ssize_t)length);
    return ok || failed(writer->archive, "write of an archive", err);
}

void zip_writer_free(struct zip_writer *writer)
{
    if (writer == NULL)
        return;
    (void)archive_write_free(writer->archive);
    buf_free(&writer->out);
    free(writer);
}

bool zip_writer_finish(struct zip_writer *writer, struct buf *out, struct error *err)
{
    bool ok = archive_write_close(writer->archive) == ARCHIVE_OK ||
              failed(writer->archive, "end of an archive", err);
    if (ok)
        buf_add(out, writer->out.bytes, writer->out.length);
    zip_writer_free(writer);
    return ok;
}

/* ---- reading ---- */

/* Content of the current entry into `out`; what an entry says about its size is not believed. */
static bool read_entry(struct archive *archive,
                       size_t bytes_max,
                       struct buf *out,
                       struct error *err)
{
    for (;;) {
        char *room = buf_reserve(out, PIECE_BYTES);
        la_ssize_t count = archive_read_data(archive, room, PIECE_BYTES);
        if (count == 0)
            return true;
        if (count < 0)
            return error_set(err, ERR_INVALID, "damaged archive: %s",
                             archive_error_string(archive));
        buf_added(out, (size_t)count);
        if (out->length > bytes_max)
            return error_set(err, ERR_LIMIT, "a file of the archive is longer than %zu bytes",
                             bytes_max);
    }
}

static bool read_all(struct archive *archive,
                     const struct zip_limits *limits,
                     zip_visit_fn *visit,
                     void *data,
                     struct error *err)
{
    struct buf content = { 0 };
    struct archive_entry *entry = NULL;
    size_t entries = 0;
    size_t total = 0;
    bool ok = true;
    int result = ARCHIVE_OK;
    // a warning is about what is not read here, such as an owner's name
    while (ok && ((result = archive_read_next_header(archive, &entry)) == ARCHIVE_OK ||
                  result == ARCHIVE_WARN)) {
        if (++entries > limits->entries_max) {
            ok = error_set(err, ERR_LIMIT, "more than %zu files in the archive",
                           limits->entries_max);
            break;
        }
        const char *name = archive_entry_pathname_utf8(entry);
        if (archive_entry_filetype(entry) != AE_IFREG)
            continue;
        if (name == NULL) {
            ok = error_set(err, ERR_INVALID, "the name of file %zu of the archive is not UTF-8",
                           entries);
            break;
        }
        buf_clear(&content);
        ok = read_entry(archive, limits->entry_bytes_max, &content, err);
        total += content.length;
        if (ok && total > limits->total_bytes_max)
            ok = error_set(err, ERR_LIMIT, "the archive holds more than %zu bytes",
                           limits->total_bytes_max);
        ok = ok && visit(data, name, buf_text(&content), content.length, err);
    }
    buf_free(&content);
    if (ok && result != ARCHIVE_EOF)
        return error_set(err, ERR_INVALID, "damaged archive: %s", archive_error_string(archive));
    return ok;
}

static locale_t utf8_locale;

static void make_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

bool zip_read(const void *bytes,
              size_t length,
              const struct zip_limits *limits,
              zip_visit_fn *visit,
              void *data,
              struct error *err)
{
    // libarchive turns names into those of the thread's locale, and loses what that cannot say
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_locale);
    locale_t before = uselocale(utf8_locale);
    struct archive *archive = archive_read_new();
    CHECK(archive != NULL);
    bool ok = false;
    if (archive_read_support_format_zip(archive) != ARCHIVE_OK ||
        archive_read_open_memory(archive, bytes, length) != ARCHIVE_OK)
        error_set(err, ERR_INVALID, "not a zip archive");
    else
        ok = read_all(archive, limits, visit, data, err);
    (void)archive_read_free(archive);
    (void)uselocale(before);
    return ok;
}
