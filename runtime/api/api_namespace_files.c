/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespace files (api.md 2.6). The content of a revision lies in the storage under its digest; the
 * store knows paths and revisions, so a call is one change, however many files it touches.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/zip.h"
#include "core/flow.h"
#include "core/value.h"
#include "runtime/api/flows.h"
#include "runtime/api/form.h"
#include "runtime/storage/storage.h"

#define SEGMENT_MAX     255U
#define PATH_MAX_LENGTH 4096U

#define ARCHIVE_BYTES_MAX ((size_t)512 * 1024 * 1024)

static const struct zip_limits upload_limits = {
    .entries_max = 100000,
    .entry_bytes_max = (size_t)256 * 1024 * 1024,
    .total_bytes_max = ARCHIVE_BYTES_MAX,
};

static const char flows_folder[] = "/_flows";

/* ---- paths ---- */

static size_t characters(const char *text, size_t length)
{
    const char *end = text + length;
    size_t count = 0;
    for (; text < end; count++)
        (void)utf8_next(&text, end);
    return count;
}

/* "/a/b" of a path as clients write it; "/" is the root. False with err set when it is refused. */
static bool normal_path(struct arena *arena, const char *text, const char **out, struct error *err)
{
    struct buf path = { 0 };
    bool ok = strlen(text) <= PATH_MAX_LENGTH ||
              error_set(err, ERR_INVALID, "the path is longer than %u bytes", PATH_MAX_LENGTH);
    for (const char *at = text; *at != '\0' && ok;) {
        size_t length = strcspn(at, "/");
        const char *segment = arena_strndup(arena, at, length);
        if (str_eq(segment, ".."))
            ok = error_set(err, ERR_INVALID, "Path should not contain '..': %s", text);
        else if (characters(segment, length) > SEGMENT_MAX)
            ok = error_set(err, ERR_INVALID, "a part of the path is longer than %u characters",
                           SEGMENT_MAX);
        else if (length > 0 && !str_eq(segment, "."))
            buf_printf(&path, "/%s", segment);
        at += length;
        at += *at == '/' ? 1 : 0;
    }
    if (ok)
        *out = path.length == 0 ? "/" : buf_dup(&path, arena);
    buf_free(&path);
    return ok;
}

/* Normal form of a query parameter; on failure replies and returns NULL. Absent: the root. */
static const char *read_path(struct call *call, const char *name, bool is_required)
{
    const char *text = is_required ? call_required(call, name) : call_query(call, name);
    const char *path = NULL;
    struct error err = { 0 };
    if (text == NULL && is_required)
        return NULL;
    if (normal_path(call->arena, text == NULL ? "/" : text, &path, &err))
        return path;
    reply_error(call, 422, "Illegal argument", "%s", err.text);
    return NULL;
}

/* Paths below /_flows are flows; only uploads may name them. On failure replies, returns false. */
static bool check_not_flows(struct call *call, const char *path)
{
    size_t length = strlen(flows_folder);
    if (strncmp(path, flows_folder, length) != 0 || (path[length] != '\0' && path[length] != '/'))
        return true;
    reply_error(call, 422, "Illegal argument", "Forbidden path: %s", path);
    return false;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* ---- changes ---- */

struct changes {
    struct call *call;
    const char *namespace;
    VEC(struct file_change) items;
    struct map added; /* path -> struct added */
};

/* Where an addition stands in the items. */
struct added {
    size_t at;
};

static void changes_release(struct changes *changes)
{
    map_free(&changes->added);
}

/* What is to be at a path, or is; NULL: nothing. */
static const struct file_row *find_row(struct changes *changes, const char *path)
{
    const struct added *added = map_find(&changes->added, path);
    if (added != NULL)
        return &changes->items.items[added->at].row;
    struct arena *arena = changes->call->arena;
    struct store_reader *reader = changes->call->reader;
    struct file_row *row = ARENA_NEW(arena, struct file_row);
    struct error ignored = { 0 };
    return reader->ops->file_get(reader, arena, changes->namespace, path, 0, row, &ignored) ? row
                                                                                            : NULL;
}

/* Takes the place of an earlier addition of the same path: an archive may hold a name twice. */
static void add_row(struct changes *changes, const struct file_row *row)
{
    struct arena *arena = changes->call->arena;
    const struct added *before = map_find(&changes->added, row->path);
    if (before != NULL) {
        changes->items.items[before->at].row = *row;
        return;
    }
    struct added *added = ARENA_NEW(arena, struct added);
    added->at = changes->items.count;
    (void)map_put(&changes->added, row->path, added);
    VEC_PUSH_ARENA(arena, &changes->items)->row = *row;
}

static void add_folder(struct changes *changes, const char *path)
{
    struct file_row row = { .namespace = changes->namespace, .path = path, .is_folder = true };
    add_row(changes, &row);
}

/* The folders above a path, as far as they are not there; false when one of them is a file. */
static bool add_parents(struct changes *changes, const char *path, struct error *err)
{
    struct arena *arena = changes->call->arena;
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const char *folder = arena_strndup(arena, path, (size_t)(slash - path));
        const struct file_row *row = find_row(changes, folder);
        if (row == NULL)
            add_folder(changes, folder);
        else if (!row->is_folder)
            return error_set(err, ERR_INVALID, "'%s' is a file", folder);
    }
    return true;
}

