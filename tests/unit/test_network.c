// SPDX-License-Identifier: MIT
// Addresses and ranges as text, the client's address behind trusted proxies, and what a User-Agent says it is.
#include "model/agents.h"
#include "model/network.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// After what it needs:
#include <cmocka.h>

static struct netaddr address(const char *text) {
    struct netaddr parsed;
    assert_true(netaddr_parse(bytes_of(text), &parsed));
    return parsed;
}

static void expect(struct netaddr address, const char *text) {
    char seen[INET6_ADDRSTRLEN];
    if (netaddr_is_ipv4(&address))
        inet_ntop(AF_INET, address.at + 12, seen, sizeof seen);
    else
        inet_ntop(AF_INET6, address.at, seen, sizeof seen);
    assert_string_equal(seen, text);
}

static void test_addresses(void **state) {
    (void)state;
    static const char *const wrong[] = {"",          "1.2.3",      "1.2.3.4.5",    "01.2.3.4",
                                        "256.1.1.1", "1.2.3.4 ",   "fe80::1%eth0", "[::1]",
                                        "::1::",     "1.2.3.4:80", "localhost"};
    struct netaddr parsed;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(netaddr_parse(bytes_of(wrong[i]), &parsed));
    assert_false(netaddr_parse((struct bytes){"1.2.3.4\0", 8}, &parsed));
    expect(address("192.0.2.1"), "192.0.2.1");
    expect(address("::ffff:192.0.2.1"), "192.0.2.1"); // one address, however it is written
    expect(address("2001:DB8::1"), "2001:db8::1");
    assert_true(netaddr_is_loopback(&(struct netaddr){{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 9}}));
    assert_true(netaddr_is_loopback(&(struct netaddr){{[15] = 1}}));
    assert_false(netaddr_is_loopback(&(struct netaddr){{0}}));
}

static bool holds(const char *range, const char *text) {
    struct netrange parsed;
    struct netaddr one = address(text);
    assert_true(netrange_parse(bytes_of(range), &parsed));
    return netrange_holds(&parsed, &one);
}

