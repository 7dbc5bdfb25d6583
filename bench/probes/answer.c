/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Static answers per second of one server thread over 64 connections that stay open: bare
 * libmicrohttpd, then base/httpd.h. The client is one thread of this program.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/httpd.h"
#include "bench/probes/probe.h"

enum { CONNECTIONS = 64 };

#define SPAN (USEC_SEC / 2)

static const char request[] = "GET /static HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char body[] = "{\"state\":\"SUCCESS\"}";

static int dial(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr = { htonl(INADDR_LOOPBACK) },
    };
    static const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    return fd;
}

/* One request under way on each connection; an answer is small enough to come in one piece. */
static double ask(void *context)
{
    unsigned port = *(const unsigned *)context;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int fds[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = dial(port);
        struct epoll_event event = { .events = EPOLLIN, .data = { .fd = fds[i] } };
        CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) == 0);
        CHECK(write(fds[i], request, sizeof(request) - 1) == sizeof(request) - 1);
    }
    usec_t started = clock_monotonic();
    double answers = 0;
    while (clock_monotonic() - started < SPAN) {
        struct epoll_event events[CONNECTIONS];
        int count = epoll_wait(epoll, events, CONNECTIONS, 1000);
        for (int i = 0; i < count; i++) {
            char text[2048];
            ssize_t got = read(events[i].data.fd, text, sizeof(text));
            CHECK(got > (ssize_t)sizeof(body));
            CHECK(memcmp(text + got - (sizeof(body) - 1), body, sizeof(body) - 1) == 0);
            CHECK(write(events[i].data.fd, request, sizeof(request) - 1) == sizeof(request) - 1);
            answers++;
        }
    }
    double rate = probe_rate(answers, started);
    for (int i = 0; i < CONNECTIONS; i++)
        (void)close(fds[i]);
    (void)close(epoll);
    return rate;
}

static enum MHD_Result on_request(void *context,
                                  struct MHD_Connection *connection,
                                  const char *url,
                                  const char *method,
                                  const char *version,
                                  const char *upload,
                                  size_t *upload_length,
                                  void **state)
{
    static char seen;
    (void)context;
    (void)url;
    (void)method;
    (void)version;
    (void)upload;
    (void)upload_length;
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    static char bytes[sizeof(body)];
    memcpy(bytes, body, sizeof(body));
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof(body) - 1, bytes, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

static void handle(void *context, struct httpd_request *req)
{
    (void)context;
    struct httpd_reply reply = {
        .status = 200,
        .body = HTTPD_BODY_STATIC,
        .bytes = body,
        .length = sizeof(body) - 1,
    };
    httpd_reply(req, &reply);
}

int main(int argc, char **argv)
{
    int rounds = probe_rounds(argc, argv);
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
                                                 on_request, NULL, MHD_OPTION_END);
    CHECK(daemon != NULL);
    unsigned bare = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    struct error err = { 0 };
    struct httpd_options options = { .host = "127.0.0.1", .handler = handle };
    struct httpd *httpd = httpd_start(&options, &err);
    CHECK(httpd != NULL);
    unsigned ours = httpd_port(httpd);
    probe_run("answer", "answers/s", rounds, ask, &bare, ask, &ours);
    httpd_stop(httpd);
    MHD_stop_daemon(daemon);
    return EXIT_SUCCESS;
}
