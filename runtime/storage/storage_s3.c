/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage in a bucket of an S3-compatible server.
 *
 * Source: Amazon S3 API reference (ListObjectsV2, PutObject, CreateMultipartUpload, CopyObject,
 * DeleteObjects). An object with a name ending in '/' marks an empty folder. Bodies are sent with
 * an unsigned payload: the connection protects them, and a body need not be read twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/http.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "base/vec.h"
#include "runtime/storage/storage.h"

/* Objects above PART_BYTES go in parts; ten thousand parts is the server's limit. */
#define PART_BYTES     (64 * 1024 * 1024)
#define PARTS_MAX      10000
#define LIST_MAX       1000000U
#define DELETE_BATCH   1000U
#define ANSWER_BYTES   ((size_t)16 * 1024 * 1024)
#define TRIES_MAX      3
#define TRY_DELAY_MSEC 100
#define PATH_KEEP      "/"

struct storage_s3 {
    struct storage storage;
    struct arena *arena;
    struct storage_s3_options options; /* copied; prefix ends with '/' or is "" */
    const char *base;                  /* URL of the bucket, without final '/' */
    const char *sigv4;
};

static struct storage_s3 *s3_of(struct storage *storage)
{
    return (struct storage_s3 *)storage;
}

/* ---- requests ---- */

struct call {
    const char *method;
    const char *key;                 /* whole key in the bucket; NULL: the bucket */
    const char *query;               /* encoded, sorted by name; NULL none */
    const struct http_field *header; /* one more; NULL none */
    const void *body;
    size_t length;
    int fd; /* with from_fd: body_length bytes from `offset` */
    bool from_fd;
    off_t offset;
    int to_fd;
    bool is_to_fd;
    size_t body_max;
};

struct file_source {
    int fd;
    off_t at;
    off_t end;
};

static ptrdiff_t read_source(void *context, void *bytes, size_t max, struct error *err)
{
    struct file_source *source = context;
    size_t left = (size_t)(source->end - source->at);
    ssize_t got = pread(source->fd, bytes, left < max ? left : max, source->at);
    if (got < 0) {
        (void)fs_error(err, errno, "read", "local file");
        return -1;
    }
    source->at += got;
    return got;
}

static void wait_before(int attempt)
{
    long msec = TRY_DELAY_MSEC << (2 * (attempt - 1));
    struct timespec span = { .tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000 };
    (void)nanosleep(&span, NULL);
}

/* Value of the first <tag>…</tag> in [text, end), entities decoded; NULL when absent. */
static const char *xml_find(struct arena *arena, const char *text, const char *end, const char *tag)
{
    char open_tag[64];
    char close_tag[64];
    int open_length = snprintf(open_tag, sizeof(open_tag), "<%s>", tag);
    int close_length = snprintf(close_tag, sizeof(close_tag), "</%s>", tag);
    const char *start = memmem(text, (size_t)(end - text), open_tag, (size_t)open_length);
    if (start == NULL)
        return NULL;
    start += open_length;
    const char *stop = memmem(start, (size_t)(end - start), close_tag, (size_t)close_length);
    if (stop == NULL)
        return NULL;

    static const struct {
        const char *name;
        char c;
    } entities[] = { { "&amp;", '&' }, { "&lt;", '<' },    { "&gt;", '>' },  { "&quot;", '"' },
                     { "&#34;", '"' }, { "&apos;", '\'' }, { "&#39;", '\'' } };
    char *out = arena_bytes_alloc(arena, (size_t)(stop - start) + 1);
    size_t length = 0;
    while (start < stop) {
        size_t i = 0;
        while (i < COUNT_OF(entities) && !str_starts(start, entities[i].name))
            i++;
        if (*start == '&' && i < COUNT_OF(entities)) {
            out[length++] = entities[i].c;
            start += strlen(entities[i].name);
        } else {
            out[length++] = *start++;
        }
    }
    out[length] = '\0';
    return out;
}

