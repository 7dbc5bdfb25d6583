/* SPDX-License-Identifier: Apache-2.0 */
/* Git over HTTP: an advertisement by GET, then one POST per request. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/git_auth.h"
#include "base/git_link.h"
#include "base/http.h"
#include "base/str.h"

/* Servers that tell clients apart look for this prefix. */
#define USER_AGENT "git/2.0 (weir)"

#define ADVERT_TYPE "application/x-git-upload-pack-advertisement"
#define RESULT_TYPE "application/x-git-upload-pack-result"
#define ADVERT_PATH "/info/refs?service=git-upload-pack"

/* Of an answer that is no success, what an error may repeat. */
#define REFUSAL_BYTES 2048

/* Longest wait that a server may ask for. */
#define RETRY_AFTER_MAX (6 * USEC_HOUR)

struct http_link {
    struct git_link link;
    const struct git_address *address;
    const struct git_access *access;
    struct arena *arena; /* of the call under way */
    struct http_request request;
    struct http_stream *stream;
    char *base; /* URL, after redirects of the advertisement */
};

static void http_close(struct git_link *link)
{
    struct http_link *self = (struct http_link *)link;
    http_stream_close(self->stream);
    self->stream = NULL;
}

/* Explains a status that is no success, with the start of a textual answer. */
static bool refuse(struct http_link *self, const struct http_response *response, struct error *err)
{
    char answer[REFUSAL_BYTES];
    size_t length = 0;
    const char *type = http_header_find(&response->headers, "Content-Type");
    if (type != NULL && str_starts(type, "text/plain")) {
        while (length < sizeof(answer) - 1) {
            ptrdiff_t got =
                http_stream_read(self->stream, answer + length, sizeof(answer) - 1 - length, NULL);
            if (got <= 0)
                break;
            length += (size_t)got;
        }
    }
    answer[length] = '\0';
    const char *after = http_header_find(&response->headers, "Retry-After");
    int64_t seconds = 0;
    if (after != NULL && str_to_int(after, 0, RETRY_AFTER_MAX / USEC_SEC, &seconds))
        self->link.retry_after = seconds * USEC_SEC;
    bool had_credentials = self->request.auth != HTTP_AUTH_NONE;
    return git_refused_http(self->address, response->status, had_credentials, answer, err);
}

/* Sends the prepared request and checks status and type of the answer. */
static bool call(struct http_link *self,
                 const struct git_waits *waits,
                 const char *type,
                 struct http_response *response,
                 struct error *err)
{
    const struct git_access *access = self->access;
    struct http_request *request = &self->request;
    const char *user = access->user != NULL ? access->user : self->address->user;
    const char *password = access->password != NULL ? access->password : self->address->password;
    request->connect_timeout = waits->connect;
    request->idle_timeout = waits->idle;
    request->cancel = waits->cancel;
    request->ca_pem = access->ca_pem;
    request->insecure = access->insecure;
    if (password != NULL) {
        request->auth = access->bearer ? HTTP_AUTH_BEARER : HTTP_AUTH_BASIC;
        request->user = user != NULL ? user : GIT_TOKEN_USER;
        request->password = password;
    }
    self->link.retry_after = 0;
    self->stream = http_stream_open(self->arena, request, response, err);
    if (self->stream == NULL)
        return error_wrap(err, "remote '%s'", self->address->shown);
    if (response->status != 200)
        return refuse(self, response, err);
    const char *got = http_header_find(&response->headers, "Content-Type");
    if (got == NULL || !str_starts(got, type))
        return error_set(err, ERR_UNAVAILABLE,
                         "remote '%s' is not a Git server: its answer is '%s'",
                         self->address->shown, got == NULL ? "without type" : got);
    return true;
}

static void prepare(struct http_link *self)
{
    http_close(&self->link);
    arena_reset(self->arena);
    self->request = (struct http_request){ 0 };
}

static const struct http_fields *headers(struct http_link *self, const char *const *pairs)
{
    struct http_fields *fields = ARENA_NEW(self->arena, struct http_fields);
    http_fields_add(self->arena, fields, "User-Agent", USER_AGENT);
    http_fields_add(self->arena, fields, "Git-Protocol", "version=2");
    for (; pairs[0] != NULL; pairs += 2)
        http_fields_add(self->arena, fields, pairs[0], pairs[1]);
    return fields;
}

