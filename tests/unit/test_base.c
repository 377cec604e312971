// SPDX-License-Identifier: MIT
// Numbers, base64url, text and buffers: the small things that everything stands on.
#include "base/base64url.h"
#include "base/buffer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// After what it needs:
#include <cmocka.h>

static void test_numbers(void **state) {
    (void)state;
    static const int64_t numbers[] = {0, 1, -1, 9, 10, -10, 4294967296, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char room[DECIMAL_SIZE], wanted[32];
        struct bytes text = bytes_of_int(numbers[i], room);
        snprintf(wanted, sizeof wanted, "%lld", (long long)numbers[i]);
        assert_true(bytes_eq(text, bytes_of(wanted)));
    }
}

// The vectors of RFC 4648 that are whole triples, and one with both characters of its own.
static void test_base64url(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"", ""}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbe", "_---"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t len = strlen(pairs[i][0]);
        char text[16], data[16];
        base64url_encode(pairs[i][0], len, text);
        assert_memory_equal(text, pairs[i][1], len / 3 * 4);
        assert_true(base64url_decode(bytes_of(pairs[i][1]), data, len));
        assert_memory_equal(data, pairs[i][0], len);
    }
    static const char *const bad[] = {"", "Zm9", "Zm9vY", "Zm9=", "Zm9+", "Zm9/", "Zm 9", "Z\xc3\xa4v"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char data[3];
        assert_false(base64url_decode(bytes_of(bad[i]), data, sizeof data));
    }
    assert_false(base64url_decode((struct bytes){"Zm9\0", 4}, (char[3]){0}, 3));
}

static void test_text(void **state) {
    (void)state;
    static const char *const good[] = {"", "a", "~ \"", "\xc3\xa4", "\xc2\xa0", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x1f",         "a\n",  "\x7f",         "\x80",     "\xc2\x80",         "\xc2\x9f",     "\xc0\xaf",
        "\xe0\x80\xaf", "\xc3", "\xed\xa0\x80", "\xf8\x88", "\xf4\x90\x80\x80", "\xc3\xa4\xff", "\xe2\x82"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(bytes_are_text(bytes_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(bytes_are_text(bytes_of(bad[i])));
}

static void test_buffer(void **state) {
    (void)state;
    struct buffer buffer;
    char wanted[400] = "";
    buffer_init(&buffer, 300);
    for (int i = 0; i < 40; i++) { // over the first room
        buffer_addf(&buffer, "%d,%s;", i, "x");
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%d,x;", i);
    }
    assert_false(buffer.failed);
    assert_true(bytes_eq(buffer_bytes(&buffer), bytes_of(wanted)));
    size_t len = buffer.len;
    buffer_addf(&buffer, "%300d", 1);
    assert_true(buffer.failed && buffer.len == len);
    buffer_add_char(&buffer, 'x'); // there is room, but failure is sticky
    assert_int_equal(buffer.len, len);
    buffer_release(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_base64url),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