static bool refused(struct arena *arena,
                    const struct storage_s3 *s3,
                    const struct call *call,
                    const struct http_response *response,
                    struct error *err)
{
    // of a body that went to a file nothing is here
    const char *end = response->body + strlen(response->body);
    const char *code = xml_find(arena, response->body, end, "Code");
    const char *text = xml_find(arena, response->body, end, "Message");
    const char *what = call->key == NULL ? s3->options.bucket : call->key;
    enum error_code kind = ERR_UNAVAILABLE;
    if (response->status == 404)
        kind = ERR_NOT_FOUND;
    else if (response->status == 401 || response->status == 403)
        kind = ERR_DENIED;
    else if (response->status == 409)
        kind = ERR_CONFLICT;
    else if (response->status >= 400 && response->status < 500 && response->status != 429)
        kind = ERR_INVALID;
    return error_set(err, kind, "%s '%s' in the S3 storage was answered %d%s%s%s%.200s",
                     call->method, what, response->status, code == NULL ? "" : " ",
                     code == NULL ? "" : code, text == NULL ? "" : ": ", text == NULL ? "" : text);
}

static bool s3_call(struct storage_s3 *s3,
                    struct arena *arena,
                    const struct call *call,
                    struct http_response *response,
                    struct error *err)
{
    struct buf url = { 0 };
    buf_puts(&url, s3->base);
    if (call->key != NULL) {
        buf_putc(&url, '/');
        url_encode(&url, call->key, strlen(call->key), PATH_KEEP);
    } else {
        buf_putc(&url, '/');
    }
    if (call->query != NULL)
        buf_printf(&url, "?%s", call->query);

    struct http_fields headers = { 0 };
    http_fields_add(arena, &headers, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    if (call->header != NULL)
        http_fields_add(arena, &headers, call->header->name, call->header->value);

    struct http_request request = {
        .method = call->method,
        .url = buf_text(&url),
        .headers = &headers,
        .auth = HTTP_AUTH_SIGV4,
        .user = s3->options.access_key,
        .password = s3->options.secret_key,
        .sigv4 = s3->sigv4,
        .no_redirects = true,
        .body_max = call->body_max == 0 ? ANSWER_BYTES : call->body_max,
        .keep_encoding = true,
    };
    bool ok = false;
    for (int attempt = 1;; attempt++) {
        struct file_source source = { .fd = call->fd,
                                      .at = call->offset,
                                      .end = call->offset + (off_t)call->length };
        if (call->from_fd) {
            request.source = read_source;
            request.source_context = &source;
            request.source_length = (int64_t)call->length;
        } else if (call->body != NULL) {
            request.body = call->body;
            request.body_length = call->length;
        }
        if (call->is_to_fd) {
            request.to_fd = true;
            request.sink_fd = call->to_fd;
        }
        *response = (struct http_response){ 0 };
        struct error failure = { 0 };
        ok = http_call(arena, &request, response, NULL, &failure);
        bool again = ok ? response->status >= 500 || response->status == 429
                        : failure.code == ERR_UNAVAILABLE || failure.code == ERR_TIMEOUT;
        if (again && attempt < TRIES_MAX) {
            if (call->is_to_fd &&
                (ftruncate(call->to_fd, 0) != 0 || lseek(call->to_fd, 0, SEEK_SET) != 0)) {
                ok = fs_error(err, errno, "truncate", "local file");
                break;
            }
            wait_before(attempt);
            continue;
        }
        if (!ok && err != NULL)
            *err = failure;
        break;
    }
    buf_free(&url);
    if (ok && response->status >= 300)
        ok = refused(arena, s3, call, response, err);
    return ok;
}

static const char *key_of(const struct storage_s3 *s3, struct arena *arena, const char *path)
{
    return arena_printf(arena, "%s%s", s3->options.prefix, path);
}

/* ---- writing ---- */

static bool put_small(
    struct storage_s3 *s3, const char *key, const void *bytes, size_t length, struct error *err)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct call call = {
        .method = "PUT", .key = key, .body = length == 0 ? "" : bytes, .length = length
    };
    struct http_response response;
    return s3_call(s3, arena, &call, &response, err);
}

