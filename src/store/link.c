// SPDX-License-Identifier: MIT
// The connection's life: resolve, connect, greet, ready, drop, wait, again; and the loop's turn, at whose end commands
// are written. What is pending and what a reply means stands in pending.c.
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "store/link_inside.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    BACK_OFF_LEAST_MS = 50,
    BACK_OFF_MOST_MS = 5000,
    SWEEP_MS = 25,
    READ_CHUNK = 64 * 1024,
    OUT_MOST = 256 << 20, // unsent commands; the bound on calls is reached long before
    READER_IDLE_BUFFER = 1 << 20,
    ELEMENTS_MOST = 1 << 20, // of an array in a reply
};

static void connect_now(struct link *link);
static void on_peer_closed(uv_handle_t *handle);

static const char *state_name(const struct link *link) {
    static const char *const names[] = {
#define STATE(name, text) text,
        LINK_STATES(STATE)
#undef STATE
    };
    return names[link->state];
}

const char *link_trouble(const struct link *link) {
    return link->trouble[0] ? link->trouble : state_name(link);
}

void link_greet_on(struct link *link) {
    link->deadline_ms = uv_now(link->loop) + link->timeout_ms;
}

void link_refuse_writes(struct link *link, bool refuse) {
    link->refuses_writes = refuse;
}

bool link_is_ready(const struct link *link) {
    return link->state == LINK_READY;
}

static void set_state(struct link *link, enum link_state state) {
    if ((link->state == LINK_READY) != (state == LINK_READY) && !link->hooks.on_message)
        metric_set(METRIC_REDIS_UP, state == LINK_READY);
    link->state = state;
}

// ---- Down and up again

static uint64_t with_jitter(uint64_t ms) {
    uint32_t noise;
    random_fill(&noise, sizeof noise);
    return ms / 2 + noise % (ms / 2 + 1);
}

static void wait_and_connect(struct link *link) {
    set_state(link, LINK_WAITING);
    link->retry_at_ms = uv_now(link->loop) + with_jitter(link->back_off_ms);
    link->back_off_ms = link->back_off_ms * 2 > BACK_OFF_MOST_MS ? BACK_OFF_MOST_MS : link->back_off_ms * 2;
}

void link_drop(struct link *link, const char *why) {
    if (link->state == LINK_WAITING || link->state == LINK_CLOSING || link->state == LINK_STOPPED)
        return;
    if (!link->stopping && !link->hooks.on_message)
        log_warn("redis: %s while %s; next attempt in %u ms at most", why, state_name(link), link->back_off_ms);
    snprintf(link->trouble, sizeof link->trouble, "%s", why);
    bool open = link->state != LINK_RESOLVING;
    set_state(link, LINK_CLOSING);
    pending_fail_all(link);
    buffer_clear(&link->out);
    if (open)
        uv_close((uv_handle_t *)&link->peer, on_peer_closed);
    else
        wait_and_connect(link);
}

static void close_own_handles(struct link *link);

static void on_peer_closed(uv_handle_t *handle) {
    struct link *link = handle->data;
    redisReaderFree(link->reader);
    link->reader = NULL;
    link->writing_now = false;
    buffer_clear(&link->writing);
    if (link->stopping)
        close_own_handles(link);
    else
        wait_and_connect(link);
}

// ---- Reading

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    struct link *link = handle->data;
    (void)suggested;
    *ret_buf = uv_buf_init(link->read_chunk, READ_CHUNK);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf) {
    struct link *link = stream->data;
    if (got == 0 || link->state == LINK_CLOSING)
        return;
    if (got < 0) {
        link_drop(link, got == UV_EOF ? "closed by Redis" : uv_strerror((int)got));
        return;
    }
    link->heard_at_ms = uv_now(link->loop);
    if (redisReaderFeed(link->reader, buf->base, (size_t)got) != REDIS_OK) {
        link_drop(link, "no memory for a reply");
        return;
    }
    pending_take_replies(link);
}

// ---- Writing: all commands of a turn in one system call

static void on_written(uv_write_t *request, int status) {
    struct link *link = request->data;
    link->writing_now = false;
    buffer_clear(&link->writing);
    if (status < 0 && status != UV_ECANCELED)
        link_drop(link, uv_strerror(status));
}

