// SPDX-License-Identifier: MIT
// Three bytes are four characters of six bits. libsodium's decoder takes constant time, at ten times the cost; here
// nothing is secret, because a client has just sent the text.
#include "base/base64url.h"
#include <assert.h>

enum { NO_DIGIT = 0xff };

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const uint8_t *values(void) {
    static uint8_t table[256];
    if (table[0] == NO_DIGIT)
        return table;
    memset(table, NO_DIGIT, sizeof table);
    for (uint8_t i = 0; i < 64; i++)
        table[(uint8_t)digits[i]] = i;
    return table;
}

void base64url_encode(const void *data, size_t len, char *text) {
    const uint8_t *at = data;
    assert(len % 3 == 0);
    for (size_t i = 0; i < len; i += 3, text += 4) {
        uint32_t triple = (uint32_t)at[i] << 16 | (uint32_t)at[i + 1] << 8 | at[i + 2];
        for (int j = 0; j < 4; j++)
            text[j] = digits[triple >> (18 - 6 * j) & 63];
    }
}

bool base64url_decode(struct bytes text, void *ret_data, size_t len) {
    const uint8_t *value_of = values(), *at = (const uint8_t *)text.at;
    uint8_t *to = ret_data, seen = 0;
    assert(len % 3 == 0);
    if (text.len != len / 3 * 4)
        return false;
    for (size_t i = 0; i < len; i += 3, at += 4) {
        uint32_t a = value_of[at[0]], b = value_of[at[1]], c = value_of[at[2]], d = value_of[at[3]];
        uint32_t triple = a << 18 | b << 12 | c << 6 | d;
        seen |= (uint8_t)(a | b | c | d);
        to[i] = (uint8_t)(triple >> 16);
        to[i + 1] = (uint8_t)(triple >> 8);
        to[i + 2] = (uint8_t)triple;
    }
    return seen < 64;
}
