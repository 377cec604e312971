// SPDX-License-Identifier: MIT
// A small real server over the HTTP room, for the tests in this folder. Prints "listening PORT" and ends with status 0
// only when the loop closed with nothing open. Limits come as name=value arguments (see `options`).
//
// To add a route: one function and one line in `routes`.
#include "base/clock.h"
#include "base/keyed.h"
#include "http/body.h"
#include "http/uri.h"
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

enum { BODY_LIMIT = 16384, HOGGED_MAX = 4096 };

static uv_loop_t loop;
static uv_signal_t on_term;
static struct http_server *server;
static struct body *cached, *small;
static uint64_t opened, open_now, refused, requests, bad, timeouts, bytes_out, cuts, pieces;
static uint32_t grace_ms = 2000;
static int hogged[HOGGED_MAX], hogged_count;

static struct http_limits limits = {
    .connections = 10000,
    .request_line = 16384,
    .head = 32768,
    .fields = 100,
    .arena = 65536,
    .request_timeout_ms = 2000,
    .idle_timeout_ms = 5000,
    .send_timeout_ms = 2000,
    .output = 65536,
};

// ---- Arguments of a request

static unsigned long long number_of(struct http_request *request, const char *wanted, unsigned long long preset) {
    struct bytes rest = request->query, name, value;
    unsigned long long number = preset;
    while (query_next(&rest, &name, &value))
        if (bytes_eq(name, bytes_of(wanted)) && bytes_to_u64(value, 1ull << 40, &number))
            return number;
    return preset;
}

static void answer(struct http_request *request, int status, struct bytes body) {
    http_reply(request, &(struct http_reply){.status = status, .media_type = "text/plain", .body = body});
}

static void answer_buffer(struct http_request *request, struct buffer *body) {
    answer(request, 200, buffer_bytes(body));
    buffer_release(body);
}

// ---- Routes

static void hello(struct http_request *request) {
    answer(request, 200, BYTES("hello\n"));
}

static void made(struct http_request *request) {
    http_reply_made(request, 200, BYTES("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"),
                    BYTES("made\n"));
}

static void add_line(struct buffer *out, const char *name, struct bytes value) {
    if (value.at)
        buffer_addf(out, "%s: %.*s\n", name, (int)value.len, value.at);
}

// What the server understood of the request.
static void echo(struct http_request *request) {
    static const char *const field_names[] = {
#define FIELD(name, text) text,
#include "http/http_fields.def"
#undef FIELD
    };
    struct buffer out;
    buffer_init(&out, 1 << 20);
    buffer_addf(&out, "method: %d\nhas_body: %d\nloopback: %d\n", (int)request->method, request->has_body,
                request->peer.loopback);
    add_line(&out, "target", request->target);
    add_line(&out, "path", request->path);
    add_line(&out, "query", request->query);
    add_line(&out, "host", request->host);
    for (int i = 0; i < HTTP_FIELD_COUNT; i++)
        add_line(&out, field_names[i], request->fields[i]);
    add_line(&out, "body", request->body);
    answer_buffer(request, &out);
}

static void decode(struct http_request *request) {
    struct bytes text;
    struct bytes escaped = {request->path.at + 8, request->path.len - 8};
    if (uri_decode(request->arena, escaped, false, &text))
        answer(request, 200, text);
    else
        answer(request, 400, BYTES("bad escape\n"));
}

static void length(struct http_request *request) {
    struct buffer out;
    buffer_init(&out, 64);
    buffer_addf(&out, "%zu\n", request->body.len);
    answer_buffer(request, &out);
}

static void reply_cached(struct http_request *request) {
    http_reply_body(request, cached);
}

static void reply_small(struct http_request *request) {
    http_reply_body(request, small);
}

static void big(struct http_request *request) {
    size_t len = number_of(request, "bytes", 1 << 20);
    char *text = malloc(len + 1);
    memset(text, 'b', len);
    answer(request, 200, (struct bytes){text, len});
    free(text);
}

static void refuse(struct http_request *request) {
    answer(request, 404, BYTES("no such thing\n"));
}

static void no_content(struct http_request *request) {
    http_reply(request, &(struct http_reply){.status = 204});
}

static void last(struct http_request *request) {
    http_reply(request,
               &(struct http_reply){.status = 200, .media_type = "text/plain", .body = BYTES("bye\n"), .close = true});
}

static void stats(struct http_request *request) {
    struct buffer out;
    buffer_init(&out, 4096);
    buffer_addf(&out, "opened %llu\nopen %llu\nrefused %llu\nrequests %llu\nbad %llu\ntimeouts %llu\ncuts %llu\n",
                (unsigned long long)opened, (unsigned long long)open_now, (unsigned long long)refused,
                (unsigned long long)requests, (unsigned long long)bad, (unsigned long long)timeouts,
                (unsigned long long)cuts);
    answer_buffer(request, &out);
}

