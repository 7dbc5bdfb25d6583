/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search: Wu and Manber's many-pattern search over blocks of three bytes. The smallest pattern
 * length m decides how far a block that ends no prefix lets the window move; texts without a
 * secret, which is nearly all, are read at a third or less of their bytes.
 *
 * Patterns only grow in number. A reader uses the index it found under a read lock; adding rebuilds
 * it under the write lock at the next search.
 */
#include "base/redact.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/map.h"
#include "base/url.h"
#include "base/vec.h"

#define BLOCK 3U

/* Blocks hash into this many places: the shift table stays inside the first-level cache. */
#define PLACES 16384U

/* Windows longer than this gain nothing and overflow the shift table's bytes. */
#define WINDOW_MAX 64U

/* Depth of parents; two are in use. */
#define PARENTS_MAX 8

struct pattern {
    const char *bytes;
    size_t length;
    int32_t next; /* in the same place, or -1 */
};

struct redact {
    struct redact *parent;
    pthread_rwlock_t lock;
    struct arena *arena; /* bytes of patterns */
    struct map known;    /* patterns by their bytes */
    VEC(struct pattern) patterns;
    size_t secrets;
    bool is_stale;  /* patterns were added since the index was built */
    size_t window;  /* length of the shortest pattern, at most WINDOW_MAX */
    uint8_t *shift; /* PLACES: how far the window may move */
    int32_t *first; /* PLACES: patterns whose window ends with a block of this place */
};

struct redact *redact_new(struct redact *parent)
{
    struct redact *redact = check_calloc(1, sizeof(*redact));
    redact->parent = parent;
    CHECK(pthread_rwlock_init(&redact->lock, NULL) == 0);
    return redact;
}

void redact_free(struct redact *redact)
{
    if (redact == NULL)
        return;
    (void)pthread_rwlock_destroy(&redact->lock);
    map_free(&redact->known);
    VEC_FREE(&redact->patterns);
    arena_free(redact->arena);
    free(redact->shift);
    free(redact->first);
    free(redact);
}

void redact_freep(struct redact **redact)
{
    redact_free(*redact);
}

static struct redact *process;

static void process_init(void)
{
    process = redact_new(NULL);
}

struct redact *redact_process(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, process_init);
    return process;
}

static void add_pattern(struct redact *redact, const char *bytes, size_t length)
{
    if (length < REDACT_LENGTH_MIN || map_find_bytes(&redact->known, bytes, length) != NULL)
        return;
    if (redact->arena == NULL)
        redact->arena = arena_new();
    struct pattern *pattern = VEC_PUSH(&redact->patterns);
    pattern->bytes = arena_strndup(redact->arena, bytes, length);
    pattern->length = length;
    (void)map_put_bytes(&redact->known, bytes, length, redact); // any value that is not NULL
    redact->is_stale = true;
}

static void add_buf(struct redact *redact, struct buf *buf)
{
    add_pattern(redact, buf_text(buf), buf->length);
    buf_clear(buf);
}

/*
 * Base64 of a text that stands inside a longer one: for each of the three alignments, the
 * characters that depend on the secret alone.
 */
static void add_base64(struct redact *redact, const char *secret, size_t length)
{
    static const enum base64_form forms[] = { BASE64_STD, BASE64_URL };
    struct buf bytes = { 0 };
    struct buf text = { 0 };
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        for (size_t before = 0; before < 3; before++) {
            static const size_t skipped[3] = { 0, 2, 3 };
            buf_clear(&bytes);
            buf_clear(&text);
            buf_add(&bytes, "\0\0", before);
            buf_add(&bytes, secret, length);
            base64_encode(&text, forms[i], bytes.bytes, bytes.length);
            size_t whole = bytes.length * 8 / 6;
            add_pattern(redact, text.bytes + skipped[before], whole - skipped[before]);
            if (before > 0)
                continue;
            // By itself: with the last, partial character, and with padding.
            add_pattern(redact, text.bytes, text.length);
            add_pattern(redact, text.bytes, strcspn(text.bytes, "="));
        }
    }
    buf_free(&bytes);
    buf_free(&text);
}

