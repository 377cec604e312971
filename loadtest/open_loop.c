// SPDX-License-Identifier: MIT
// A load generator of constant rate: request number n is due at the instant start + n / rate, whether or not earlier
// ones have been answered, and its latency counts from that instant. A generator that waits for answers (wrk) asks less
// of a slow server and so hides the queue before it.
//
// open_loop PORT RATE SECONDS CONNECTIONS FILE
//
// FILE has a request a line: METHOD TARGET [VISITOR], taken in order and again from the beginning. A request that finds
// no idle connection waits for one. Prints one line of JSON; times are in microseconds; `scheduled` counts from the
// instant of the plan, `sent` from when a connection took the request.
#include <inttypes.h>
#include <llhttp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

enum { READ_SIZE = 65536, CONNECT_MS = 20000, DRAIN_MS = 5000 };

// ---- Histograms: 64 buckets for each power of two, so within 1.6 %

enum { FINE = 64, POWERS = 40 };

struct histogram {
    uint64_t counts[FINE * POWERS], total, most;
};

static size_t bucket_of(uint64_t us) {
    if (us < FINE)
        return (size_t)us;
    unsigned power = 63 - (unsigned)__builtin_clzll(us) - 6; // so that us >> power lies in 64 … 127
    size_t at = (size_t)FINE * (power + 1) + (size_t)((us >> power) - FINE);
    return at < FINE * POWERS ? at : FINE * POWERS - 1;
}

static uint64_t value_of(size_t bucket) {
    return bucket < FINE ? bucket : (uint64_t)(FINE + bucket % FINE) << (bucket / FINE - 1);
}

static void histogram_add(struct histogram *histogram, uint64_t us) {
    histogram->counts[bucket_of(us)]++;
    histogram->total++;
    if (us > histogram->most)
        histogram->most = us;
}

static uint64_t percentile(const struct histogram *histogram, double share) {
    uint64_t wanted = (uint64_t)(share * (double)histogram->total), passed = 0;
    for (size_t at = 0; at < FINE * POWERS; at++)
        if ((passed += histogram->counts[at]) > wanted)
            return value_of(at);
    return histogram->most;
}

static void print_histogram(const char *name, const struct histogram *histogram) {
    printf(", \"%s\": {\"p50\": %" PRIu64 ", \"p90\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"p99.9\": %" PRIu64
           ", \"max\": %" PRIu64 "}",
           name, percentile(histogram, 0.5), percentile(histogram, 0.9), percentile(histogram, 0.99),
           percentile(histogram, 0.999), histogram->most);
}

// ---- The plan

struct client {
    uv_tcp_t stream;
    uv_connect_t connect;
    llhttp_t parser;
    uint64_t scheduled_ns, sent_ns;
    bool busy;
    struct client *next_idle;
};

static uv_loop_t loop;
static uv_poll_t ticks;
static uv_timer_t limit; // on connecting, then on the last answers
static int tick_fd;
static llhttp_settings_t parser_settings;
static struct sockaddr_in address;
static uv_buf_t *requests;
static size_t request_count;
static struct client *clients, *idle;
static unsigned client_count, connected;
static double interval_ns;
static uint64_t start_ns, planned, due, issued, answered, ok, refused, failed, broken;
static struct histogram ok_scheduled, ok_sent, refused_sent;
static bool running, over;

static void connect_client(struct client *client);
static void send_due(void);

// ---- Answers

static void finish(void) {
    over = true;
    uv_stop(&loop);
}

static void count_answer(struct client *client, int status) {
    uint64_t now = uv_hrtime();
    answered++;
    client->busy = false;
    if (status == 503) {
        refused++;
        histogram_add(&refused_sent, (now - client->sent_ns) / 1000);
    } else if (status >= 200 && status < 400) {
        ok++;
        histogram_add(&ok_scheduled, (now - client->scheduled_ns) / 1000);
        histogram_add(&ok_sent, (now - client->sent_ns) / 1000);
    } else {
        failed++;
    }
}

static int on_message_complete(llhttp_t *parser) {
    struct client *client = parser->data;
    if (client->busy)
        count_answer(client, parser->status_code);
    if (llhttp_should_keep_alive(parser)) {
        client->next_idle = idle;
        idle = client;
    }
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    if (!over)
        connect_client(handle->data);
}

static void drop(struct client *client) {
    if (uv_is_closing((uv_handle_t *)&client->stream))
        return;
    for (struct client **at = &idle; *at; at = &(*at)->next_idle)
        if (*at == client) {
            *at = client->next_idle;
            break;
        }
    broken += client->busy;
    answered += client->busy;
    client->busy = false;
    uv_close((uv_handle_t *)&client->stream, on_closed);
}

static void give_input(uv_handle_t *handle, size_t wanted, uv_buf_t *buf) {
    static char input[READ_SIZE];
    (void)handle, (void)wanted;
    *buf = uv_buf_init(input, sizeof input);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf) {
    struct client *client = stream->data;
    if (len < 0 || (len > 0 && llhttp_execute(&client->parser, buf->base, (size_t)len) != HPE_OK))
        drop(client);
    send_due();
    if (running && due == planned && answered == planned)
        finish();
}

