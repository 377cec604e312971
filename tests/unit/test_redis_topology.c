// SPDX-License-Identifier: MIT
// The map of a Cluster: CLUSTER SLOTS and CLUSTER SHARDS with every kind of endpoint, with gaps, cut, out of bounds,
// huge.
#include "redis/members.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// After what it needs:
#include "replies.h"
#include <cmocka.h>

static const uint16_t slots[] = {652, 5460, 5461, 10922, 16383};
enum { PLACES = sizeof slots / sizeof *slots };
static struct topology topology, before;
static const struct host_port asked = {"10.0.0.9", "7009"};

static bool read_map(const char *text) {
    redisReply *reply = reply_of(text);
    struct topology_question question = {.asked = &asked, .before = &before, .slots = slots, .place_count = PLACES};
    bool good = topology_read(reply, &question, &topology);
    freeReplyObject(reply);
    return good;
}

static void expect_owner(uint32_t place, const char *host, const char *port) {
    const struct topology_node *owner = topology_owner(&topology, place);
    assert_non_null(owner);
    assert_string_equal(owner->at.host, host);
    assert_string_equal(owner->at.port, port);
}

static void expect_none_but(uint32_t unserved, uint32_t left_out) {
    assert_int_equal(topology.unserved, unserved);
    assert_int_equal(topology.left_out, left_out);
}

static void test_slots_of_three_masters(void **state) {
    (void)state;
    assert_true(read_map("[[0 5460 [10.0.0.1 7001 aa []] [10.0.0.4 7004 dd []]]"
                         " [5461 10922 [node-2.example 7002 bb [ip 10.0.0.2]]] [10923 16383 [::1 7003 cc []]]]"));
    expect_none_but(0, 0);
    assert_int_equal(topology.node_count, 3);
    expect_owner(0, "10.0.0.1", "7001");
    expect_owner(1, "10.0.0.1", "7001");
    expect_owner(2, "node-2.example", "7002");
    expect_owner(3, "node-2.example", "7002");
    expect_owner(4, "::1", "7003");
    assert_string_equal(topology_owner(&topology, 4)->id, "cc");
    assert_null(topology_owner(&topology, PLACES));
}

static void test_an_endpoint_that_is_not_told(void **state) {
    (void)state;
    assert_true(read_map("[[0 5460 [~ 7001 aa]] [5461 10922 ['' 7002 bb]] [10923 16383 [10.0.0.3 7003 cc]]]"));
    expect_owner(0, "10.0.0.9", "7001");
    expect_owner(2, "10.0.0.9", "7002");
    before = topology;
    assert_true(read_map("[[0 5460 [? 7001 aa]] [5461 10922 [? 7002 new]] [10923 16383 [? 8003 cc]]]"));
    expect_owner(0, "10.0.0.9", "7001");
    expect_owner(4, "10.0.0.3", "8003"); // the host of before, the port of now
    assert_null(topology_owner(&topology, 2));
    expect_none_but(2, 1);
    before = (struct topology){.node_count = 0};
    assert_true(read_map("[[0 16383 [? 7001 '']]]"));
    expect_none_but(PLACES, 1);
}

static void test_gaps_and_nobody(void **state) {
    (void)state;
    assert_true(read_map("[[653 5460 [h 1 a]] [10922 10922 [h 1 a]]]"));
    expect_none_but(3, 0);
    assert_int_equal(topology.node_count, 1);
    expect_owner(1, "h", "1");
    expect_owner(3, "h", "1");
    assert_null(topology_owner(&topology, 0));
    assert_true(read_map("[]"));
    expect_none_but(PLACES, 0);
    assert_true(read_map("[[0 651 [other 1 a]]]")); // a node without a place of ours
    assert_int_equal(topology.node_count, 0);
}

