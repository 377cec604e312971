// SPDX-License-Identifier: MIT
// Both questions need one pass over the bytes and no memory.
#include "ops/json_scan.h"
#include <string.h>

enum { DEPTH_MAX = 8 };

bool json_is_deep(struct bytes body) {
    int depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.at[i];
        if (in_text && c == '\\')
            i++;
        else if (c == '"')
            in_text = !in_text;
        else if (!in_text && (c == '{' || c == '['))
            depth++;
        else if (!in_text && (c == '}' || c == ']'))
            depth--;
        if (depth > DEPTH_MAX)
            return true;
    }
    return false;
}

// The place of the quote that ends the text; `at` is the place of the quote that begins it.
static size_t end_of_text(struct bytes body, size_t at) {
    for (at++; at < body.len && body.at[at] != '"'; at++)
        at += body.at[at] == '\\';
    return at;
}

static bool is_followed_by_colon(struct bytes body, size_t at) {
    while (at < body.len && memchr(" \t\r\n", body.at[at], 4))
        at++;
    return at < body.len && body.at[at] == ':';
}

bool json_next_name(struct json_names *names, struct bytes *ret_name) {
    struct bytes body = names->body;
    while (names->at < body.len) {
        size_t begin = names->at++;
        char c = body.at[begin];
        names->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (c != '"')
            continue;
        size_t end = end_of_text(body, begin);
        names->at = end + 1;
        *ret_name = (struct bytes){body.at + begin + 1, end - begin - 1};
        if (names->depth == 1 && is_followed_by_colon(body, end + 1))
            return true;
    }
    return false;
}