// ---- Requests

static void send_one(struct client *client) {
    const uv_buf_t *request = &requests[issued % request_count];
    client->scheduled_ns = start_ns + (uint64_t)((double)issued * interval_ns);
    client->sent_ns = uv_hrtime();
    client->busy = true;
    issued++;
    if (uv_try_write((uv_stream_t *)&client->stream, request, 1) != (int)request->len)
        drop(client);
}

static void send_due(void) {
    while (issued < due && idle) {
        struct client *client = idle;
        idle = client->next_idle;
        send_one(client);
    }
}

static void on_limit(uv_timer_t *timer) {
    (void)timer;
    finish();
}

static void on_tick(uv_poll_t *poll, int status, int events) {
    uint64_t passed;
    (void)status, (void)events;
    if (read(tick_fd, &passed, sizeof passed) != sizeof passed)
        return;
    due = due + passed < planned ? due + passed : planned;
    send_due();
    if (due == planned) {
        uv_poll_stop(poll);
        uv_timer_start(&limit, on_limit, DRAIN_MS, 0);
    }
}

static void start_plan(void) {
    struct itimerspec every = {{(time_t)(interval_ns / 1e9), (long)interval_ns % 1000000000}, {0, 1}};
    running = true;
    start_ns = uv_hrtime();
    uv_timer_stop(&limit);
    timerfd_settime(tick_fd, 0, &every, NULL);
    uv_poll_start(&ticks, UV_READABLE, on_tick);
}

// ---- Connections

static void on_connected(uv_connect_t *connect, int status) {
    struct client *client = connect->data;
    if (status < 0 || uv_read_start((uv_stream_t *)&client->stream, give_input, on_read) < 0) {
        drop(client);
        return;
    }
    uv_tcp_nodelay(&client->stream, 1);
    client->next_idle = idle;
    idle = client;
    if (!running && ++connected == client_count)
        start_plan();
    send_due();
}

static void connect_client(struct client *client) {
    uv_tcp_init(&loop, &client->stream);
    client->stream.data = client->connect.data = client;
    llhttp_init(&client->parser, HTTP_RESPONSE, &parser_settings);
    client->parser.data = client;
    uv_tcp_connect(&client->connect, &client->stream, (struct sockaddr *)&address, on_connected);
}

static bool load_requests(const char *path) {
    char line[4096], method[16], target[3072], visitor[256], head[4096];
    size_t room = 0;
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        int fields = sscanf(line, "%15s %3071s %255s", method, target, visitor);
        if (fields < 2)
            continue;
        int len = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: load\r\n%s%s%s%s\r\n", method, target,
                           fields == 3 ? "Engaged-Visitor: " : "", fields == 3 ? visitor : "",
                           fields == 3 ? "\r\n" : "", strcmp(method, "GET") == 0 ? "" : "Content-Length: 0\r\n");
        if (request_count == room)
            requests = realloc(requests, (room = room ? 2 * room : 1024) * sizeof *requests);
        requests[request_count++] = uv_buf_init(strdup(head), (unsigned)len);
    }
    if (file)
        fclose(file);
    return request_count > 0;
}

static void print_result(double seconds) {
    printf("{\"planned\": %" PRIu64 ", \"unsent\": %" PRIu64 ", \"unanswered\": %" PRIu64 ", \"ok\": %" PRIu64
           ", \"refused\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"broken\": %" PRIu64 ", \"seconds\": %.3f",
           planned, planned - issued, issued - answered, ok, refused, failed, broken, seconds);
    print_histogram("scheduled", &ok_scheduled);
    print_histogram("sent", &ok_sent);
    print_histogram("refusal", &refused_sent);
    puts("}");
}

int main(int argc, char **argv) {
    double rate = argc == 6 ? atof(argv[2]) : 0, seconds = argc == 6 ? atof(argv[3]) : 0;
    client_count = argc == 6 ? (unsigned)atoi(argv[4]) : 0;
    if (rate <= 0 || seconds <= 0 || !client_count || !load_requests(argv[5])) {
        fprintf(stderr, "open_loop PORT RATE SECONDS CONNECTIONS FILE\n");
        return 2;
    }
    planned = (uint64_t)(rate * seconds);
    interval_ns = (double)(uint64_t)(1e9 / rate); // the timer counts whole nanoseconds
    uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address);
    llhttp_settings_init(&parser_settings);
    parser_settings.on_message_complete = on_message_complete;
    uv_loop_init(&loop);
    tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    uv_poll_init(&loop, &ticks, tick_fd);
    uv_timer_init(&loop, &limit);
    uv_timer_start(&limit, on_limit, CONNECT_MS, 0);
    clients = calloc(client_count, sizeof *clients);
    for (unsigned i = 0; i < client_count; i++)
        connect_client(&clients[i]);
    uv_run(&loop, UV_RUN_DEFAULT);
    if (!running) {
        fprintf(stderr, "open_loop: %u of %u connections\n", connected, client_count);
        return 1;
    }
    print_result((double)(uv_hrtime() - start_ns) / 1e9);
    return 0;
}