static bool add_file(struct changes *changes,
                     const char *path,
                     const char *content,
                     const char *digest,
                     size_t length,
                     struct error *err)
{
    struct file_row row = {
        .namespace = changes->namespace,
        .path = path,
        .size = (int64_t)length,
        .digest = digest,
        .content = content,
    };
    const struct file_row *present = find_row(changes, path);
    if (present != NULL && present->is_folder)
        return error_set(err, ERR_INVALID, "'%s' is a folder", path);
    if (!add_parents(changes, path, err))
        return false;
    add_row(changes, &row);
    return true;
}

static void add_delete(struct changes *changes, const struct file_row *row)
{
    struct file_change *change = VEC_PUSH_ARENA(changes->call->arena, &changes->items);
    change->is_delete = true;
    change->row = *row;
}

/* Gives the changes to the driver and waits; on failure replies and returns false. */
static bool commit(struct changes *changes)
{
    struct call *call = changes->call;
    if (changes->items.count == 0)
        return true;
    call->driver.type = REQUEST_CHANGE;
    call->driver.change = (struct change_request){
        .origin = call_origin(call),
        .files = changes->items.items,
        .files_count = changes->items.count,
    };
    return call_driver_wait(call);
}

/* ---- upload ---- */

/* SHA-256 of an uploaded part, hex; NULL with err set when it cannot be read. */
static const char *part_digest(struct arena *arena,
                               const struct httpd_part *part,
                               struct error *err)
{
    if (part->bytes != NULL)
        return digest_sha256_hex(arena, part->bytes, part->length);
    AUTO(digest_freep) struct digest *digest = digest_new("sha256");
    size_t at = 0;
    while (at < part->length) {
        char piece[65536];
        ssize_t count = pread(part->fd, piece, sizeof(piece), (off_t)at);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            error_set(err, ERR_INTERNAL, "read of an uploaded file: %s", strerror(errno));
            return NULL;
        }
        digest_add(digest, piece, (size_t)count);
        at += (size_t)count;
    }
    unsigned char bytes[DIGEST_BYTES_MAX];
    size_t length = digest_end(digest, bytes);
    struct buf hex = { 0 };
    hex_encode(&hex, bytes, length);
    const char *text = buf_dup(&hex, arena);
    buf_free(&hex);
    return text;
}

static bool store_part(struct changes *changes,
                       const char *path,
                       const struct httpd_part *part,
                       struct error *err)
{
    struct call *call = changes->call;
    struct storage *storage = call->api->config.storage;
    const char *digest = part_digest(call->arena, part, err);
    if (digest == NULL)
        return false;
    const char *content = storage_content_path(call->arena, changes->namespace, digest);
    bool ok = false;
    if (part->bytes != NULL) {
        ok = storage->ops->put_bytes(storage, content, part->bytes, part->length, 0, err);
    } else {
        ok = storage->ops->put_open(storage, content, part->fd, 0, err);
    }
    return ok && add_file(changes, path, content, digest, part->length, err);
}

/* An entry of an uploaded archive. */
static bool visit_entry(
    void *data, const char *name, const char *bytes, size_t length, struct error *err)
{
    struct changes *changes = data;
    struct call *call = changes->call;
    struct storage *storage = call->api->config.storage;
    const char *path = NULL;
    if (!normal_path(call->arena, name, &path, err))
        return false;
    if (str_eq(path, "/") || str_starts(path, "/_flows/"))
        return true; // what export adds is not read back as files
    const char *digest = digest_sha256_hex(call->arena, bytes, length);
    const char *content = storage_content_path(call->arena, changes->namespace, digest);
    if (!storage->ops->put_bytes(storage, content, bytes, length, STORAGE_LATER, err))
        return false;
    return add_file(changes, path, content, digest, length, err);
}

