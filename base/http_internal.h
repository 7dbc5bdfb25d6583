/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the HTTP client: http.c drives transfers, http_request.c prepares them.
 */
#ifndef BASE_HTTP_INTERNAL_H
#define BASE_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/http.h"
#include "base/vec.h"

/* What a thread keeps between calls. */
struct client {
    CURLM *multi; /* with the connections */
    CURL *spare;  /* NULL while in use */
};

/* One request under way. */
struct transfer {
    struct client *client;
    CURL *easy;
    const struct http_request *request;
    struct http_response *response;
    struct arena *arena;
    const char *method; /* for messages */
    struct curl_slist *headers;
    curl_mime *mime;
    VEC(int) files; /* of parts, to be closed */
    char detail[CURL_ERROR_SIZE];

    struct buf body; /* in memory, or of a stream what was not read yet */
    size_t body_read;
    size_t body_max;
    size_t header_bytes;
    bool is_stream;
    bool is_paused;
    bool has_head; /* headers of the final response are complete */
    bool is_sent;  /* connected: the request may be on its way */
    bool is_done;
    CURLcode result;
    struct error failure; /* of a callback of ours */
    usec_t started;
    usec_t moved; /* when bytes last went either way */
};

/* POST is the default method of such requests. */
bool request_has_body(const struct http_request *request);

/* Sets everything on transfer->easy. ERR_INVALID, or errors of opening files. */
bool transfer_set_options(struct transfer *transfer, struct error *err);

/* Callbacks of libcurl; the context is the transfer. */
size_t transfer_on_header(char *bytes, size_t one, size_t length, void *context);
size_t transfer_on_body(char *bytes, size_t one, size_t length, void *context);
size_t transfer_on_source(char *bytes, size_t one, size_t max, void *context);
int transfer_on_ready(void *context, char *remote, char *local, int remote_port, int local_port);

#endif
