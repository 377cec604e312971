// SPDX-License-Identifier: MIT
// Finished bodies: two representations (plain, gzip), each with ready-made heads for 200 and 304.
// The first request that accepts gzip makes the gzip representation. It is kept if it is smaller; body_size counts its
// memory from the start. Both share one weak ETag, so a client that holds either gets 304. The time of the last check
// has a fixed place at the end of each head and is overwritten there.
#include "http/body.h"
#include "base/keyed.h"
#include "base/times.h"
#include "http/accept.h"
#include <stdlib.h>
#include <zlib.h>

enum { GZIP_LEVEL = 6, GZIP_WORTH = 256, TAG_ROOM = 24, HEAD_MAX = 64 << 10, HEAD_FIXED = 200 };

struct representation {
    struct bytes content;
    struct buffer head, unchanged; // for 200, for 304
};

struct body {
    bool gzip_tried;
    struct representation plain, gzip; // gzip.content.at == NULL: not made, or not worth it
    char checked_at[TIME_TEXT_SIZE];
    char tag[TAG_ROOM]; // with its quotes, without W/
    struct bytes media_type, fields;
    char memory[]; // content, media type, fields
};

// ---- Heads

static void add_field(struct buffer *head, struct bytes name, struct bytes value) {
    buffer_add_bytes(head, name);
    buffer_add_bytes(head, value);
    buffer_add_bytes(head, BYTES("\r\n"));
}

static bool make_heads(struct body *body, struct representation *made, const char *coding) {
    buffer_init(&made->head, HEAD_MAX);
    buffer_init(&made->unchanged, HEAD_MAX);
    buffer_reserve(&made->head, HEAD_FIXED + body->media_type.len + body->fields.len);
    buffer_reserve(&made->unchanged, HEAD_FIXED + body->fields.len);
    buffer_add_bytes(&made->head, BYTES("HTTP/1.1 200 OK\r\nContent-Length: "));
    buffer_add_int(&made->head, (int64_t)made->content.len);
    add_field(&made->head, BYTES("\r\nContent-Type: "), body->media_type);
    if (coding)
        add_field(&made->head, BYTES("Content-Encoding: "), bytes_of(coding));
    buffer_add_bytes(&made->unchanged, BYTES("HTTP/1.1 304 Not Modified\r\n"));
    struct buffer *const both[] = {&made->head, &made->unchanged};
    for (int i = 0; i < 2; i++) {
        add_field(both[i], BYTES("ETag: W/"), bytes_of(body->tag));
        buffer_add_bytes(both[i], BYTES("Vary: Accept-Encoding\r\n"));
        buffer_add_bytes(both[i], body->fields);
        add_field(both[i], BYTES("Engaged-Checked-At: "), bytes_of(body->checked_at));
    }
    return !made->head.failed && !made->unchanged.failed;
}

static void stamp(struct buffer *head, const char *checked_at) {
    if (head->len)
        memcpy(head->at + head->len - 2 - (TIME_TEXT_SIZE - 1), checked_at, TIME_TEXT_SIZE - 1);
}

// ---- gzip

// Deflating needs tables of 256 KiB: each process has one set and resets it after use.
static z_stream *deflater(void) {
    static z_stream stream;
    static bool ready;
    enum { WINDOW = 15, WITH_GZIP_HEAD = 16, MEMORY = 8 };
    if (ready)
        return deflateReset(&stream) == Z_OK ? &stream : NULL;
    ready = deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, WINDOW + WITH_GZIP_HEAD, MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
    return ready ? &stream : NULL;
}

static struct bytes compress_bytes(struct bytes content) {
    char *at = malloc(content.len);
    z_stream *stream = at ? deflater() : NULL;
    if (stream) {
        stream->next_in = (Bytef *)(uintptr_t)content.at;
        stream->avail_in = (uInt)content.len;
        stream->next_out = (Bytef *)at;
        stream->avail_out = (uInt)content.len;
        if (deflate(stream, Z_FINISH) == Z_STREAM_END) {
            size_t len = content.len - stream->avail_out;
            char *fitted = realloc(at, len);
            return (struct bytes){fitted ? fitted : at, len};
        }
    }
    free(at); // gzip does not make it smaller
    return NO_BYTES;
}

