// SPDX-License-Identifier: MIT
// Numbers, base64url, text and buffers: the small things that everything uses.
#include "base/base64url.h"
#include "base/buffer.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/json_out.h"
#include "base/keyed.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
// After what it needs:
#include <cmocka.h>

static void test_numbers(void **state) {
    (void)state;
    static const int64_t numbers[] = {0, 1, -1, 9, 10, -10, 4294967296, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char capacity[DECIMAL_SIZE], wanted[32];
        struct bytes text = bytes_of_int(numbers[i], capacity);
        snprintf(wanted, sizeof wanted, "%lld", (long long)numbers[i]);
        assert_true(bytes_eq(text, bytes_of(wanted)));
    }
}

static void test_hex_of_numbers(void **state) {
    (void)state;
    srand(1);
    for (int i = 0; i < 1000; i++) {
        uint64_t number =
            i < 64 ? UINT64_C(1) << i : (uint64_t)rand() << 40 ^ (uint64_t)rand() << 20 ^ (uint64_t)rand();
        char text[HEX_DIGITS + 1] = "", wanted[HEX_DIGITS + 1];
        hex_of_u64(number, text);
        snprintf(wanted, sizeof wanted, "%016llx", (unsigned long long)number);
        assert_string_equal(text, wanted);
    }
}

static void add_double(struct buffer *buffer, double value) {
    buffer_clear(buffer);
    buffer_add_double(buffer, value);
    buffer_add_char(buffer, '\0');
    assert_true(strtod(buffer->at, NULL) == value);
}

static void test_doubles_read_back(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } known[] = {{0, "0"},
                 {5, "5"},
                 {-1.5, "-1.5"},
                 {1e-9, "0.000000001"},
                 {-1e-9, "-0.000000001"},
                 {-8532.123456789, "-8532.123456789"},
                 {100, "100"},
                 {9007199.254740991, "9007199.254740991"},
                 {1e-10, "1e-10"},
                 {0x1p53, "9007199254740992"},
                 {1.0 / 3, "0.33333333333333331"},
                 {INFINITY, "inf"}};
    struct buffer text;
    buffer_init(&text, 1000);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        add_double(&text, known[i].value);
        assert_string_equal(text.at, known[i].text);
    }
    srand(1);
    for (int i = 0; i < 20000; i++) {
        double any = (double)rand() / (1 + rand()) * (i % 2 ? 1 : -1), rounded = rint(any * 1e9) / 1e9;
        add_double(&text, any);
        add_double(&text, rounded);
        add_double(&text, rint(rounded));
    }
    buffer_release(&text);
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

// The vectors of FIPS 180-4's examples: nothing, "abc", and two blocks; and one byte over a block's end.
static void test_sha384(void **state) {
    (void)state;
    char two[113], long_one[258], digest[65];
    memcpy(two,
           "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnop"
           "qrstu",
           sizeof two);
    memset(long_one, 'a', 257);
    long_one[257] = '\0';
    const char *const pairs[][2] = {{"", "OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb"},
                                    {"abc", "ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP/W+2AhgcroefMI1i67KE0yCWn"},
                                    {two, "CTMMM/cRR+g9GS/Hgs0bR1MRGxc7OwXSL6CAhuOw9xL8x8caVX4tuWbD6fqRdGA5"},
                                    {long_one, "Kxiu55CwPUn3HUwDa9yNwyFmYPKfkpeHaPe3hEo2mGpAC5gYailK9lbcVJhd136H"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        sha384_base64(bytes_of(pairs[i][0]), digest);
        assert_string_equal(digest, pairs[i][1]);
    }
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
    for (int byte = 0; byte < 256; byte++) // in each place of the eight that are looked at together
        for (size_t place = 0; place < 16; place++) {
            char text[16];
            memset(text, '~', sizeof text);
            text[place] = (char)byte;
            assert_int_equal(bytes_are_text((struct bytes){text, sizeof text}), byte >= 0x20 && byte < 0x7f);
        }
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

// ---- Hash tables

enum { NAMES = 1 << 16, BUCKET_MAX = 16 }; // a name a bucket: more than 12 in one is a chance of one in ten thousand

static void test_hashes_are_spread_under_a_key_of_the_process(void **state) {
    (void)state;
    static uint8_t filled[NAMES];
    uint32_t before[4], same = 0;
    assert_true(keyed_init());
    hash_init();
    for (unsigned i = 0; i < NAMES; i++) {
        char name[32];
        int len = snprintf(name, sizeof name, "/v1/s/items/%u", i);
        uint32_t bucket = hash_of(name, (size_t)len) % NAMES;
        assert_true(++filled[bucket] <= BUCKET_MAX);
        assert_int_equal(hash_of(name, (size_t)len) % NAMES, bucket);
    }
    static const char zeros[40];
    for (size_t len = 1; len < sizeof zeros; len++) // the length counts, and each byte
        for (size_t shorter = 0; shorter < len; shorter++)
            assert_int_not_equal(hash_of(zeros, len), hash_of(zeros, shorter));
    for (size_t at = 0; at < 32; at++) {
        char text[32] = {0};
        text[at] = 1;
        assert_int_not_equal(hash_of(text, sizeof text), hash_of(zeros, sizeof text));
    }
    for (int i = 0; i < 4; i++)
        before[i] = hash_of("abcdefgh", (size_t)i + 5);
    hash_init(); // as in another process
    for (int i = 0; i < 4; i++)
        same += hash_of("abcdefgh", (size_t)i + 5) == before[i];
    assert_int_equal(same, 0);
}

// ---- Titles and names

static void test_blanks_are_folded(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {" ", " "},
                                           {"a", "a"},
                                           {"a\t\r\n b", "a b"},
                                           {"\x01\x02 a", " a"},
                                           {"a\x7f\xc2\x85\xc2\xa0", "a "},
                                           {"a\xc2\xa1z", "a\xc2\xa1z"},
                                           {"a\xe3\x80\x80\xe2\x80\xa8z", "a z"},
                                           {"a\xe2\x80\x8bz", "a\xe2\x80\x8bz"}, // no width is no white space
                                           {"\xf0\x9f\x98\x80\n", "\xf0\x9f\x98\x80 "},
                                           {"a\xc2", "a\xc2"},
                                           {"\x85\xa0", "\x85\xa0"}}; // no UTF-8: left to who looks next
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[32];
        snprintf(text, sizeof text, "%s", pairs[i][0]);
        size_t len = bytes_fold_blanks(text, strlen(text));
        assert_true(bytes_eq((struct bytes){text, len}, bytes_of(pairs[i][1])));
    }
    assert_int_equal(bytes_characters(BYTES("a\xc3\xa4\xf0\x9f\x98\x80")), 3);
    assert_int_equal(bytes_characters(NO_BYTES), 0);
}

