// SPDX-License-Identifier: MIT
// What the files of this room share. Three lifetimes, three structs: the server (process), the conn (connection), the
// exchange (one request and its answer). An idle connection owns no memory besides its struct: read buffer and output
// buffers are the server's, lent for one turn; an exchange is taken from a free list at a request's first byte.
//
//   listen.c    addresses, sockets, accepting, the connection limit; conn_pool.c: free conns
//   server.c    start, stop, the sweep for time-outs, the queue of connections to be run
//   conn.c      what a connection does in each state (states.def), from bytes to on_request and on to the next
//   linger.c    a connection's ends: errors, the last answer, closing
//   head.c      the scan of the raw head; host.c the grammar of Host
//   parse.c     bodies; llhttp reads the chunked ones
//   held.c      the bound on what all connections hold
//   exchange.c  requests: taken, filled from the head, given back
//   reply.c     answers: heads, Date, Connection; stream.c: chunked ones
//   output.c    unsent bytes: one write a turn, the rest queued
//   body.c      finished bodies: ETag, gzip, 304
#pragma once
#include "http/head.h"
#include "http/http.h"
#include <llhttp.h>
#include <uv.h>

enum {
    READ_CHUNK = 16 << 10,  // one read; also the most input kept for pipelined requests
    BODY_SLACK = 16 << 10,  // bytes that chunk heads, extensions and trailers may add to a body
    DISCARD_MAX = 64 << 10, // bytes read and dropped of a refused body, and after the last answer
    LINGER_MS = 1000,
    LINGER_MAX_MS = 10000, // with the next: where the client still sends its body
    LINGER_MAX = 64 << 20,
    EMPTY_LINES_MAX = 4, // before a request line
    REPLY_MAX = 16 << 20,
    OUTPUT_KEPT = 128 << 10, // a larger output buffer is freed after use
    OUTPUTS_KEPT = 1 << 20,  // bytes of all unused output buffers together
    ERROR_BODY_MAX = 4 << 10,
    COUNTS_MAX = 32,
    POOL_MAX = 1024, // structs in each free list; an exchange has at most about 7 KiB
};

enum conn_state {
#define STATE(name, moves) CONN_##name,
#include "http/states.def"
#undef STATE
    CONN_STATE_COUNT
};

// Bytes to be sent, and the write that sends them.
struct output {
    struct buffer data;
    uv_write_t write;
    struct conn *conn;
    struct output *next; // in the free list
};

// The part of a chunk that comes next: the digits of its size, an extension, or the rest, which llhttp reads.
enum chunk_part { CHUNK_SIZE, CHUNK_BLANK, CHUNK_EXTENSION, CHUNK_QUOTED, CHUNK_ESCAPED, CHUNK_REST, CHUNK_BAD };

struct exchange {
    struct http_request request; // first, so that one pointer is both
    struct http_server *server;
    struct conn *conn; // NULL when the client has left
    struct arena arena;
    struct buffer head_raw; // the request's fields point into it
    struct buffer body;
    struct head head;
    llhttp_t parser;
    struct http_body_plan plan;
    size_t body_decoded, body_raw;
    enum chunk_part chunk;
    bool last_chunk;
    uint64_t began_ns;   // clock_mono_ns, at its first byte
    size_t streamed;     // bytes of the answer's body that the connection took
    size_t unsent;       // those of them that were not sent when the connection closed
    int streamed_status; // of a streamed answer
    bool noted;          // it was counted, and on_answered was called
    void (*on_drain)(struct http_request *);
    enum outcome outcome; // why the body was refused; OK: it was not
    bool dispatched;      // the application has the request and owes an answer
    bool answered;
    bool whole; // the body has ended
    bool paused;
    bool resumed;   // http_resume was called and the parser has not run since: the body may end without more input
    bool parsing;   // parse_body is on the stack
    bool streaming; // http_stream_begin was called
    bool chunking;  // ... and the answer goes out in chunks
    bool closes;    // the answer said Connection: close
    struct exchange *next;
};

struct conn {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    uv_shutdown_t shutdown;
    struct http_server *server;
    struct conn *prev, *next;               // in server->idle (longest idle first) or server->busy
    struct conn *ready_prev, *ready_next;   // in server->ready
    struct conn *holder_prev, *holder_next; // in server->holders (longest holding first) while `counted` is not 0
    size_t counted;                         // bytes in server->held_bytes
    struct exchange *exchange;
    struct buffer held; // input that waits
    size_t held_used;   // bytes at its start that were used
    struct output *out, *sending;
    uint64_t deadline;      // of the state, in uv_now; 0: none
    uint64_t send_deadline; // of the write under way
    uint64_t progress;      // bytes of a streamed body at which its deadline was set
    uint64_t linger_end;    // in uv_now: whatever comes
    struct http_peer peer;
    enum conn_state state;
    uint32_t requests;
    uint32_t dropped; // bytes in LINGER
    bool sends_body;  // a body that nobody reads
    uint8_t empty_lines;
    bool ended; // the client sends no more
    bool reading;
    bool running;
    bool is_ready;
};