/*
 * A server may have moved. Requests follow to where the advertisement was found; credentials must
 * not, so that the way may change on the same host, or from http to https, only.
 */
static bool follow(struct http_link *self, const char *url, struct error *err)
{
    size_t length = strlen(url);
    size_t tail = strlen(ADVERT_PATH);
    if (length <= tail || strcmp(url + length - tail, ADVERT_PATH) != 0)
        return error_set(err, ERR_UNAVAILABLE, "remote '%s' redirects to '%s', which is not Git's",
                         self->address->shown, url_shown(self->arena, url));
    struct url from;
    struct url to;
    if (!url_parse(self->arena, self->base, &from) || !url_parse(self->arena, url, &to))
        return error_set(err, ERR_UNAVAILABLE, "remote '%s'", self->address->shown);
    bool is_upgrade = str_eq(from.scheme, "http") && str_eq(to.scheme, "https");
    bool is_same = str_eq(from.scheme, to.scheme) && from.port == to.port;
    if (!str_eq(from.host, to.host) || (!is_same && !is_upgrade))
        return error_set(err, ERR_UNAVAILABLE,
                         "remote '%s' has moved to '%s'; configure that address",
                         self->address->shown, url_origin(self->arena, url));
    free(self->base);
    self->base = check_malloc(length - tail + 1);
    memcpy(self->base, url, length - tail);
    self->base[length - tail] = '\0';
    return true;
}

static bool http_advertise(struct git_link *link, const struct git_waits *waits, struct error *err)
{
    struct http_link *self = (struct http_link *)link;
    prepare(self);
    free(self->base);
    self->base = check_strdup(self->address->url);
    static const char *const pairs[] = { "Accept", "*/*", NULL };
    self->request.url = arena_printf(self->arena, "%s%s", self->base, ADVERT_PATH);
    self->request.headers = headers(self, pairs);
    struct http_response response = { 0 };
    if (!call(self, waits, ADVERT_TYPE, &response, err))
        return false;
    return response.url == NULL || str_eq(response.url, self->request.url) ||
           follow(self, response.url, err);
}

static bool http_request_send(struct git_link *link,
                              const struct git_waits *waits,
                              const void *body,
                              size_t length,
                              struct error *err)
{
    struct http_link *self = (struct http_link *)link;
    prepare(self);
    static const char *const pairs[] = { "Content-Type", "application/x-git-upload-pack-request",
                                         "Accept", RESULT_TYPE, NULL };
    self->request.method = "POST";
    self->request.url = arena_printf(self->arena, "%s/git-upload-pack",
                                     self->base != NULL ? self->base : self->address->url);
    self->request.headers = headers(self, pairs);
    self->request.body = arena_memdup(self->arena, body, length);
    self->request.body_length = length;
    self->request.no_redirects = true;
    self->request.keep_encoding = true; // a pack is compressed already
    struct http_response response = { 0 };
    return call(self, waits, RESULT_TYPE, &response, err);
}

static ptrdiff_t http_read(struct git_link *link, void *bytes, size_t max, struct error *err)
{
    struct http_link *self = (struct http_link *)link;
    ptrdiff_t got = http_stream_read(self->stream, bytes, max, err);
    if (got < 0)
        (void)error_wrap(err, "remote '%s'", self->address->shown);
    return got;
}

static bool http_ended(struct git_link *link, struct error *err)
{
    struct http_link *self = (struct http_link *)link;
    return error_set(err, ERR_UNAVAILABLE, "remote '%s' ended its answer too early",
                     self->address->shown);
}

static void http_free(struct git_link *link)
{
    struct http_link *self = (struct http_link *)link;
    http_close(link);
    arena_free(self->arena);
    free(self->base);
    free(self);
}

struct git_link *git_link_http(const struct git_address *address, const struct git_access *access)
{
    static const struct git_link_ops ops = {
        .is_stateless = true,
        .advertise = http_advertise,
        .request = http_request_send,
        .read = http_read,
        .ended = http_ended,
        .close = http_close,
        .free = http_free,
    };
    struct http_link *self = check_calloc(1, sizeof(*self));
    *self = (struct http_link){
        .link.ops = &ops,
        .address = address,
        .access = access,
        .arena = arena_new(),
    };
    return &self->link;
}