static void test_what_is_out_of_bounds_or_cut_is_left_out(void **state) {
    (void)state;
    static const char *const ranges[] = {"[-1 16383 [h 1 a]]",
                                         "[0 16384 [h 1 a]]",
                                         "[9 8 [h 1 a]]",
                                         "[0 9223372036854775807 [h 1 a]]",
                                         "[x 16383 [h 1 a]]",
                                         "[0 ~ [h 1 a]]",
                                         "[0 16383]",
                                         "[0]",
                                         "[]",
                                         "[0 16383 []]",
                                         "[0 16383 [h]]",
                                         "[0 16383 h]",
                                         "[0 16383 [h 0 a]]",
                                         "[0 16383 [h 65536 a]]",
                                         "[0 16383 [h ~ a]]",
                                         "[0 16383 [h -1 a]]",
                                         "[0 16383 [h/i 1 a]]",
                                         "[0 16383 [7 1 a]]",
                                         "[0 16383 [[h] 1 a]]",
                                         "[[] [] []]",
                                         "word"};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        char text[256];
        snprintf(text, sizeof text, "[[5460 5460 [good 7 g]] %s [5461 5461 [good 7 g]]]", ranges[i]);
        assert_true(read_map(text));
        expect_none_but(PLACES - 2, 1);
        expect_owner(1, "good", "7");
        expect_owner(2, "good", "7");
    }
}

static void test_a_claimed_place_is_not_given_again(void **state) {
    (void)state;
    assert_true(read_map("[[0 5460 [one 1 a]] [0 16383 [two 2 b]]]"));
    expect_owner(1, "one", "1");
    expect_owner(2, "two", "2");
    expect_none_but(0, 0);
}