static void write_out(struct link *link) {
    bool open = link->state == LINK_GREETING || link->state == LINK_READY;
    if (!open || link->writing_now || link->out.len == 0)
        return;
    struct buffer swap = link->writing;
    link->writing = link->out;
    link->out = swap;
    uv_buf_t rest = uv_buf_init(link->writing.at, (unsigned)link->writing.len);
    int sent = uv_try_write(&link->peer.stream, &rest, 1);
    if (sent == (int)link->writing.len) {
        buffer_clear(&link->writing);
        return;
    }
    if (sent > 0)
        rest = uv_buf_init(link->writing.at + sent, (unsigned)(link->writing.len - (size_t)sent));
    link->write.data = link;
    link->writing_now = true;
    int status = uv_write(&link->write, &link->peer.stream, &rest, 1, on_written);
    if (status < 0) {
        link->writing_now = false;
        link_drop(link, uv_strerror(status));
    }
}

static void on_idle(uv_idle_t *idle) {
    (void)idle; // only keeps the loop from sleeping while failed calls wait to be told
}

static void turn(struct link *link) {
    if (link->state == LINK_STOPPED)
        return;
    pending_tell_failed(link);
    if (link->hooks.on_turn)
        link->hooks.on_turn(link->hooks.context);
    pending_send_held(link);
    write_out(link);
    if (link->failed)
        uv_idle_start(&link->idle, on_idle);
    else
        uv_idle_stop(&link->idle);
}

static void on_prepare(uv_prepare_t *prepare) {
    turn(prepare->data);
}

static void on_check(uv_check_t *check) {
    turn(check->data);
}

// ---- Connecting

// hiredis makes room for as many elements as a reply announces: a billion of them would take gigabytes and seconds.
#if HIREDIS_MAJOR >= 1
static redisReader *reader_new(void) {
    redisReader *reader = redisReaderCreate();
    if (reader)
        reader->maxelements = ELEMENTS_MOST;
    return reader;
}
#else
static redisReplyObjectFunctions bounded;
static void *(*create_array)(const redisReadTask *task, int elements);

static void *create_bounded_array(const redisReadTask *task, int elements) {
    return elements <= ELEMENTS_MOST ? create_array(task, elements) : NULL;
}

static redisReader *reader_new(void) {
    redisReader *reader = redisReaderCreate();
    if (!reader)
        return NULL;
    if (!create_array) {
        bounded = *reader->fn;
        create_array = bounded.createArray;
        bounded.createArray = create_bounded_array;
    }
    reader->fn = &bounded;
    return reader;
}
#endif

static void on_connect(uv_connect_t *request, int status) {
    struct link *link = request->data;
    if (link->state != LINK_CONNECTING)
        return;
    if (status < 0) {
        link_drop(link, uv_strerror(status));
        return;
    }
    if (!link->address.is_unix)
        uv_tcp_nodelay(&link->peer.tcp, 1), uv_tcp_keepalive(&link->peer.tcp, 1, 30);
    link->reader = reader_new();
    if (!link->reader || uv_read_start(&link->peer.stream, on_alloc, on_read) < 0) {
        link_drop(link, "no memory");
        return;
    }
    link->reader->maxbuf = READER_IDLE_BUFFER;
    metric_add(METRIC_REDIS_CONNECTS, 1);
    link->heard_at_ms = uv_now(link->loop);
    set_state(link, LINK_GREETING);
    link->hooks.on_connected(link->hooks.context);
}

static void open_tcp(struct link *link, const struct sockaddr *at) {
    set_state(link, LINK_CONNECTING);
    uv_tcp_init(link->loop, &link->peer.tcp);
    link->peer.stream.data = link;
    link->connect.data = link;
    int status = uv_tcp_connect(&link->connect, &link->peer.tcp, at, on_connect);
    if (status < 0)
        link_drop(link, uv_strerror(status));
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
    struct link *link = request->data;
    link->resolving = false;
    if (link->stopping)
        close_own_handles(link);
    else if (link->state == LINK_RESOLVING && status < 0)
        link_drop(link, uv_strerror(status));
    else if (link->state == LINK_RESOLVING)
        open_tcp(link, found->ai_addr);
    uv_freeaddrinfo(found);
}