static void add_encoded(struct redact *redact, const char *secret, size_t length)
{
    static const char *const kept[] = { "", "/", "!*'()", "/:?#[]@!$&'()*+,;=" };
    struct buf text = { 0 };
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        url_encode(&text, secret, length, kept[i]);
        for (size_t at = 0; at + 2 < text.length; at++) {
            if (text.bytes[at] != '%')
                continue;
            for (size_t digit = at + 1; digit < at + 3; digit++)
                text.bytes[digit] = (char)(text.bytes[digit] | 0x20); // "%2F" as "%2f"
        }
        add_buf(redact, &text);
        url_encode(&text, secret, length, kept[i]);
        add_pattern(redact, text.bytes, text.length);
        char *write = text.bytes;
        for (const char *read = text.bytes; *read != '\0'; write++) {
            bool is_space = strncmp(read, "%20", 3) == 0;
            *write = is_space ? '+' : *read;
            read += is_space ? 3 : 1;
        }
        text.length = (size_t)(write - text.bytes);
        add_buf(redact, &text);
    }

    static const char escaped[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    for (size_t i = 0; i < length; i++) {
        const char *at = secret[i] == '\0' ? NULL : strchr(escaped, secret[i]);
        if (at != NULL) {
            buf_putc(&text, '\\');
            buf_putc(&text, letters[at - escaped]);
        } else {
            buf_putc(&text, secret[i]);
        }
    }
    add_buf(redact, &text);
    buf_free(&text);
}

static void add_forms(struct redact *redact, const char *secret, size_t length)
{
    if (length < REDACT_LENGTH_MIN)
        return;
    add_pattern(redact, secret, length);
    add_base64(redact, secret, length);
    add_encoded(redact, secret, length);
}

bool redact_add_bytes(struct redact *redact, const char *secret, size_t length)
{
    if (secret == NULL || length < REDACT_LENGTH_MIN)
        return true;
    if (length > REDACT_LENGTH_MAX)
        length = REDACT_LENGTH_MAX;
    (void)pthread_rwlock_wrlock(&redact->lock);
    bool is_known = map_find_bytes(&redact->known, secret, length) != NULL;
    bool fits = is_known || redact->secrets < REDACT_COUNT_MAX;
    if (!is_known && fits) {
        redact->secrets++;
        add_forms(redact, secret, length);
        const char *newline = memchr(secret, '\n', length);
        for (const char *line = secret; newline != NULL && line < secret + length;) {
            const char *end = memchr(line, '\n', (size_t)(secret + length - line));
            if (end == NULL)
                end = secret + length;
            size_t bytes = (size_t)(end - line);
            if (bytes > 0 && line[bytes - 1] == '\r')
                bytes--;
            add_forms(redact, line, bytes);
            line = end + 1;
        }
    }
    (void)pthread_rwlock_unlock(&redact->lock);
    return fits;
}

bool redact_add(struct redact *redact, const char *secret)
{
    return secret == NULL || redact_add_bytes(redact, secret, strlen(secret));
}

static size_t place_of(const char *block)
{
    uint32_t bytes = (uint32_t)(unsigned char)block[0] | (uint32_t)(unsigned char)block[1] << 8 |
                     (uint32_t)(unsigned char)block[2] << 16;
    return (bytes * 2654435761U) >> 18; // 14 bits: PLACES
}

static void build(struct redact *redact)
{
    if (redact->shift == NULL) {
        redact->shift = check_malloc(PLACES);
        redact->first = check_malloc(PLACES * sizeof(redact->first[0]));
    }
    redact->window = WINDOW_MAX;
    for (size_t i = 0; i < redact->patterns.count; i++) {
        if (redact->patterns.items[i].length < redact->window)
            redact->window = redact->patterns.items[i].length;
    }
    memset(redact->shift, (int)(redact->window - BLOCK + 1), PLACES);
    for (size_t i = 0; i < PLACES; i++)
        redact->first[i] = -1;
    for (size_t i = 0; i < redact->patterns.count; i++) {
        struct pattern *pattern = &redact->patterns.items[i];
        for (size_t end = BLOCK; end <= redact->window; end++) {
            uint8_t *shift = &redact->shift[place_of(pattern->bytes + end - BLOCK)];
            if (redact->window - end < *shift)
                *shift = (uint8_t)(redact->window - end);
        }
        size_t place = place_of(pattern->bytes + redact->window - BLOCK);
        pattern->next = redact->first[place];
        redact->first[place] = (int32_t)i;
    }
    redact->is_stale = false;
}

/* Leaves the set locked for reading, with a current index. */
static void lock_current(struct redact *redact)
{
    (void)pthread_rwlock_rdlock(&redact->lock);
    while (redact->is_stale) {
        (void)pthread_rwlock_unlock(&redact->lock);
        (void)pthread_rwlock_wrlock(&redact->lock);
        if (redact->is_stale)
            build(redact);
        (void)pthread_rwlock_unlock(&redact->lock);
        (void)pthread_rwlock_rdlock(&redact->lock);
    }
}

/* The longest pattern at `at`, 0 when there is none. */
static size_t match_at(const struct redact *redact, int32_t index, const char *at, size_t left)
{
    size_t longest = 0;
    for (; index >= 0; index = redact->patterns.items[index].next) {
        const struct pattern *pattern = &redact->patterns.items[index];
        if (pattern->length > longest && pattern->length <= left &&
            memcmp(pattern->bytes, at, pattern->length) == 0)
            longest = pattern->length;
    }
    return longest;
}

