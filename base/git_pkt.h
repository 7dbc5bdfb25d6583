/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet lines, the frames of Git's protocol: four hexadecimal digits of length, then bytes.
 */
#ifndef BASE_GIT_PKT_H
#define BASE_GIT_PKT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct error;

/* Longest packet, its length included. */
#define PKT_BYTES_MAX 65520U

enum pkt_kind {
    PKT_DATA,
    PKT_FLUSH, /* 0000 */
    PKT_DELIM, /* 0001 */
    PKT_END,   /* 0002 */
    PKT_EOF,   /* the stream ended before a packet */
};

struct pkt {
    enum pkt_kind kind;
    const char *bytes; /* borrowed until the next call; text is NUL-terminated */
    size_t length;     /* of text without its line end */
};

/* Gives up to `max` bytes; 0 at the end, -1 with err filled. */
typedef ptrdiff_t pkt_source_fn(void *context, void *bytes, size_t max, struct error *err);

struct pkt_reader {
    pkt_source_fn *source;
    void *context;
    char *buffer;
    size_t begin;
    size_t end;
};

struct pkt_reader pkt_reader_new(pkt_source_fn *source, void *context);
void pkt_reader_release(struct pkt_reader *reader);

/* Forgets what was read ahead; for the next answer. */
void pkt_reader_clear(struct pkt_reader *reader);

/*
 * is_bytes  the packet carries bytes: neither its line end is cut nor a NUL added
 * Errors    ERR_UNAVAILABLE  not a packet, or the stream ends inside one; those of the source
 */
bool pkt_next(struct pkt_reader *reader, bool is_bytes, struct pkt *out, struct error *err);

/* Bytes that are not framed; 0 at the end, -1 on failure. */
ptrdiff_t pkt_raw(struct pkt_reader *reader, const char **bytes, struct error *err);

/* Appends one packet with a line end. */
void pkt_add(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pkt_add_flush(struct buf *out);
void pkt_add_delim(struct buf *out);

#endif
