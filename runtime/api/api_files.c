/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of executions: download, size, preview (api.md 2.2.5, 3.6.5).
 */
#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/str.h"
#include "core/ion.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/executions.h"
#include "runtime/storage/storage.h"

#define PREVIEW_ROWS      100
#define PREVIEW_ROWS_MAX  5000
#define PREVIEW_BYTES_MAX ((size_t)2 * 1024 * 1024)
/* Pictures and documents are shown whole. */
#define PREVIEW_IMAGE_MAX ((size_t)16 * 1024 * 1024)

void execution_files_remove(struct call *call, const char *path)
{
    struct storage *storage = call->api->config.storage;
    struct error ignored = { 0 };
    bool existed = false;
    (void)storage->ops->remove(storage, path, &existed, &ignored);
}

/* Segment after "executions" of a path of the storage; NULL when there is none. */
static const char *execution_of_path(struct arena *arena, const char *path)
{
    static const char marker[] = "/executions/";
    const char *at = strstr(path, marker);
    if (at == NULL)
        return NULL;
    at += strlen(marker);
    size_t length = strcspn(at, "/");
    return length == 0 || at[length] == '\0' ? NULL : arena_strndup(arena, at, length);
}

/* A file of another execution: its own address. */
static void redirect(struct call *call, const char *id, const char *uri)
{
    const char *suffix = strrchr(call->http->path, '/');
    struct buf url = { 0 };
    buf_printf(&url, "/api/v1/%s/executions/%s/file%s?path=", call->api->config.tenant, id,
               str_eq(suffix, "/file") ? "" : suffix);
    url_encode(&url, uri, strlen(uri), "");
    struct http_field headers[] = { { "Location", buf_dup(&url, call->arena) }, { 0 } };
    buf_free(&url);
    struct buf none = { 0 };
    reply_buf(call, 307, NULL, &none, headers);
}

/* Path in the storage of the query parameter; on failure replies and returns NULL. */
static const char *find_path(struct call *call)
{
    const char *uri = call_required(call, "path");
    struct execution_row row;
    if (uri == NULL || !call_execution(call, call->path[0], &row))
        return NULL;
    const char *path = storage_uri_path(call->arena, uri);
    if (path == NULL) {
        reply_error(call, 422, "Illegal argument", "Invalid prefix path");
        return NULL;
    }
    const char *own =
        arena_printf(call->arena, "%s/",
                     storage_execution_path(call->arena, row.namespace, row.flow_id, row.id.text));
    if (str_starts(path, own))
        return path;
    const char *other = execution_of_path(call->arena, path);
    if (other != NULL && !str_eq(other, row.id.text))
        redirect(call, other, uri);
    else
        reply_error(call, 422, "Illegal argument", "Invalid prefix path");
    return NULL;
}