/* Offset of the first secret at or after `from`, and its length; `length` when there is none. */
static size_t find_first(
    const struct redact *redact, const char *text, size_t length, size_t from, size_t *found)
{
    size_t window = redact->window;
    for (size_t end = from + window; end <= length;) {
        size_t place = place_of(text + end - BLOCK);
        size_t shift = redact->shift[place];
        if (shift > 0) {
            end += shift;
            continue;
        }
        size_t start = end - window;
        *found = match_at(redact, redact->first[place], text + start, length - start);
        if (*found > 0)
            return start;
        end++;
    }
    return length;
}

/* Offset of the longest end of the text that some secret begins with; `length` without one. */
static size_t find_start(const struct redact *redact, const char *text, size_t length)
{
    size_t longest = 0;
    for (size_t i = 0; i < redact->patterns.count; i++) {
        const struct pattern *pattern = &redact->patterns.items[i];
        size_t most = pattern->length - 1 < length ? pattern->length - 1 : length;
        for (size_t bytes = most; bytes > longest; bytes--)
            if (memcmp(text + length - bytes, pattern->bytes, bytes) == 0)
                longest = bytes;
    }
    return length - longest;
}

static bool apply_one(
    struct redact *redact, const char *text, size_t length, bool is_cut, struct buf *out)
{
    lock_current(redact);
    size_t copied = 0;
    size_t found = 0;
    bool is_masked = false;
    size_t tail = is_cut ? find_start(redact, text, length) : length;
    if (redact->patterns.count > 0) {
        size_t at = find_first(redact, text, length, 0, &found);
        while (at < length) {
            // Secrets that overlap are one stretch, so that no tail of the second one shows.
            size_t end = at + found;
            size_t next = find_first(redact, text, length, at + 1, &found);
            while (next < end) {
                if (next + found > end)
                    end = next + found;
                next = find_first(redact, text, length, next + 1, &found);
            }
            if (end > tail)
                end = next = length;
            is_masked = true;
            buf_add(out, text + copied, at - copied);
            buf_puts(out, REDACT_MASK);
            copied = end;
            at = next;
        }
    }
    if (tail < length && copied < length) {
        is_masked = true;
        buf_add(out, text + copied, tail - copied);
        buf_puts(out, REDACT_MASK);
        copied = length;
    }
    (void)pthread_rwlock_unlock(&redact->lock);
    if (is_masked)
        buf_add(out, text + copied, length - copied);
    return is_masked;
}

bool redact_is_empty(struct redact *redact)
{
    for (int depth = 0; redact != NULL && depth < PARENTS_MAX; depth++, redact = redact->parent) {
        (void)pthread_rwlock_rdlock(&redact->lock);
        bool is_empty = redact->patterns.count == 0;
        (void)pthread_rwlock_unlock(&redact->lock);
        if (!is_empty)
            return false;
    }
    return true;
}

static bool apply(
    struct redact *redact, const char *text, size_t length, bool is_cut, struct buf *out)
{
    struct buf current = { 0 };
    bool is_masked = false;
    for (int depth = 0; redact != NULL && depth < PARENTS_MAX; depth++, redact = redact->parent) {
        struct buf next = { 0 };
        const char *from = is_masked ? buf_text(&current) : text;
        size_t bytes = is_masked ? current.length : length;
        if (apply_one(redact, from, bytes, is_cut, &next)) {
            buf_free(&current);
            current = next;
            is_masked = true;
        }
    }
    if (is_masked)
        buf_add(out, buf_text(&current), current.length);
    buf_free(&current);
    return is_masked;
}

bool redact_apply_cut(struct redact *redact, const char *text, size_t length, struct buf *out)
{
    return apply(redact, text, length, true, out);
}

bool redact_apply(struct redact *redact, const char *text, size_t length, struct buf *out)
{
    size_t note = sizeof(REDACT_CUT) - 1;
    if (length < note || memcmp(text + length - note, REDACT_CUT, note) != 0)
        return apply(redact, text, length, false, out);
    bool is_masked = apply(redact, text, length - note, true, out);
    if (is_masked)
        buf_puts(out, REDACT_CUT);
    return is_masked;
}

const char *redact_text(struct redact *redact, struct arena *arena, const char *text)
{
    if (text == NULL)
        return NULL;
    struct buf masked = { 0 };
    if (redact_apply(redact, text, strlen(text), &masked))
        text = buf_dup(&masked, arena);
    buf_free(&masked);
    return text;
}

void redact_in_place(struct redact *redact, char *text, size_t capacity)
{
    struct buf masked = { 0 };
    if (redact_apply(redact, text, strlen(text), &masked)) {
        size_t length = masked.length < capacity ? masked.length : capacity - 1;
        memcpy(text, masked.bytes, length);
        text[length] = '\0';
    }
    buf_free(&masked);
}
