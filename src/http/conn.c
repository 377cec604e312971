// SPDX-License-Identifier: MIT
// What a connection does: it turns bytes into requests and has one request in work at a time.
//
// The state (states.def) says what the connection waits for. conn_run takes input and steps from state to state until
// it needs more input, the application or the client. Then it writes all answers with one call. Only the loop calls
// conn_run, never the application: http_reply and http_resume queue the connection for the next turn (server_ready).
// Input that can't be used yet stays in `held` and reading stops, so a client can't make work pile up.
//
// To add a state: a row in states.def, its deadline in deadline_in, its step in `step`, its end in on_input_end.
#include "http/http_inside.h"
#include <assert.h>
#include <utlist.h>

#define MAY(name) (1u << CONN_##name)

static const uint32_t moves_of[CONN_STATE_COUNT] = {
#define STATE(name, moves) [CONN_##name] = moves,
#include "http/states.def"
#undef STATE
};

static uint64_t deadline_in(enum conn_state state, const struct conn *conn) {
    const struct http_limits *limits = &conn->server->limits;
    switch (state) {
    case CONN_IDLE:
        return uv_now(conn->server->loop) + limits->idle_timeout_ms;
    case CONN_HEAD:
    case CONN_DISCARD:
        return uv_now(conn->server->loop) + limits->request_timeout_ms;
    case CONN_BODY:
        return conn->deadline; // one time for the whole request
    case CONN_LINGER:
        return uv_now(conn->server->loop) + LINGER_MS;
    default:
        return 0; // the application's own deadlines, or the send time-out
    }
}

void conn_set_state(struct conn *conn, enum conn_state state) {
    assert(moves_of[conn->state] & 1u << state);
    struct http_server *server = conn->server;
    if (conn->state == CONN_IDLE) {
        DL_DELETE(server->idle, conn);
        DL_APPEND(server->busy, conn);
    }
    if (state == CONN_IDLE) {
        DL_DELETE(server->busy, conn);
        DL_APPEND(server->idle, conn);
    }
    conn->deadline = deadline_in(state, conn);
    conn->state = state;
}

// ---- Requests

// Passes over a few empty lines before a request line. False when nothing follows them yet.
static bool skip_empty_lines(struct conn *conn, struct bytes *input) {
    while (input->len >= 2 && memcmp(input->at, "\r\n", 2) == 0) {
        *input = (struct bytes){input->at + 2, input->len - 2};
        if (++conn->empty_lines > EMPTY_LINES_MAX) {
            conn_fail(conn, BAD_REQUEST, "There are too many empty lines before the request");
            return false;
        }
    }
    return input->len > 1 || (input->len == 1 && input->at[0] != '\r');
}

static void dispatch_request(struct conn *conn) {
    struct exchange *exchange = conn->exchange;
    conn_set_state(conn, CONN_WORK);
    exchange->dispatched = true;
    exchange->server->callbacks.on_request(&exchange->request);
}

// A request that is answered at once needs no 100.
static void send_continue(struct conn *conn) {
    struct buffer *out = output_open(conn);
    if (out)
        buffer_add_bytes(out, BYTES("HTTP/1.1 100 Continue\r\n\r\n"));
}

static void begin_body(struct conn *conn, bool some_came) {
    struct exchange *exchange = conn->exchange;
    const struct head *head = &exchange->head;
    if (exchange->plan.kind == HTTP_BODY_WHOLE) {
        if (head->length > exchange->plan.limit) {
            conn_fail(conn, TOO_LARGE, NULL);
            return;
        }
        exchange->body.cap = exchange->plan.limit;
    }
    conn_set_state(conn, CONN_BODY);
    exchange->dispatched = exchange->plan.kind == HTTP_BODY_STREAM;
    conn->progress = 0;
    if (head->expect_continue && !head->version_1_0 && !some_came)
        send_continue(conn);
}

static void on_head_whole(struct conn *conn, struct bytes raw, bool more_came) {
    struct exchange *exchange = conn->exchange;
    if (!exchange_fill(exchange, raw)) { // no memory: head_scan has checked the length
        conn_fail(conn, OVERLOADED, NULL);
        return;
    }
    parse_begin(exchange);
    conn->requests++;
    exchange->plan = conn->server->callbacks.on_head(&exchange->request);
    if (exchange->whole || exchange->plan.kind == HTTP_BODY_REFUSE)
        dispatch_request(conn);
    else
        begin_body(conn, more_came);
}

