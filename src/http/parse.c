// SPDX-License-Identifier: MIT
// llhttp reads the head after head.c has accepted it, and then the body. It decides framing and keep-alive. No callback
// takes fields, so trailers are dropped. Each exchange has one parser. It stops at the end of the message (HPE_PAUSED),
// so the next request is never read as a part of this one.
#include "http/http_inside.h"

static int on_headers_complete(llhttp_t *parser) {
    struct exchange *exchange = parser->data;
    parser->upgrade = 0; // an Upgrade is ignored: the next request is HTTP/1.1 again
    exchange->keep_alive = llhttp_should_keep_alive(parser);
    return 0;
}

static int on_message_complete(llhttp_t *parser) {
    struct exchange *exchange = parser->data;
    exchange->whole = true;
    return HPE_PAUSED;
}

static int stop(struct exchange *exchange, enum outcome outcome) {
    exchange->outcome = outcome;
    return HPE_USER;
}

static int on_piece_of_whole(struct exchange *exchange, struct bytes piece) {
    if (exchange->body_decoded > exchange->plan.limit)
        return stop(exchange, TOO_LARGE);
    buffer_add_bytes(&exchange->body, piece);
    return exchange->body.failed ? stop(exchange, OVERLOADED) : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len) {
    struct exchange *exchange = parser->data;
    struct bytes piece = {at, len};
    exchange->body_decoded += len;
    if (exchange->answered || exchange->plan.kind == HTTP_BODY_REFUSE)
        return 0;
    if (exchange->plan.kind == HTTP_BODY_WHOLE)
        return on_piece_of_whole(exchange, piece);
    exchange->server->callbacks.on_piece(&exchange->request, piece);
    if (exchange->answered)
        return stop(exchange, OK); // answered early: the rest is dropped
    return exchange->paused ? HPE_PAUSED : 0;
}

// A chunk over the limit, or of an absurd size, is refused by its size, before its data is read.
static int on_chunk_header(llhttp_t *parser) {
    struct exchange *exchange = parser->data;
    bool gathers = exchange->plan.kind == HTTP_BODY_WHOLE && !exchange->answered;
    if (parser->content_length > INT64_MAX || (gathers && parser->content_length > exchange->plan.limit))
        return stop(exchange, TOO_LARGE);
    exchange->last_chunk = parser->content_length == 0;
    return 0;
}

