// SPDX-License-Identifier: MIT
// Connects and logs in. Without TLS hiredis does all of it; with TLS it has the socket and the reader of replies, and
// the bytes between go through redis/tls.h.
#include "store/blocking.h"
#include "redis/tls.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { CHUNK = 16 * 1024, COMMAND_MAX = 16 << 20, TROUBLE_MAX = 160 };

struct blocking {
    redisContext *context;
    struct tls *tls; // NULL: there is none
    bool open;       // the handshake is done
    char trouble[TROUBLE_MAX];
};

static bool fail(struct blocking *blocking, const char *why) {
    snprintf(blocking->trouble, sizeof blocking->trouble, "%s", why);
    return false;
}

const char *blocking_trouble(const struct blocking *blocking) {
    return blocking->trouble[0] ? blocking->trouble : blocking->context->errstr;
}

bool blocking_is_alive(const struct blocking *blocking) {
    return blocking->context->err == 0 && !blocking->trouble[0];
}

// ---- TLS

static bool fail_ended(struct blocking *blocking, const char *why) {
    return fail(blocking, blocking->open && tls_is_fresh(blocking->tls) ? TLS_ENDED_EARLY : why);
}

static bool send_sealed(struct blocking *blocking) {
    struct buffer sealed;
    buffer_init(&sealed, 2 * COMMAND_MAX);
    tls_sealed(blocking->tls, &sealed);
    bool good = !sealed.failed;
    for (size_t at = 0; good && at < sealed.len;) {
        ssize_t sent = send(blocking->context->fd, sealed.at + at, sealed.len - at, MSG_NOSIGNAL);
        good = sent > 0 || (sent < 0 && errno == EINTR);
        at += sent > 0 ? (size_t)sent : 0;
    }
    buffer_release(&sealed);
    return good || fail_ended(blocking, "cannot send");
}

static bool receive(struct blocking *blocking) {
    char chunk[CHUNK];
    ssize_t got;
    do
        got = recv(blocking->context->fd, chunk, sizeof chunk, 0);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return fail_ended(blocking, "closed by Redis");
    if (got < 0 && errno == EAGAIN)
        return fail(blocking, blocking->open ? "no answer in time" : TLS_SILENCE);
    if (got < 0)
        return fail_ended(blocking, strerror(errno));
    return tls_take(blocking->tls, (struct bytes){chunk, (size_t)got}) || fail(blocking, tls_trouble(blocking->tls));
}

static bool shake_hands(struct blocking *blocking) {
    for (;;) {
        enum tls_step step = tls_handshake(blocking->tls);
        bool sent = send_sealed(blocking);
        if (step == TLS_FAILED)
            return fail(blocking, tls_trouble(blocking->tls));
        if (step == TLS_OPEN || !sent || !receive(blocking))
            return step == TLS_OPEN && sent;
    }
}

// More of the reply, for the reader.
static bool feed(struct blocking *blocking) {
    char plain[CHUNK];
    ssize_t got;
    while ((got = tls_read(blocking->tls, plain, sizeof plain)) == 0)
        if (!receive(blocking))
            return false;
    if (got < 0)
        return fail(blocking, tls_trouble(blocking->tls));
    return redisReaderFeed(blocking->context->reader, plain, (size_t)got) == REDIS_OK || fail(blocking, "no memory");
}

static redisReply *call_over_tls(struct blocking *blocking, const char *at, size_t len) {
    void *reply = NULL;
    redisReader *reader = blocking->context->reader;
    if (!blocking_is_alive(blocking))
        return NULL;
    if (!tls_write(blocking->tls, (struct bytes){at, len}))
        fail(blocking, tls_trouble(blocking->tls));
    else if (send_sealed(blocking))
        while (redisReaderGetReply(reader, &reply) == REDIS_OK && !reply && feed(blocking))
            ;
    if (reader->err)
        fail(blocking, reader->errstr);
    return reply;
}

// ---- Calls

redisReply *blocking_send(struct blocking *blocking, const char *at, size_t len) {
    void *reply = NULL;
    if (blocking->tls)
        return call_over_tls(blocking, at, len);
    if (redisAppendFormattedCommand(blocking->context, at, len) == REDIS_OK)
        redisGetReply(blocking->context, &reply);
    return reply;
}

redisReply *blocking_call_bytes(struct blocking *blocking, const char *const *arguments, const size_t *lengths,
                                int count) {
    char *text = NULL;
    long long len = redisFormatCommandArgv(&text, count, (const char **)arguments, lengths);
    redisReply *reply = len > 0 ? blocking_send(blocking, text, (size_t)len) : NULL;
    free(text);
    return reply;
}

redisReply *blocking_call(struct blocking *blocking, const char *const *arguments, int count) {
    return blocking_call_bytes(blocking, arguments, NULL, count);
}

// ---- Connecting

static bool log_in(struct blocking *blocking, const struct address *address, char *ret_error, size_t error_size) {
    if (!address->password[0])
        return true;
    redisReply *reply = address->user[0] ? BLOCKING_CALL(blocking, "AUTH", address->user, address->password)
                                         : BLOCKING_CALL(blocking, "AUTH", address->password);
    bool good = reply && reply->type != REDIS_REPLY_ERROR;
    if (!good)
        snprintf(ret_error, error_size, "AUTH: %s", reply ? reply->str : blocking_trouble(blocking));
    freeReplyObject(reply);
    return good;
}

static bool open_tls(struct blocking *blocking, const struct address *address) {
    if (!address->tls)
        return true;
    blocking->tls = tls_new(address->tls, address->tls_name[0] ? address->tls_name : address->host);
    blocking->open = blocking->tls && shake_hands(blocking);
    return blocking->tls ? blocking->open : fail(blocking, "no memory for TLS");
}

static bool open_socket(struct blocking *blocking, const struct address *address, struct timeval connecting,
                        struct timeval answering) {
    redisContext *context = address->kind == ADDRESS_UNIX
                                ? redisConnectUnixWithTimeout(address->path, connecting)
                                : redisConnectWithTimeout(address->host, atoi(address->port), connecting);
    blocking->context = context;
    return context && context->err == 0 && redisSetTimeout(context, answering) == REDIS_OK;
}

struct blocking *blocking_connect(const struct address *address, struct timeval connecting, struct timeval answering,
                                  char *ret_error, size_t error_size) {
    struct blocking *blocking = calloc(1, sizeof *blocking);
    bool good = blocking && open_socket(blocking, address, connecting, answering) && open_tls(blocking, address);
    if (!good)
        snprintf(ret_error, error_size, "Redis: %s",
                 blocking && blocking->context ? blocking_trouble(blocking) : "no memory");
    if (good && log_in(blocking, address, ret_error, error_size))
        return blocking;
    blocking_end(blocking);
    return NULL;
}

void blocking_end(struct blocking *blocking) {
    if (!blocking)
        return;
    if (blocking->tls && blocking->context && blocking_is_alive(blocking)) {
        tls_close(blocking->tls);
        send_sealed(blocking);
    }
    tls_free(blocking->tls);
    if (blocking->context)
        redisFree(blocking->context);
    free(blocking);
}
