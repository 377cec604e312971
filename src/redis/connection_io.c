// SPDX-License-Identifier: MIT
// A connection's socket: what is read from it, and all commands of a turn in one system call.
#include "redis/connection_inside.h"
#include <stdlib.h>

// ---- Reading

// hiredis moves what it has left after each reply, so it gets little at a time.
enum { READ_CHUNK = 64 * 1024, FED_AT_ONCE = 8 * 1024 };

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    struct redis_connection *redis = handle->data;
    (void)suggested;
    *ret_buf = uv_buf_init(redis->read_chunk, READ_CHUNK);
}

void redis_take_replies(struct redis_connection *redis, struct bytes read) {
    while (read.len && redis->reader && redis->state != REDIS_STATE_CLOSING) {
        size_t len = read.len < FED_AT_ONCE ? read.len : FED_AT_ONCE;
        if (redisReaderFeed(redis->reader, read.at, len) != REDIS_OK) {
            redis_drop(redis, "no memory for a reply");
            return;
        }
        pending_take_replies(redis);
        read = (struct bytes){read.at + len, read.len - len};
    }
}

static void drop_for(struct redis_connection *redis, int status) {
    if (redis->tls && tls_is_fresh(redis->tls))
        redis_drop(redis, TLS_ENDED_EARLY);
    else
        redis_drop(redis, status == UV_EOF ? "closed by Redis" : uv_strerror(status));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf) {
    struct redis_connection *redis = stream->data;
    if (got == 0 || redis->state == REDIS_STATE_CLOSING)
        return;
    if (got < 0) {
        drop_for(redis, (int)got);
        return;
    }
    redis->heard_at_ms = uv_now(redis->loop);
    struct bytes read = {buf->base, (size_t)got};
    if (redis->tls)
        connection_tls_take(redis, read);
    else
        redis_take_replies(redis, read);
}

// False without memory.
bool redis_read_start(struct redis_connection *redis) {
    if (!redis->read_chunk)
        redis->read_chunk = malloc(READ_CHUNK);
    return redis->read_chunk && uv_read_start(&redis->peer.stream, on_alloc, on_read) == 0;
}

// ---- Writing

static void on_written(uv_write_t *request, int status) {
    struct redis_connection *redis = request->data;
    redis->writing_now = false;
    buffer_clear(&redis->writing);
    if (status < 0 && status != UV_ECANCELED)
        drop_for(redis, status);
}

void redis_write_out(struct redis_connection *redis) {
    bool open =
        redis->state == REDIS_STATE_HANDSHAKE || redis->state == REDIS_STATE_READY || redis->state == REDIS_STATE_TLS;
    if (!open || redis->writing_now || (redis->out.len == 0 && !redis->tls))
        return;
    if (redis->tls) {
        if (!connection_tls_seal(redis) || redis->writing.len == 0)
            return;
    } else {
        struct buffer swap = redis->writing;
        redis->writing = redis->out;
        redis->out = swap;
    }
    uv_buf_t rest = uv_buf_init(redis->writing.at, (unsigned)redis->writing.len);
    int sent = uv_try_write(&redis->peer.stream, &rest, 1);
    if (sent == (int)redis->writing.len) {
        buffer_clear(&redis->writing);
        return;
    }
    if (sent > 0)
        rest = uv_buf_init(redis->writing.at + sent, (unsigned)(redis->writing.len - (size_t)sent));
    redis->write.data = redis;
    redis->writing_now = true;
    int status = uv_write(&redis->write, &redis->peer.stream, &rest, 1, on_written);
    if (status < 0) {
        redis->writing_now = false;
        redis_drop(redis, uv_strerror(status));
    }
}

void redis_begin_turn(struct redis_connection *redis) {
    if (redis->failed && redis->state != REDIS_STATE_STOPPED)
        pending_tell_failed(redis);
    if (redis->writes)
        redis_begin_turn(redis->writes);
}

bool redis_end_turn(struct redis_connection *redis) {
    bool again = redis->writes && redis_end_turn(redis->writes);
    if (redis->state == REDIS_STATE_STOPPED)
        return again;
    if (redis->held)
        pending_send_held(redis);
    if (redis->first)
        confirm_end_turn(redis);
    if (redis->out.len || redis->tls)
        redis_write_out(redis);
    redis->sent_ns = 0;
    return again || redis->failed;
}

bool redis_is_trying(const struct redis_connection *redis) {
    return redis->state != REDIS_STATE_READY && !redis->trouble[0];
}
