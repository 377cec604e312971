// SPDX-License-Identifier: MIT
// The HTTP server: connections, requests and answers. It knows nothing of votes, Redis or sites.
//
// One request is in work per connection; pipelined ones wait in the buffer and are answered in order, replies coalesced
// into one write. The application gets a `struct http_request *` and answers it exactly once, now or later, with
// http_reply. The request, all bytes it points to and its arena live until that reply returns, even when the client has
// gone: replying to a client that left is a no-op. So an asynchronous endpoint needs no cancelling.
#pragma once
#include "base/arena.h"
#include "base/buffer.h"
#include "base/outcome.h"
#include <stdbool.h>
#include <stdint.h>

enum http_method {
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_POST,
    HTTP_METHOD_PUT,
    HTTP_METHOD_DELETE,
    HTTP_METHOD_OPTIONS,
    HTTP_METHOD_OTHER
};

// The request fields that the service reads: one line each in http_fields.def, FIELD(NAME, "lower-case-name").
enum http_field {
#define FIELD(name, text) HTTP_##name,
#include "http/http_fields.def"
#undef FIELD
    HTTP_FIELD_COUNT
};

struct http_peer {
    uint8_t address[16]; // IPv6, or IPv4 mapped (::ffff:a.b.c.d); all zero for a Unix socket
    bool loopback;       // 127.0.0.0/8, ::1 or a Unix socket
};

struct http_request {
    enum http_method method;
    struct bytes target; // as sent, origin form (absolute-form has its scheme and host taken off)
    struct bytes path;   // the target up to '?', still escaped
    struct bytes query;  // behind the '?', still escaped; at == NULL when there is no '?'
    struct bytes host;   // Host, or the host of an absolute-form target, which wins
    // Trimmed; at == NULL when absent. The values of a repeated field are joined by ", ", cookies by "; ".
    struct bytes fields[HTTP_FIELD_COUNT];
    struct bytes body; // all of it for HTTP_BODY_WHOLE, empty for HTTP_BODY_STREAM
    struct http_peer peer;
    uint16_t route;      // the application's number of what is asked for, for on_counted; 0: not known
    bool has_body;       // a body of one byte or more was announced (or is chunked)
    struct arena *arena; // the request's own memory
    void *app;           // the application's, per server
    void *state;         // the application's, per request; NULL at first
};

// How the application takes a body: in one piece, piece by piece, or not at all. Decided when the head is complete.
enum http_body { HTTP_BODY_WHOLE, HTTP_BODY_STREAM, HTTP_BODY_REFUSE };

struct http_body_plan {
    enum http_body kind;
    size_t limit; // WHOLE: a longer body is answered 413, before it is read if its length was announced
};

// What has become of an answer.
struct http_answered {
    int status;
    bool cut; // the client left before it had the whole answer
    size_t body_bytes;
    uint64_t took_us; // from the first byte of the request
};

// An answer, for counting. Those that one read has led to began together and end together.
struct http_count {
    uint16_t route, status; // of the request; 0 when its head could not be read
    uint32_t times;         // that many were the same
    uint64_t began_ns;      // clock_mono_ns
};

struct http_callbacks {
    // The head is complete; called before 100-continue is sent and before any body is read. For REFUSE on_request is
    // called at once (body empty) and must answer without it; what the client still sends is drained up to a small
    // bound, else the connection closes.
    struct http_body_plan (*on_head)(struct http_request *request);
    // STREAM only: a piece of the body; it lives until the callback returns. http_pause/http_resume for back-pressure.
    void (*on_piece)(struct http_request *request, struct bytes piece);
    // The request is whole (for STREAM: the body has ended well). Answer now or later. A STREAM whose client vanishes
    // or whose body turns out malformed gets `on_cut` instead, after which nothing more is called for it and http_reply
    // must still be called once (it sends nothing but the 400 where the client can still read it).
    void (*on_request)(struct http_request *request);
    void (*on_cut)(struct http_request *request);
    // The body of an error answer that the server itself gives (400, 408, 413, 414, 431, 501, 505, 503): writes the
    // whole body into `body` and returns its media type. Called with only outcome and detail known.
    const char *(*render_error)(enum outcome outcome, const char *detail, struct buffer *body);
    // NULL, or told before such an answer to a request with a state for which nothing but on_head was called.
    void (*on_refused)(struct http_request *request, int status);
    struct bytes error_fields; // further header lines of such an answer, each ended by CR LF
    // NULL, or the same of a request with a state, whose body is at fault: they live as long as it does.
    struct bytes (*error_fields_of)(struct http_request *request);
    // NULL, or told once of every answer when it has been written, or was cut off. `request` NULL: the server's own
    // error, for a head that could not be read.
    void (*on_answered)(const struct http_request *request, const struct http_answered *answered);
    // NULL, or told of every answer after it was written, several at once.
    void (*on_counted)(const struct http_count *counts, unsigned count, uint64_t ended_ns);
};

