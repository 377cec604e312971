// SPDX-License-Identifier: MIT
// The visitor token: "ev1." and base64url of id (16 bytes), issue time (4, Unix seconds, big-endian) and a keyed MAC
// (16) over both and the site. Pure. MACs are compared in constant time, and no failure tells what was wrong.
#pragma once
#include "model/names.h"

enum { TOKEN_SIZE = 4 + 48 + 1 }; // with the NUL

struct token_keys {
    struct secret_key current;
    struct secret_key old;
    bool has_old;
};

void token_make(const struct token_keys *keys, struct bytes site, const uint8_t id[static VISITOR_ID_SIZE],
                int64_t now_ms, char ret_text[static TOKEN_SIZE]);
bool token_check(const struct token_keys *keys, struct bytes site, struct bytes text, int64_t now_ms, int64_t age_ms,
                 uint8_t ret_id[static VISITOR_ID_SIZE]);
// True for anything that begins with "ev1.".
bool token_like(struct bytes text);