static bool s3_put_bytes(struct storage *storage,
                         const char *path,
                         const void *bytes,
                         size_t length,
                         unsigned flags,
                         struct error *err)
{
    (void)flags; // every answer of the server says durable
    struct storage_s3 *s3 = s3_of(storage);
    if (!storage_path_check(path, err))
        return false;
    AUTO(arena_freep) struct arena *arena = arena_new();
    return put_small(s3, key_of(s3, arena, path), bytes, length, err);
}

/* Uploads [0, size) of fd in parts; gives up whole. */
static bool put_parts(struct storage_s3 *s3, const char *key, int fd, off_t size, struct error *err)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct http_response response;
    struct call begin = { .method = "POST", .key = key, .query = "uploads=", .body = "" };
    if (!s3_call(s3, arena, &begin, &response, err))
        return false;
    const char *upload =
        xml_find(arena, response.body, response.body + response.length, "UploadId");
    if (upload == NULL)
        return error_set(err, ERR_UNAVAILABLE, "the S3 storage began no upload of '%s'", key);
    const char *upload_query = arena_printf(arena, "uploadId=%s", url_encode_text(arena, upload));

    struct buf list = { 0 };
    buf_puts(&list, "<CompleteMultipartUpload>");
    bool ok = true;
    int number = 1;
    off_t part = PART_BYTES;
    while (size / part >= PARTS_MAX)
        part *= 2;
    for (off_t at = 0; ok && at < size; at += part, number++) {
        struct call call = {
            .method = "PUT",
            .key = key,
            .query = arena_printf(arena, "partNumber=%d&%s", number, upload_query),
            .from_fd = true,
            .fd = fd,
            .offset = at,
            .length = (size_t)(size - at < part ? size - at : part),
        };
        ok = s3_call(s3, arena, &call, &response, err);
        const char *tag = ok ? http_header_find(&response.headers, "ETag") : NULL;
        if (ok && tag == NULL)
            ok = error_set(err, ERR_UNAVAILABLE, "the S3 storage gave no tag for a part");
        if (ok)
            buf_printf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number,
                       tag);
    }
    buf_puts(&list, "</CompleteMultipartUpload>");
    if (ok) {
        struct call end = { .method = "POST",
                            .key = key,
                            .query = upload_query,
                            .body = buf_text(&list),
                            .length = list.length };
        ok = s3_call(s3, arena, &end, &response, err);
        // An error after the status line went out comes in the body of a 200.
        if (ok && xml_find(arena, response.body, response.body + response.length, "Code") != NULL)
            ok = refused(arena, s3, &end, &response, err);
    }
    buf_free(&list);
    if (!ok) {
        struct call abort = { .method = "DELETE", .key = key, .query = upload_query };
        (void)s3_call(s3, arena, &abort, &response, NULL); // the failure above is the news
    }
    return ok;
}

/* An open regular file, from its start. */
static bool put_fd(
    struct storage_s3 *s3, const char *path, int fd, const char *name, struct error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fs_error(err, errno, "read", name);
    if (!S_ISREG(info.st_mode))
        return error_set(err, ERR_INVALID, "'%s' is not a file", name);

    AUTO(arena_freep) struct arena *arena = arena_new();
    const char *key = key_of(s3, arena, path);
    if (info.st_size == 0)
        return put_small(s3, key, "", 0, err);
    if (info.st_size > PART_BYTES)
        return put_parts(s3, key, fd, info.st_size, err);
    struct call call = {
        .method = "PUT", .key = key, .from_fd = true, .fd = fd, .length = (size_t)info.st_size
    };
    struct http_response response;
    return s3_call(s3, arena, &call, &response, err);
}

