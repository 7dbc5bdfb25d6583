/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP load on loopback: keep-alive connections, closed loop or open loop at a fixed rate.
 *
 *     load [options] PORT PATH
 *       --method M          POST
 *       --body TEXT         none
 *       --in-flight N       connections, one request at a time each (16)
 *       --requests N        stop after so many (10000)
 *       --seconds S         or after so long (30)
 *       --rate R            requests a second, open loop: latency counts from the planned moment
 *
 * Prints one JSON object: requests, failed (status other than 2xx, or a lost connection), seconds,
 * per_second, and latencies in microseconds (min, p50, p90, p99, max).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"

#define CONNECTIONS_MAX 4096
#define RESPONSE_MAX    (4U * 1024U * 1024U)

struct connection {
    int fd;
    char *bytes;
    size_t length;
    size_t capacity;
    usec_t began; /* of the request in flight; 0 idle */
};

struct options {
    const char *method;
    const char *body;
    size_t in_flight;
    size_t requests;
    double seconds;
    double rate;
    unsigned port;
    const char *path;
};

struct load {
    struct options options;
    struct connection connections[CONNECTIONS_MAX];
    char *request;
    size_t request_length;
    int epoll;
    size_t sent;
    size_t done;
    size_t failed;
    int64_t *latencies;
    usec_t started;
};

static int connect_to(unsigned port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)fprintf(stderr, "load: connect to port %u: %s\n", port, strerror(errno));
        exit(EXIT_FAILURE);
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void send_request(struct load *load, struct connection *connection, usec_t planned)
{
    connection->began = planned;
    connection->length = 0;
    load->sent++;
    size_t at = 0;
    while (at < load->request_length) {
        ssize_t n = write(connection->fd, load->request + at, load->request_length - at);
        if (n > 0)
            at += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            break; // the read side notices that the connection is gone
    }
}

/* Bytes of the whole response when it is complete; 0 not yet. */
static size_t response_size(const struct connection *connection)
{
    const char *end = memmem(connection->bytes, connection->length, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - connection->bytes) + 4;
    const char *field = strcasestr(connection->bytes, "\r\ncontent-length:");
    if (field != NULL && field < end) {
        size_t body = strtoull(field + strlen("\r\ncontent-length:"), NULL, 10);
        return connection->length >= head + body ? head + body : 0;
    }
    if (strcasestr(connection->bytes, "\r\ntransfer-encoding: chunked") != NULL)
        return memmem(end + 2, connection->length - head + 2, "\r\n0\r\n\r\n", 7) != NULL
                   ? connection->length
                   : 0;
    return head;
}

static void finish(struct load *load, struct connection *connection, bool is_good)
{
    load->latencies[load->done++] = clock_monotonic() - connection->began;
    if (!is_good)
        load->failed++;
    connection->began = 0;
}

static bool wants_more(const struct load *load)
{
    if (load->sent >= load->options.requests)
        return false;
    return (double)(clock_monotonic() - load->started) < load->options.seconds * (double)USEC_SEC;
}

static void reconnect(struct load *load, struct connection *connection)
{
    (void)close(connection->fd);
    connection->fd = connect_to(load->options.port);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    (void)epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event);
}

static void on_readable(struct load *load, struct connection *connection)
{
    if (connection->length + 65536 > connection->capacity) {
        CHECK(connection->capacity < RESPONSE_MAX);
        connection->capacity = connection->capacity == 0 ? 131072 : connection->capacity * 2;
        connection->bytes = check_realloc(connection->bytes, connection->capacity);
    }
    ssize_t n = read(connection->fd, connection->bytes + connection->length,
                     connection->capacity - connection->length - 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        if (connection->began != 0)
            finish(load, connection, false);
        reconnect(load, connection);
    } else {
        connection->length += (size_t)n;
        connection->bytes[connection->length] = '\0';
        if (response_size(connection) == 0)
            return;
        finish(load, connection, connection->length > 12 && connection->bytes[9] == '2');
    }
    if (load->options.rate == 0 && wants_more(load))
        send_request(load, connection, clock_monotonic());
}