// JSON may stand in a page's script: nothing in it ends the script or a line of it.
static void test_json_texts(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"a/b<c", "\"a/b<c\""},
                                           {"</script>", "\"<\\/script>\""},
                                           {"\xe2\x80\xa8", "\"\\u2028\""},
                                           {"a\xe2\x80\xa9z", "\"a\\u2029z\""},
                                           {"\xe2\x80\xa7\xe2\x80\xaa", "\"\xe2\x80\xa7\xe2\x80\xaa\""},
                                           {"\"\\\n\t\r\x1f", "\"\\\"\\\\\\n\\t\\u000d\\u001f\""},
                                           {"\xe2\x80", "\"\xe2\x80\""}}; // cut
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buffer buffer;
        buffer_init(&buffer, 128);
        struct json_out json = json_out_to(&buffer);
        json_text(&json, bytes_of(pairs[i][0]));
        assert_true(bytes_eq(buffer_bytes(&buffer), bytes_of(pairs[i][1])));
        buffer_release(&buffer);
    }
}

// The number as it is written, and the shortest form of at most 17 digits that reads back as the same.
static void assert_written(double value) {
    char wanted[40];
    struct buffer out;
    buffer_init(&out, 100);
    struct json_out json = json_out_to(&out);
    json_number(&json, value);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(wanted, sizeof wanted, "%.*g", digits, value);
        if (strtod(wanted, NULL) == value)
            break;
    }
    buffer_add_char(&out, '\0');
    assert_string_equal(out.at, wanted);
    buffer_release(&out);
}

static void test_json_numbers_are_the_shortest_that_read_back(void **state) {
    (void)state;
    static const double odd[] = {0,
                                 1,
                                 -1,
                                 0.1,
                                 1e-4,
                                 9.9e-5,
                                 0.00010000000000000002,
                                 1e14,
                                 99999999999999.9,
                                 1e15,
                                 1e22,
                                 0.3,
                                 1.0 / 3,
                                 2e-308,
                                 100,
                                 12.5,
                                 999999999999999,
                                 1e-7,
                                 0.999999999999999,
                                 1.1 * 3,
                                 0.05,
                                 123456.789,
                                 -0.25,
                                 1e300,
                                 4e-5,
                                 99999999999999.99};
    uint64_t seed = 18;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_written(odd[i]);
    for (int i = 0; i < 200000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        double value = (double)(seed >> 20) / pow(10, (double)(i % 24));
        assert_written(value);
        assert_written(i % 2 ? (double)(seed >> 54) / pow(2, (double)(i % 30))
                             : -(double)(seed >> 44) / pow(10, (double)(i % 12)));
        double rounded = json_rounded(value);
        assert_true(fabs(rounded - value) <= 5e-12 * value);
        assert_true(json_rounded(rounded) == rounded);
        assert_written(rounded);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_hex_of_numbers),
        cmocka_unit_test(test_doubles_read_back),
        cmocka_unit_test(test_base64url),
        cmocka_unit_test(test_sha384),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_hashes_are_spread_under_a_key_of_the_process),
        cmocka_unit_test(test_blanks_are_folded),
        cmocka_unit_test(test_json_texts),
        cmocka_unit_test(test_json_numbers_are_the_shortest_that_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
