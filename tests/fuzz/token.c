// SPDX-License-Identifier: MIT
// Tokens: a token that the service made is good until a byte of it changes; any other is refused.
#include "model/token.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct token_keys keys;
    uint8_t id[VISITOR_ID_SIZE] = {1}, found[VISITOR_ID_SIZE];
    char good[TOKEN_SIZE];
    keys.current.at[0] = 7;
    FUZZ_CHECK(
        !token_check(&keys, BYTES("a.example"), (struct bytes){(const char *)data, size}, 1000000, 1000000, found));
    token_make(&keys, BYTES("a.example"), id, 1000000, good);
    FUZZ_CHECK(token_check(&keys, BYTES("a.example"), (struct bytes){good, TOKEN_SIZE - 1}, 1000000, 1000000, found));
    if (size < 2 || data[1] == 0)
        return 0;
    good[data[0] % (TOKEN_SIZE - 1)] ^= (char)data[1];
    FUZZ_CHECK(!token_check(&keys, BYTES("a.example"), (struct bytes){good, TOKEN_SIZE - 1}, 1000000, 1000000, found));
    return 0;
}