/* Open loop: sends what is due on idle connections; what finds none keeps its planned moment. */
static void send_due(struct load *load)
{
    usec_t now = clock_monotonic();
    for (size_t i = 0; i < load->options.in_flight && wants_more(load); i++) {
        if (load->connections[i].began != 0)
            continue;
        usec_t planned =
            load->started + (usec_t)((double)load->sent * (double)USEC_SEC / load->options.rate);
        if (planned > now)
            return;
        send_request(load, &load->connections[i], planned);
    }
}

static void run(struct load *load)
{
    load->started = clock_monotonic();
    for (size_t i = 0; i < load->options.in_flight; i++) {
        struct connection *connection = &load->connections[i];
        connection->fd = connect_to(load->options.port);
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
        CHECK(epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0);
        if (load->options.rate == 0 && wants_more(load))
            send_request(load, connection, clock_monotonic());
    }
    while (load->done < load->sent || wants_more(load)) {
        struct epoll_event events[256];
        if (load->options.rate > 0)
            send_due(load);
        int count = epoll_wait(load->epoll, events, 256, load->options.rate > 0 ? 1 : 1000);
        for (int i = 0; i < count; i++)
            on_readable(load, events[i].data.ptr);
    }
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void report(struct load *load)
{
    double seconds = (double)(clock_monotonic() - load->started) / (double)USEC_SEC;
    size_t n = load->done;
    qsort(load->latencies, n, sizeof(load->latencies[0]), compare);
    const int64_t *l = load->latencies;
    (void)printf("{\"requests\":%zu,\"failed\":%zu,\"seconds\":%.3f,\"per_second\":%.1f", n,
                 load->failed, seconds, (double)n / seconds);
    if (n > 0)
        (void)printf(
            ",\"min_us\":%lld,\"p50_us\":%lld,\"p90_us\":%lld,\"p99_us\":%lld,\"max_us\":%lld",
            (long long)l[0], (long long)l[n / 2], (long long)l[n * 9 / 10],
            (long long)l[n * 99 / 100], (long long)l[n - 1]);
    (void)puts("}");
}

static void parse(int argc, char **argv, struct options *options)
{
    static const struct option rows[] = {
        { "method", required_argument, NULL, 'm' },
        { "body", required_argument, NULL, 'b' },
        { "in-flight", required_argument, NULL, 'c' },
        { "requests", required_argument, NULL, 'n' },
        { "seconds", required_argument, NULL, 's' },
        { "rate", required_argument, NULL, 'r' },
        { NULL, 0, NULL, 0 },
    };
    *options =
        (struct options){ .method = "POST", .in_flight = 16, .requests = 10000, .seconds = 30 };
    for (int c; (c = getopt_long(argc, argv, "", rows, NULL)) != -1;) {
        if (c == 'm')
            options->method = optarg;
        else if (c == 'b')
            options->body = optarg;
        else if (c == 'c')
            options->in_flight = strtoull(optarg, NULL, 10);
        else if (c == 'n')
            options->requests = strtoull(optarg, NULL, 10);
        else if (c == 's')
            (void)str_to_double(optarg, &options->seconds);
        else if (c == 'r')
            (void)str_to_double(optarg, &options->rate);
        else
            exit(EXIT_FAILURE);
    }
    if (argc - optind != 2 || options->in_flight == 0 || options->in_flight > CONNECTIONS_MAX) {
        (void)fputs("usage: load [options] PORT PATH\n", stderr);
        exit(EXIT_FAILURE);
    }
    options->port = (unsigned)strtoul(argv[optind], NULL, 10);
    options->path = argv[optind + 1];
}

int main(int argc, char **argv)
{
    static struct load load;
    parse(argc, argv, &load.options);
    const char *body = load.options.body == NULL ? "" : load.options.body;
    size_t room = strlen(load.options.path) + strlen(body) + 256;
    load.request = check_malloc(room);
    load.request_length =
        (size_t)snprintf(load.request, room,
                         "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                         "Content-Type: application/json\r\n"
                         "Content-Length: %zu\r\n\r\n%s",
                         load.options.method, load.options.path, strlen(body), body);
    load.latencies =
        check_calloc(load.options.requests + CONNECTIONS_MAX, sizeof(load.latencies[0]));
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(load.epoll >= 0);
    run(&load);
    report(&load);
    return load.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
