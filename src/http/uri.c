// SPDX-License-Identifier: MIT
// Percent-decoding, exactly once, and the walk over a query's parameters.
#include "http/uri.h"

static int hex_digit(char byte) {
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool is_plain(struct bytes text, bool plus_is_space) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == '%' || text.at[i] == '\0' || (plus_is_space && text.at[i] == '+'))
            return false;
    return true;
}

bool uri_decode_any(struct arena *arena, struct bytes text, bool plus_is_space, struct bytes *ret_text) {
    if (is_plain(text, plus_is_space)) {
        *ret_text = text;
        return true;
    }
    char *to = arena_take(arena, text.len);
    if (!to)
        return false;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.at[i];
        if (byte == '%') {
            int high = i + 2 < text.len ? hex_digit(text.at[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            byte = (char)(high << 4 | low);
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        to[len++] = byte;
    }
    *ret_text = (struct bytes){to, len};
    return true;
}

bool uri_decode(struct arena *arena, struct bytes text, bool plus_is_space, struct bytes *ret_text) {
    struct bytes decoded;
    if (!uri_decode_any(arena, text, plus_is_space, &decoded) || (decoded.len && memchr(decoded.at, '\0', decoded.len)))
        return false;
    *ret_text = decoded;
    return true;
}

bool query_next(struct bytes *rest, struct bytes *ret_name, struct bytes *ret_value) {
    while (rest->len && rest->at[0] == '&')
        *rest = (struct bytes){rest->at + 1, rest->len - 1};
    if (!rest->len)
        return false;
    const char *end = memchr(rest->at, '&', rest->len);
    struct bytes pair = {rest->at, end ? (size_t)(end - rest->at) : rest->len};
    *rest = (struct bytes){pair.at + pair.len, rest->len - pair.len};
    const char *equals = memchr(pair.at, '=', pair.len);
    size_t name_len = equals ? (size_t)(equals - pair.at) : pair.len;
    *ret_name = (struct bytes){pair.at, name_len};
    *ret_value = equals ? (struct bytes){equals + 1, pair.len - name_len - 1} : (struct bytes){"", 0};
    return true;
}

// ---- Escaping

static void add_escape(struct buffer *out, char byte) {
    static const char digits[] = "0123456789ABCDEF";
    const char escape[] = {'%', digits[(unsigned char)byte >> 4], digits[byte & 15]};
    buffer_add(out, escape, sizeof escape);
}

static bool is_unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

void uri_add_escaped(struct buffer *out, struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (is_unreserved(text.at[i]))
            buffer_add_char(out, text.at[i]);
        else
            add_escape(out, text.at[i]);
    }
}

// The length of scheme and host, where brackets are allowed.
static size_t authority_end(struct bytes url) {
    size_t at = bytes_starts(url, BYTES("https://")) ? 8 : bytes_starts(url, BYTES("http://")) ? 7 : 0;
    while (at && at < url.len && !strchr("/\\?#", url.at[at]))
        at++;
    return at;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

static bool is_escape(struct bytes url, size_t at) {
    return at + 2 < url.len && is_hex(url.at[at + 1]) && is_hex(url.at[at + 2]);
}

bool uri_is_plain(struct bytes url) {
    static const bool plain[256] = {
        ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true, ['$'] = true,
        ['&' ... '/'] = true, [':'] = true,         [';'] = true,         ['='] = true, ['?'] = true,
        ['@'] = true,         ['_'] = true,         ['~'] = true};
    for (size_t i = 0; i < url.len; i++)
        if (!plain[(unsigned char)url.at[i]])
            return false;
    return true;
}

void uri_add_valid(struct buffer *out, struct bytes url) {
    size_t behind_host = authority_end(url);
    bool in_query = false, in_fragment = false;
    for (size_t i = 0; i < url.len; i++) {
        char c = url.at[i];
        bool bad = (c & 0x80) == 0 && (c <= ' ' || strchr("\"<>^`{|}\x7f", c));
        bad = bad || (c == '%' && !is_escape(url, i)) || (c == '#' && in_fragment);
        bad = bad || (i >= behind_host && (c == '[' || c == ']')) || (c == '\\' && in_query);
        if (bad)
            add_escape(out, c);
        else
            buffer_add_char(out, c == '\\' ? '/' : c);
        in_fragment = in_fragment || c == '#';
        in_query = in_query || c == '?' || c == '#';
    }
}