static bool s3_put_open(
    struct storage *storage, const char *path, int fd, unsigned flags, struct error *err)
{
    (void)flags; // what is stored is durable
    if (!storage_path_check(path, err))
        return false;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return fs_error(err, errno, "read", path);
    return put_fd(s3_of(storage), path, fd, path, err);
}

static bool s3_put_file(struct storage *storage,
                        const char *path,
                        const char *source,
                        unsigned flags,
                        struct error *err)
{
    if (!storage_path_check(path, err))
        return false;
    AUTO_FD int fd = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return fs_error(err, errno, "open", source);
    if (!put_fd(s3_of(storage), path, fd, source, err))
        return false;
    if ((flags & STORAGE_CONSUME) != 0)
        (void)unlink(source); // of a folder that goes anyway
    return true;
}

static bool s3_sync(struct storage *storage,
                    const char *const *paths,
                    size_t count,
                    struct error *err)
{
    (void)storage;
    (void)paths;
    (void)count;
    (void)err;
    return true;
}

/* ---- reading ---- */

static bool fetch(struct storage_s3 *s3, const char *path, int fd, struct error *err)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct call call = {
        .method = "GET", .key = key_of(s3, arena, path), .is_to_fd = true, .to_fd = fd
    };
    struct http_response response;
    return s3_call(s3, arena, &call, &response, err);
}

static int s3_open(struct storage *storage, const char *path, struct error *err)
{
    if (!storage_path_check(path, err))
        return -1;
    AUTO_FD int fd = fs_temp(NULL, err);
    if (fd < 0 || !fetch(s3_of(storage), path, fd, err))
        return -1;
    if (lseek(fd, 0, SEEK_SET) != 0) {
        (void)fs_error(err, errno, "read", path);
        return -1;
    }
    return fd_steal(&fd);
}

static bool s3_get_file(struct storage *storage,
                        const char *path,
                        const char *target,
                        struct error *err)
{
    if (!storage_path_check(path, err))
        return false;
    // Into a file without a name first: a failed call must not leave its error page.
    AUTO_FD int from = s3_open(storage, path, err);
    if (from < 0)
        return false;
    AUTO_FD int to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return fs_error(err, errno, "create", target);
    size_t bytes = 0;
    return fs_copy(from, to, target, SIZE_MAX, &bytes, err);
}

static bool s3_get_bytes(struct storage *storage,
                         struct arena *arena,
                         const char *path,
                         size_t max_bytes,
                         const char **bytes,
                         size_t *length,
                         struct error *err)
{
    struct storage_s3 *s3 = s3_of(storage);
    if (!storage_path_check(path, err))
        return false;
    struct call call = { .method = "GET",
                         .key = key_of(s3, arena, path),
                         .body_max = max_bytes < 4096 ? 4096 : max_bytes };
    struct http_response response;
    if (!s3_call(s3, arena, &call, &response, err))
        return false;
    if (response.length > max_bytes)
        return error_set(err, ERR_LIMIT, "'%s' is longer than %zu bytes", path, max_bytes);
    *bytes = response.body;
    *length = response.length;
    return true;
}

/* ---- listing ---- */

struct page {
    VEC(struct storage_stat) entries; /* names are whole keys, folders end with '/' */
    bool is_folder;                   /* something lies below, or a marker exists */
};

static usec_t parse_modified(const char *text)
{
    usec_t at = 0;
    if (text == NULL || !time_parse_instant(text, &at, NULL, NULL))
        return 0;
    return at;
}