struct http_reply {
    int status;
    const char *media_type; // NULL: no Content-Type and no body
    struct bytes fields;    // further header lines, each ended by CR LF
    struct bytes body; // copied before http_reply returns; left out for HEAD, 204 and 304 (Content-Length stays right)
    bool close;        // close the connection after this answer
};

// Answers; the request is invalid afterwards.
void http_reply(struct http_request *request, const struct http_reply *reply);
// Answers with a head made beforehand: the line of `status` and all fields but Date and Connection, each line ended by
// CR LF, without the empty line. The fastest road: two copies into the connection's buffer.
void http_reply_made(struct http_request *request, int status, struct bytes head, struct bytes body);
// An answer of unknown length (chunked; closes after it for HTTP/1.0): begin, any number of pieces, end.
// http_stream_piece returns false when the client is slow: wait for `on_drain` (once) before the next. After the client
// left pieces are no-ops that return true.
void http_stream_begin(struct http_request *request, const struct http_reply *reply);
bool http_stream_piece(struct http_request *request, struct bytes piece, void (*on_drain)(struct http_request *));
void http_stream_end(struct http_request *request);
void http_pause(struct http_request *request);
void http_resume(struct http_request *request);
// True when the client is known to have left: long work for it may stop early. The reply is still due.
bool http_client_gone(const struct http_request *request);

struct http_limits {
    uint32_t connections;        // above it the longest idle one is closed; if none is idle the new one gets 503
    uint32_t request_line;       // bytes; 414 above
    uint32_t head;               // bytes; 431 above
    uint32_t fields;             // number; 431 above
    uint32_t arena;              // bytes a request may take
    uint32_t request_timeout_ms; // first byte to whole request: 408
    uint32_t idle_timeout_ms;    // between requests: close
    uint32_t send_timeout_ms;    // an answer that the client does not take: close
    uint32_t output;             // bytes of unsent answers at which reading stops
    size_t held; // bytes that all connections hold for slow clients; above it the one that has held longest is closed
};

// Counters that the server raises; the owner maps them into its metrics. Never NULL.
struct http_counters {
    uint64_t *connections_opened, *connections_open, *connections_refused, *bad_requests, *timeouts, *bytes_out;
};

struct http_server; // one per listening socket

// `loop` is a uv_loop_t *. Listens on "host:port" (port 0: any free one), "[v6]:port" or "unix:PATH" with SO_REUSEPORT,
// or on "fd:N", a socket of http_socket_open inherited from the parent (which is how processes share a Unix socket).
// NULL with one line in ret_error (NUL-terminated) when it can't. The server is freed when http_server_stop's callback
// has returned.
struct http_server *http_server_start(void *loop, const char *listen, const struct http_limits *limits,
                                      const struct http_counters *counters, const struct http_callbacks *callbacks,
                                      void *app, char *ret_error, size_t error_size);
// Stops accepting (answering what the kernel had queued), closes idle connections, lets requests in flight finish (with
// Connection: close), and cuts off what remains after `grace_ms`. `on_stopped` fires once, when no handle of the server
// is open.
void http_server_stop(struct http_server *server, uint32_t grace_ms, void (*on_stopped)(void *context), void *context);
// The port listened on; 0 for a Unix socket.
int http_server_port(const struct http_server *server);
// Opens and binds the socket of such an address; -1 with one line in ret_error. `shared` sets SO_REUSEPORT; without it
// an address that anybody listens on is refused, which is how a supervisor finds out that its port is taken. `mode` is
// that of a Unix socket's file.
int http_socket_open(const char *listen, bool shared, unsigned mode, char *ret_error, size_t error_size);
// Whether this machine has such an address, without taking it from whoever listens on it.
bool http_address_check(const char *listen, char *ret_error, size_t error_size);
