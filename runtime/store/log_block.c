/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of log lines: form 1 plain, form 2 compressed.
 *
 *     block  = form (1 byte), CRC-32 of what follows (4 bytes, little endian), lines
 *     line   = time since the previous line, level + flag, [source], message
 *     source = task id, run id, attempt: only when it differs from the previous line's
 */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/compress.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "base/pack.h"
#include "base/str.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"

#define FORM_PLAIN      1
#define FORM_COMPRESSED 2
#define HEADER_BYTES    5

/* Shorter blocks would hardly shrink. */
#define COMPRESS_FROM 1024U

/* Nothing larger is ever written: a block is closed as soon as it passes LOG_BLOCK_BYTES. */
#define BLOCK_MAX (LOG_BLOCK_BYTES + LOG_MESSAGE_MAX + 4096U)

#define LEVEL_MASK  0x07U
#define SAME_SOURCE 0x08U

static uint64_t source_hash(const struct log_source *source)
{
    uint64_t hash = source->attempt + 1U;
    if (source->task_id != NULL)
        hash = hash * 31 + map_hash(source->task_id, strlen(source->task_id));
    if (source->run_id != NULL)
        hash = hash * 31 + map_hash(source->run_id, strlen(source->run_id));
    return hash;
}

void log_block_add(struct log_block *block, const struct log_line *line)
{
    // Lines of a block stand in order of time; a clock that went back is held.
    usec_t at = line->at > block->last_at ? line->at : block->last_at;
    uint64_t source = source_hash(&line->source);
    bool same = block->count > 0 && source == block->source;
    if (block->count == 0)
        block->first_at = at;
    pack_uint(&block->lines, (uint64_t)(at - (block->count == 0 ? 0 : block->last_at)));
    buf_putc(&block->lines, (char)((unsigned)line->level | (same ? SAME_SOURCE : 0U)));
    if (!same) {
        pack_text(&block->lines, line->source.task_id);
        pack_text(&block->lines, line->source.run_id);
        pack_uint(&block->lines, line->source.attempt);
        block->source = source;
    }
    pack_bytes(&block->lines, line->message, line->length);
    block->last_at = at;
    block->levels |= BIT(line->level);
    block->count++;
}

static void put_header(char *header, char form, uint32_t crc)
{
    header[0] = form;
    for (unsigned i = 0; i < 4; i++)
        header[i + 1] = (char)(crc >> (8 * i) & 0xffU);
}

void log_block_finish(struct log_block *block, struct buf *out, struct log_row *row)
{
    size_t start = out->length;
    (void)buf_reserve(out, HEADER_BYTES);
    buf_added(out, HEADER_BYTES);
    char form = FORM_PLAIN;
    if (block->lines.length >= COMPRESS_FROM) {
        form = FORM_COMPRESSED;
        (void)compress_add(out, block->lines.bytes, block->lines.length);
    } else {
        buf_add(out, block->lines.bytes, block->lines.length);
    }
    size_t body = start + HEADER_BYTES;
    put_header(out->bytes + start, form, digest_crc32(0, out->bytes + body, out->length - body));
    row->first_at = block->first_at;
    row->last_at = block->last_at;
    row->levels = block->levels;
    row->lines = block->count;

    buf_clear(&block->lines);
    block->first_at = block->last_at = 0;
    block->levels = block->count = 0;
    block->source = 0;
}

void log_block_free(struct log_block *block)
{
    buf_free(&block->lines);
    *block = (struct log_block){ 0 };
}

static bool damaged(const struct log_row *row, struct error *err)
{
    return error_set(err, ERR_INTERNAL, "a log block of execution '%s' is damaged or cut off",
                     row->execution_id.text);
}

/* The lines of a block, unpacked; *plain borrows from `bytes` or from `scratch`. */
static bool open_block(
    const void *bytes, size_t length, struct buf *scratch, const void **plain, size_t *plain_length)
{
    const unsigned char *at = bytes;
    if (length < HEADER_BYTES)
        return false;
    uint32_t crc = 0;
    for (unsigned i = 0; i < 4; i++)
        crc |= (uint32_t)at[i + 1] << (8 * i);
    if (digest_crc32(0, at + HEADER_BYTES, length - HEADER_BYTES) != crc)
        return false;
    *plain = at + HEADER_BYTES;
    *plain_length = length - HEADER_BYTES;
    if (at[0] == FORM_PLAIN)
        return true;
    if (at[0] != FORM_COMPRESSED ||
        !decompress_add(scratch, at + HEADER_BYTES, length - HEADER_BYTES, BLOCK_MAX))
        return false;
    *plain = buf_text(scratch);
    *plain_length = scratch->length;
    return true;
}