// Takes all free descriptors but `left`, or gives them back.
static void hog(struct http_request *request) {
    int fd;
    while (hogged_count < HOGGED_MAX && (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        hogged[hogged_count++] = fd;
    for (unsigned long long left = number_of(request, "left", 0); left && hogged_count; left--)
        close(hogged[--hogged_count]);
    answer(request, 200, BYTES("hogged\n"));
}

static void unhog(struct http_request *request) {
    while (hogged_count)
        close(hogged[--hogged_count]);
    answer(request, 200, BYTES("free\n"));
}

// ---- Later answers: a timer takes the place of the store

struct later {
    uv_timer_t timer;
    struct http_request *request;
    void (*then)(struct http_request *request);
};

static void free_timer(uv_handle_t *handle) {
    free(handle->data);
}

static void on_later(uv_timer_t *timer) {
    struct later *later = timer->data;
    later->then(later->request);
    uv_close((uv_handle_t *)timer, free_timer);
}

static void call_later(struct http_request *request, uint64_t ms, void (*then)(struct http_request *request)) {
    struct later *later = malloc(sizeof *later);
    later->request = request;
    later->then = then;
    later->timer.data = later;
    uv_timer_init(&loop, &later->timer);
    uv_timer_start(&later->timer, on_later, ms, 0);
}

static void slow(struct http_request *request) {
    call_later(request, number_of(request, "ms", 50), echo);
}

// ---- Streams out: lines of 64 bytes, as many as ?lines= says; a pause of ?ms= before the first

struct flow {
    unsigned long long left;
};

static void go_on(struct http_request *request) {
    static const char line[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
    struct flow *flow = request->state;
    while (flow->left > 0) {
        flow->left--;
        if (!http_stream_piece(request, (struct bytes){line, 64}, go_on))
            return;
        if (http_client_gone(request))
            break;
    }
    http_stream_end(request);
}

static void stream(struct http_request *request) {
    struct flow *flow = arena_take(request->arena, sizeof *flow);
    flow->left = number_of(request, "lines", 10);
    request->state = flow;
    http_stream_begin(request, &(struct http_reply){.status = 200, .media_type = "text/plain"});
    call_later(request, number_of(request, "ms", 0), go_on);
}

// ---- Streams in: counts bytes and newlines; ?pause= rests that many ms after each piece; ?early= answers after so
// many

struct upload {
    unsigned long long bytes, lines, pause_ms, early;
    bool answered;
};

static struct upload *upload_of(struct http_request *request) {
    if (!request->state) {
        struct upload *upload = arena_take(request->arena, sizeof *upload);
        upload->pause_ms = number_of(request, "pause", 0);
        upload->early = number_of(request, "early", 0);
        request->state = upload;
    }
    return request->state;
}

static void on_piece(struct http_request *request, struct bytes piece) {
    struct upload *upload = upload_of(request);
    pieces++;
    upload->bytes += piece.len;
    for (size_t i = 0; i < piece.len; i++)
        upload->lines += piece.at[i] == '\n';
    if (upload->early && upload->bytes >= upload->early) {
        answer(request, 422, BYTES("enough\n"));
        return;
    }
    if (upload->pause_ms) {
        http_pause(request);
        call_later(request, upload->pause_ms, http_resume);
    }
}

static void uploaded(struct http_request *request) {
    struct upload *upload = upload_of(request);
    struct buffer out;
    buffer_init(&out, 256);
    buffer_addf(&out, "%llu bytes, %llu lines\n", upload->bytes, upload->lines);
    answer_buffer(request, &out);
}

static void on_cut(struct http_request *request) {
    cuts++;
    // Goes nowhere; after a pause that is still to end, as the request is gone once it is answered.
    call_later(request, upload_of(request)->pause_ms + 20, hello);
}

// ---- The table

static const struct route {
    const char *path;
    enum http_body body;
    void (*start)(struct http_request *request);
} routes[] = {
    {"/hello", HTTP_BODY_WHOLE, hello},
    {"/made", HTTP_BODY_REFUSE, made},
    {"/echo", HTTP_BODY_WHOLE, echo},
    {"/length", HTTP_BODY_WHOLE, length},
    {"/cached", HTTP_BODY_REFUSE, reply_cached},
    {"/small", HTTP_BODY_REFUSE, reply_small},
    {"/big", HTTP_BODY_REFUSE, big},
    {"/slow", HTTP_BODY_WHOLE, slow},
    {"/stream", HTTP_BODY_REFUSE, stream},
    {"/upload", HTTP_BODY_STREAM, uploaded},
    {"/204", HTTP_BODY_REFUSE, no_content},
    {"/last", HTTP_BODY_WHOLE, last},
    {"/stats", HTTP_BODY_REFUSE, stats},
    {"/hog", HTTP_BODY_REFUSE, hog},
    {"/unhog", HTTP_BODY_REFUSE, unhog},
};

static const struct route *route_of(struct bytes path) {
    static const struct route unknown = {"", HTTP_BODY_REFUSE, refuse}, escaped = {"", HTTP_BODY_REFUSE, decode};
    if (bytes_starts(path, BYTES("/decode/")))
        return &escaped;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (bytes_eq(path, bytes_of(routes[i].path)))
            return &routes[i];
    return &unknown;
}

static struct http_body_plan on_head(struct http_request *request) {
    requests++;
    return (struct http_body_plan){route_of(request->path)->body, BODY_LIMIT};
}

static void on_request(struct http_request *request) {
    if (request->method == HTTP_METHOD_OTHER)
        http_reply(request, &(struct http_reply){.status = 405,
                                                 .media_type = "text/plain",
                                                 .fields = BYTES("Allow: GET, HEAD, POST\r\n"),
                                                 .body = BYTES("no\n")});
    else
        route_of(request->path)->start(request);
}

static const char *render_error(enum outcome outcome, const char *detail, struct buffer *body) {
    buffer_addf(body, "%s: %s\n", outcome_code(outcome), detail ? detail : "");
    return "text/plain";
}

// ---- Start and end

static void on_stopped(void *context) {
    (void)context;
    server = NULL;
    uv_close((uv_handle_t *)&on_term, NULL);
}

static void on_signal(uv_signal_t *handle, int number) {
    (void)number;
    uv_signal_stop(handle);
    http_server_stop(server, grace_ms, on_stopped, NULL);
}

static struct body *make_body(size_t len) {
    char *text = malloc(len);
    for (size_t i = 0; i < len; i++)
        text[i] = "{\"list\":[1,2,3]}"[i % 16];
    struct body *body =
        body_new((struct bytes){text, len}, "application/json", BYTES("Cache-Control: public, max-age=1\r\n"), 0);
    body_checked(body, clock_now_ms());
    free(text);
    return body;
}

static uint32_t held = UINT32_MAX;

static const struct option {
    const char *name;
    uint32_t *value;
} options[] = {
    {"connections", &limits.connections},
    {"request_line", &limits.request_line},
    {"head", &limits.head},
    {"fields", &limits.fields},
    {"arena", &limits.arena},
    {"request_timeout", &limits.request_timeout_ms},
    {"idle_timeout", &limits.idle_timeout_ms},
    {"send_timeout", &limits.send_timeout_ms},
    {"output", &limits.output},
    {"grace", &grace_ms},
    {"held", &held},
};

static bool set_option(const char *argument) {
    const char *equals = strchr(argument, '=');
    for (size_t i = 0; equals && i < sizeof options / sizeof *options; i++)
        if (bytes_eq((struct bytes){argument, (size_t)(equals - argument)}, bytes_of(options[i].name))) {
            *options[i].value = (uint32_t)strtoul(equals + 1, NULL, 10);
            return true;
        }
    return false;
}

static void on_counted(const struct http_count *counts, unsigned count, uint64_t ended_ns) {
    for (unsigned i = 0; i < count; i++)
        assert(counts[i].times && counts[i].status >= 200 && counts[i].began_ns <= ended_ns);
}

int main(int argc, char **argv) {
    const struct http_counters counters = {&opened, &open_now, &refused, &bad, &timeouts, &bytes_out};
    const struct http_callbacks callbacks = {.on_head = on_head,
                                             .on_piece = on_piece,
                                             .on_request = on_request,
                                             .on_cut = on_cut,
                                             .render_error = render_error,
                                             .on_counted = on_counted};
    const char *listen = "127.0.0.1:0";
    char error[256];
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "listen=", 7) == 0)
            listen = argv[i] + 7;
        else if (!set_option(argv[i]))
            return 2;
    signal(SIGPIPE, SIG_IGN);
    if (!keyed_init() || uv_loop_init(&loop) != 0)
        return 1;
    cached = make_body(1300);
    small = make_body(10);
    limits.held = held;
    server = http_server_start(&loop, listen, &limits, &counters, &callbacks, NULL, error, sizeof error);
    if (!server) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    uv_signal_init(&loop, &on_term);
    uv_signal_start(&on_term, on_signal, SIGTERM);
    printf("listening %d\n", http_server_port(server));
    fflush(stdout);
    uv_run(&loop, UV_RUN_DEFAULT);
    body_release(cached);
    body_release(small);
    return uv_loop_close(&loop) == 0 && open_now == 0 ? 0 : 3;
}