static bool take_head(struct conn *conn, struct bytes *input) {
    size_t len;
    switch (head_scan(&conn->exchange->head, *input, &conn->server->limits, &len)) {
    case HEAD_MORE:
        return false;
    case HEAD_BAD:
        conn_fail(conn, conn->exchange->head.outcome, conn->exchange->head.detail);
        return true;
    default:
        break;
    }
    struct bytes raw = {input->at, len};
    *input = (struct bytes){input->at + len, input->len - len};
    on_head_whole(conn, raw, input->len > 0);
    return true;
}

static bool begin_request(struct conn *conn, struct bytes *input) {
    if (!skip_empty_lines(conn, input))
        return false;
    conn->exchange = exchange_take(conn);
    if (!conn->exchange) {
        conn_fail(conn, OVERLOADED, NULL);
        return false;
    }
    conn->empty_lines = 0;
    conn_set_state(conn, CONN_HEAD);
    return true;
}

// A long upload may take long, but each kilobyte has to come within the request's time.
static void note_progress(struct conn *conn) {
    enum { STEP = 1024 };
    if (conn->exchange->plan.kind != HTTP_BODY_STREAM || conn->exchange->body_decoded < conn->progress + STEP)
        return;
    conn->progress = conn->exchange->body_decoded;
    conn->deadline = uv_now(conn->server->loop) + conn->server->limits.request_timeout_ms;
}

static void on_body_whole(struct conn *conn) {
    struct exchange *exchange = conn->exchange;
    if (exchange->answered) {
        conn_answered(conn);
        return;
    }
    exchange->request.body =
        exchange->plan.kind == HTTP_BODY_WHOLE ? buffer_bytes(&exchange->body) : (struct bytes){"", 0};
    dispatch_request(conn);
}

// The body of an answered request is not worth its end.
static void end_early(struct conn *conn) {
    conn->sends_body = true;
    conn_set_state(conn, CONN_LAST);
}

static bool take_body(struct conn *conn, struct bytes *input) {
    struct exchange *exchange = conn->exchange;
    if (exchange->paused || (input->len == 0 && !exchange->resumed))
        return false;
    exchange->resumed = false;
    if (input->len == 0)
        *input = (struct bytes){"", 0};
    size_t used;
    enum parse_state state = parse_body(exchange, *input, &used);
    *input = (struct bytes){input->at + used, input->len - used};
    if (conn->state == CONN_CLOSING)
        return false;
    if (state == PARSE_WHOLE)
        on_body_whole(conn);
    else if (state == PARSE_BAD && !exchange->answered)
        conn_fail(conn, exchange->outcome, NULL);
    else if (conn->state == CONN_BODY && exchange->answered)
        conn_answered(conn);
    else if (state == PARSE_BAD)
        end_early(conn);
    else if (conn->state == CONN_BODY)
        note_progress(conn);
    return true;
}

static bool output_is_full(struct conn *conn) {
    if (output_unsent(conn) <= conn->server->limits.output)
        return false;
    output_flush(conn);
    return output_unsent(conn) > conn->server->limits.output;
}

// One step; false when there is nothing more to do now.
static bool step(struct conn *conn, struct bytes *input) {
    switch (conn->state) {
    case CONN_IDLE:
        return !output_is_full(conn) && begin_request(conn, input);
    case CONN_HEAD:
        return take_head(conn, input);
    case CONN_BODY:
    case CONN_DISCARD:
        return take_body(conn, input);
    default:
        return false;
    }
}

// ---- Input and what follows from it

static bool waits_for_others(const struct conn *conn) {
    return conn->state == CONN_WORK || conn->state == CONN_LAST || (conn->exchange && conn->exchange->paused) ||
           output_unsent(conn) > conn->server->limits.output;
}

// No request is read any more.
static bool takes_no_more(const struct conn *conn) {
    return conn->state == CONN_LAST || conn->state == CONN_LINGER || conn->state == CONN_CLOSING;
}

static void drop_held(struct conn *conn) {
    buffer_release(&conn->held);
    conn->held_used = 0;
}

// Keeps the input that was not used. If `held` was not empty before, `rest` is a part of it.
static void keep_rest(struct conn *conn, struct bytes rest) {
    if (rest.len == 0 || takes_no_more(conn)) {
        if (conn->held.at)
            drop_held(conn);
    } else if (conn->held.len) {
        conn->held_used = conn->held.len - rest.len;
    } else {
        buffer_add_bytes(&conn->held, rest);
        if (conn->held.failed)
            conn_close(conn);
    }
}

