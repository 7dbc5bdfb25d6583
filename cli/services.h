/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tasks and expressions ask of the rest: key-value entries, namespace files, secrets,
 * operations. Reads go to the store, changes to the driver; both from any thread.
 */
#ifndef CLI_SERVICES_H
#define CLI_SERVICES_H

#include "runtime/driver/driver.h"
#include "runtime/worker/services.h"

struct crypt;
struct reader_pool;
struct secrets;
struct storage;
struct store;

struct server_services {
    struct services base;  /* first: what others see */
    struct driver *driver; /* set when it exists */
    struct store *store;
    struct reader_pool *readers;
    struct crypt *crypt;
    struct secrets *secrets[2]; /* NULL-terminated */
    struct driver_operations operations;
};

/* Fills base; the other members must be set (driver may come later). */
void server_services_init(struct server_services *services);

/* Readers of the store, one per thread that reads at the same time; kept for the next. */
struct reader_pool *reader_pool_new(struct store *store);
void reader_pool_free(struct reader_pool *pool);
struct store_reader *reader_pool_take(struct reader_pool *pool, struct error *err);
void reader_pool_give(struct reader_pool *pool, struct store_reader *reader);

#endif