static bool unpack(struct changes *changes, const struct httpd_part *part, struct error *err)
{
    struct call *call = changes->call;
    struct storage *storage = call->api->config.storage;
    size_t length = 0;
    const char *bytes = part_text(call->arena, part, ARCHIVE_BYTES_MAX, &length, err);
    if (bytes == NULL || !zip_read(bytes, length, &upload_limits, visit_entry, changes, err))
        return false;
    const char **paths = ARENA_ARRAY(call->arena, changes->items.count, const char *);
    size_t count = 0;
    for (size_t i = 0; i < changes->items.count; i++) {
        if (!changes->items.items[i].row.is_folder)
            paths[count++] = changes->items.items[i].row.content;
    }
    return count == 0 || storage->ops->sync(storage, paths, count, err);
}

/* /_flows/NAME.yml: the content becomes a flow of this namespace. */
static void save_as_flow(struct call *call, const char *path, const struct httpd_part *part)
{
    const char *name = path + strlen(flows_folder) + 1;
    if (strchr(name, '/') != NULL || (!str_ends(name, ".yml") && !str_ends(name, ".yaml"))) {
        reply_error(call, 422, "Illegal argument", "Invalid flow file path: %s", path);
        return;
    }
    size_t length = 0;
    struct error err = { 0 };
    const char *text = part_text(call->arena, part, FLOW_BYTES_MAX, &length, &err);
    if (text == NULL) {
        reply_error(call, 422, "Illegal argument", "%s", err.text);
        return;
    }
    struct document document = {
        .source = source_set_namespace(call->arena, text, length, call->path[0]),
    };
    document.length = strlen(document.source);
    document_parse(call, &document);
    if (document.flow == NULL) {
        reply_invalid_flow(call, &document);
        return;
    }
    struct flow_change change;
    flow_change_of(call, &document, &change);
    call->driver.type = REQUEST_CHANGE;
    call->driver.change =
        (struct change_request){ .origin = call_origin(call), .flows = &change, .flows_count = 1 };
    bool ok = call_driver_wait(call);
    flow_unref(document.flow);
    if (ok)
        reply_empty(call, 200);
}

static void post_file(struct call *call)
{
    const char *path = read_path(call, "path", true);
    if (path == NULL)
        return;
    const struct httpd_part *part = NULL;
    for (size_t i = 0; i < call->http->parts_count && part == NULL; i++) {
        if (str_eq(call->http->parts[i].name, "fileContent"))
            part = &call->http->parts[i];
    }
    if (part == NULL) {
        reply_error(call, 422, "Invalid route params", "part 'fileContent' is missing");
        return;
    }
    if (str_starts(path, "/_flows/")) {
        save_as_flow(call, path, part);
        return;
    }
    if (!check_not_flows(call, path) || call_reader(call) == NULL)
        return;
    AUTO(changes_release) struct changes changes = { .call = call, .namespace = call->path[0] };
    size_t name_length = part->file_name == NULL ? 0 : strlen(part->file_name);
    bool is_archive = name_length >= 4 && str_eq_nocase(part->file_name + name_length - 4, ".zip");
    struct error err = { 0 };
    bool ok = true;
    if (!is_archive && str_eq(path, "/"))
        ok = error_set(&err, ERR_INVALID, "the path is the root folder");
    else
        ok = is_archive ? unpack(&changes, part, &err) : store_part(&changes, path, part, &err);
    if (!ok) {
        if (err.code == ERR_LIMIT)
            err.code = ERR_INVALID;
        reply_failure(call, &err);
        return;
    }
    if (commit(&changes))
        reply_empty(call, 200);
}

static void post_directory(struct call *call)
{
    const char *path = read_path(call, "path", false);
    if (path == NULL || !check_not_flows(call, path) || call_reader(call) == NULL)
        return;
    AUTO(changes_release) struct changes changes = { .call = call, .namespace = call->path[0] };
    struct error err = { 0 };
    if (!str_eq(path, "/")) {
        const struct file_row *row = find_row(&changes, path);
        bool ok =
            row == NULL || row->is_folder || error_set(&err, ERR_INVALID, "'%s' is a file", path);
        if (!ok || !add_parents(&changes, path, &err)) {
            reply_failure(call, &err);
            return;
        }
        if (row == NULL)
            add_folder(&changes, path);
    }
    if (commit(&changes))
        reply_empty(call, 200);
}

