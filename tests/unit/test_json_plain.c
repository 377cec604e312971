// SPDX-License-Identifier: MIT
// What the fast check calls plain, jansson must call valid. A fraction at the end makes jansson look at all of it.
#include "ops/json_in.h"
#include "ops/json_plain.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TEXT_MAX = 1000, MUTATIONS = 300000 };

static const char *const plain[] = {
    "\"title\":\"Bridge\"",
    "\"title\":\"\",\"url\":\"\\/a\",\"categories\":[]",
    "\"title\":\"a\\n\\u00e9 \\u2028 <\\/b> \\\"q\\\" \\\\\",\"categories\":[\"news\",\"a "
    "b\"],\"author\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    "\"a\":1,\"b\":-0,\"c\":123456789012345,\"d\":true,\"e\":false,\"f\":null,\"g\":[1,\"x\",null]",
    "\"published_at\":\"2026-11-24T10:00:00.000Z\"",
    "\"x\":\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xe0\xa0\x80\xf0\x90\x80\x80\"",
};

static const char *const others[] = {
    "\"title\":\"cut",
    "\"title\":\"x\"},{\"item\":\"smuggled\"",
    "\xff\xfe",
    "\"a\":NaN",
    "\"a\"",
    "\"a\":",
    "\"a\":1,",
    ",\"a\":1",
    "\"a\":01",
    "\"a\":-",
    "\"a\":1.5",
    "\"a\":1e3",
    "\"a\":1234567890123456",
    "\"a\":tru",
    "\"a\":[1,]",
    "\"a\":[1",
    "\"a\":[[1]]",
    "\"a\":{}",
    "\"a\":1,\"a\":2",
    "\"\\u0061\":1",
    "\"a\":\"\\ud83d\\ude00\"",
    "\"a\":\"\\ud83d\"",
    "\"a\":\"\\x\"",
    "\"a\":\"\\u12\"",
    "\"a\":\"\t\"",
    "\"a\":\"\xc0\x80\"",
    "\"a\":\"\xe0\x9f\xbf\"",
    "\"a\":\"\xed\xa0\x80\"",
    "\"a\":\"\xf4\x90\x80\x80\"",
    "\"a\":\"\xf0\x8f\xbf\xbf\"",
    "\"a\":\"\xe2\x82\"",
    "\"a\":\"\x80\"",
    "\"a\":\"\xc3",
    "\"a\": 1",
    "",
    "\"a\":\"b\\",
    "\"a\":1}",
    "\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":1,\"k\":1,\"l\":1,\"m\":1,\"n\":1,"
    "\"o\":1,\"p\":1,\"q\":1",
};

// Copied into memory of exactly that size, so that a sanitizer sees what reads behind it.
static bool is_plain(struct bytes members) {
    char *copy = malloc(members.len + !members.len);
    memcpy(copy, members.at, members.len);
    bool found = json_members_are_plain((struct bytes){copy, members.len});
    free(copy);
    return found;
}

static bool is_valid(struct bytes members) {
    char text[TEXT_MAX + 16];
    memcpy(text, members.at, members.len);
    memcpy(text + members.len, ",\"zz\":1.5", 9);
    struct bytes longer = {text, members.len + 9};
    assert_false(is_plain(longer));
    return json_check_members(longer) == OK;
}

static void plain_members_are_plain_and_valid(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        assert_true(is_plain(bytes_of(plain[i])));
        assert_true(is_valid(bytes_of(plain[i])));
    }
}

static void others_are_left_to_jansson(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(is_plain(bytes_of(others[i])));
}

static void whatever_is_plain_is_valid(void **state) {
    (void)state;
    uint64_t seed = 20261127;
    size_t found = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        char text[TEXT_MAX];
        struct bytes from = bytes_of(plain[i % (int)(sizeof plain / sizeof plain[0])]);
        memcpy(text, from.at, from.len);
        for (int change = 0; change <= i % 3; change++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            static const char likely[] = "\"\\:,[]{}u0tn \x80\xbf\xc3\xe0\xed\xf0\xf4-1.eE";
            text[(seed >> 33) % from.len] =
                seed & 0x10000 ? likely[(seed >> 20) % (sizeof likely - 1)] : (char)(uint8_t)(seed >> 24);
        }
        struct bytes members = {text, from.len - (size_t)(seed >> 40) % 3};
        if (!is_plain(members))
            continue;
        found++;
        assert_true(is_valid(members));
    }
    assert_true(found > MUTATIONS / 100);
}

static void members_come_one_after_another(void **state) {
    (void)state;
    struct bytes rest = BYTES("\"title\":\"a \\\"b\\\" c\",\"list\":[1,\"x,]\",\"y\"],\"n\":-12,\"url\":\"\"");
    struct plain_member member;
    assert_true(json_plain_next(&rest, &member) && member.is_text && member.has_escapes);
    assert_true(bytes_eq(member.name, BYTES("title")) && bytes_eq(member.value, BYTES("a \\\"b\\\" c")));
    assert_true(json_plain_next(&rest, &member) && !member.is_text);
    assert_true(bytes_eq(member.name, BYTES("list")) && bytes_eq(member.value, BYTES("[1,\"x,]\",\"y\"]")));
    assert_true(json_plain_next(&rest, &member) && bytes_eq(member.value, BYTES("-12")));
    assert_true(json_plain_next(&rest, &member) && member.is_text && !member.has_escapes && !member.value.len);
    assert_true(bytes_eq(member.name, BYTES("url")) && rest.len == 0);
    assert_false(json_plain_next(&rest, &member));
}

// Of plain members all are taken; of others none that is not there.
static void all_plain_members_are_taken_and_nothing_behind_them(void **state) {
    (void)state;
    uint64_t seed = 4;
    for (int i = 0; i < MUTATIONS / 3; i++) {
        struct bytes from = bytes_of(plain[i % (int)(sizeof plain / sizeof plain[0])]), rest;
        char *copy = malloc(from.len);
        memcpy(copy, from.at, from.len);
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        if (i % 4)
            copy[(seed >> 33) % from.len] = "\"\\:,[]{}u0tn"[(seed >> 20) % 12];
        rest = (struct bytes){copy, from.len - (size_t)(i % 3 ? (seed >> 40) % from.len : 0)};
        bool all = is_plain(rest);
        struct plain_member member;
        while (json_plain_next(&rest, &member))
            assert_true(member.value.at >= copy && member.value.at + member.value.len <= copy + from.len);
        assert_true(!all || rest.len == 0);
        free(copy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_members_are_plain_and_valid),
        cmocka_unit_test(others_are_left_to_jansson),
        cmocka_unit_test(whatever_is_plain_is_valid),
        cmocka_unit_test(members_come_one_after_another),
        cmocka_unit_test(all_plain_members_are_taken_and_nothing_behind_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
