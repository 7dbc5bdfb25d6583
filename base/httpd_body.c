/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/httpd_internal.h"
#include "base/multipart.h"
#include "base/str.h"

/* Room made at once for an announced body; more comes as bytes come. */
#define RESERVE_MAX ((size_t)1024 * 1024)

/* After a refusal the client is heard out for so long, since most read the answer only then. */
#define REFUSED_BYTES_MAX ((uint64_t)16 * 1024 * 1024)

static bool refuse(struct body *body, int status, const char *message)
{
    if (body->refused == 0) {
        body->refused = status;
        (void)snprintf(body->message, sizeof(body->message), "%s", message);
    }
    return false;
}

static bool refuse_error(struct body *body, const struct error *err)
{
    return refuse(body, err->code == ERR_INVALID ? 400 : 413, err->text);
}

static bool part_begin(void *context, const struct multipart_head *head, struct error *err)
{
    struct body *body = context;
    if (body->parts.count >= HTTPD_PARTS_MAX)
        return error_set(err, ERR_LIMIT, "the form has more than %d parts", HTTPD_PARTS_MAX);
    struct httpd_part *part = VEC_PUSH_ARENA(body->arena, &body->parts);
    part->name = head->name;
    part->file_name = head->file_name;
    part->type = head->type;
    part->fd = -1;
    buf_clear(&body->part);
    return true;
}

static bool spool(struct body *body, struct httpd_part *part, struct error *err)
{
    if (body->spools >= HTTPD_SPOOLS_MAX)
        return error_set(err, ERR_LIMIT, "the form has more than %d large parts", HTTPD_SPOOLS_MAX);
    part->fd = fs_temp(body->spool_folder, err);
    if (part->fd < 0)
        return false;
    body->spools++;
    bool is_fine = fs_write_fd(part->fd, buf_text(&body->part), body->part.length, "upload", err);
    buf_clear(&body->part);
    return is_fine;
}

static bool part_data(void *context, const char *bytes, size_t length, struct error *err)
{
    struct body *body = context;
    struct httpd_part *part = &body->parts.items[body->parts.count - 1];
    part->length += length;
    bool fits =
        part->length <= HTTPD_SPOOL_BYTES && body->memory + part->length <= HTTPD_MEMORY_BYTES;
    struct error disk = { 0 };
    if (part->fd < 0 && fits) {
        buf_add(&body->part, bytes, length);
        return true;
    }
    if ((part->fd >= 0 || spool(body, part, &disk)) &&
        fs_write_fd(part->fd, bytes, length, "upload", &disk))
        return true;
    // Ours, not the client's; the number of spools excepted.
    if (body->spools < HTTPD_SPOOLS_MAX || part->fd >= 0)
        refuse(body, 507, "the server cannot store the upload");
    return error_set(err, disk.code, "%s", disk.text);
}

static bool part_end(void *context, struct error *err)
{
    struct body *body = context;
    struct httpd_part *part = &body->parts.items[body->parts.count - 1];
    (void)err;
    if (part->fd < 0) {
        part->bytes = arena_strndup(body->arena, buf_text(&body->part), part->length);
        body->memory += part->length;
    } else {
        (void)lseek(part->fd, 0, SEEK_SET); // a file without a name, just written: cannot fail
    }
    return true;
}

static const struct multipart_ops part_ops = {
    .begin = part_begin,
    .data = part_data,
    .end = part_end,
};

void body_begin(struct body *body,
                struct arena *arena,
                const char *content_type,
                int64_t content_length,
                uint64_t max,
                const char *spool_folder)
{
    body->arena = arena;
    body->max = max;
    body->spool_folder = spool_folder;
    if (content_length > 0 && (uint64_t)content_length > max) {
        refuse(body, 413, "the body is too long");
        return;
    }
    const char *boundary = multipart_boundary(arena, content_type);
    if (boundary != NULL) {
        body->multipart = multipart_new(arena, boundary, &part_ops, body);
        return;
    }
    static const char form[] = "application/x-www-form-urlencoded";
    if (content_type != NULL && strncasecmp(content_type, form, strlen(form)) == 0)
        body->is_form = true;
    if (content_length > 0) {
        size_t announced = (size_t)content_length;
        (void)buf_reserve(&body->bytes, announced < RESERVE_MAX ? announced : RESERVE_MAX);
    }
}

bool body_feed(struct body *body, const char *bytes, size_t length)
{
    body->received += length;
    if (body->received > body->max) {
        refuse(body, 413, "the body is too long");
        buf_free(&body->bytes);
    }
    if (body->refused != 0)
        return body->received <= REFUSED_BYTES_MAX || body->received - length <= body->max;
    struct error err = { 0 };
    if (body->multipart == NULL)
        buf_add(&body->bytes, bytes, length);
    else if (!multipart_feed(body->multipart, bytes, length, &err))
        refuse_error(body, &err);
    return true;
}

bool body_end(struct body *body, struct httpd_request *request)
{
    struct error err = { 0 };
    // clients name a type although they send nothing
    bool is_form = body->multipart != NULL && body->received > 0;
    if (body->refused == 0 && is_form && !multipart_end(body->multipart, &err))
        refuse_error(body, &err);
    if (body->refused == 0 && body->is_form &&
        !url_parse_query(body->arena, buf_text(&body->bytes), body->bytes.length, HTTPD_PARTS_MAX,
                         &request->form))
        refuse(body, 413, "the form has too many fields");
    if (body->refused != 0)
        return false;

    request->body = buf_text(&body->bytes);
    request->body_length = body->bytes.length;
    request->parts = body->parts.items;
    request->parts_count = body->parts.count;
    for (size_t i = 0; i < body->parts.count; i++) {
        const struct httpd_part *part = &body->parts.items[i];
        if (part->file_name == NULL && part->bytes != NULL)
            http_fields_add(body->arena, &request->form, part->name, part->bytes);
    }
    return true;
}

void body_release(struct body *body)
{
    for (size_t i = 0; i < body->parts.count; i++)
        fd_closep(&body->parts.items[i].fd);
    multipart_free(body->multipart);
    buf_free(&body->bytes);
    buf_free(&body->part);
}