static void reply_missing(struct call *call, const struct error *err)
{
    if (err->code == ERR_NOT_FOUND || err->code == ERR_INVALID)
        reply_error(call, 404, "Not Found", "the file does not exist");
    else
        reply_failure(call, err);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static void get_file(struct call *call)
{
    const char *path = find_path(call);
    if (path == NULL)
        return;
    struct storage *storage = call->api->config.storage;
    struct error err = { 0 };
    AUTO_FD int fd = storage->ops->open(storage, path, &err);
    off_t length = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (fd < 0) {
        reply_missing(call, &err);
        return;
    }
    if (length < 0) {
        reply_error(call, 500, "Internal server error", "size of a file: %s", strerror(errno));
        return;
    }
    struct http_field headers[] = {
        { "Content-Disposition",
          arena_printf(call->arena, "attachment; filename=\"%s\"", file_name(path)) },
        { "Cache-Control", "public, max-age=86400" },
        { 0 },
    };
    reply_file(call, "application/octet-stream", fd_steal(&fd), (uint64_t)length, headers);
}

static void get_metas(struct call *call)
{
    const char *path = find_path(call);
    if (path == NULL)
        return;
    struct storage *storage = call->api->config.storage;
    struct storage_stat stat;
    struct error err = { 0 };
    if (!storage->ops->stat(storage, call->arena, path, &stat, &err) || stat.is_folder) {
        reply_missing(call, &err);
        return;
    }
    struct value_builder map = value_build(call->arena);
    value_put_int(&map, "size", stat.bytes);
    reply_value(call, 200, value_build_map(&map));
}

/* ---- preview ---- */

enum preview_type { PREVIEW_TEXT, PREVIEW_MARKDOWN, PREVIEW_LIST, PREVIEW_IMAGE, PREVIEW_PDF };

static const struct {
    const char *extension;
    enum preview_type type;
} preview_types[] = {
    { "ion", PREVIEW_LIST },  { "md", PREVIEW_MARKDOWN }, { "pdf", PREVIEW_PDF },
    { "png", PREVIEW_IMAGE }, { "jpg", PREVIEW_IMAGE },   { "jpeg", PREVIEW_IMAGE },
    { "gif", PREVIEW_IMAGE }, { "svg", PREVIEW_IMAGE },   { "webp", PREVIEW_IMAGE },
    { "bmp", PREVIEW_IMAGE }, { "ico", PREVIEW_IMAGE },
};

static const char *const preview_names[] = {
    [PREVIEW_TEXT] = "TEXT",   [PREVIEW_MARKDOWN] = "MARKDOWN", [PREVIEW_LIST] = "LIST",
    [PREVIEW_IMAGE] = "IMAGE", [PREVIEW_PDF] = "PDF",
};

/* First bytes of a file, at most `max`; *is_whole tells whether that is all. -1 on failure. */
static ssize_t read_start(int fd, char *out, size_t max, bool *is_whole)
{
    size_t used = 0;
    *is_whole = false;
    for (;;) {
        char more = 0;
        bool is_full = used == max;
        ssize_t count = read(fd, is_full ? &more : out + used, is_full ? 1 : max - used);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0) {
            *is_whole = true;
            return (ssize_t)used;
        }
        if (is_full)
            return (ssize_t)used;
        used += (size_t)count;
    }
}

/* Text in UTF-8 of bytes in a charset; false when it is not known. Broken bytes become '?'. */
static bool to_utf8(struct buf *out, const char *charset, char *bytes, size_t length)
{
    iconv_t converter = iconv_open("UTF-8", charset);
    if (converter == (iconv_t)-1)
        return false;
    while (length > 0) {
        char piece[4096];
        char *at = piece;
        size_t room = sizeof(piece);
        size_t result = iconv(converter, &bytes, &length, &at, &room);
        buf_add(out, piece, sizeof(piece) - room);
        if (result == (size_t)-1 && errno != E2BIG) {
            buf_putc(out, '?');
            bytes++;
            length--;
        }
    }
    (void)iconv_close(converter);
    return true;
}

/* Text up to so many lines. */
static const struct value *cut_lines(struct arena *arena,
                                     const struct buf *text,
                                     int64_t rows,
                                     bool *is_cut)
{
    const char *start = buf_text(text);
    const char *at = start;
    for (int64_t row = 0; row < rows; row++) {
        const char *end = strchr(at, '\n');
        if (end == NULL)
            return value_string_n(arena, start, text->length);
        at = end + 1;
    }
    *is_cut = *is_cut || *at != '\0';
    return value_string_n(arena, start, (size_t)(at - start));
}

/* Rows of an Ion file. */
static const struct value *read_rows(struct arena *arena,
                                     const struct buf *text,
                                     int64_t rows,
                                     bool *is_cut)
{
    struct value_builder list = value_build(arena);
    size_t at = 0;
    for (int64_t row = 0;; row++) {
        size_t used = 0;
        const struct value *value =
            ion_parse_first(arena, buf_text(text) + at, text->length - at, &used, NULL);
        if (value == NULL)
            break;
        if (row == rows) {
            *is_cut = true;
            break;
        }
        value_add(&list, value);
        at += used;
    }
    return value_build_list(&list);
}