static void test_ids_that_are_missing_or_too_long(void **state) {
    (void)state;
    char text[256];
    assert_true(read_map("[[0 5460 [h 1]] [5461 16383 [h 1 [x]]]]"));
    expect_none_but(0, 0);
    assert_int_equal(topology.node_count, 1);
    assert_string_equal(topology.nodes[0].id, "");
    snprintf(text, sizeof text, "[[0 16383 [h 1 %.*s]]]", TOPOLOGY_ID_SIZE,
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_true(read_map(text));
    assert_string_equal(topology.nodes[0].id, "");
}

static void test_shards(void **state) {
    (void)state;
    assert_true(
        read_map("[[slots [0 5460 10922 10922] nodes [[id aa port 7001 ip 10.0.0.1 endpoint 10.0.0.1 role replica"
                 " health online] [id dd port 7004 ip 10.0.0.4 endpoint 10.0.0.4 role master health online]]]"
                 " [slots [5461 5461] nodes [[id bb port 7002 endpoint '' role master health fail]"
                 " [id ee port 7005 endpoint up role master health online]]]"
                 " [slots [] nodes [[id cc port 7003 endpoint old role master health fail]]]"
                 " [slots [16383 16383] nodes [[id cc tls-port 7003 endpoint old role master health online]]]]"));
    expect_owner(0, "10.0.0.4", "7004");
    expect_owner(3, "10.0.0.4", "7004");
    expect_owner(2, "up", "7005");
    assert_null(topology_owner(&topology, 4)); // it serves TLS alone
    expect_none_but(1, 1);
    assert_true(read_map("[[slots [0 16383 1] nodes]]"));
    expect_none_but(PLACES, 2);
    assert_true(read_map("[[slots nodes] [slots [0 5460]] [nodes [[role master]]] [] x]"));
    expect_none_but(PLACES, 1);
}

static void test_what_is_no_map(void **state) {
    (void)state;
    topology = (struct topology){.node_count = 77};
    static const char *const wrong[] = {"~", "7", "text", "[1 2 3]", "[text]"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(read_map(wrong[i]));
        assert_int_equal(topology.node_count, 77);
    }
}

// A map of 20,000 ranges and as many nodes: it ends soon, and the table is not overrun.
static void test_a_huge_map(void **state) {
    (void)state;
    enum { RANGES = 20000 };
    char *text = malloc(RANGES * 40), *at = text;
    at += sprintf(at, "[");
    for (int i = 0; i < RANGES; i++)
        at += sprintf(at, "[%d %d [h%d 7 a]]", i % 16384, i % 16384, i);
    sprintf(at, "]");
    assert_true(read_map(text));
    free(text);
    expect_none_but(0, 1); // the one that shows that there are too many
    expect_owner(4, "h16383", "7");
}

static void test_more_nodes_than_the_table_holds(void **state) {
    (void)state;
    enum { OURS = TOPOLOGY_NODES_MAX + 5 };
    uint16_t many[OURS];
    char *text = malloc(OURS * 40), *at = text;
    at += sprintf(at, "[");
    for (int i = 0; i < OURS; i++) {
        many[i] = (uint16_t)i;
        at += sprintf(at, "[%d %d [h%d 7 a]]", i, i, i);
    }
    sprintf(at, "]");
    redisReply *reply = reply_of(text);
    struct topology_question question = {.asked = &asked, .slots = many, .place_count = OURS};
    assert_true(topology_read(reply, &question, &topology));
    question.place_count = TOPOLOGY_PLACES_MAX + 1;
    assert_false(topology_read(reply, &question, &topology));
    freeReplyObject(reply);
    free(text);
    assert_int_equal(topology.node_count, TOPOLOGY_NODES_MAX);
    expect_none_but(5, 5);
}

static void test_when_shards_are_asked(void **state) {
    (void)state;
    assert_true(topology_wants_shards("ERR unknown subcommand 'SLOTS'. Try CLUSTER HELP."));
    assert_true(topology_wants_shards("ERR Unknown subcommand or wrong number of arguments for 'SLOTS'"));
    assert_false(topology_wants_shards("ERR This instance has cluster support disabled"));
    assert_false(topology_wants_shards("NOPERM unknown subcommand"));
}

static void read_members(struct member_ids *members, const char *text) {
    redisReply *reply = reply_of(text);
    members_read(members, reply);
    freeReplyObject(reply);
}

static void test_members_of_one_cluster_and_of_another(void **state) {
    static struct member_ids slots_of, shards_of, others, nobody;
    (void)state;
    read_members(&slots_of, "[[0 5460 [10.0.0.1 7001 aa []] [10.0.0.4 7004 dd []]] [5461 16383 [~ 7002 bb]]]");
    assert_int_equal(slots_of.count, 3);
    read_members(&shards_of, "[[slots [0 5460] nodes [[id xx role master] [id dd role replica]]]]");
    assert_int_equal(shards_of.count, 2);
    assert_true(members_share(&slots_of, &shards_of) && members_share(&shards_of, &slots_of)); // by a replica
    read_members(&others, "[[0 16383 [10.0.0.1 7001 yy]]]");
    assert_false(members_share(&slots_of, &others));
    assert_true(members_add(&slots_of, &others));
    assert_false(members_add(&slots_of, &others));
    assert_true(members_share(&slots_of, &others));
    read_members(&nobody, "[[0 5460 [10.0.0.1 7001]] 5 [1] [0 1 [a 1 '']] [slots 3 nodes 4]]");
    assert_int_equal(nobody.count, 0);
    assert_false(members_share(&nobody, &nobody));
}

static void test_of_too_many_members_the_oldest_are_forgotten(void **state) {
    static struct member_ids members, first, last;
    char text[64];
    (void)state;
    for (int i = 0; i <= MEMBERS_MAX; i++) {
        snprintf(text, sizeof text, "[[0 1 [h 1 n%d]]]", i);
        read_members(&members, text);
        if (i == 0)
            read_members(&first, text);
    }
    read_members(&last, text);
    assert_int_equal(members.count, MEMBERS_MAX);
    assert_true(members_share(&members, &last));
    assert_false(members_share(&members, &first));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_of_three_masters),
        cmocka_unit_test(test_an_endpoint_that_is_not_told),
        cmocka_unit_test(test_gaps_and_nobody),
        cmocka_unit_test(test_what_is_out_of_bounds_or_cut_is_left_out),
        cmocka_unit_test(test_a_claimed_place_is_not_given_again),
        cmocka_unit_test(test_ids_that_are_missing_or_too_long),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_what_is_no_map),
        cmocka_unit_test(test_a_huge_map),
        cmocka_unit_test(test_more_nodes_than_the_table_holds),
        cmocka_unit_test(test_when_shards_are_asked),
        cmocka_unit_test(test_members_of_one_cluster_and_of_another),
        cmocka_unit_test(test_of_too_many_members_the_oldest_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