/* ---- reading ---- */

static void reply_missing(struct call *call, const char *path)
{
    reply_error(call, 404, "Not Found", "no file %s in namespace %s", path, call->path[0]);
}

/* Entry of a path; on failure replies 404 and returns false. */
static bool find_entry(struct call *call, const char *path, int64_t revision, struct file_row *row)
{
    struct store_reader *reader = call_reader(call);
    struct error err = { 0 };
    if (reader == NULL)
        return false;
    if (reader->ops->file_get(reader, call->arena, call->path[0], path, revision, row, &err))
        return true;
    if (err.code == ERR_NOT_FOUND)
        reply_missing(call, path);
    else
        reply_failure(call, &err);
    return false;
}

static void get_file(struct call *call)
{
    const char *path = read_path(call, "path", true);
    int64_t revision = 0;
    struct file_row row;
    if (path == NULL || !call_query_int(call, "revision", 1, 0, &revision) ||
        !check_not_flows(call, path) || !find_entry(call, path, revision, &row))
        return;
    struct storage *storage = call->api->config.storage;
    struct error err = { 0 };
    if (row.is_folder) {
        reply_missing(call, path);
        return;
    }
    AUTO_FD int fd = storage->ops->open(storage, row.content, &err);
    if (fd < 0) {
        reply_failure(call, &err);
        return;
    }
    struct http_field headers[] = { { "Cache-Control", "no-cache" }, { 0 } };
    reply_file(call, "application/octet-stream", fd_steal(&fd), (uint64_t)row.size, headers);
}

static const struct value *attributes(struct arena *arena, const struct file_row *row)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "fileName", name_of(row->path));
    value_put_int(&map, "lastModifiedTime", row->updated_at / USEC_MSEC);
    value_put_int(&map, "creationTime", row->created_at / USEC_MSEC);
    value_put_text(&map, "type", row->is_folder ? "Directory" : "File");
    value_put_int(&map, "size", row->size);
    return value_build_map(&map);
}

static void get_stats(struct call *call)
{
    const char *path = read_path(call, "path", false);
    struct file_row row = { .path = "/_files", .is_folder = true };
    if (path == NULL || !check_not_flows(call, path))
        return;
    if (str_eq(path, "/") || find_entry(call, path, 0, &row))
        reply_value(call, 200, attributes(call->arena, &row));
}

/* Everything below a folder; on failure replies and returns false. */
static bool list_below(struct call *call, const char *folder, struct file_row **rows, size_t *count)
{
    struct store_reader *reader = call_reader(call);
    struct error err = { 0 };
    if (reader == NULL)
        return false;
    if (reader->ops->file_list(reader, call->arena, call->path[0], folder, rows, count, &err))
        return true;
    reply_failure(call, &err);
    return false;
}

static void get_directory(struct call *call)
{
    const char *path = read_path(call, "path", false);
    struct file_row self;
    if (path == NULL || !check_not_flows(call, path))
        return;
    if (!str_eq(path, "/")) {
        if (!find_entry(call, path, 0, &self))
            return;
        if (!self.is_folder) {
            reply_missing(call, path);
            return;
        }
    }
    struct file_row *rows = NULL;
    size_t count = 0;
    if (!list_below(call, path, &rows, &count))
        return;
    size_t prefix = str_eq(path, "/") ? 1 : strlen(path) + 1;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        if (strlen(rows[i].path) > prefix && strchr(rows[i].path + prefix, '/') == NULL)
            value_add(&list, attributes(call->arena, &rows[i]));
    }
    reply_value(call, 200, value_build_list(&list));
}

static void get_search(struct call *call)
{
    const char *text = call_required(call, "q");
    struct file_row *rows = NULL;
    size_t count = 0;
    if (text == NULL || !list_below(call, "/", &rows, &count))
        return;
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].is_folder && (text[0] == '\0' || strstr(rows[i].path, text) != NULL))
            value_add(&list, value_string(call->arena, rows[i].path));
    }
    reply_value(call, 200, value_build_list(&list));
}