static void test_ranges(void **state) {
    (void)state;
    static const char *const wrong[] = {"10.0.0.0/33", "2001:db8::/129", "10.0.0.0/", "/8",
                                        "10.0.0.0/-1", "10.0.0.0/8/8",   "10.0.0/8"};
    struct netrange range;
    struct netranges ranges;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(netrange_parse(bytes_of(wrong[i]), &range));
    assert_true(holds("10.0.0.0/8", "10.255.0.1"));
    assert_false(holds("10.0.0.0/8", "11.0.0.1"));
    assert_true(holds("192.0.2.4/30", "192.0.2.7"));
    assert_false(holds("192.0.2.4/30", "192.0.2.8"));
    assert_true(holds("0.0.0.0/0", "203.0.113.9"));
    assert_false(holds("0.0.0.0/0", "2001:db8::1"));
    assert_true(holds("::/0", "203.0.113.9"));
    assert_true(holds("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(holds("192.0.2.1", "::ffff:192.0.2.1"));
    assert_true(netranges_parse(BYTES("  unix 10.0.0.0/8   ::1 "), &ranges));
    assert_int_equal(ranges.count, 3);
    assert_true(netranges_hold(&ranges, &(struct netaddr){{0}}));
    assert_true(netranges_parse(BYTES(""), &ranges));
    assert_int_equal(ranges.count, 0);
    assert_false(netranges_parse(BYTES("10.0.0.0/8,::1"), &ranges));
    char many[65 * 4 + 1] = "";
    for (int i = 0; i < 65; i++)
        memcpy(many + i * 4, "::1 ", 5);
    assert_false(netranges_parse(bytes_of(many), &ranges));
}

// The trusted proxies of these: 10.0.0.0/8 and 2001:db8:1::/48; the peer is 10.0.0.1.
static const struct {
    const char *x_forwarded_for, *forwarded, *client;
} hops[] = {
    {NULL, NULL, "10.0.0.1"},
    {"", NULL, "10.0.0.1"},
    {"192.0.2.1", NULL, "192.0.2.1"},
    {"203.0.113.5, 192.0.2.1", NULL, "192.0.2.1"}, // the left one is only what the client says
    {"203.0.113.5, 192.0.2.1, 10.2.3.4 ,\t10.0.0.9", NULL, "192.0.2.1"},
    {"10.7.7.7, 10.2.3.4", NULL, "10.7.7.7"}, // all trusted: the leftmost
    {"nonsense, 192.0.2.1", NULL, "192.0.2.1"},
    {"192.0.2.1, nonsense", NULL, "10.0.0.1"},
    {"192.0.2.1, nonsense, 10.2.3.4", NULL, "10.2.3.4"},
    {"192.0.2.1:4711", NULL, "192.0.2.1"},
    {"[2001:db8::7]:443", NULL, "2001:db8::7"},
    {"2001:db8::7", NULL, "2001:db8::7"},
    {"192.0.2.1, [2001:db8:1::9]", NULL, "192.0.2.1"},
    {"192.0.2.1,,10.2.3.4,", NULL, "192.0.2.1"},
    {"[192.0.2.1]", NULL, "10.0.0.1"},
    {"[2001:db8::7", NULL, "10.0.0.1"},
    {"[2001:db8::7]x", NULL, "10.0.0.1"},
    {"192.0.2.1:99999", NULL, "10.0.0.1"},
    {"192.0.2.1:", NULL, "10.0.0.1"},
    {"192.0.2.1", "for=203.0.113.5", "192.0.2.1"},
    {NULL, "for=192.0.2.1", "192.0.2.1"},
    {NULL, "For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.1", "2001:db8::7"},
    {NULL, "by=10.0.0.1; for=\"192.0.2.1:80\"", "192.0.2.1"},
    {NULL, "for=203.0.113.5, for=192.0.2.1, for=10.3.3.3;host=\"a,b;c\"", "192.0.2.1"},
    {NULL, "for=203.0.113.5, for=\"_hidden\"", "10.0.0.1"},
    {NULL, "for=unknown, for=10.3.3.3", "10.3.3.3"},
    {NULL, "for=\"203.0.113.5, for=192.0.2.1", "192.0.2.1"}, // a client's open quote swallows nothing
    {NULL, "for=203.0.113.5\\\", for=192.0.2.1", "192.0.2.1"},
    {NULL, "for=203.0.113.5;host=\"\\\"\", for=192.0.2.1;host=\"a\\\"b\"", "192.0.2.1"},
    {NULL, "proto=https", "10.0.0.1"},
    {NULL, "for=", "10.0.0.1"},
    {NULL, "\"", "10.0.0.1"},
    {NULL, ";;,,", "10.0.0.1"},
};

static void test_hops(void **state) {
    (void)state;
    struct netranges trusted;
    assert_true(netranges_parse(BYTES("10.0.0.0/8 2001:db8:1::/48"), &trusted));
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
        expect(client_address(&trusted, address("10.0.0.1"), bytes_of(hops[i].x_forwarded_for),
                              bytes_of(hops[i].forwarded)),
               hops[i].client);
}

static void test_a_peer_that_is_not_trusted_says_nothing(void **state) {
    (void)state;
    struct netranges none = {.count = 0}, trusted;
    assert_true(netranges_parse(BYTES("10.0.0.0/8"), &trusted));
    expect(client_address(&none, address("10.0.0.1"), BYTES("192.0.2.1"), NO_BYTES), "10.0.0.1");
    expect(client_address(&trusted, address("11.0.0.1"), BYTES("192.0.2.1"), BYTES("for=192.0.2.1")), "11.0.0.1");
}

// Peers on this machine under "auto", besides the listed 10.0.0.0/8.
static const struct {
    const char *peer, *x_forwarded_for, *forwarded, *client;
    bool named;
} automatic_hops[] = {
    {"127.0.0.1", "192.0.2.1", NULL, "192.0.2.1", true},
    {"127.8.8.8", "198.51.100.1, 192.0.2.1:80", "for=203.0.113.1", "192.0.2.1", true},
    {"::1", "198.51.100.1, [2001:db8::7]:1", NULL, "2001:db8::7", true},
    {"::", "192.0.2.1", NULL, "192.0.2.1", true},                             // a Unix socket
    {"127.0.0.1", "192.0.2.1, 10.2.2.2", NULL, "192.0.2.1", true},            // the last one is a listed proxy
    {"127.0.0.1", "192.0.2.1, 10.2.2.2, 127.0.0.1", NULL, "127.0.0.1", true}, // automatic for one hop only
    {"127.0.0.1", "192.0.2.1, 127.0.0.1", NULL, "127.0.0.1", true},
    {"127.0.0.1", "192.0.2.1, ", NULL, "192.0.2.1", true},
    {"127.0.0.1", "192.0.2.1, unknown", NULL, "127.0.0.1", true},
    {"127.0.0.1", "", "for=192.0.2.1", "127.0.0.1", true},
    {"127.0.0.1", NULL, "for=192.0.2.1", "127.0.0.1", false},
    {"127.0.0.1", NULL, NULL, "127.0.0.1", false},
    {"10.0.0.1", "192.0.2.1, 127.0.0.1", NULL, "127.0.0.1", false}, // a listed one
    {"11.0.0.1", "192.0.2.1", NULL, "11.0.0.1", false},
    {"126.0.0.1", "192.0.2.1", NULL, "126.0.0.1", false},
};

static void test_proxies_on_this_machine(void **state) {
    (void)state;
    struct netranges trusted;
    assert_true(netranges_parse(BYTES("auto 10.0.0.0/8"), &trusted));
    assert_true(trusted.automatic && trusted.count == 1);
    for (size_t i = 0; i < sizeof automatic_hops / sizeof *automatic_hops; i++) {
        struct netaddr peer = address(automatic_hops[i].peer);
        struct bytes x_forwarded_for = bytes_of(automatic_hops[i].x_forwarded_for);
        expect(client_address(&trusted, peer, x_forwarded_for, bytes_of(automatic_hops[i].forwarded)),
               automatic_hops[i].client);
        assert_int_equal(client_is_named_by_auto(&trusted, &peer, x_forwarded_for), automatic_hops[i].named);
    }
    struct netranges listed;
    struct netaddr peer = address("127.0.0.1");
    assert_true(netranges_parse(BYTES("127.0.0.1 auto"), &listed));
    assert_false(client_is_named_by_auto(&listed, &peer, BYTES("192.0.2.1")));
    assert_true(netranges_parse(NO_BYTES, &listed));
    assert_false(listed.automatic || client_is_named_by_auto(&listed, &peer, BYTES("192.0.2.1")));
}

static void test_networks(void **state) {
    (void)state;
    expect(network_of(address("192.0.2.77"), 64), "192.0.2.77");
    expect(network_of(address("2001:db8:1:2:3:4:5:6"), 64), "2001:db8:1:2::");
    expect(network_of(address("2001:db8:1:ffff::1"), 56), "2001:db8:1:ff00::");
    expect(network_of(address("2001:db8::ffff"), 125), "2001:db8::fff8");
    expect(network_of(address("2001:db8::1"), 128), "2001:db8::1");
    expect(wide_network_of(address("192.0.2.77")), "192.0.2.0");
    expect(wide_network_of(address("192.0.3.255")), "192.0.3.0");
    expect(wide_network_of(address("2001:db8:1:2:3:4:5:6")), "2001:db8:1::");
    expect(wide_network_of(address("2001:db8:ffff::")), "2001:db8:ffff::");
}

// ---- User agents: one real one per line

static void expect_all(const char *path, enum agent agent, int least) {
    char line[2048];
    int count = 0;
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (; fgets(line, sizeof line, file); count++) {
        line[strcspn(line, "\n")] = '\0';
        if (agent_of(bytes_of(line)) != agent)
            fail_msg("%s: %s", path, line);
    }
    fclose(file);
    assert_true(count >= least);
}

static void test_agents(void **state) {
    (void)state;
    expect_all("tests/unit/user_agents/bots.txt", AGENT_BOT, 100);
    expect_all("tests/unit/user_agents/readers.txt", AGENT_READER, 80);
    assert_int_equal(agent_of(NO_BYTES), AGENT_READER);
    assert_int_equal(agent_of(BYTES("b")), AGENT_READER);
    expect_all("tests/unit/user_agents/tools.txt", AGENT_TOOL, 20);
    assert_int_equal(agent_of(BYTES("curl/7.88.1 (compatible; examplebot)")), AGENT_BOT);
    assert_int_equal(agent_of(BYTES("GOOGLEBOT")), AGENT_BOT);
    char longer[4096];
    memset(longer, 'b', sizeof longer);
    assert_int_equal(agent_of((struct bytes){longer, sizeof longer}), AGENT_READER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_hops),
        cmocka_unit_test(test_a_peer_that_is_not_trusted_says_nothing),
        cmocka_unit_test(test_proxies_on_this_machine),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_agents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