static void add_entries(struct arena *arena,
                        struct page *page,
                        const char *body,
                        const char *end,
                        const char *tag,
                        bool is_folder)
{
    char open_tag[32];
    char close_tag[32];
    int open_length = snprintf(open_tag, sizeof(open_tag), "<%s>", tag);
    int close_length = snprintf(close_tag, sizeof(close_tag), "</%s>", tag);
    for (const char *at = body;;) {
        at = memmem(at, (size_t)(end - at), open_tag, (size_t)open_length);
        if (at == NULL)
            break;
        at += open_length;
        const char *stop = memmem(at, (size_t)(end - at), close_tag, (size_t)close_length);
        if (stop == NULL)
            break;
        const char *name = xml_find(arena, at, stop, is_folder ? "Prefix" : "Key");
        if (name != NULL) {
            struct storage_stat *entry = VEC_PUSH_ARENA(arena, &page->entries);
            const char *size = is_folder ? NULL : xml_find(arena, at, stop, "Size");
            entry->name = url_decode(arena, name, strlen(name), true, NULL);
            entry->is_folder = is_folder;
            entry->modified_at = parse_modified(xml_find(arena, at, stop, "LastModified"));
            if (size != NULL)
                (void)str_to_int(size, 0, INT64_MAX, &entry->bytes);
        }
        at = stop;
    }
}

/* All keys that start with `prefix`; with a delimiter the folders below as one entry each. */
static bool list_keys(struct storage_s3 *s3,
                      struct arena *arena,
                      const char *prefix,
                      bool is_deep,
                      size_t max,
                      struct page *page,
                      struct error *err)
{
    const char *token = NULL;
    do {
        const char *query =
            arena_printf(arena, "%s%s%s%sencoding-type=url&list-type=2&max-keys=%zu&prefix=%s",
                         token == NULL ? "" : "continuation-token=",
                         token == NULL ? "" : url_encode_text(arena, token),
                         token == NULL ? "" : "&", is_deep ? "" : "delimiter=%2F&",
                         max < 1000 ? max : (size_t)1000, url_encode_text(arena, prefix));
        struct call call = { .method = "GET", .query = query };
        struct http_response response;
        if (!s3_call(s3, arena, &call, &response, err))
            return false;
        const char *end = response.body + response.length;
        add_entries(arena, page, response.body, end, "Contents", false);
        add_entries(arena, page, response.body, end, "CommonPrefixes", true);
        if (page->entries.count >= max)
            break;
        const char *truncated = xml_find(arena, response.body, end, "IsTruncated");
        token = str_eq(truncated, "true")
                    ? xml_find(arena, response.body, end, "NextContinuationToken")
                    : NULL;
        if (page->entries.count > LIST_MAX)
            return error_set(err, ERR_LIMIT, "more than %u objects in a folder", LIST_MAX);
    } while (token != NULL);
    page->is_folder = page->entries.count > 0;
    return true;
}

static const char *folder_prefix(struct storage_s3 *s3, struct arena *arena, const char *path)
{
    return *path == '\0' ? s3->options.prefix
                         : arena_printf(arena, "%s%s/", s3->options.prefix, path);
}

static const char *last_segment(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return arena_strdup(arena, slash == NULL ? path : slash + 1);
}

static bool s3_stat(struct storage *storage,
                    struct arena *arena,
                    const char *path,
                    struct storage_stat *out,
                    struct error *err)
{
    struct storage_s3 *s3 = s3_of(storage);
    if (*path != '\0') {
        if (!storage_path_check(path, err))
            return false;
        struct call call = { .method = "HEAD", .key = key_of(s3, arena, path) };
        struct http_response response;
        struct error failure = { 0 };
        if (s3_call(s3, arena, &call, &response, &failure)) {
            const char *length = http_header_find(&response.headers, "Content-Length");
            const char *type = http_header_find(&response.headers, "Content-Type");
            // Servers over a file system answer for a folder without its final '/'.
            if (!str_eq(type, "application/x-directory")) {
                *out = (struct storage_stat){ .name = last_segment(arena, path) };
                if (length != NULL)
                    (void)str_to_int(length, 0, INT64_MAX, &out->bytes);
                // A Last-Modified header is an HTTP date; the listing has an ISO one.
                struct page page = { 0 };
                if (!list_keys(s3, arena, key_of(s3, arena, path), false, 1, &page, err))
                    return false;
                if (page.entries.count > 0 && !page.entries.items[0].is_folder)
                    out->modified_at = page.entries.items[0].modified_at;
                return true;
            }
        } else if (failure.code != ERR_NOT_FOUND) {
            if (err != NULL)
                *err = failure;
            return false;
        }
    }
    struct page page = { 0 };
    if (!list_keys(s3, arena, folder_prefix(s3, arena, path), false, 1, &page, err))
        return false;
    if (!page.is_folder && *path != '\0')
        return error_set(err, ERR_NOT_FOUND, "'%s' does not exist", path);
    *out = (struct storage_stat){ .name = last_segment(arena, path), .is_folder = true };
    if (page.entries.count > 0)
        out->modified_at = page.entries.items[0].modified_at;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct storage_stat *)a)->name, ((const struct storage_stat *)b)->name);
}