static void get_revisions(struct call *call)
{
    const char *path = read_path(call, "path", true);
    struct store_reader *reader = NULL;
    struct file_row *rows = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (path == NULL || (reader = call_reader(call)) == NULL)
        return;
    if (!reader->ops->file_revisions(reader, call->arena, call->path[0], path, &rows, &count,
                                     &err)) {
        reply_failure(call, &err);
        return;
    }
    if (count == 0) {
        reply_missing(call, path);
        return;
    }
    struct value_builder list = value_build(call->arena);
    for (size_t i = 0; i < count; i++) {
        struct value_builder item = value_build(call->arena);
        value_put_int(&item, "revision", rows[i].revision);
        value_add(&list, value_build_map(&item));
    }
    reply_value(call, 200, value_build_list(&list));
}

/* ---- move, delete ---- */

static void put_move(struct call *call)
{
    const char *from = read_path(call, "from", true);
    const char *to = from == NULL ? NULL : read_path(call, "to", true);
    struct file_row self;
    struct file_row *rows = NULL;
    size_t count = 0;
    if (to == NULL || !check_not_flows(call, from) || !check_not_flows(call, to) ||
        !find_entry(call, from, 0, &self))
        return;
    size_t length = strlen(from);
    if (str_eq(to, "/") || (strncmp(to, from, length) == 0 && to[length] == '/')) {
        reply_error(call, 422, "Illegal argument", "'%s' cannot be moved to '%s'", from, to);
        return;
    }
    AUTO(changes_release) struct changes changes = { .call = call, .namespace = call->path[0] };
    if (self.is_folder && !list_below(call, from, &rows, &count))
        return;
    struct error err = { 0 };
    if (!add_parents(&changes, to, &err)) {
        reply_failure(call, &err);
        return;
    }
    for (size_t i = 0; i <= count; i++) {
        struct file_row moved = i < count ? rows[i] : self;
        add_delete(&changes, &moved);
        moved.path = arena_printf(call->arena, "%s%s", to, moved.path + length);
        add_row(&changes, &moved);
    }
    if (str_eq(from, to) || commit(&changes))
        reply_empty(call, 200);
}

/* Is there anything in a folder besides what is being deleted? */
static bool is_empty_after(struct changes *changes, const char *folder, const char *deleted)
{
    struct call *call = changes->call;
    struct file_row *rows = NULL;
    size_t count = 0;
    struct error ignored = { 0 };
    if (!call->reader->ops->file_list(call->reader, call->arena, changes->namespace, folder, &rows,
                                      &count, &ignored))
        return false;
    size_t length = strlen(deleted);
    for (size_t i = 0; i < count; i++) {
        bool goes = strncmp(rows[i].path, deleted, length) == 0 &&
                    (rows[i].path[length] == '\0' || rows[i].path[length] == '/');
        if (!goes)
            return false;
    }
    return true;
}

static void delete_file(struct call *call)
{
    const char *path = read_path(call, "path", true);
    struct store_reader *reader = NULL;
    struct file_row self;
    struct file_row *rows = NULL;
    size_t count = 0;
    struct error err = { 0 };
    if (path == NULL || !check_not_flows(call, path) || (reader = call_reader(call)) == NULL)
        return;
    AUTO(changes_release) struct changes changes = { .call = call, .namespace = call->path[0] };
    bool is_root = str_eq(path, "/");
    if (!is_root &&
        !reader->ops->file_get(reader, call->arena, call->path[0], path, 0, &self, &err)) {
        // what is gone already was deleted as wished
        if (err.code == ERR_NOT_FOUND)
            reply_empty(call, 200);
        else
            reply_failure(call, &err);
        return;
    }
    if ((is_root || self.is_folder) && !list_below(call, path, &rows, &count))
        return;
    for (size_t i = 0; i < count; i++)
        add_delete(&changes, &rows[i]);
    if (!is_root)
        add_delete(&changes, &self);

    // folders that hold nothing else go as well
    const char *gone = path;
    char *parent = arena_strdup(call->arena, path);
    for (char *slash = strrchr(parent, '/'); !is_root && slash != NULL && slash != parent;
         slash = strrchr(parent, '/')) {
        *slash = '\0';
        struct file_row row;
        if (!is_empty_after(&changes, parent, gone) ||
            !reader->ops->file_get(reader, call->arena, call->path[0], parent, 0, &row, &err))
            break;
        add_delete(&changes, &row);
        gone = arena_strdup(call->arena, parent);
    }
    if (commit(&changes))
        reply_empty(call, 200);
}

/* ---- export ---- */