static struct log_source shared_source(const struct log_row *row)
{
    return (struct log_source){
        .execution = row->execution,
        .execution_id = row->execution != 0 ? row->execution_id.text : NULL,
        .namespace = row->namespace,
        .flow_id = row->flow_id,
        .trigger_id = row->trigger_id,
    };
}

/* One line; the source carries over from the previous one. */
static void read_line(struct unpack *in,
                      struct arena *arena,
                      usec_t *at,
                      struct log_source *source,
                      struct log_line *out)
{
    *at += (usec_t)unpack_max(in, INT64_MAX / 2);
    unsigned flags = (unsigned)unpack_max(in, LEVEL_MASK | SAME_SOURCE);
    if ((flags & SAME_SOURCE) == 0) {
        source->task_id = unpack_text(in, arena);
        source->run_id = unpack_text(in, arena);
        source->attempt = (uint32_t)unpack_max(in, UINT32_MAX);
    }
    size_t length = 0;
    const char *message = unpack_bytes(in, &length);
    if (in->bad || (flags & LEVEL_MASK) > LOG_ERROR) {
        (void)unpack_fail(in);
        return;
    }
    *out = (struct log_line){
        .source = *source,
        .at = *at,
        .level = (enum log_level)(flags & LEVEL_MASK),
        .message = arena_strndup(arena, message, length),
        .length = length,
    };
}

bool log_block_decode(struct arena *arena,
                      const struct log_row *row,
                      const void *bytes,
                      size_t length,
                      struct log_line **lines,
                      size_t *count,
                      struct error *err)
{
    struct buf scratch = { 0 };
    const void *plain = NULL;
    size_t plain_length = 0;
    if (!open_block(bytes, length, &scratch, &plain, &plain_length)) {
        buf_free(&scratch);
        return damaged(row, err);
    }
    VEC(struct log_line) found = { 0 };
    struct log_source source = shared_source(row);
    struct unpack in = unpack_start(plain, plain_length);
    usec_t at = 0;
    while (unpack_left(&in) > 0 && !in.bad) {
        struct log_line line;
        read_line(&in, arena, &at, &source, &line);
        if (!in.bad)
            *VEC_PUSH_ARENA(arena, &found) = line;
    }
    buf_free(&scratch);
    if (in.bad)
        return damaged(row, err);
    *lines = found.items;
    *count = found.count;
    return true;
}

bool log_purge_is_whole(const struct commit_log_purge *purge, uint32_t levels)
{
    return purge->task_id == NULL && purge->run_id == NULL && purge->attempt == 0 &&
           (purge->levels == 0 || (levels & ~purge->levels) == 0);
}

static bool purge_takes(const struct commit_log_purge *purge, const struct log_line *line)
{
    const struct log_source *source = &line->source;
    return (purge->levels == 0 || (purge->levels & BIT(line->level)) != 0) &&
           (purge->task_id == NULL || str_eq(source->task_id, purge->task_id)) &&
           (purge->run_id == NULL || str_eq(source->run_id, purge->run_id)) &&
           (purge->attempt == 0 || source->attempt == purge->attempt) &&
           (purge->before == 0 || line->at < purge->before) &&
           (purge->after == 0 || line->at >= purge->after);
}

bool log_block_thin(struct log_row *row,
                    const struct commit_log_purge *purge,
                    struct buf *out,
                    bool *is_empty)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct log_line *lines = NULL;
    size_t count = 0;
    if (!log_block_decode(arena, row, row->body.at, row->body.length, &lines, &count, NULL))
        return false;
    struct log_block kept = { 0 };
    for (size_t i = 0; i < count; i++) {
        if (!purge_takes(purge, &lines[i]))
            log_block_add(&kept, &lines[i]);
    }
    *is_empty = kept.count == 0;
    if (!*is_empty)
        log_block_finish(&kept, out, row);
    log_block_free(&kept);
    return true;
}
