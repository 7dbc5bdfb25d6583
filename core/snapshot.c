/* SPDX-License-Identifier: Apache-2.0 */
#include "core/snapshot.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/vec.h"

/* First byte of a note about an entry; another form of body gets another one. */
#define INVENTORY_FORM "1"

static const char *const kind_names[OBJECT_KINDS] = {
    [OBJECT_KV] = "kv",
    [OBJECT_FILE] = "file",
    [OBJECT_FLOW] = "flow",
};

const char *object_kind_name(enum object_kind kind)
{
    return kind_names[kind];
}

void object_key_write(struct buf *out, const struct object_key *key)
{
    buf_puts(out, kind_names[key->kind]);
    buf_putc(out, '/');
    buf_puts(out, key->namespace);
    buf_putc(out, '/');
    buf_puts(out, key->name);
}

char *object_key_text(struct arena *arena, const struct object_key *key)
{
    // made for every object of a plan: without printf
    const char *parts[] = { kind_names[key->kind], key->namespace, key->name };
    size_t lengths[COUNT_OF(parts)];
    size_t total = 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        lengths[i] = strlen(parts[i]);
        total += lengths[i] + 1;
    }
    char *text = arena_bytes_alloc(arena, total);
    char *at = text;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        memcpy(at, parts[i], lengths[i]);
        at += lengths[i];
        *at++ = i + 1 < COUNT_OF(parts) ? '/' : '\0';
    }
    return text;
}

bool object_key_parse(struct arena *arena, const char *text, struct object_key *out)
{
    const char *first = strchr(text, '/');
    const char *second = first == NULL ? NULL : strchr(first + 1, '/');
    if (second == NULL || second == first + 1 || second[1] == '\0')
        return false;
    for (size_t i = 0; i < OBJECT_KINDS; i++) {
        size_t length = strlen(kind_names[i]);
        if ((size_t)(first - text) != length || memcmp(text, kind_names[i], length) != 0)
            continue;
        *out = (struct object_key){
            .kind = (enum object_kind)i,
            .namespace = arena_strndup(arena, first + 1, (size_t)(second - first - 1)),
            .name = arena_strdup(arena, second + 1),
        };
        return true;
    }
    return false;
}

int object_key_order(const struct object_key *a, const struct object_key *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    int by = strcmp(a->namespace, b->namespace);
    return by != 0 ? by : strcmp(a->name, b->name);
}

bool object_key_equal(const struct object_key *a, const struct object_key *b)
{
    return object_key_order(a, b) == 0;
}

/*
 * A line of fields separated by tabs, then one line per reference. Paths and keys hold neither:
 * the walk refuses control characters.
 */
void inventory_write(struct buf *out, const struct inventory_entry *entry)
{
    char hex[OID_TEXT];
    buf_puts(out, INVENTORY_FORM "\t");
    object_key_write(out, &entry->key);
    buf_putc(out, '\t');
    buf_puts(out, entry->path);
    buf_putc(out, '\t');
    buf_put_int(out, entry->line);
    buf_putc(out, '\t');
    buf_puts(out, oid_format(&entry->blob, hex));
    buf_putc(out, '\t');
    buf_puts(out, entry->digest);
    buf_putc(out, '\t');
    buf_put_int(out, entry->revision);
    buf_putc(out, '\t');
    buf_put_int(out, entry->ttl);
    for (size_t i = 0; i < entry->refs_count && i < OBJECT_REFS_MAX; i++)
        buf_printf(out, "\n%s", entry->refs[i]);
}

bool inventory_read(struct arena *arena,
                    const char *body,
                    size_t length,
                    struct inventory_entry *out)
{
    enum { FORM, KEY, PATH, LINE, BLOB, DIGEST, REVISION, TTL, FIELDS };
    const char *fields[FIELDS];
    const char *end = body + length;
    const char *line_end = memchr(body, '\n', length);
    if (line_end == NULL)
        line_end = end;
    const char *at = body;
    for (size_t i = 0; i < FIELDS; i++) {
        const char *stop = memchr(at, '\t', (size_t)(line_end - at));
        if ((stop == NULL) != (i == FIELDS - 1))
            return false;
        if (stop == NULL)
            stop = line_end;
        fields[i] = arena_strndup(arena, at, (size_t)(stop - at));
        at = stop + 1;
    }
    struct inventory_entry entry = { .path = fields[PATH], .digest = fields[DIGEST] };
    int64_t line = 0;
    if (!str_eq(fields[FORM], INVENTORY_FORM) ||
        !object_key_parse(arena, fields[KEY], &entry.key) ||
        !str_to_int(fields[LINE], 0, UINT32_MAX, &line) ||
        !oid_parse(fields[BLOB], strlen(fields[BLOB]), &entry.blob) ||
        !str_to_int(fields[REVISION], 0, INT64_MAX, &entry.revision) ||
        !str_to_int(fields[TTL], 0, INT64_MAX, &entry.ttl))
        return false;
    entry.line = (uint32_t)line;
    VEC(const char *) refs = { 0 };
    while (line_end < end) {
        at = line_end + 1;
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        *VEC_PUSH_ARENA(arena, &refs) = arena_strndup(arena, at, (size_t)(line_end - at));
    }
    entry.refs = refs.items;
    entry.refs_count = refs.count;
    *out = entry;
    return true;
}

char *object_kv_digest(struct arena *arena,
                       const char *type,
                       const char *description,
                       const char *value)
{
    struct buf text = { 0 };
    buf_puts(&text, type);
    buf_putc(&text, '\n');
    buf_puts(&text, description == NULL ? "" : description);
    buf_putc(&text, '\0');
    buf_puts(&text, value);
    char *hex = digest_sha256_hex(arena, text.bytes, text.length);
    buf_free(&text);
    return hex;
}