static bool add_files(struct call *call, struct zip_writer *writer, struct error *err)
{
    struct file_row *rows = NULL;
    size_t count = 0;
    size_t total = 0;
    struct storage *storage = call->api->config.storage;
    struct arena_mark mark;
    if (!call->reader->ops->file_list(call->reader, call->arena, call->path[0], "/", &rows, &count,
                                      err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *bytes = NULL;
        size_t length = 0;
        if (rows[i].is_folder)
            continue;
        mark = arena_mark(call->arena);
        if (!storage->ops->get_bytes(storage, call->arena, rows[i].content,
                                     ARCHIVE_BYTES_MAX - total, &bytes, &length, err) ||
            !zip_writer_add(writer, rows[i].path + 1, bytes, length, rows[i].updated_at, err))
            return false;
        total += length;
        arena_rewind(call->arena, mark);
    }
    return true;
}

static bool add_flows(struct call *call, struct zip_writer *writer, struct error *err)
{
    struct filter filter = {
        .field = FIELD_NAMESPACE, .match = MATCH_EQUAL, .values = &call->path[0], .values_count = 1
    };
    struct query query = {
        .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT, .limit = SIZE_MAX
    };
    struct flow_row *rows = NULL;
    size_t count = 0;
    if (!call->reader->ops->flow_search(call->reader, call->arena, &query, true, &rows, &count,
                                        NULL, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name = arena_printf(call->arena, "_flows/%s.yml", rows[i].id);
        if (!zip_writer_add(writer, name, rows[i].source, rows[i].source_length, rows[i].updated_at,
                            err))
            return false;
    }
    return true;
}

static void get_export(struct call *call)
{
    if (call_reader(call) == NULL)
        return;
    struct zip_writer *writer = zip_writer_new();
    struct error err = { 0 };
    struct buf body = { 0 };
    bool ok = add_files(call, writer, &err) && add_flows(call, writer, &err);
    if (ok)
        ok = zip_writer_finish(writer, &body, &err);
    else
        zip_writer_free(writer);
    if (!ok) {
        buf_free(&body);
        reply_failure(call, &err);
        return;
    }
    struct http_field headers[] = {
        { "Content-Disposition",
          arena_printf(call->arena, "attachment; filename=\"%s_files.zip\"", call->path[0]) },
        { 0 },
    };
    reply_buf(call, 200, "application/octet-stream", &body, headers);
}

static const struct route_query path_query[] = {
    { "path", "string", "Path inside the namespace, /folder/file.", true },
    { 0 },
};
static const struct route_query get_query[] = {
    { "path", "string", "Path inside the namespace, /folder/file.", true },
    { "revision", "integer", "The latest otherwise.", false },
    { 0 },
};
static const struct route_query folder_query[] = {
    { "path", "string", "Path inside the namespace; the root otherwise.", false },
    { 0 },
};
static const struct route_query move_query[] = {
    { "from", "string", "Path now.", true },
    { "to", "string", "Path afterwards.", true },
    { 0 },
};
static const struct route_query search_query[] = {
    { "q", "string", "Part of the path; may be empty.", true },
    { 0 },
};

const struct route namespace_file_routes[] = {
    { "POST", "namespaces/{namespace}/files", post_file, .flags = ROUTE_UPLOAD, .query = path_query,
      .body = "multipart/form-data", .doc = "Stores a file, or the files of a zip archive." },
    { "GET", "namespaces/{namespace}/files", get_file, .query = get_query,
      .doc = "Content of a file." },
    { "PUT", "namespaces/{namespace}/files", put_move, .query = move_query,
      .doc = "Moves a file or folder." },
    { "DELETE", "namespaces/{namespace}/files", delete_file, .query = path_query,
      .doc = "Removes a file or folder, and folders above that become empty." },
    { "GET", "namespaces/{namespace}/files/stats", get_stats, .query = folder_query,
      .shape = "FileAttributes", .doc = "What a file or folder is." },
    { "GET", "namespaces/{namespace}/files/directory", get_directory, .query = folder_query,
      .doc = "What lies directly in a folder." },
    { "POST", "namespaces/{namespace}/files/directory", post_directory, .query = folder_query,
      .doc = "Makes a folder." },
    { "GET", "namespaces/{namespace}/files/search", get_search, .query = search_query,
      .doc = "Paths of files that hold a text." },
    { "GET", "namespaces/{namespace}/files/revisions", get_revisions, .query = path_query,
      .doc = "Revisions of a file." },
    { "GET", "namespaces/{namespace}/files/export", get_export,
      .doc = "All files and flows as a zip archive." },
    { 0 },
};