// Joins the input that was held and the input that came.
static bool join_input(struct conn *conn, struct bytes fresh, struct bytes *ret_input) {
    *ret_input = fresh;
    if (!conn->held.len)
        return true;
    if (fresh.len) {
        buffer_drop(&conn->held, conn->held_used);
        conn->held_used = 0;
        buffer_add_bytes(&conn->held, fresh);
    }
    *ret_input = (struct bytes){conn->held.at + conn->held_used, conn->held.len - conn->held_used};
    return !conn->held.failed;
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *chunk);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *chunk) {
    struct conn *conn = handle->data;
    (void)suggested;
    *chunk = uv_buf_init(conn->server->chunk, READ_CHUNK);
}

static void set_reading(struct conn *conn, bool reading) {
    if (conn->reading == reading || conn->ended)
        return;
    conn->reading = reading;
    if (!reading)
        uv_read_stop(&conn->uv.stream);
    else if (uv_read_start(&conn->uv.stream, on_alloc, on_read) != 0)
        conn_close(conn);
}

// The client sends no more, and all input was used.
static void on_input_end(struct conn *conn) {
    switch (conn->state) {
    case CONN_IDLE:
    case CONN_DISCARD:
        conn_set_state(conn, CONN_LAST);
        break;
    case CONN_HEAD:
    case CONN_BODY:
        conn_fail(conn, BAD_REQUEST, "The request was cut off");
        break;
    default:
        break;
    }
}

static void flush_and_rearm(struct conn *conn) {
    if (conn->state == CONN_CLOSING)
        return;
    if (conn->ended && !waits_for_others(conn))
        on_input_end(conn);
    output_flush(conn);
    if (conn->state == CONN_LAST && !output_unsent(conn))
        conn_linger(conn);
    if (conn->state == CONN_CLOSING)
        return;
    if (!waits_for_others(conn))
        set_reading(conn, true);
    else if (conn->held.len)
        set_reading(conn, false);
}

void conn_run(struct conn *conn, struct bytes fresh) {
    struct http_server *server = conn->server;
    struct bytes input;
    if (!join_input(conn, fresh, &input)) {
        conn_close(conn);
        return;
    }
    conn->running = true;
    while (step(conn, &input))
        ;
    conn->running = false;
    if (conn->state != CONN_CLOSING)
        keep_rest(conn, input);
    flush_and_rearm(conn);
    if (conn->state != CONN_CLOSING)
        held_weigh(conn);
    server->run_ns = 0;
    if (server->counted)
        reply_tell_counts(server);
}

static void on_end(struct conn *conn) {
    conn->reading = false;
    conn->ended = true;
    if (conn->state == CONN_LINGER)
        conn_close(conn);
    else
        conn_run(conn, NO_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *chunk) {
    struct conn *conn = stream->data;
    if (conn->state == CONN_CLOSING)
        return;
    if (count == UV_EOF)
        on_end(conn);
    else if (count < 0)
        conn_close(conn);
    else if (conn->state == CONN_LINGER)
        conn_drop(conn, (size_t)count);
    else if (count > 0)
        conn_run(conn, (struct bytes){chunk->base, (size_t)count});
}

void conn_open(struct conn *conn) {
    struct http_server *server = conn->server;
    server->conn_count++;
    server->handles++;
    ++*server->counters.connections_opened;
    ++*server->counters.connections_open;
    DL_APPEND(server->idle, conn);
    conn->deadline = deadline_in(CONN_IDLE, conn);
    set_reading(conn, true);
}

// ---- From the answer to the next request

void conn_answered(struct conn *conn) {
    struct exchange *exchange = conn->exchange;
    if (exchange->parsing) // take_body goes on from here
        return;
    exchange->paused = false;
    conn->sends_body = exchange->closes && !exchange->whole;
    if (exchange->closes)
        conn_set_state(conn, CONN_LAST);
    else if (!exchange->whole)
        conn_set_state(conn, CONN_DISCARD);
    else
        conn_set_state(conn, CONN_IDLE);
    if (conn->state != CONN_DISCARD) {
        conn->exchange = NULL;
        exchange_put(exchange);
    }
    if (!conn->running)
        server_ready(conn);
}
