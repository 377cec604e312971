// SPDX-License-Identifier: MIT
// The scan of a raw head, whole and in two pieces: both have the same result, and what it finds lies within the bytes.
#include "http/head.h"
#include "tests/fuzz/fuzz.h"

static const struct http_limits limits = {.request_line = 16 << 10, .head = 32 << 10, .fields = 100};

static void check_span(struct span span, size_t len) {
    FUZZ_CHECK(span.at <= len && span.len <= len - span.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes raw = {(const char *)data, size};
    struct head whole, pieces;
    size_t whole_len = 0, len = 0;
    head_begin(&whole);
    head_begin(&pieces);
    enum head_state state = head_scan(&whole, raw, &limits, &whole_len);
    enum head_state first = head_scan(&pieces, (struct bytes){raw.at, size / 2}, &limits, &len);
    if (first == HEAD_MORE)
        first = head_scan(&pieces, raw, &limits, &len);
    FUZZ_CHECK(first == state);
    if (state != HEAD_WHOLE)
        return 0;
    FUZZ_CHECK(whole_len <= size && whole_len == len);
    check_span(whole.target, whole_len);
    check_span(whole.host, whole_len);
    struct arena arena;
    arena_init(&arena, 64 << 10);
    for (int field = 0; field < HTTP_FIELD_COUNT; field++) {
        if (!(whole.present & 1u << field))
            continue;
        check_span(whole.kept[field], whole_len);
        if (whole.repeated & 1u << field)
            head_join((struct bytes){raw.at, whole_len}, (enum http_field)field, &arena);
    }
    arena_release(&arena);
    return 0;
}
