// SPDX-License-Identifier: MIT
// Accept-Encoding and If-None-Match (RFC 9110, 12.5.3 and 13.1.2), read leniently: what can't be understood is passed
// over, since the worst that follows is a whole body.
#include "http/accept.h"

// Takes the text before the next `mark` off `rest`, trimmed.
static struct bytes take_until(struct bytes *rest, char mark) {
    const char *end = rest->len ? memchr(rest->at, mark, rest->len) : NULL;
    struct bytes piece = {rest->at, end ? (size_t)(end - rest->at) : rest->len};
    size_t used = piece.len + (end ? 1 : 0);
    *rest = (struct bytes){rest->at + used, rest->len - used};
    return bytes_trim(piece);
}

// False for q=0, q=0.0 and so on.
static bool has_weight(struct bytes parameters) {
    while (parameters.len) {
        struct bytes value = take_until(&parameters, ';');
        struct bytes name = take_until(&value, '=');
        if (!bytes_eq_nocase(name, BYTES("q")))
            continue;
        for (size_t i = 0; i < value.len; i++)
            if (value.at[i] >= '1' && value.at[i] <= '9')
                return true;
        return false;
    }
    return true;
}

bool accepts_gzip(struct bytes accept_encoding) {
    bool any = false;
    while (accept_encoding.len) {
        struct bytes item = take_until(&accept_encoding, ',');
        struct bytes coding = take_until(&item, ';');
        if (bytes_eq_nocase(coding, BYTES("gzip")) || bytes_eq_nocase(coding, BYTES("x-gzip")))
            return has_weight(item);
        if (bytes_eq(coding, BYTES("*")))
            any = has_weight(item);
    }
    return any;
}

bool tags_match(struct bytes if_none_match, struct bytes tag) {
    struct bytes rest = bytes_trim(if_none_match);
    if (bytes_eq(rest, BYTES("*")))
        return true;
    while (rest.len) {
        const char *quote = memchr(rest.at, '"', rest.len);
        if (!quote)
            return false;
        rest = (struct bytes){quote, rest.len - (size_t)(quote - rest.at)};
        const char *end = memchr(rest.at + 1, '"', rest.len - 1);
        if (!end)
            return false;
        struct bytes one = {rest.at, (size_t)(end - rest.at) + 1};
        if (bytes_eq(one, tag))
            return true;
        rest = (struct bytes){end + 1, rest.len - one.len};
    }
    return false;
}
