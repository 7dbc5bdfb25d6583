/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limit of the `hook` benchmark: the same libraries with nothing in between.
 *
 *     hook_limit PORT DATABASE [ROWS]
 *
 * An HTTP server that answers a POST once ROWS rows (1) of 300 bytes, one per durable step, are
 * committed by one writer with everything that waits (WAL, synchronous FULL). Runs until killed.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define WAITING_MAX 4096
#define ROW_BYTES   300

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct MHD_Connection *waiting[WAITING_MAX];
static int rounds_left[WAITING_MAX];
static size_t waiting_count;
static int rows_per_request = 1;

static enum MHD_Result answer(struct MHD_Connection *connection)
{
    static char body[] = "{\"state\":\"SUCCESS\"}";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof(body) - 1, body, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *data,
                              struct MHD_Connection *connection,
                              const char *url,
                              const char *method,
                              const char *version,
                              const char *upload,
                              size_t *upload_size,
                              void **state)
{
    (void)data;
    (void)url;
    (void)method;
    (void)version;
    (void)upload;
    static char seen;
    static char committed;
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (*state == &committed)
        return answer(connection);
    *state = &committed;
    MHD_suspend_connection(connection);
    (void)pthread_mutex_lock(&lock);
    CHECK(waiting_count < WAITING_MAX);
    rounds_left[waiting_count] = rows_per_request;
    waiting[waiting_count++] = connection;
    (void)pthread_cond_signal(&arrived);
    (void)pthread_mutex_unlock(&lock);
    return MHD_YES;
}

static void must(sqlite3 *db, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE) {
        (void)fprintf(stderr, "hook_limit: %s\n", sqlite3_errmsg(db));
        exit(EXIT_FAILURE);
    }
}

static void *write_loop(void *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *insert = NULL;
    must(db, sqlite3_open(path, &db));
    must(db, sqlite3_exec(db,
                          "pragma journal_mode=wal; pragma synchronous=full;"
                          "create table if not exists t(id integer primary key, b blob)",
                          NULL, NULL, NULL));
    must(db, sqlite3_prepare_v2(db, "insert into t(b) values(zeroblob(?))", -1, &insert, NULL));
    for (;;) {
        static struct MHD_Connection *batch[WAITING_MAX];
        static int left[WAITING_MAX];
        (void)pthread_mutex_lock(&lock);
        while (waiting_count == 0)
            (void)pthread_cond_wait(&arrived, &lock);
        size_t count = waiting_count;
        memcpy(batch, waiting, count * sizeof(batch[0]));
        memcpy(left, rounds_left, count * sizeof(left[0]));
        waiting_count = 0;
        (void)pthread_mutex_unlock(&lock);

        must(db, sqlite3_exec(db, "begin immediate", NULL, NULL, NULL));
        for (size_t i = 0; i < count; i++) {
            (void)sqlite3_bind_int(insert, 1, ROW_BYTES);
            must(db, sqlite3_step(insert));
            (void)sqlite3_reset(insert);
        }
        must(db, sqlite3_exec(db, "commit", NULL, NULL, NULL));

        (void)pthread_mutex_lock(&lock);
        for (size_t i = 0; i < count; i++) {
            if (--left[i] > 0) {
                rounds_left[waiting_count] = left[i];
                waiting[waiting_count++] = batch[i];
            } else {
                MHD_resume_connection(batch[i]);
            }
        }
        (void)pthread_mutex_unlock(&lock);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fputs("usage: hook_limit PORT DATABASE [ROWS]\n", stderr);
        return EXIT_FAILURE;
    }
    if (argc > 3)
        rows_per_request = (int)strtol(argv[3], NULL, 10);
    struct sockaddr_in address = { .sin_family = AF_INET };
    address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, NULL,
        MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT, WAITING_MAX, MHD_OPTION_END);
    if (daemon == NULL) {
        (void)fprintf(stderr, "hook_limit: port %s cannot be opened\n", argv[1]);
        return EXIT_FAILURE;
    }
    (void)write_loop(argv[2]);
    return EXIT_SUCCESS;
}