static void connect_now(struct link *link) {
    link->deadline_ms = uv_now(link->loop) + link->timeout_ms;
    link->connect.data = link;
    if (link->address.is_unix) {
        set_state(link, LINK_CONNECTING);
        uv_pipe_init(link->loop, &link->peer.pipe, 0);
        link->peer.stream.data = link;
        uv_pipe_connect(&link->connect, &link->peer.pipe, link->address.path, on_connect);
        return;
    }
    set_state(link, LINK_RESOLVING);
    if (link->resolving)
        return; // an earlier question of ours is still under way: its answer will do
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    link->resolve.data = link;
    int status =
        uv_getaddrinfo(link->loop, &link->resolve, on_resolved, link->address.host, link->address.port, &hints);
    if (status < 0)
        link_drop(link, uv_strerror(status));
    else
        link->resolving = true;
}

// Every 25 ms: time-outs, and the next attempt.
static void on_sweep(uv_timer_t *timer) {
    struct link *link = timer->data;
    uint64_t now = uv_now(link->loop);
    if (link->state == LINK_WAITING && now >= link->retry_at_ms)
        connect_now(link);
    else if ((link->state == LINK_RESOLVING || link->state == LINK_CONNECTING || link->state == LINK_GREETING) &&
             now >= link->deadline_ms)
        link_drop(link, "no answer in time");
    else if (link->state == LINK_READY && pending_expire(link, now) && now - link->heard_at_ms > link->timeout_ms)
        link_drop(link, "silent");
}

void link_ready(struct link *link) {
    if (link->state != LINK_GREETING)
        return;
    link->back_off_ms = BACK_OFF_LEAST_MS;
    link->trouble[0] = '\0';
    set_state(link, LINK_READY);
    if (!link->hooks.on_message)
        log_info("redis: ready");
}

// ---- Start and stop

struct link *link_start(uv_loop_t *loop, const struct address *address, uint32_t timeout_ms, uint32_t queue_most,
                        const struct link_hooks *hooks) {
    struct link *link = calloc(1, sizeof *link);
    char *chunk = malloc(READ_CHUNK);
    if (!link || !chunk || !pending_init(link, queue_most)) {
        free(link);
        free(chunk);
        return NULL;
    }
    link->loop = loop;
    link->address = *address;
    link->timeout_ms = timeout_ms;
    link->hooks = *hooks;
    link->back_off_ms = BACK_OFF_LEAST_MS;
    link->read_chunk = chunk;
    buffer_init(&link->out, OUT_MOST);
    buffer_init(&link->writing, OUT_MOST);
    uv_timer_init(loop, &link->sweep);
    uv_prepare_init(loop, &link->prepare);
    uv_check_init(loop, &link->check);
    uv_idle_init(loop, &link->idle);
    link->sweep.data = link->prepare.data = link->check.data = link->idle.data = link;
    uv_timer_start(&link->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    uv_prepare_start(&link->prepare, on_prepare);
    uv_check_start(&link->check, on_check);
    connect_now(link);
    return link;
}

static void on_own_closed(uv_handle_t *handle) {
    struct link *link = handle->data;
    if (--link->handles > 0)
        return;
    void (*on_stopped)(void *) = link->on_stopped;
    void *context = link->stopped_context;
    buffer_release(&link->out);
    buffer_release(&link->writing);
    pending_release(link);
    free(link->read_chunk);
    free(link);
    on_stopped(context);
}

static void close_own_handles(struct link *link) {
    if (link->resolving)
        return; // on_resolved comes back here
    pending_tell_failed(link);
    set_state(link, LINK_STOPPED);
    link->handles = 4;
    uv_close((uv_handle_t *)&link->sweep, on_own_closed);
    uv_close((uv_handle_t *)&link->prepare, on_own_closed);
    uv_close((uv_handle_t *)&link->check, on_own_closed);
    uv_close((uv_handle_t *)&link->idle, on_own_closed);
}

void link_stop(struct link *link, void (*on_stopped)(void *context), void *context) {
    link->stopping = true;
    link->on_stopped = on_stopped;
    link->stopped_context = context;
    enum link_state was = link->state;
    link_drop(link, "stopping");
    if (was == LINK_RESOLVING)
        uv_cancel((uv_req_t *)&link->resolve);
    if (was == LINK_WAITING || was == LINK_RESOLVING)
        close_own_handles(link);
}
