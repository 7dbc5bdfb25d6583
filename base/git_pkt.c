/* SPDX-License-Identifier: Apache-2.0 */
#include "base/git_pkt.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"

/* Room for a whole packet, and for more than one read. */
#define BUFFER_BYTES ((size_t)2 * 65536)

struct pkt_reader pkt_reader_new(pkt_source_fn *source, void *context)
{
    return (struct pkt_reader){
        .source = source,
        .context = context,
        .buffer = check_malloc(BUFFER_BYTES + 1),
    };
}

void pkt_reader_release(struct pkt_reader *reader)
{
    free(reader->buffer);
    *reader = (struct pkt_reader){ 0 };
}

void pkt_reader_clear(struct pkt_reader *reader)
{
    reader->begin = 0;
    reader->end = 0;
}

/* Reads until `need` bytes are there. *ended: the stream is over before. */
static bool fill(struct pkt_reader *reader, size_t need, bool *ended, struct error *err)
{
    *ended = false;
    if (BUFFER_BYTES - reader->begin < need) {
        memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->begin = 0;
    }
    while (reader->end - reader->begin < need) {
        ptrdiff_t got = reader->source(reader->context, reader->buffer + reader->end,
                                       BUFFER_BYTES - reader->end, err);
        if (got < 0)
            return false;
        if (got == 0) {
            *ended = true;
            return true;
        }
        reader->end += (size_t)got;
    }
    return true;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool pkt_next(struct pkt_reader *reader, bool is_bytes, struct pkt *out, struct error *err)
{
    bool ended = false;
    if (!fill(reader, 4, &ended, err))
        return false;
    if (ended && reader->begin == reader->end) {
        *out = (struct pkt){ .kind = PKT_EOF, .bytes = "" };
        return true;
    }
    if (ended)
        return error_set(err, ERR_UNAVAILABLE, "the answer ends inside a packet");

    size_t length = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = digit(reader->buffer[reader->begin + i]);
        if (value < 0)
            return error_set(err, ERR_UNAVAILABLE, "the answer is not in Git's protocol");
        length = length * 16 + (size_t)value;
    }
    if (length < 4) {
        static const enum pkt_kind kinds[] = { PKT_FLUSH, PKT_DELIM, PKT_END };
        if (length == 3)
            return error_set(err, ERR_UNAVAILABLE, "the answer is not in Git's protocol");
        reader->begin += 4;
        *out = (struct pkt){ .kind = kinds[length], .bytes = "" };
        return true;
    }
    if (length > PKT_BYTES_MAX)
        return error_set(err, ERR_UNAVAILABLE, "the answer has a packet that is too long");
    if (!fill(reader, length, &ended, err))
        return false;
    if (ended)
        return error_set(err, ERR_UNAVAILABLE, "the answer ends inside a packet");
    const char *bytes = reader->buffer + reader->begin + 4;
    reader->begin += length;
    length -= 4;
    if (!is_bytes && length > 0 && bytes[length - 1] == '\n')
        length--;
    *out = (struct pkt){ .kind = PKT_DATA, .bytes = bytes, .length = length };
    if (!is_bytes && bytes[length] != '\0') {
        // texts are NUL-terminated: over the line end, or by moving the text over its length
        if (bytes + length < reader->buffer + reader->begin) {
            reader->buffer[bytes + length - reader->buffer] = '\0';
        } else {
            memmove(reader->buffer + (bytes - reader->buffer) - 1, bytes, length);
            out->bytes = bytes - 1;
            reader->buffer[out->bytes + length - reader->buffer] = '\0';
        }
    }
    return true;
}

ptrdiff_t pkt_raw(struct pkt_reader *reader, const char **bytes, struct error *err)
{
    if (reader->begin == reader->end) {
        pkt_reader_clear(reader);
        bool ended = false;
        if (!fill(reader, 1, &ended, err))
            return -1;
        if (ended)
            return 0;
    }
    *bytes = reader->buffer + reader->begin;
    size_t length = reader->end - reader->begin;
    pkt_reader_clear(reader);
    return (ptrdiff_t)length;
}

void pkt_add(struct buf *out, const char *format, ...)
{
    size_t start = out->length;
    va_list args;
    va_start(args, format);
    buf_puts(out, "0000");
    buf_vprintf(out, format, args);
    buf_putc(out, '\n');
    va_end(args);
    size_t length = out->length - start;
    CHECK(length <= PKT_BYTES_MAX);
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 4; i++)
        out->bytes[start + i] = digits[(length >> (12 - 4 * i)) & 15];
}

void pkt_add_flush(struct buf *out)
{
    buf_puts(out, "0000");
}

void pkt_add_delim(struct buf *out)
{
    buf_puts(out, "0001");
}