static int on_chunk_complete(llhttp_t *parser) {
    struct exchange *exchange = parser->data;
    if (exchange->last_chunk)
        return 0;
    exchange->chunk = CHUNK_SIZE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_chunk_complete = on_chunk_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static enum http_method method_of(uint8_t method) {
    switch (method) {
    case HTTP_GET:
        return HTTP_METHOD_GET;
    case HTTP_HEAD:
        return HTTP_METHOD_HEAD;
    case HTTP_POST:
        return HTTP_METHOD_POST;
    case HTTP_PUT:
        return HTTP_METHOD_PUT;
    case HTTP_DELETE:
        return HTTP_METHOD_DELETE;
    case HTTP_OPTIONS:
        return HTTP_METHOD_OPTIONS;
    default:
        return HTTP_METHOD_OTHER;
    }
}

enum outcome parse_head(struct exchange *exchange) {
    llhttp_init(&exchange->parser, HTTP_REQUEST, &settings);
    exchange->parser.data = exchange;
    llhttp_errno_t error = llhttp_execute(&exchange->parser, exchange->head_raw.at, exchange->head_raw.len);
    exchange->request.method = method_of(exchange->parser.method);
    if (error == HPE_OK || (error == HPE_PAUSED && exchange->whole))
        return OK;
    // The version was checked before: a constant that does not fit is a method of another protocol (RTSP, ICY).
    return error == HPE_INVALID_METHOD || error == HPE_INVALID_CONSTANT ? NOT_IMPLEMENTED : BAD_REQUEST;
}

// llhttp does not show chunk heads, extensions and trailers, so the raw bytes are counted. A stream may have many small
// chunks: eight raw bytes for each decoded byte are allowed.
static bool is_too_raw(const struct exchange *exchange) {
    size_t raw = exchange->body_raw, decoded = exchange->body_decoded;
    if (exchange->plan.kind == HTTP_BODY_WHOLE && !exchange->answered)
        return raw > exchange->plan.limit + BODY_SLACK;
    if (exchange->plan.kind == HTTP_BODY_STREAM && !exchange->answered)
        return raw > decoded && (raw - decoded) / 8 > decoded + BODY_SLACK / 8;
    return raw > DISCARD_MAX;
}

bool parse_body_is_read(const struct exchange *exchange) {
    return !(exchange->parser.flags & F_CHUNKED) && exchange->parser.content_length == 0;
}

// ---- Chunk extensions (RFC 9112, 7.1.1) are passed over. llhttp never sees them, because it accepts only some.

static bool is_hex(char byte) {
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t';
}

// A byte of a token, or a separator.
static bool is_of_extension(unsigned char byte) {
    return byte > ' ' && byte < 0x7f && !memchr("(),/:<>?@[\\]{}", byte, 15);
}

static bool is_of_quoted(unsigned char byte) {
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

static enum chunk_part after_byte(enum chunk_part part, char byte) {
    switch (part) {
    case CHUNK_BLANK:
        return is_blank(byte) ? CHUNK_BLANK : byte == ';' ? CHUNK_EXTENSION : CHUNK_BAD;
    case CHUNK_EXTENSION:
        if (byte == '"')
            return CHUNK_QUOTED;
        return is_blank(byte) || is_of_extension((unsigned char)byte) ? CHUNK_EXTENSION : CHUNK_BAD;
    case CHUNK_QUOTED:
        if (byte == '"')
            return CHUNK_EXTENSION;
        return byte == '\\' ? CHUNK_ESCAPED : is_of_quoted((unsigned char)byte) ? CHUNK_QUOTED : CHUNK_BAD;
    default: // CHUNK_ESCAPED
        return is_of_quoted((unsigned char)byte) ? CHUNK_QUOTED : CHUNK_BAD;
    }
}

static size_t pass_extension(struct exchange *exchange, struct bytes input) {
    for (size_t i = 0; i < input.len; i++) {
        if (exchange->chunk == CHUNK_EXTENSION && input.at[i] == '\r') {
            exchange->chunk = CHUNK_REST;
            return i;
        }
        exchange->chunk = after_byte(exchange->chunk, input.at[i]);
        if (exchange->chunk == CHUNK_BAD)
            return i;
    }
    return input.len;
}

// ---- Bodies

static llhttp_errno_t feed(struct exchange *exchange, struct bytes input, size_t *ret_used) {
    llhttp_resume(&exchange->parser);
    exchange->parsing = true;
    llhttp_errno_t error = llhttp_execute(&exchange->parser, input.at, input.len);
    exchange->parsing = false;
    *ret_used = error == HPE_OK ? input.len : (size_t)(llhttp_get_error_pos(&exchange->parser) - input.at);
    return error;
}

// The digits of a chunk's size. The byte after them decides which part comes next.
static llhttp_errno_t feed_size(struct exchange *exchange, struct bytes input, size_t *ret_used) {
    size_t digits = 0;
    while (digits < input.len && is_hex(input.at[digits]))
        digits++;
    if (digits < input.len)
        exchange->chunk = is_blank(input.at[digits]) || input.at[digits] == ';' ? CHUNK_BLANK : CHUNK_REST;
    *ret_used = 0;
    return digits ? feed(exchange, (struct bytes){input.at, digits}, ret_used) : HPE_OK;
}

static llhttp_errno_t feed_chunks(struct exchange *exchange, struct bytes input, size_t *ret_used) {
    llhttp_errno_t error = HPE_OK;
    size_t used = 0, step;
    for (; used < input.len && error == HPE_OK; used += step) {
        struct bytes rest = {input.at + used, input.len - used};
        if (exchange->chunk == CHUNK_SIZE)
            error = feed_size(exchange, rest, &step);
        else if (exchange->chunk != CHUNK_REST)
            step = pass_extension(exchange, rest);
        else if ((error = feed(exchange, rest, &step)) == HPE_PAUSED && exchange->chunk == CHUNK_SIZE)
            error = exchange->paused ? HPE_PAUSED : HPE_OK; // the end of a chunk
        if (exchange->chunk == CHUNK_BAD)
            error = HPE_INVALID_CHUNK_SIZE;
    }
    *ret_used = used;
    return error;
}

enum parse_state parse_body(struct exchange *exchange, struct bytes input, size_t *ret_used) {
    bool chunked = exchange->parser.flags & F_CHUNKED;
    llhttp_errno_t error = (chunked ? feed_chunks : feed)(exchange, input, ret_used);
    exchange->body_raw += *ret_used;
    if (exchange->whole)
        return PARSE_WHOLE;
    if (error != HPE_OK && error != HPE_PAUSED) {
        if (error != HPE_USER && exchange->outcome == OK) // llhttp replaces some refusals of callbacks by its own codes
            exchange->outcome = BAD_REQUEST;
        return PARSE_BAD;
    }
    if (is_too_raw(exchange)) {
        exchange->outcome = TOO_LARGE;
        return PARSE_BAD;
    }
    return error == HPE_PAUSED ? PARSE_PAUSED : PARSE_MORE;
}
