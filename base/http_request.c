/* SPDX-License-Identifier: Apache-2.0 */
/* From a struct http_request to the options of a libcurl handle. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/http_internal.h"
#include "base/str.h"
#include "base/vec.h"

/* ---- parts ---- */

static size_t read_file(char *bytes, size_t one, size_t max, void *context)
{
    const int *fd = context;
    (void)one; // always 1
    ssize_t got;
    do {
        got = read(*fd, bytes, max);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static int seek_file(void *context, curl_off_t offset, int origin)
{
    const int *fd = context;
    return lseek(*fd, (off_t)offset, origin) < 0 ? CURL_SEEKFUNC_CANTSEEK : CURL_SEEKFUNC_OK;
}

static bool add_file(struct transfer *transfer,
                     curl_mimepart *target,
                     const struct http_part *part,
                     struct error *err)
{
    const char *name = part->path == NULL ? "upload" : part->path;
    // A descriptor of our own: the offset of the caller's stays, and both can be closed.
    int fd = part->path != NULL ? open(part->path, O_RDONLY | O_CLOEXEC)
                                : fcntl(part->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return fs_error(err, errno, "open", name);
    *VEC_PUSH_ARENA(transfer->arena, &transfer->files) = fd;
    off_t length = lseek(fd, 0, SEEK_END);
    if (length < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return fs_error(err, errno, "read", name);
    int *context = ARENA_NEW(transfer->arena, int);
    *context = fd;
    CHECK(curl_mime_data_cb(target, length, read_file, seek_file, NULL, context) == CURLE_OK);
    return true;
}

static bool add_parts(struct transfer *transfer, struct error *err)
{
    const struct http_request *request = transfer->request;
    transfer->mime = curl_mime_init(transfer->easy);
    CHECK(transfer->mime != NULL);
    for (size_t i = 0; i < request->parts_count; i++) {
        const struct http_part *part = &request->parts[i];
        curl_mimepart *target = curl_mime_addpart(transfer->mime);
        CHECK(target != NULL);
        CHECK(curl_mime_name(target, part->name) == CURLE_OK);
        if (part->bytes != NULL)
            CHECK(curl_mime_data(target, part->bytes, part->length) == CURLE_OK);
        else if (!add_file(transfer, target, part, err))
            return false;
        const char *type = part->type;
        if (type == NULL && part->file_name != NULL)
            type = "application/octet-stream";
        if (part->file_name != NULL)
            CHECK(curl_mime_filename(target, part->file_name) == CURLE_OK);
        if (type != NULL)
            CHECK(curl_mime_type(target, type) == CURLE_OK);
    }
    return true;
}

/* ---- options ---- */

/* Options that only fail when memory is exhausted or when the library was built without them. */
#define SET(transfer, option, value)                                                               \
    CHECK(curl_easy_setopt((transfer)->easy, (option), (value)) == CURLE_OK)

static long millis(usec_t span)
{
    usec_t whole = (span + USEC_MSEC - 1) / USEC_MSEC;
    return whole > INT32_MAX ? (long)INT32_MAX : (long)whole;
}

static void append(struct transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    CHECK(longer != NULL);
    transfer->headers = longer;
}

/* A token of RFC 9110. */
static bool is_header_name(const char *name)
{
    if (str_empty(name))
        return false;
    for (; *name != '\0'; name++) {
        bool is_letter = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                         (*name >= '0' && *name <= '9');
        if (!is_letter && strchr("!#$%&'*+-.^_`|~", *name) == NULL)
            return false;
    }
    return true;
}

static bool set_headers(struct transfer *transfer, struct error *err)
{
    const struct http_request *request = transfer->request;
    static const struct http_fields none = { 0 };
    const struct http_fields *headers = request->headers == NULL ? &none : request->headers;
    for (size_t i = 0; i < headers->count; i++) {
        const char *name = headers->items[i].name;
        const char *value = headers->items[i].value;
        if (!is_header_name(name))
            return error_set(err, ERR_INVALID, "'%s' is not a header name", name);
        if (value != NULL && strpbrk(value, "\r\n") != NULL)
            return error_set(err, ERR_INVALID, "header '%s' has a line break in its value", name);
        // libcurl: "Name:" leaves a header out, "Name;" sends it empty.
        if (value == NULL)
            append(transfer, arena_printf(transfer->arena, "%s:", name));
        else if (value[0] == '\0')
            append(transfer, arena_printf(transfer->arena, "%s;", name));
        else
            append(transfer, arena_printf(transfer->arena, "%s: %s", name, value));
    }
    // Neither is wanted unless asked for: the first costs a round trip or a second, the second is a
    // guess.
    if (http_header_find(headers, "Expect") == NULL)
        append(transfer, "Expect:");
    bool has_type = http_header_find(headers, "Content-Type") != NULL;
    if (!has_type && request->parts == NULL)
        append(transfer, "Content-Type:");
    SET(transfer, CURLOPT_HTTPHEADER, transfer->headers);
    return true;
}

bool request_has_body(const struct http_request *request)
{
    return request->body != NULL || request->parts != NULL || request->source != NULL;
}

static bool set_body(struct transfer *transfer, struct error *err)
{
    const struct http_request *request = transfer->request;
    const char *method = transfer->method;
    bool is_post = str_eq(method, "POST");
    if (!is_header_name(method))
        return error_set(err, ERR_INVALID, "'%s' is not an HTTP method", method);
    if (request->parts != NULL) {
        if (!add_parts(transfer, err))
            return false;
        SET(transfer, CURLOPT_MIMEPOST, transfer->mime);
    } else if (request->source != NULL) {
        SET(transfer, CURLOPT_UPLOAD, 1L);
        SET(transfer, CURLOPT_READFUNCTION, transfer_on_source);
        SET(transfer, CURLOPT_READDATA, transfer);
        SET(transfer, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->source_length);
        is_post = false; // an upload is a PUT until it is named
    } else if (request->body != NULL || is_post) {
        SET(transfer, CURLOPT_POST, 1L);
        SET(transfer, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        SET(transfer, CURLOPT_POSTFIELDS, request->body == NULL ? "" : request->body);
    } else if (str_eq(method, "HEAD")) {
        SET(transfer, CURLOPT_NOBODY, 1L);
        return true;
    } else if (str_eq(method, "GET")) {
        return true;
    }
    // A POST without this becomes a GET after 301, 302 and 303, as everybody does it.
    if (!is_post)
        SET(transfer, CURLOPT_CUSTOMREQUEST, method);
    return true;
}

static void set_auth(struct transfer *transfer)
{
    const struct http_request *request = transfer->request;
    switch (request->auth) {
    case HTTP_AUTH_NONE:
        return;
    case HTTP_AUTH_BEARER:
        SET(transfer, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        SET(transfer, CURLOPT_XOAUTH2_BEARER, request->password);
        return;
    case HTTP_AUTH_SIGV4:
        SET(transfer, CURLOPT_AWS_SIGV4, request->sigv4);
        break;
    case HTTP_AUTH_BASIC:
        SET(transfer, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        break;
    case HTTP_AUTH_DIGEST:
        SET(transfer, CURLOPT_HTTPAUTH, CURLAUTH_DIGEST);
        break;
    }
    SET(transfer, CURLOPT_USERNAME, request->user == NULL ? "" : request->user);
    SET(transfer, CURLOPT_PASSWORD, request->password == NULL ? "" : request->password);
}

static void set_proxy(struct transfer *transfer)
{
    const struct http_request *request = transfer->request;
    switch (request->proxy) {
    case HTTP_PROXY_ENVIRONMENT:
        return;
    case HTTP_PROXY_DIRECT:
        SET(transfer, CURLOPT_PROXY, "");
        return;
    case HTTP_PROXY_HTTP:
        SET(transfer, CURLOPT_PROXYTYPE, (long)CURLPROXY_HTTP);
        break;
    case HTTP_PROXY_SOCKS5:
        SET(transfer, CURLOPT_PROXYTYPE, (long)CURLPROXY_SOCKS5_HOSTNAME);
        break;
    }
    SET(transfer, CURLOPT_PROXY, request->proxy_host);
    SET(transfer, CURLOPT_NOPROXY, "");
    if (request->proxy_port != 0)
        SET(transfer, CURLOPT_PROXYPORT, (long)request->proxy_port);
    if (request->proxy_user != NULL) {
        SET(transfer, CURLOPT_PROXYUSERNAME, request->proxy_user);
        SET(transfer, CURLOPT_PROXYPASSWORD,
            request->proxy_password == NULL ? "" : request->proxy_password);
    }
}

static void set_pem(struct transfer *transfer, CURLoption option, const char *pem)
{
    if (pem == NULL)
        return;
    // libcurl copies it, and takes a pointer to what it will not change.
    union {
        const char *constant;
        void *plain;
    } text = { .constant = pem };
    struct curl_blob blob = { .data = text.plain, .len = strlen(pem), .flags = CURL_BLOB_COPY };
    CHECK(curl_easy_setopt(transfer->easy, option, &blob) == CURLE_OK);
}

static void set_tls(struct transfer *transfer)
{
    const struct http_request *request = transfer->request;
    if (request->insecure) {
        SET(transfer, CURLOPT_SSL_VERIFYPEER, 0L);
        SET(transfer, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    set_pem(transfer, CURLOPT_CAINFO_BLOB, request->ca_pem);
    set_pem(transfer, CURLOPT_SSLCERT_BLOB, request->cert_pem);
    set_pem(transfer, CURLOPT_SSLKEY_BLOB, request->key_pem);
}

/* The URL with the query of the request, without its fragment. */
static char *full_url(struct transfer *transfer)
{
    const struct http_request *request = transfer->request;
    struct buf text = { 0 };
    buf_add(&text, request->url, strcspn(request->url, "#"));
    if (request->query != NULL && request->query->count > 0) {
        buf_putc(&text, strchr(buf_text(&text), '?') == NULL ? '?' : '&');
        url_format_query(&text, request->query);
    }
    char *url = buf_dup(&text, transfer->arena);
    buf_free(&text);
    return url;
}

bool transfer_set_options(struct transfer *transfer, struct error *err)
{
    const struct http_request *request = transfer->request;
    struct url url;
    if (request->url == NULL || !url_parse(transfer->arena, request->url, &url) ||
        (!str_eq(url.scheme, "http") && !str_eq(url.scheme, "https")))
        return error_set(err, ERR_INVALID, "the URL is not one of http or https");

    SET(transfer, CURLOPT_URL, full_url(transfer));
    SET(transfer, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(transfer, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(transfer, CURLOPT_NOSIGNAL, 1L);
    SET(transfer, CURLOPT_TCP_NODELAY, 1L);
    SET(transfer, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(transfer, CURLOPT_USERAGENT, "weir");
    SET(transfer, CURLOPT_ERRORBUFFER, transfer->detail);
    SET(transfer, CURLOPT_PRIVATE, transfer);
    SET(transfer, CURLOPT_HEADERFUNCTION, transfer_on_header);
    SET(transfer, CURLOPT_HEADERDATA, transfer);
    SET(transfer, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(transfer, CURLOPT_WRITEFUNCTION, transfer_on_body);
    SET(transfer, CURLOPT_WRITEDATA, transfer);
    SET(transfer, CURLOPT_PREREQFUNCTION, transfer_on_ready);
    SET(transfer, CURLOPT_PREREQDATA, transfer);
    if (!request->keep_encoding)
        SET(transfer, CURLOPT_ACCEPT_ENCODING, "");
    if (!request->no_redirects) {
        SET(transfer, CURLOPT_FOLLOWLOCATION, 1L);
        SET(transfer, CURLOPT_MAXREDIRS, (long)HTTP_REDIRECTS_MAX);
    }
    usec_t connect = request->connect_timeout > 0 ? request->connect_timeout : HTTP_CONNECT_TIMEOUT;
    SET(transfer, CURLOPT_CONNECTTIMEOUT_MS, millis(connect));
    if (request->total_timeout > 0)
        SET(transfer, CURLOPT_TIMEOUT_MS, millis(request->total_timeout));
    set_auth(transfer);
    if (request->unix_socket != NULL) {
        SET(transfer, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
        SET(transfer, CURLOPT_PROXY, "");
    } else {
        set_proxy(transfer);
    }
    set_tls(transfer);
    return set_body(transfer, err) && set_headers(transfer, err);
}
