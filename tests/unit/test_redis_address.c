// SPDX-License-Identifier: MIT
// The setting `redis`: logins with any sign in them, brackets, ports at their edges, and nothing that is half an
// address.
#include "redis/address.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
    assert_int_equal(address.kind, ADDRESS_REDIS);
    assert_int_equal(address.host_count, 1);
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
    expect("redis://host:06379/", "", "", "host", "6379", 0);
    assert_true(parse("rediss://h:1/3") && address.kind == ADDRESS_REDIS && address.database == 3 && !address.tls);
    assert_string_equal(address.host, "h");
    assert_true(parse("unix:/run/redis.sock") && address.kind == ADDRESS_UNIX);
    assert_string_equal(address.path, "/run/redis.sock");
}

static void expect_hosts(const char *text, enum address_kind kind, uint32_t count, ...) {
    va_list values;
    assert_true(parse(text));
    assert_int_equal(address.kind, kind);
    assert_int_equal(address.host_count, count);
    va_start(values, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(address.hosts[i].host, va_arg(values, const char *));
        assert_string_equal(address.hosts[i].port, va_arg(values, const char *));
    }
    va_end(values);
    assert_string_equal(address.host, address.hosts[0].host);
    assert_string_equal(address.port, address.hosts[0].port);
}

static void test_addresses_of_several(void **state) {
    (void)state;
    expect_hosts("cluster://h1:7001,h2,[::1]:7003", ADDRESS_CLUSTER, 3, "h1", "7001", "h2", "6379", "::1", "7003");
    expect_hosts("cluster://u:p,q@w@h1/", ADDRESS_CLUSTER, 1, "h1", "6379");
    assert_string_equal(address.user, "u");
    assert_string_equal(address.password, "p,q@w");
    expect_hosts("cluster://h:1,h:2", ADDRESS_CLUSTER, 2, "h", "1", "h", "2");
    expect_hosts("sentinel://h1,h2:5000,[::1]/my-master.1_A", ADDRESS_SENTINEL, 3, "h1", "26379", "h2", "5000", "::1",
                 "26379");
    assert_string_equal(address.master, "my-master.1_A");
    expect_hosts("sentinel://u:geheim@h1/m", ADDRESS_SENTINEL, 1, "h1", "26379");
    assert_string_equal(address.password, "geheim");
    address_set_host(&address, &(struct host_port){"10.0.0.1", "7000"});
    assert_string_equal(address.host, "10.0.0.1");
    assert_string_equal(address.port, "7000");
}

// `count` hosts h1, h2, …
static const char *many(uint32_t count) {
    static char text[1024];
    size_t len = (size_t)snprintf(text, sizeof text, "cluster://h1");
    for (uint32_t i = 2; i <= count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, ",h%u", i);
    return text;
}

static void test_the_reason_is_named(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"sentinel://h1,h2", "name of the master is missing"},
        {"sentinel://h1/", "name of the master is missing"},
        {"sentinel://h1/a b", "other signs"},
        {"sentinel://h1/m/3", "other signs"},
        {"cluster://h1/3", "no database"},
        {"cluster://h1/0", "no database"},
        {"cluster://", "host 1 is empty"},
        {"cluster://h1,,h3", "host 2 is empty"},
        {"cluster://h1,", "host 2 is empty"},
        {"cluster://h1,:7000", "host 2 is empty"},
        {"cluster://h1,h2:0", "port of host 2"},
        {"cluster://h1,h2:x", "port of host 2"},
        {"cluster://h1,h2:", "port of host 2"},
        {"cluster://h1,h 2", "host 2 is not a name"},
        {"cluster://h1,h2,h1", "hosts 1 and 3 are the same"},
        {"cluster://h1,h2,h1:6379", "hosts 1 and 3 are the same"},
        {"cluster://h1,::1", "needs brackets"},
        {"redis://::1:6379", "needs brackets"},
        {"cluster://h1,[::1", "host 2 has no valid brackets"},
        {"cluster://[::1]7000", "host 1 has no valid brackets"},
        {"redis://h1,h2", "more than 1 host ("},
        {"redis://h/65536", "database is not a number"},
        {"unix:", "socket's path"},
        {"redis+tls://h", "unknown form"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(parse(rows[i][0]));
        if (!strstr(error, rows[i][1]))
            fail_msg("%s: %s", rows[i][0], error);
        assert_null(strchr(error, '\n'));
    }
    assert_true(parse(many(HOSTS_MAX)));
    assert_false(parse(many(HOSTS_MAX + 1)));
    assert_non_null(strstr(error, "more than 16 hosts"));
}

static void test_lengths_at_their_edges(void **state) {
    (void)state;
    char text[1024], name[300];
    memset(name, 'n', sizeof name);
    static const struct {
        const char *form, *reason;
        int most;
    } rows[] = {{"redis://%.*s:p@h", "user is longer", 63},
                {"redis://u:%.*s@h", "password is longer", 255},
                {"redis://%.*s", "not a name", HOST_SIZE - 1},
                {"sentinel://h/%.*s", "name of the master is longer", MASTER_NAME_SIZE - 1},
                {"unix:%.*s", "over 107 bytes", 107}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text, rows[i].form, rows[i].most, name);
        assert_true(parse(text));
        snprintf(text, sizeof text, rows[i].form, rows[i].most + 1, name);
        assert_false(parse(text));
        assert_non_null(strstr(error, rows[i].reason));
    }
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
                                        "redis+tls://u:geheim@host",
                                        "redis://u:geheim",
                                        "cluster://u:geheim",
                                        "cluster://u:geheim@h,h",
                                        "sentinel://u:geheim@h"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(parse(wrong[i]));
        assert_null(strstr(error, "geheim"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_addresses_of_several),
        cmocka_unit_test(test_the_reason_is_named),
        cmocka_unit_test(test_lengths_at_their_edges),
        cmocka_unit_test(test_what_is_none_is_refused_without_its_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
