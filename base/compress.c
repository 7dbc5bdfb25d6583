/* SPDX-License-Identifier: Apache-2.0 */
#include "base/compress.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/check.h"

/*
 * Negative levels trade size for speed: log text at -3 shrinks to a quarter or less at well over
 * 500 MB/s, so that a task printing a gigabyte is not slowed down by being compressed.
 */
#define LEVEL (-3)

struct contexts {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void contexts_free(void *data)
{
    struct contexts *contexts = data;
    (void)ZSTD_freeCCtx(contexts->compress);
    (void)ZSTD_freeDCtx(contexts->decompress);
    free(contexts);
}

static void make_key(void)
{
    CHECK(pthread_key_create(&key, contexts_free) == 0);
}

static struct contexts *contexts_here(void)
{
    CHECK(pthread_once(&once, make_key) == 0);
    struct contexts *contexts = pthread_getspecific(key);
    if (contexts != NULL)
        return contexts;
    contexts = check_calloc(1, sizeof(*contexts));
    contexts->compress = ZSTD_createCCtx();
    contexts->decompress = ZSTD_createDCtx();
    CHECK(contexts->compress != NULL);
    CHECK(contexts->decompress != NULL);
    CHECK(pthread_setspecific(key, contexts) == 0);
    return contexts;
}

size_t compress_add(struct buf *out, const void *bytes, size_t length)
{
    size_t bound = ZSTD_compressBound(length);
    char *to = buf_reserve(out, bound);
    size_t written = ZSTD_compressCCtx(contexts_here()->compress, to, bound, bytes, length, LEVEL);
    CHECK(!ZSTD_isError(written)); // the bound leaves room for any input
    buf_added(out, written);
    return written;
}

bool decompress_add(struct buf *out, const void *bytes, size_t length, size_t length_max)
{
    unsigned long long size = ZSTD_getFrameContentSize(bytes, length);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > length_max)
        return false;
    char *to = buf_reserve(out, (size_t)size);
    size_t written =
        ZSTD_decompressDCtx(contexts_here()->decompress, to, (size_t)size, bytes, length);
    if (ZSTD_isError(written) || written != size)
        return false;
    buf_added(out, written);
    return true;
}