static bool s3_list(struct storage *storage,
                    struct arena *arena,
                    const char *path,
                    struct storage_stat **out,
                    size_t *count,
                    struct error *err)
{
    struct storage_s3 *s3 = s3_of(storage);
    if (*path != '\0' && !storage_path_check(path, err))
        return false;
    const char *prefix = folder_prefix(s3, arena, path);
    size_t prefix_length = strlen(prefix);
    struct page page = { 0 };
    if (!list_keys(s3, arena, prefix, false, SIZE_MAX, &page, err))
        return false;
    if (!page.is_folder && *path != '\0')
        return error_set(err, ERR_NOT_FOUND, "'%s' does not exist", path);
    size_t kept = 0;
    for (size_t i = 0; i < page.entries.count; i++) {
        struct storage_stat entry = page.entries.items[i];
        if (strlen(entry.name) <= prefix_length)
            continue; // the marker of the folder itself
        size_t length = strlen(entry.name) - prefix_length;
        if (entry.name[prefix_length + length - 1] == '/') {
            entry.is_folder = true;
            length--;
        }
        entry.name = arena_strndup(arena, entry.name + prefix_length, length);
        page.entries.items[kept++] = entry;
    }
    if (kept > 0)
        qsort(page.entries.items, kept, sizeof(page.entries.items[0]), compare_names);
    *out = page.entries.items;
    *count = kept;
    return true;
}

static bool s3_make_folder(struct storage *storage, const char *path, struct error *err)
{
    struct storage_s3 *s3 = s3_of(storage);
    if (!storage_path_check(path, err))
        return false;
    AUTO(arena_freep) struct arena *arena = arena_new();
    return put_small(s3, folder_prefix(s3, arena, path), "", 0, err);
}

/* ---- removing and moving ---- */

static void xml_write(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '&')
            buf_puts(out, "&amp;");
        else if (*text == '<')
            buf_puts(out, "&lt;");
        else if (*text == '>')
            buf_puts(out, "&gt;");
        else
            buf_putc(out, *text);
    }
}

static bool delete_one(struct storage_s3 *s3, const char *key, struct error *err)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct call call = { .method = "DELETE", .key = key };
    struct http_response response;
    struct error failure = { 0 };
    if (s3_call(s3, arena, &call, &response, &failure) || failure.code == ERR_NOT_FOUND)
        return true;
    if (err != NULL)
        *err = failure;
    return false;
}

static bool delete_batch(struct storage_s3 *s3,
                         const struct storage_stat *entries,
                         size_t count,
                         struct error *err)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf body = { 0 };
    struct buf encoded = { 0 };
    unsigned char md5[DIGEST_BYTES_MAX];
    buf_puts(&body, "<Delete><Quiet>true</Quiet>");
    for (size_t i = 0; i < count; i++) {
        buf_puts(&body, "<Object><Key>");
        xml_write(&body, entries[i].name);
        buf_puts(&body, "</Key></Object>");
    }
    buf_puts(&body, "</Delete>");
    size_t md5_length = digest_hash("md5", body.bytes, body.length, md5);
    base64_encode(&encoded, BASE64_STD, md5, md5_length);
    struct http_field header = { "Content-MD5", buf_text(&encoded) };
    struct call call = { .method = "POST",
                         .query = "delete=",
                         .header = &header,
                         .body = body.bytes,
                         .length = body.length };
    struct http_response response;
    bool ok = s3_call(s3, arena, &call, &response, err);
    if (ok && memmem(response.body, response.length, "<Error>", 7) != NULL)
        ok = refused(arena, s3, &call, &response, err);
    buf_free(&body);
    buf_free(&encoded);
    return ok;
}

