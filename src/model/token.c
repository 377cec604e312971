// SPDX-License-Identifier: MIT
// Makes and checks visitor tokens. A check does the same work whatever is wrong with the token.
#include "model/token.h"
#include "base/base64url.h"

enum { MAC_TOKEN = 't', BODY_SIZE = VISITOR_ID_SIZE + 4, WHOLE_SIZE = BODY_SIZE + MAC_SIZE, AHEAD_MS = 60000 };

static const struct bytes prefix = {"ev1.", 4};

static void sign(const struct secret_key *key, struct bytes site, const uint8_t body[static BODY_SIZE],
                 uint8_t ret_mac[static MAC_SIZE]) {
    struct bytes parts[] = {site, {(const char *)body, BODY_SIZE}};
    keyed_mac(key, MAC_TOKEN, parts, 2, ret_mac);
}

void token_make(const struct token_keys *keys, struct bytes site, const uint8_t id[static VISITOR_ID_SIZE],
                int64_t now_ms, char ret_text[static TOKEN_SIZE]) {
    _Static_assert(TOKEN_SIZE == 4 + WHOLE_SIZE / 3 * 4 + 1, "36 bytes are 48 characters");
    uint8_t whole[WHOLE_SIZE];
    uint32_t seconds = (uint32_t)(now_ms / 1000);
    memcpy(whole, id, VISITOR_ID_SIZE);
    for (int i = 0; i < 4; i++)
        whole[VISITOR_ID_SIZE + i] = (uint8_t)(seconds >> (24 - 8 * i));
    sign(&keys->current, site, whole, whole + BODY_SIZE);
    memcpy(ret_text, prefix.at, prefix.len);
    base64url_encode(whole, sizeof whole, ret_text + prefix.len);
    ret_text[TOKEN_SIZE - 1] = '\0';
}

static bool signed_by(const struct secret_key *key, struct bytes site, const uint8_t whole[static WHOLE_SIZE]) {
    uint8_t mac[MAC_SIZE];
    sign(key, site, whole, mac);
    return constant_time_eq((struct bytes){(const char *)mac, MAC_SIZE},
                            (struct bytes){(const char *)whole + BODY_SIZE, MAC_SIZE});
}

bool token_check(const struct token_keys *keys, struct bytes site, struct bytes text, int64_t now_ms, int64_t age_ms,
                 uint8_t ret_id[static VISITOR_ID_SIZE]) {
    uint8_t whole[WHOLE_SIZE] = {0};
    struct bytes rest = {text.at + prefix.len, text.len - prefix.len};
    bool shaped = token_like(text) && base64url_decode(rest, whole, sizeof whole);
    bool current = signed_by(&keys->current, site, whole);
    bool old = keys->has_old && signed_by(&keys->old, site, whole);
    uint32_t seconds = 0;
    for (int i = 0; i < 4; i++)
        seconds = seconds << 8 | whole[VISITOR_ID_SIZE + i];
    int64_t age = now_ms - (int64_t)seconds * 1000;
    bool fresh = age <= age_ms && age >= -AHEAD_MS;
    if (!(shaped & (current | old) & fresh))
        return false;
    memcpy(ret_id, whole, VISITOR_ID_SIZE);
    return true;
}

bool token_like(struct bytes text) {
    return bytes_starts(text, prefix);
}
