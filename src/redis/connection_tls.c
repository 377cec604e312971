// SPDX-License-Identifier: MIT
// TLS on the connection's socket: the bytes that are read go through tls.h to the reader of replies, and what a turn
// sends is sealed. A connection without TLS never comes here.
#include "redis/connection_inside.h"

enum { PIECE = 64 * 1024, RECORD_MAX = 16 * 1024 }; // sealed at a time; of plain bytes

static void fail(struct redis_connection *redis) {
    redis_drop(redis, tls_trouble(redis->tls));
}

static void go_on(struct redis_connection *redis) {
    enum tls_step step = tls_handshake(redis->tls);
    if (step == TLS_FAILED) {
        fail(redis);
        return;
    }
    redis_write_out(redis);
    if (step == TLS_OPEN && redis->state == REDIS_STATE_TLS)
        redis_begin_handshake(redis);
}

void connection_tls_start(struct redis_connection *redis) {
    const struct address *address = &redis->address;
    redis->tls = tls_new(address->tls, address->tls_name[0] ? address->tls_name : address->host);
    if (!redis->tls) {
        redis_drop(redis, "no memory for TLS");
        return;
    }
    redis_set_state(redis, REDIS_STATE_TLS);
    go_on(redis);
}

// What was read after the handshake, as far as whole records of it are there.
static void read_plain(struct redis_connection *redis) {
    char plain[RECORD_MAX];
    ssize_t got = 1;
    while (got > 0 && redis->state != REDIS_STATE_CLOSING)
        if ((got = tls_read(redis->tls, plain, sizeof plain)) > 0)
            redis_take_replies(redis, (struct bytes){plain, (size_t)got});
    if (got < 0)
        fail(redis);
}

void connection_tls_take(struct redis_connection *redis, struct bytes sealed) {
    if (!tls_take(redis->tls, sealed)) {
        fail(redis);
        return;
    }
    if (redis->state == REDIS_STATE_TLS)
        go_on(redis);
    if (redis->state == REDIS_STATE_HANDSHAKE || redis->state == REDIS_STATE_READY)
        read_plain(redis);
}

bool connection_tls_seal(struct redis_connection *redis) {
    struct bytes rest = buffer_bytes(&redis->out);
    bool good = true;
    while (good && rest.len) {
        size_t len = rest.len < PIECE ? rest.len : PIECE;
        good = tls_write(redis->tls, (struct bytes){rest.at, len});
        tls_sealed(redis->tls, &redis->writing);
        rest = (struct bytes){rest.at + len, rest.len - len};
    }
    tls_sealed(redis->tls, &redis->writing); // what TLS itself has to say
    buffer_clear(&redis->out);
    if (good && !redis->writing.failed)
        return true;
    redis_drop(redis, good ? "no memory for TLS" : tls_trouble(redis->tls));
    return false;
}

// Says goodbye, or why it failed, if that goes at once: the socket is closed now. While an earlier write is not done it
// would stand in the middle of a record.
void connection_tls_end(struct redis_connection *redis) {
    struct buffer last;
    if (redis->writing_now)
        return;
    buffer_init(&last, PIECE);
    if (redis->state == REDIS_STATE_HANDSHAKE || redis->state == REDIS_STATE_READY)
        tls_close(redis->tls);
    tls_sealed(redis->tls, &last);
    uv_buf_t bytes = uv_buf_init(last.at, (unsigned)last.len);
    if (last.len)
        uv_try_write(&redis->peer.stream, &bytes, 1);
    buffer_release(&last);
}