/* Children before their folders: names in falling order. */
static int compare_names_falling(const void *a, const void *b)
{
    return compare_names(b, a);
}

static bool delete_all(struct storage_s3 *s3, struct page *page, struct error *err)
{
    if (page->entries.count > 0)
        qsort(page->entries.items, page->entries.count, sizeof(page->entries.items[0]),
              compare_names_falling);
    for (size_t at = 0; at < page->entries.count; at += DELETE_BATCH) {
        size_t left = page->entries.count - at;
        size_t count = left < DELETE_BATCH ? left : DELETE_BATCH;
        if (!delete_batch(s3, page->entries.items + at, count, err))
            return false;
    }
    return true;
}

static bool s3_remove(struct storage *storage, const char *path, bool *existed, struct error *err)
{
    struct storage_s3 *s3 = s3_of(storage);
    if (!storage_path_check(path, err))
        return false;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct storage_stat info;
    struct error failure = { 0 };
    if (!s3_stat(storage, arena, path, &info, &failure)) {
        if (failure.code != ERR_NOT_FOUND) {
            if (err != NULL)
                *err = failure;
            return false;
        }
        *existed = false;
        return true;
    }
    if (info.is_folder) {
        struct page page = { 0 };
        const char *prefix = folder_prefix(s3, arena, path);
        if (!list_keys(s3, arena, prefix, true, SIZE_MAX, &page, err) ||
            !delete_all(s3, &page, err) || !delete_one(s3, prefix, err))
            return false;
    } else if (!delete_one(s3, key_of(s3, arena, path), err)) {
        return false;
    }
    *existed = true;
    return true;
}

static bool copy_object(struct storage_s3 *s3, const char *from, const char *to, struct error *err)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct buf source = { 0 };
    buf_printf(&source, "/%s/", s3->options.bucket);
    url_encode(&source, from, strlen(from), PATH_KEEP);
    struct http_field header = { "x-amz-copy-source", buf_text(&source) };
    struct call call = { .method = "PUT", .key = to, .header = &header, .body = "" };
    struct http_response response;
    bool ok = s3_call(s3, arena, &call, &response, err);
    // An error during a long copy comes in the body of a 200.
    if (ok && memmem(response.body, response.length, "<Error>", 7) != NULL)
        ok = refused(arena, s3, &call, &response, err);
    buf_free(&source);
    return ok;
}

static bool s3_move(struct storage *storage, const char *from, const char *to, struct error *err)
{
    struct storage_s3 *s3 = s3_of(storage);
    if (!storage_path_check(from, err) || !storage_path_check(to, err))
        return false;
    size_t from_length = strlen(from);
    if (str_starts(to, from) && to[from_length] == '/')
        return error_set(err, ERR_INVALID, "'%s' cannot be moved into itself", from);
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct storage_stat info;
    if (!s3_stat(storage, arena, from, &info, err))
        return false;
    if (!info.is_folder) {
        const char *source = key_of(s3, arena, from);
        return copy_object(s3, source, key_of(s3, arena, to), err) && delete_one(s3, source, err);
    }
    struct page page = { 0 };
    const char *prefix = folder_prefix(s3, arena, from);
    const char *target = folder_prefix(s3, arena, to);
    if (!list_keys(s3, arena, prefix, true, SIZE_MAX, &page, err))
        return false;
    for (size_t i = 0; i < page.entries.count; i++) {
        const char *rest = page.entries.items[i].name + strlen(prefix);
        const char *name = arena_printf(arena, "%s%s", target, rest);
        bool ok = str_ends(name, "/") ? put_small(s3, name, "", 0, err)
                                      : copy_object(s3, page.entries.items[i].name, name, err);
        if (!ok)
            return false;
    }
    return delete_all(s3, &page, err) && delete_one(s3, prefix, err);
}