static const struct value *base64_value(struct arena *arena, const char *bytes, size_t length)
{
    struct buf text = { 0 };
    base64_encode(&text, BASE64_STD, bytes, length);
    const struct value *value = value_string_n(arena, buf_text(&text), text.length);
    buf_free(&text);
    return value;
}

static enum preview_type preview_type_of(const char *extension)
{
    for (size_t i = 0; i < COUNT_OF(preview_types); i++) {
        if (str_eq_nocase(preview_types[i].extension, extension))
            return preview_types[i].type;
    }
    return PREVIEW_TEXT;
}

/* On failure replies and returns NULL. */
static const struct value *preview_content(struct call *call,
                                           enum preview_type type,
                                           char *bytes,
                                           size_t length,
                                           int64_t rows,
                                           bool *is_cut)
{
    if (type == PREVIEW_IMAGE || type == PREVIEW_PDF)
        return base64_value(call->arena, bytes, length);
    const char *charset = call_query(call, "encoding");
    struct buf text = { 0 };
    const struct value *content = NULL;
    if (!to_utf8(&text, str_empty(charset) ? "UTF-8" : charset, bytes, length))
        reply_error(call, 422, "Illegal argument",
                    "Unable to preview using encoding '%s', it is not known", charset);
    else if (type == PREVIEW_LIST)
        content = read_rows(call->arena, &text, rows, is_cut);
    else
        content = cut_lines(call->arena, &text, rows, is_cut);
    buf_free(&text);
    return content;
}

static void get_preview(struct call *call)
{
    int64_t rows = PREVIEW_ROWS;
    if (!call_query_int(call, "maxRows", 1, PREVIEW_ROWS, &rows))
        return;
    rows = rows > PREVIEW_ROWS_MAX ? PREVIEW_ROWS_MAX : rows;
    const char *path = find_path(call);
    if (path == NULL)
        return;
    struct storage *storage = call->api->config.storage;
    struct error err = { 0 };
    AUTO_FD int fd = storage->ops->open(storage, path, &err);
    if (fd < 0) {
        reply_missing(call, &err);
        return;
    }
    const char *dot = strrchr(file_name(path), '.');
    const char *extension = dot == NULL ? "" : dot + 1;
    enum preview_type type = preview_type_of(extension);
    size_t max =
        type == PREVIEW_IMAGE || type == PREVIEW_PDF ? PREVIEW_IMAGE_MAX : PREVIEW_BYTES_MAX;
    bool is_whole = false;
    char *bytes = arena_bytes_alloc(call->arena, max);
    ssize_t length = read_start(fd, bytes, max, &is_whole);
    if (length < 0) {
        reply_error(call, 500, "Internal server error", "read of a file: %s", strerror(errno));
        return;
    }
    bool is_cut = !is_whole;
    const struct value *content = preview_content(call, type, bytes, (size_t)length, rows, &is_cut);
    if (content == NULL)
        return;
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "extension", extension);
    value_put_text(&map, "type", preview_names[type]);
    value_put(&map, "content", content);
    value_put_int(&map, "maxLine", rows);
    value_put_bool(&map, "truncated", is_cut);
    reply_value(call, 200, value_build_map(&map));
}

static const struct route_query path_query[] = {
    { "path", "string", "URI of the file, kestra:///…", true },
    { 0 },
};
static const struct route_query preview_query[] = {
    { "path", "string", "URI of the file, kestra:///…", true },
    { "maxRows", "integer", "Lines or rows, 100 by default, 5000 at most.", false },
    { "encoding", "string", "Charset of a text, UTF-8 by default.", false },
    { 0 },
};

const struct route execution_file_routes[] = {
    { "GET", "executions/{executionId}/file", get_file, .query = path_query,
      .doc = "Content of a file of an execution." },
    { "GET", "executions/{executionId}/file/metas", get_metas, .query = path_query,
      .doc = "Size of a file of an execution." },
    { "GET", "executions/{executionId}/file/preview", get_preview, .query = preview_query,
      .shape = "FilePreview", .doc = "Start of a file of an execution." },
    { 0 },
};
