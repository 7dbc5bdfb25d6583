/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/form.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/json.h"
#include "core/value.h"
#include "runtime/storage/storage.h"

/* Longest value of an input that is not a file. */
#define TEXT_BYTES_MAX ((size_t)32 * 1024 * 1024)

#define FILE_NAME_MAX 200U

const char *part_text(struct arena *arena,
                      const struct httpd_part *part,
                      size_t max_bytes,
                      size_t *length,
                      struct error *err)
{
    if (part->length > max_bytes) {
        error_set(err, ERR_LIMIT, "part '%s' is longer than %zu bytes", part->name, max_bytes);
        return NULL;
    }
    *length = part->length;
    if (part->bytes != NULL)
        return part->bytes;

    char *text = arena_bytes_alloc(arena, part->length + 1);
    size_t used = 0;
    while (used < part->length) {
        ssize_t count = pread(part->fd, text + used, part->length - used, (off_t)used);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            error_set(err, ERR_INTERNAL, "read of an uploaded part: %s",
                      count < 0 ? strerror(errno) : "it is shorter than it was");
            return NULL;
        }
        used += (size_t)count;
    }
    text[used] = '\0';
    return text;
}

static const struct flow_input *find_input(const struct flow_input *inputs,
                                           size_t count,
                                           const char *id)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(inputs[i].id, id))
            return &inputs[i];
    }
    return NULL;
}

/* Last part of a file name, with what could hurt a path replaced. */
static const char *safe_name(struct arena *arena, const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *backslash = strrchr(name, '\\');
    if (slash != NULL)
        name = slash + 1;
    if (backslash != NULL && backslash >= name)
        name = backslash + 1;
    size_t length = strlen(name);
    if (length > FILE_NAME_MAX)
        name += length - FILE_NAME_MAX; // the end holds the extension
    char *safe = arena_strdup(arena, name);
    for (char *at = safe; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c <= ' ' || c == 0x7f || strchr("\"#%?<>|*:", c) != NULL)
            *at = '_';
    }
    return safe[0] == '\0' || str_eq(safe, ".") || str_eq(safe, "..") ? "file" : safe;
}

/* Name under which the file of an input is stored. */
static const char *stored_name(struct arena *arena,
                               const struct flow_input *input,
                               const struct httpd_part *part)
{
    // in the older form the file name is the name of the input
    bool is_legacy = str_eq(part->name, "files") && str_eq(part->file_name, input->id);
    if (!is_legacy)
        return safe_name(arena, part->file_name);
    const char *extension = value_get_text(input->doc, "extension", ".upl");
    return safe_name(arena, arena_printf(arena, "%s%s", input->id, extension));
}

bool form_read(struct call *call,
               const struct flow_input *inputs,
               size_t count,
               const char *folder,
               struct form *out,
               struct error *err)
{
    struct arena *arena = call->arena;
    const struct httpd_request *http = call->http;
    struct value_builder given = value_build(arena);
    struct form form = { 0 };
    form.uploads = ARENA_ARRAY(arena, http->parts_count, struct upload);

    for (size_t i = 0; i < http->parts_count; i++) {
        const struct httpd_part *part = &http->parts[i];
        const char *id = part->name;
        if (part->file_name != NULL && str_eq(id, "files") &&
            find_input(inputs, count, "files") == NULL)
            id = part->file_name;
        const struct flow_input *input = find_input(inputs, count, id);
        if (input != NULL && input->type == INPUT_FILE && part->file_name != NULL) {
            if (part->length == 0)
                continue; // an empty upload is none
            struct upload *upload = &form.uploads[form.uploads_count++];
            upload->part = part;
            upload->path =
                arena_printf(arena, "%s/%s/%s", folder, id, stored_name(arena, input, part));
            value_put_text(&given, id, storage_path_uri(arena, upload->path));
            continue;
        }
        size_t length = 0;
        const char *text = part_text(arena, part, TEXT_BYTES_MAX, &length, err);
        if (text == NULL)
            return false;
        if (input == NULL && str_eq(id, "labels"))
            http_fields_add(arena, &form.labels, "labels", text);
        else
            value_put(&given, id, value_string_n(arena, text, length));
    }
    for (size_t i = 0; http->parts_count == 0 && i < http->form.count; i++) {
        const struct http_field *field = &http->form.items[i];
        if (str_eq(field->name, "labels") && find_input(inputs, count, "labels") == NULL)
            http_fields_add(arena, &form.labels, "labels", field->value);
        else
            value_put_text(&given, field->name, field->value);
    }
    form.given = value_build_map(&given);
    if (http->parts_count == 0 && http->form.count == 0 && http->body_length > 0) {
        // not part of the protocol, and what a person with curl tries first
        const struct value *body = json_parse(arena, http->body, http->body_length, NULL);
        if (value_is_map(body))
            form.given = body;
    }
    *out = form;
    return true;
}

static void discard(struct call *call, const struct form *form, size_t count)
{
    struct storage *storage = call->api->config.storage;
    for (size_t i = 0; i < count; i++) {
        struct error ignored = { 0 };
        bool existed = false;
        // what cannot be removed now is removed with the folders that retention finds
        (void)storage->ops->remove(storage, form->uploads[i].path, &existed, &ignored);
    }
}

bool form_store(struct call *call, const struct form *form, struct error *err)
{
    struct storage *storage = call->api->config.storage;
    for (size_t i = 0; i < form->uploads_count; i++) {
        const struct upload *upload = &form->uploads[i];
        bool ok = false;
        if (upload->part->bytes != NULL) {
            ok = storage->ops->put_bytes(storage, upload->path, upload->part->bytes,
                                         upload->part->length, 0, err);
        } else {
            ok = storage->ops->put_open(storage, upload->path, upload->part->fd, 0, err);
        }
        if (!ok) {
            discard(call, form, i);
            return error_wrap(err, "file of input '%s'", upload->part->name);
        }
    }
    return true;
}

void form_discard(struct call *call, const struct form *form)
{
    discard(call, form, form->uploads_count);
}
