// SPDX-License-Identifier: MIT
// Bodies. A body of announced length is counted here; a chunked one is read by llhttp, which gets a fixed head first.
// No callback takes fields, so trailers are dropped. Each exchange has one parser. It stops at the end of the message
// (HPE_PAUSED), so the next request is never read as a part of this one.
#include "http/http_inside.h"

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

// 0, HPE_PAUSED, or HPE_USER with the outcome set.
static int take_piece(struct exchange *exchange, struct bytes piece) {
    exchange->body_decoded += piece.len;
    if (exchange->answered || exchange->plan.kind == HTTP_BODY_REFUSE)
        return 0;
    if (exchange->plan.kind == HTTP_BODY_WHOLE)
        return on_piece_of_whole(exchange, piece);
    exchange->server->callbacks.on_piece(&exchange->request, piece);
    if (exchange->answered)
        return stop(exchange, OK); // answered early: the rest is dropped
    return exchange->paused ? HPE_PAUSED : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len) {
    return take_piece(parser->data, (struct bytes){at, len});
}

// A chunk over the limit, or of an absurd size, is refused by its size, before its data is read.
static int on_chunk_header(llhttp_t *parser) {
    struct exchange *exchange = parser->data;
    bool collects = exchange->plan.kind == HTTP_BODY_WHOLE && !exchange->answered;
    if (parser->content_length > INT64_MAX || (collects && parser->content_length > exchange->plan.limit))
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
    .on_chunk_header = on_chunk_header,
    .on_chunk_complete = on_chunk_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void parse_begin(struct exchange *exchange) {
    static const char head[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    exchange->whole = !exchange->head.chunked && exchange->head.length == 0;
    if (!exchange->head.chunked)
        return;
    llhttp_init(&exchange->parser, HTTP_REQUEST, &settings);
    exchange->parser.data = exchange;
    llhttp_execute(&exchange->parser, head, sizeof head - 1);
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
    return !exchange->head.chunked && exchange->body_decoded == exchange->head.length;
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

// A body of announced length.
static llhttp_errno_t feed_plain(struct exchange *exchange, struct bytes input, size_t *ret_used) {
    uint64_t left = exchange->head.length - exchange->body_decoded;
    *ret_used = left < input.len ? (size_t)left : input.len;
    exchange->parsing = true;
    int error = *ret_used ? take_piece(exchange, (struct bytes){input.at, *ret_used}) : 0;
    exchange->parsing = false;
    exchange->whole = error == 0 && parse_body_is_read(exchange);
    return (llhttp_errno_t)error;
}

enum parse_state parse_body(struct exchange *exchange, struct bytes input, size_t *ret_used) {
    llhttp_errno_t error = (exchange->head.chunked ? feed_chunks : feed_plain)(exchange, input, ret_used);
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
