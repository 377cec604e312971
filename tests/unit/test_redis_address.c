// SPDX-License-Identifier: MIT
// The setting `redis`: logins with any sign in them, brackets, ports at their edges, and nothing that is half an address.
#include "redis/address.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// After what it needs:
#include <cmocka.h>

static struct address address;
static char error[256];

static bool parse(const char *text) {
    return address_parse(text, &address, error, sizeof error);
}

static void expect(const char *text, const char *user, const char *password, const char *host, const char *port,
                   int database) {
    assert_true(parse(text));
    assert_false(address.is_unix);
    assert_string_equal(address.user, user);
    assert_string_equal(address.password, password);
    assert_string_equal(address.host, host);
    assert_string_equal(address.port, port);
    assert_int_equal(address.database, database);
}

static void test_addresses(void **state) {
    (void)state;
    expect("redis://127.0.0.1", "", "", "127.0.0.1", "6379", 0);
    expect("redis://host:65535/3", "", "", "host", "65535", 3);
    expect("redis://[::1]:6380/", "", "", "::1", "6380", 0);
    expect("redis://[::1]", "", "", "::1", "6379", 0);
    expect("redis://word@host", "", "word", "host", "6379", 0);
    expect("redis://user:p:q@host:1", "user", "p:q", "host", "1", 0);
    expect("redis://user:p@ss@host/65535", "user", "p@ss", "host", "6379", 65535);
    expect("redis://:a@b:c@[::1]:7", "", "a@b:c", "::1", "7", 0);
    assert_true(parse("unix:/run/redis.sock") && address.is_unix);
    assert_string_equal(address.path, "/run/redis.sock");
}

static void test_what_is_none_is_refused_without_its_password(void **state) {
    (void)state;
    static const char *const wrong[] = {"",
                                        "unix:",
                                        "redis://",
                                        "redis://:80",
                                        "redis://u:geheim@",
                                        "redis://u:geheim@host:0",
                                        "redis://u:geheim@host:65536",
                                        "redis://u:geheim@host:",
                                        "redis://u:geheim@host/x",
                                        "redis://u:geheim@host/65536",
                                        "redis://u:geheim@[::1",
                                        "rediss://u:geheim@host"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(parse(wrong[i]));
        assert_null(strstr(error, "geheim"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_what_is_none_is_refused_without_its_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
