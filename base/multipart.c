/* SPDX-License-Identifier: Apache-2.0 */
#include "base/multipart.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"

/* Blanks a sender may put between a boundary and its line end. */
#define PADDING_MAX 64U

enum state {
    STATE_PREAMBLE,
    STATE_HEAD,
    STATE_BODY,
    STATE_OVER, /* the closing boundary came; what follows is ignored */
};

struct multipart {
    struct arena *arena;
    const struct multipart_ops *ops;
    void *context;
    enum state state;
    char *delimiter; /* CRLF "--" boundary */
    size_t delimiter_length;
    struct buf work;  /* received, not consumed */
    bool is_at_start; /* of a body: the line end of the empty line is still in `work` */
};

/* ---- headers ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/*
 * Value of a parameter of "type; name=value; other=\"quoted\"", owned by the arena; NULL when
 * absent. In quotes only \" and \\ are escapes: some browsers send Windows paths with plain
 * backslashes.
 */
static char *parameter(struct arena *arena, const char *text, const char *name)
{
    const char *at = text + strcspn(text, ";");
    while (*at == ';') {
        at++;
        while (is_blank(*at))
            at++;
        const char *key = at;
        at += strcspn(at, "=;");
        size_t key_length = (size_t)(at - key);
        while (key_length > 0 && is_blank(key[key_length - 1]))
            key_length--;
        struct buf value = { 0 };
        if (*at == '=') {
            at++;
            while (is_blank(*at))
                at++;
            if (*at == '"') {
                for (at++; *at != '\0' && *at != '"'; at++) {
                    if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
                        at++;
                    buf_putc(&value, *at);
                }
                at += strcspn(at, ";");
            } else {
                size_t length = strcspn(at, ";");
                buf_add(&value, at, length);
                at += length;
                while (value.length > 0 && is_blank(value.bytes[value.length - 1]))
                    value.bytes[--value.length] = '\0';
            }
        }
        bool is_it = strlen(name) == key_length &&
                     str_eq_nocase(arena_strndup(arena, key, key_length), name);
        char *found = is_it ? buf_dup(&value, arena) : NULL;
        buf_free(&value);
        if (is_it)
            return found;
    }
    return NULL;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* UTF-8''na%C3%AFve.txt (RFC 5987); NULL when it is not of that form. */
static char *extended_value(struct arena *arena, const char *text)
{
    const char *quote = strchr(text, '\'');
    const char *second = quote == NULL ? NULL : strchr(quote + 1, '\'');
    if (second == NULL)
        return NULL;
    char *out = arena_strdup(arena, second + 1);
    char *write = out;
    for (const char *read = out; *read != '\0'; read++) {
        bool is_sequence = *read == '%' && hex_value(read[1]) >= 0 && hex_value(read[2]) >= 0;
        if (is_sequence) {
            *write++ = (char)(hex_value(read[1]) * 16 + hex_value(read[2]));
            read += 2;
        } else {
            *write++ = *read;
        }
    }
    *write = '\0';
    return strlen(out) == (size_t)(write - out) ? out : NULL; // no %00
}

/* `text` is the head of a part without its empty line; it is changed. */
static struct multipart_head parse_head(struct arena *arena, char *text)
{
    struct multipart_head head = { .name = "" };
    for (char *line = text; line != NULL && *line != '\0';) {
        char *next = strchr(line, '\n');
        // A line that begins with a blank continues the one before.
        while (next != NULL && is_blank(next[1])) {
            *next = ' ';
            if (next > line && next[-1] == '\r')
                next[-1] = ' ';
            next = strchr(next, '\n');
        }
        if (next != NULL)
            *next++ = '\0';
        line[strcspn(line, "\r")] = '\0';
        char *colon = strchr(line, ':');
        if (colon != NULL) {
            *colon = '\0';
            const char *value = str_trim(arena, colon + 1);
            if (str_eq_nocase(line, "content-type")) {
                head.type = value;
            } else if (str_eq_nocase(line, "content-disposition")) {
                const char *name = parameter(arena, value, "name");
                const char *extended = parameter(arena, value, "filename*");
                head.name = name == NULL ? "" : name;
                head.file_name = extended == NULL ? NULL : extended_value(arena, extended);
                if (head.file_name == NULL)
                    head.file_name = parameter(arena, value, "filename");
            }
        }
        line = next;
    }
    return head;
}

const char *multipart_boundary(struct arena *arena, const char *content_type)
{
    static const char type[] = "multipart/form-data";
    if (content_type == NULL)
        return NULL;
    const char *bare = str_trim(arena, content_type);
    size_t length = strcspn(bare, "; \t");
    if (length != strlen(type) || !str_eq_nocase(arena_strndup(arena, bare, length), type))
        return NULL;
    const char *boundary = parameter(arena, bare, "boundary");
    if (boundary == NULL || boundary[0] == '\0' || strlen(boundary) > MULTIPART_BOUNDARY_MAX)
        return NULL;
    return boundary;
}

/* ---- parser ---- */

struct multipart *multipart_new(struct arena *arena,
                                const char *boundary,
                                const struct multipart_ops *ops,
                                void *context)
{
    struct multipart *multipart = check_calloc(1, sizeof(*multipart));
    multipart->arena = arena;
    multipart->ops = ops;
    multipart->context = context;
    multipart->delimiter = arena_printf(arena, "\r\n--%s", boundary);
    multipart->delimiter_length = strlen(multipart->delimiter);
    // The first boundary may open the body: as if a line had ended before it.
    buf_puts(&multipart->work, "\r\n");
    return multipart;
}

void multipart_free(struct multipart *multipart)
{
    if (multipart == NULL)
        return;
    buf_free(&multipart->work);
    free(multipart);
}

enum after {
    AFTER_MORE,  /* cannot tell before more bytes came */
    AFTER_PART,  /* a part begins */
    AFTER_END,   /* the closing boundary */
    AFTER_OTHER, /* a line that only begins like the boundary */
};

/* What follows a delimiter; *length receives the bytes up to and with its line end. */
static enum after look_after(const char *bytes, size_t count, size_t *length)
{
    if (count >= 2 && bytes[0] == '-' && bytes[1] == '-')
        return AFTER_END;
    if (count == 0 || (count == 1 && bytes[0] == '-'))
        return AFTER_MORE;
    size_t at = 0;
    while (at < count && at < PADDING_MAX && is_blank(bytes[at]))
        at++;
    if (at < count && bytes[at] == '\n') {
        *length = at + 1;
        return AFTER_PART;
    }
    if (at == count || (at + 1 == count && bytes[at] == '\r'))
        return AFTER_MORE;
    if (bytes[at] != '\r' || bytes[at + 1] != '\n')
        return AFTER_OTHER;
    *length = at + 2;
    return AFTER_PART;
}

static bool give(struct multipart *multipart, const char *bytes, size_t length, struct error *err)
{
    if (multipart->state != STATE_BODY || length == 0)
        return true;
    return multipart->ops->data(multipart->context, bytes, length, err);
}

/*
 * Consumes body (or preamble) up to the next boundary, as far as it can be told apart.
 *
 * Returns  bytes used; *is_stuck when more input is needed
 */
static size_t take_body(struct multipart *multipart,
                        const char *bytes,
                        size_t count,
                        bool *is_stuck,
                        bool *is_fine,
                        struct error *err)
{
    // The line end of the empty line above a body may be that of the boundary: an empty part.
    if (multipart->is_at_start) {
        size_t compared = count < multipart->delimiter_length ? count : multipart->delimiter_length;
        bool may_be_boundary = memcmp(bytes, multipart->delimiter, compared) == 0;
        if (may_be_boundary && compared < multipart->delimiter_length) {
            *is_stuck = true;
            return 0;
        }
        multipart->is_at_start = false;
        if (!may_be_boundary)
            return strlen("\r\n");
    }

    const char *found = memmem(bytes, count, multipart->delimiter, multipart->delimiter_length);
    if (found == NULL) {
        size_t kept = multipart->delimiter_length - 1;
        size_t used = count > kept ? count - kept : 0;
        *is_fine = give(multipart, bytes, used, err);
        *is_stuck = true;
        return used;
    }

    size_t before = (size_t)(found - bytes);
    size_t through = before + multipart->delimiter_length;
    size_t rest = 0;
    switch (look_after(bytes + through, count - through, &rest)) {
    case AFTER_MORE:
        *is_fine = give(multipart, bytes, before, err);
        *is_stuck = true;
        return before;
    case AFTER_OTHER:
        *is_fine = give(multipart, bytes, through, err);
        return through;
    case AFTER_PART:
    case AFTER_END:
        break;
    }
    *is_fine = give(multipart, bytes, before, err);
    if (*is_fine && multipart->state == STATE_BODY)
        *is_fine = multipart->ops->end(multipart->context, err);
    multipart->state = rest > 0 ? STATE_HEAD : STATE_OVER;
    return through + rest;
}

/* Consumes the head of a part when all of it is there. */
static size_t take_head(struct multipart *multipart,
                        const char *bytes,
                        size_t count,
                        bool *is_stuck,
                        bool *is_fine,
                        struct error *err)
{
    // The empty line may be the first: a part without headers.
    size_t length = 0;
    size_t used = 0;
    bool has_return = false;
    for (size_t at = 0; at < count && used == 0;) {
        const char *end = memchr(bytes + at, '\n', count - at);
        if (end == NULL)
            break;
        size_t line = (size_t)(end - bytes) - at;
        if (line == 0 || (line == 1 && bytes[at] == '\r')) {
            length = at;
            used = at + line + 1;
            has_return = line == 1;
        }
        at += line + 1;
    }
    if (used == 0) {
        *is_stuck = true;
        if (count > MULTIPART_HEAD_BYTES_MAX)
            *is_fine = error_set(err, ERR_LIMIT, "headers of a part are longer than %u bytes",
                                 MULTIPART_HEAD_BYTES_MAX);
        return 0;
    }
    if (used > MULTIPART_HEAD_BYTES_MAX || memchr(bytes, '\0', length) != NULL) {
        *is_fine = error_set(err, ERR_INVALID, "malformed headers of a part");
        return used;
    }
    char *text = arena_strndup(multipart->arena, bytes, length);
    struct multipart_head head = parse_head(multipart->arena, text);
    *is_fine = multipart->ops->begin(multipart->context, &head, err);
    multipart->state = STATE_BODY;
    multipart->is_at_start = has_return;
    return has_return ? used - strlen("\r\n") : used;
}

bool multipart_feed(struct multipart *multipart,
                    const char *bytes,
                    size_t length,
                    struct error *err)
{
    buf_add(&multipart->work, bytes, length);
    size_t used = 0;
    bool is_stuck = false;
    bool is_fine = true;
    while (is_fine && !is_stuck && multipart->state != STATE_OVER) {
        const char *at = multipart->work.bytes + used;
        size_t count = multipart->work.length - used;
        used += multipart->state == STATE_HEAD
                    ? take_head(multipart, at, count, &is_stuck, &is_fine, err)
                    : take_body(multipart, at, count, &is_stuck, &is_fine, err);
    }
    if (multipart->state == STATE_OVER)
        used = multipart->work.length;
    size_t left = multipart->work.length - used;
    if (left > 0)
        memmove(multipart->work.bytes, multipart->work.bytes + used, left);
    multipart->work.length = left;
    return is_fine;
}

bool multipart_end(struct multipart *multipart, struct error *err)
{
    if (multipart->state == STATE_OVER)
        return true;
    return error_set(err, ERR_INVALID, "the form ends without its closing boundary");
}
