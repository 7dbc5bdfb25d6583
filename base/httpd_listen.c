/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/httpd_internal.h"

/* Connections the kernel keeps until they are accepted. */
#define BACKLOG 1024

/* Failure of a system call while the address was being bound. */
static void listen_failed(const struct httpd_options *options, int number, struct error *err)
{
    const char *host = options->host == NULL ? "*" : options->host;
    const char *setting = options->setting == NULL ? "the listen address" : options->setting;
    switch (number) {
    case EADDRINUSE:
        error_set(err, ERR_CONFLICT,
                  "address %s:%u is in use by another process; choose another with %s", host,
                  options->port, setting);
        break;
    case EACCES:
    case EPERM:
        error_set(err, ERR_DENIED,
                  "listen on %s:%u: ports below 1024 need rights; choose another with %s", host,
                  options->port, setting);
        break;
    case EADDRNOTAVAIL:
        error_set(err, ERR_INVALID, "'%s' is not an address of this machine; change %s", host,
                  setting);
        break;
    default:
        error_set(err, ERR_INTERNAL, "listen on %s:%u: %s", host, options->port, strerror(number));
        break;
    }
}

static int bind_one(const struct addrinfo *info)
{
    static const int on = 1;
    static const int off = 0;
    static const int idle = 60; // seconds until a silent client is asked whether it lives
    AUTO_FD int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    // Accepted connections inherit the options.
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    if (info->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
        return -1;
    return fd_steal(&fd);
}

int listener_open(const struct httpd_options *options, struct error *err)
{
    struct addrinfo hints = {
        .ai_family = options->host == NULL ? AF_INET6 : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", options->port);
    for (;;) {
        struct addrinfo *found = NULL;
        int failure = getaddrinfo(options->host, port, &hints, &found);
        if (failure != 0) {
            error_set(err, ERR_INVALID, "'%s' is not an address to listen on: %s",
                      options->host == NULL ? "*" : options->host, gai_strerror(failure));
            return -1;
        }
        int fd = -1;
        int number = 0;
        for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
            fd = bind_one(at);
            if (fd < 0 && (number == 0 || errno == EADDRINUSE))
                number = errno;
        }
        freeaddrinfo(found);
        if (fd >= 0)
            return fd;
        // A machine without IPv6.
        if (options->host == NULL && hints.ai_family == AF_INET6 &&
            (number == EAFNOSUPPORT || number == EADDRNOTAVAIL)) {
            hints.ai_family = AF_INET;
            continue;
        }
        listen_failed(options, number, err);
        return -1;
    }
}

unsigned listener_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address = { .six = { 0 } };
    socklen_t length = sizeof(address);
    CHECK(getsockname(fd, &address.any, &length) == 0);
    return ntohs(address.any.sa_family == AF_INET6 ? address.six.sin6_port : address.four.sin_port);
}