static void drop(struct representation *made) {
    buffer_release(&made->head);
    buffer_release(&made->unchanged);
}

static void try_gzip(struct body *body) {
    body->gzip_tried = true;
    if (body->plain.content.len < GZIP_WORTH)
        return;
    body->gzip.content = compress_bytes(body->plain.content);
    if (!body->gzip.content.at || make_heads(body, &body->gzip, "gzip"))
        return;
    drop(&body->gzip);
    free((char *)(uintptr_t)body->gzip.content.at);
    body->gzip.content = NO_BYTES;
}

// ---- Life

static struct bytes place(char **at, struct bytes source) {
    struct bytes placed = {*at, source.len};
    if (source.len)
        memcpy(*at, source.at, source.len);
    *at += source.len;
    return placed;
}

static void make_tag(uint64_t tag, char ret_text[static TAG_ROOM]) {
    static const char digits[] = "0123456789abcdef";
    ret_text[0] = ret_text[17] = '"';
    ret_text[18] = '\0';
    for (int i = 16; i > 0; i--, tag >>= 4)
        ret_text[i] = digits[tag & 15];
}

struct body *body_new(struct bytes content, const char *media_type, struct bytes fields, uint64_t tag) {
    static const struct secret_key no_secret;
    struct bytes type = bytes_of(media_type);
    struct body *body = malloc(sizeof *body + content.len + type.len + fields.len);
    if (!body)
        return NULL;
    memset(body, 0, sizeof *body);
    char *at = body->memory;
    body->plain.content = place(&at, content);
    body->media_type = place(&at, type);
    body->fields = place(&at, fields);
    tag = tag ? tag : keyed_hash64(&no_secret, 'e', &content, 1);
    make_tag(tag, body->tag);
    time_format(0, body->checked_at);
    if (make_heads(body, &body->plain, NULL))
        return body;
    body_release(body);
    return NULL;
}

void body_release(struct body *body) {
    drop(&body->plain);
    drop(&body->gzip);
    free((char *)(uintptr_t)body->gzip.content.at);
    free(body);
}

void body_checked(struct body *body, int64_t checked_at_unix_ms) {
    time_format(checked_at_unix_ms, body->checked_at);
    stamp(&body->plain.head, body->checked_at);
    stamp(&body->plain.unchanged, body->checked_at);
    stamp(&body->gzip.head, body->checked_at);
    stamp(&body->gzip.unchanged, body->checked_at);
}

struct bytes body_content(const struct body *body) {
    return body->plain.content;
}

size_t body_size(const struct body *body) {
    size_t heads = 2 * (body->plain.head.capacity + body->plain.unchanged.capacity);
    return sizeof *body + 2 * body->plain.content.len + body->media_type.len + body->fields.len + heads;
}

// ---- Answers

void http_reply_body(struct http_request *request, const struct body *body) {
    const struct representation *chosen = &body->plain;
    if (request->fields[HTTP_ACCEPT_ENCODING].len && accepts_gzip(request->fields[HTTP_ACCEPT_ENCODING])) {
        if (!body->gzip_tried)
            try_gzip((struct body *)(uintptr_t)body); // a cache of the same content
        if (body->gzip.content.at)
            chosen = &body->gzip;
    }
    struct bytes if_none_match = request->fields[HTTP_IF_NONE_MATCH];
    if (if_none_match.len && tags_match(if_none_match, bytes_of(body->tag)))
        http_reply_made(request, 304, buffer_bytes(&chosen->unchanged), NO_BYTES);
    else
        http_reply_made(request, 200, buffer_bytes(&chosen->head), chosen->content);
}