static void s3_free(struct storage *storage)
{
    struct storage_s3 *s3 = s3_of(storage);
    arena_free(s3->arena);
    free(s3);
}

static const struct storage_ops s3_ops = {
    .name = "s3",
    .put_file = s3_put_file,
    .put_open = s3_put_open,
    .put_bytes = s3_put_bytes,
    .sync = s3_sync,
    .open = s3_open,
    .get_file = s3_get_file,
    .get_bytes = s3_get_bytes,
    .stat = s3_stat,
    .list = s3_list,
    .make_folder = s3_make_folder,
    .move = s3_move,
    .remove = s3_remove,
    .free = s3_free,
};

static struct storage_s3 *s3_make(const struct storage_s3_options *options, struct error *err)
{
    struct arena *arena = arena_new();
    struct url url;
    if (str_empty(options->bucket) || str_empty(options->endpoint) ||
        !url_parse(arena, options->endpoint, &url)) {
        arena_free(arena);
        error_set(err, ERR_INVALID, "the S3 storage needs an endpoint URL and a bucket");
        return NULL;
    }
    struct storage_s3 *s3 = check_calloc(1, sizeof(*s3));
    const char *region = str_empty(options->region) ? "us-east-1" : options->region;
    const char *prefix = options->prefix == NULL ? "" : options->prefix;
    while (*prefix == '/')
        prefix++;
    s3->storage.ops = &s3_ops;
    s3->arena = arena;
    s3->sigv4 = arena_printf(arena, "aws:amz:%s:s3", region);
    s3->options = (struct storage_s3_options){
        .bucket = arena_strdup(arena, options->bucket),
        .prefix = arena_printf(arena, "%s%s", prefix,
                               *prefix == '\0' || str_ends(prefix, "/") ? "" : "/"),
        .access_key = arena_strdup(arena, options->access_key),
        .secret_key = arena_strdup(arena, options->secret_key),
    };
    (void)redact_add(redact_process(), options->secret_key); // a full set masks what it can
    char port[16] = "";
    if (url.port != 0)
        (void)snprintf(port, sizeof(port), ":%u", url.port);
    if (options->path_style)
        s3->base = arena_printf(arena, "%s://%s%s/%s", url.scheme, url.host, port, options->bucket);
    else
        s3->base = arena_printf(arena, "%s://%s.%s%s", url.scheme, options->bucket, url.host, port);
    return s3;
}

bool storage_s3_make_bucket(const struct storage_s3_options *options, struct error *err)
{
    struct storage_s3 *s3 = s3_make(options, err);
    if (s3 == NULL)
        return false;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct call call = { .method = "PUT", .body = "" };
    struct http_response response;
    struct error failure = { 0 };
    bool ok = s3_call(s3, arena, &call, &response, &failure);
    if (!ok && failure.code == ERR_CONFLICT) // exists; ours if it can be read
        ok = s3_call(s3, arena, &(struct call){ .method = "HEAD" }, &response, &failure);
    if (!ok && err != NULL)
        *err = failure;
    s3_free(&s3->storage);
    return ok;
}

struct storage *storage_s3_new(const struct storage_s3_options *options, struct error *err)
{
    struct storage_s3 *s3 = s3_make(options, err);
    if (s3 == NULL)
        return NULL;
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct page page = { 0 };
    if (!list_keys(s3, arena, s3->options.prefix, false, 1, &page, err)) {
        s3_free(&s3->storage);
        return NULL;
    }
    return &s3->storage;
}
