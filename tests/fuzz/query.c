// SPDX-License-Identifier: MIT
// Queries and paths: every piece is decoded once, never grows, and holds no NUL.
#include "http/uri.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes rest = {(const char *)data, size}, name, value, decoded;
    struct arena arena;
    arena_init(&arena, 256 << 10);
    while (query_next(&rest, &name, &value)) {
        FUZZ_CHECK(name.len + value.len <= size);
        if (uri_decode(&arena, value, true, &decoded))
            FUZZ_CHECK(decoded.len <= value.len && (decoded.len == value.len || !memchr(decoded.at, 0, decoded.len)));
        if (uri_decode(&arena, name, false, &decoded))
            FUZZ_CHECK(decoded.len <= name.len);
    }
    arena_release(&arena);
    return 0;
}
