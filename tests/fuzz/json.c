// SPDX-License-Identifier: MIT
// JSON bodies through a table of every type of field; texts that come out are valid UTF-8 within their bounds.
#include "ops/json_in.h"
#include "tests/fuzz/fuzz.h"

struct body {
    struct bytes text;
    struct json_time time;
    struct json_count count;
    struct json_number number;
    bool flag, has_object;
    struct json_texts texts;
    struct json_counts counts;
};

static const struct json_field inner[] = {
    {.name = "counts", .type = JSON_IN_COUNTS, .offset = offsetof(struct body, counts)}, {.name = NULL}};
static const struct json_field fields[] = {
    {.name = "text", .type = JSON_IN_TEXT, .offset = offsetof(struct body, text), .max = 100},
    {.name = "time", .type = JSON_IN_TIME, .offset = offsetof(struct body, time)},
    {.name = "count", .type = JSON_IN_COUNT, .offset = offsetof(struct body, count)},
    {.name = "number", .type = JSON_IN_NUMBER, .offset = offsetof(struct body, number)},
    {.name = "flag", .type = JSON_IN_SWITCH, .offset = offsetof(struct body, flag)},
    {.name = "texts", .type = JSON_IN_TEXTS, .offset = offsetof(struct body, texts), .least = 1, .max = 10},
    {.name = "object", .type = JSON_IN_OBJECT, .offset = offsetof(struct body, has_object), .fields = inner},
    {.name = NULL}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct body body = {.flag = false};
    struct arena arena;
    const char *detail;
    arena_init(&arena, 64 << 10);
    enum outcome outcome =
        json_read((struct bytes){(const char *)data, size}, fields, size % 2, &body, &arena, &detail);
    if (outcome == OK && body.text.at)
        FUZZ_CHECK(body.text.len <= 100 && bytes_are_text(body.text));
    if (outcome == OK && body.number.given)
        FUZZ_CHECK(body.number.value - body.number.value == 0);
    arena_release(&arena);
    return 0;
}
