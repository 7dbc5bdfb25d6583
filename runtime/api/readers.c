/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/readers.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "runtime/store/store.h"

struct readers {
    struct store *store;
    pthread_mutex_t lock;
    struct store_reader **kept;
    size_t count;
    size_t kept_max;
};

struct readers *readers_new(struct store *store, size_t kept_max)
{
    struct readers *readers = check_calloc(1, sizeof(*readers));
    readers->store = store;
    readers->kept_max = kept_max;
    readers->kept = check_calloc(kept_max, sizeof(struct store_reader *));
    CHECK(pthread_mutex_init(&readers->lock, NULL) == 0);
    return readers;
}

void readers_free(struct readers *readers)
{
    if (readers == NULL)
        return;
    for (size_t i = 0; i < readers->count; i++)
        store_reader_free(readers->kept[i]);
    (void)pthread_mutex_destroy(&readers->lock);
    free(readers->kept);
    free(readers);
}

struct store_reader *readers_take(struct readers *readers, struct error *err)
{
    struct store_reader *reader = NULL;
    (void)pthread_mutex_lock(&readers->lock);
    if (readers->count > 0)
        reader = readers->kept[--readers->count];
    (void)pthread_mutex_unlock(&readers->lock);
    return reader != NULL ? reader : store_reader_open(readers->store, err);
}

void readers_put(struct readers *readers, struct store_reader *reader)
{
    if (reader == NULL)
        return;
    (void)pthread_mutex_lock(&readers->lock);
    if (readers->count < readers->kept_max) {
        readers->kept[readers->count++] = reader;
        reader = NULL;
    }
    (void)pthread_mutex_unlock(&readers->lock);
    store_reader_free(reader);
}
