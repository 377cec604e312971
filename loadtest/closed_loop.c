// SPDX-License-Identifier: MIT
// A load generator of little cost: each connection asks for one target, waits for the answer, and asks again. wrk
// spends more on a read from memory than the service does (it has two epoll_ctl and a second turn of its loop for
// each), so that its own rate would be measured.
//
// closed_loop PORT SECONDS CONNECTIONS TARGET
//
// Prints one line of JSON, as traffic.lua does; times are in microseconds.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, READ_SIZE = 65536, EVENTS = 256, LATENCY_MAX_US = 1 << 20 };

struct client {
    int fd;
    size_t missing; // bytes of the answer's body that are still to come
    uint64_t sent_us;
};

static char request[4096], input[READ_SIZE + 1];
static size_t request_len;
static struct client clients[CONNECTIONS_MAX];
static uint64_t answered, bad, latencies[LATENCY_MAX_US];

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void ask(struct client *client) {
    client->sent_us = now_us();
    if (send(client->fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len)
        fail("send");
}

static void count_answer(const struct client *client) {
    uint64_t took = now_us() - client->sent_us;
    latencies[took < LATENCY_MAX_US ? took : LATENCY_MAX_US - 1]++;
    answered++;
}

// The head of an answer comes whole: both servers write it at once.
static size_t bytes_missing(ssize_t len) {
    input[len] = '\0';
    char *end = strstr(input, "\r\n\r\n"), *length = strcasestr(input, "\r\ncontent-length: ");
    if (!end || !length || length > end) {
        fprintf(stderr, "closed_loop: an answer without a length\n");
        exit(1);
    }
    bad += strncmp(input, "HTTP/1.1 200", 12) != 0;
    return strtoul(length + sizeof "\r\ncontent-length: " - 1, NULL, 10) - (size_t)(len - (end + 4 - input));
}

// Reads what there is, as edges are waited for.
static void take(struct client *client) {
    ssize_t len;
    do {
        len = recv(client->fd, input, READ_SIZE, MSG_DONTWAIT);
        if (len < 0 && errno == EAGAIN)
            return;
        if (len <= 0) {
            fprintf(stderr, "closed_loop: the server has closed a connection\n");
            exit(1);
        }
        client->missing = client->missing ? client->missing - (size_t)len : bytes_missing(len);
    } while (client->missing && len == READ_SIZE);
    if (client->missing)
        return;
    count_answer(client);
    ask(client);
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
        fail("connect");
    return fd;
}

static uint64_t percentile(double share) {
    uint64_t wanted = (uint64_t)(share * (double)answered), passed = 0;
    for (uint64_t us = 0; us < LATENCY_MAX_US; us++)
        if ((passed += latencies[us]) > wanted)
            return us;
    return LATENCY_MAX_US;
}

static void drive(int poll, uint64_t until_us) {
    struct epoll_event events[EVENTS];
    while (now_us() < until_us) {
        int ready = epoll_wait(poll, events, EVENTS, 100);
        if (ready < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < ready; i++)
            take(events[i].data.ptr);
    }
}

int main(int argc, char **argv) {
    int count = argc == 5 ? atoi(argv[3]) : 0, poll = epoll_create1(0);
    double seconds = argc == 5 ? atof(argv[2]) : 0;
    if (count < 1 || count > CONNECTIONS_MAX || seconds <= 0) {
        fprintf(stderr, "closed_loop PORT SECONDS CONNECTIONS TARGET\n");
        return 2;
    }
    request_len = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: load\r\n\r\n", argv[4]);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = &clients[i]};
        clients[i].fd = connect_to(atoi(argv[1]));
        epoll_ctl(poll, EPOLL_CTL_ADD, clients[i].fd, &event);
    }
    uint64_t began = now_us();
    for (int i = 0; i < count; i++)
        ask(&clients[i]);
    drive(poll, began + (uint64_t)(1e6 * seconds));
    printf("JSON {\"requests\": %lu, \"seconds\": %.6f, \"bad\": %lu, \"p50\": %lu, \"p99\": %lu, \"p99.9\": %lu}\n",
           answered, (double)(now_us() - began) / 1e6, bad, percentile(0.5), percentile(0.99), percentile(0.999));
    return 0;
}