enum tail_kind { TAIL_PLAIN, TAIL_CLOSE, TAIL_KEEP_ALIVE, TAIL_KINDS };

struct http_server {
    uv_loop_t *loop;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } listener;
    uv_timer_t sweep;
    uv_idle_t runner; // active while server->ready is not empty
    struct http_limits limits;
    struct http_counters counters;
    struct http_callbacks callbacks;
    void *app;
    struct conn *idle, *busy, *ready, *holders;
    size_t held_bytes;
    struct conn *free_conns;
    struct exchange *free_exchanges;
    struct output *free_outputs;
    uint32_t free_conn_count, free_exchange_count, free_output_count;
    size_t free_output_bytes;
    uint32_t conn_count, exchange_count, handles;
    uint32_t conn_limit;
    char tail_text[TAIL_KINDS][80]; // the end of every head: Date, Connection, the empty line
    uint8_t tail_len[TAIL_KINDS];
    uint64_t tail_until;
    uint64_t run_ns;  // when the run under way began; 0: no clock was read in it
    uint32_t counted; // of `counts`: answers that on_counted is not told of yet
    struct http_count counts[COUNTS_MAX];
    uint64_t drain_until;
    char *unix_path; // removed at the end
    uint64_t unix_inode;
    bool is_unix;
    bool stopping;
    bool stopped;           // on_stopped has returned
    bool waiting_to_accept; // a connection came for which there was no memory
    void (*on_stopped)(void *context);
    void *on_stopped_context;
    char chunk[READ_CHUNK];
};

// listen.c
int listen_start(struct http_server *server, const char *listen, char *ret_error, size_t error_size);
void listen_retry(struct http_server *server);
void listen_drain(struct http_server *server);

// server.c
void server_handle_closed(uv_handle_t *handle); // for handles whose data is the server
void server_check_stopped(struct http_server *server);
// Runs the connection in the next turn of the loop.
void server_ready(struct conn *conn);
void server_not_ready(struct conn *conn);

// conn_pool.c
struct conn *conn_take(struct http_server *server); // NULL without memory
void conn_put(struct conn *conn);

// conn.c
void conn_open(struct conn *conn);
void conn_run(struct conn *conn, struct bytes fresh);
void conn_set_state(struct conn *conn, enum conn_state state);
// The application has answered: goes to the next state.
void conn_answered(struct conn *conn);

// linger.c
// Answers with the outcome's error and closes; the request under way ends here.
void conn_fail(struct conn *conn, enum outcome outcome, const char *detail);
void conn_linger(struct conn *conn);
void conn_drop(struct conn *conn, size_t count); // so many bytes came in LINGER
void conn_close(struct conn *conn);
void conn_on_deadline(struct conn *conn);

// held.c
// Counts again what the connection holds. Above the server's limit connections are closed, maybe this one.
void held_weigh(struct conn *conn);
void held_forget(struct conn *conn);

// parse.c
enum parse_state { PARSE_MORE, PARSE_WHOLE, PARSE_PAUSED, PARSE_BAD };
// After the head: whether there is a body, and how it ends.
void parse_begin(struct exchange *exchange);
// Every byte of a body with an announced length has come.
bool parse_body_is_read(const struct exchange *exchange);
enum parse_state parse_body(struct exchange *exchange, struct bytes input, size_t *ret_used);

// exchange.c
struct exchange *exchange_take(struct conn *conn);
void exchange_put(struct exchange *exchange);
void exchange_free_all(struct http_server *server);
// Copies the whole head and fills the request with pieces of the copy. False without memory.
bool exchange_fill(struct exchange *exchange, struct bytes raw);
// The client left an unanswered exchange: tells the application what it waits for.
void exchange_abandon(struct exchange *exchange);

// reply.c
void reply_head(struct exchange *exchange, const struct http_reply *reply, struct buffer *out);
bool reply_has_body(const struct exchange *exchange, int status);
// The server's own error; `exchange` may be NULL.
void reply_error(struct conn *conn, struct exchange *exchange, enum outcome outcome, const char *detail);
// The connection that an answer is about to be written to; NULL when the client has left.
struct conn *reply_conn(struct exchange *exchange);
// Tells on_counted of the answers so far.
void reply_tell_counts(struct http_server *server);
// Counts the answer and calls on_answered, unless that was done before. `cut`: the client did not get the whole answer.
void reply_note(struct exchange *exchange, int status, size_t body_bytes, bool cut);
// The client left while its answer was streamed.
void reply_note_cut(struct exchange *exchange);
void reply_done(struct exchange *exchange);

// output.c
struct buffer *output_open(struct conn *conn); // NULL without memory: the connection was closed
size_t output_unsent(const struct conn *conn);
void output_flush(struct conn *conn);
void output_release(struct conn *conn);
void output_free_all(struct http_server *server);
