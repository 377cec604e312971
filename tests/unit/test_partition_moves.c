// SPDX-License-Identifier: MIT
// Which partitions `engaged partitions` moves, and what it reads of CLUSTER NODES.
#include "roles/partition_moves.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

static const char nodes[] =
    "07c3 127.0.0.1:30004@31004,host-a slave e7d1 0 1426238317239 4 connected\n"
    "67ed 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922\n"
    "292f 127.0.0.1:30003@31003,host-b master - 0 1426238318243 3 connected\n"
    "aaaa ::1:30009@31009 myself,master - 0 0 9 connected\n"
    "6ec2 127.0.0.1:30005@31005 master,fail - 1426238315232 1426238315232 5 disconnected\n"
    "bbbb :0@0 master,noaddr - 0 0 6 disconnected\n"
    "824f 127.0.0.1:30006@31006 handshake - 0 0 0 connected\n"
    "cut";

static void test_masters_of_the_text(void **state) {
    (void)state;
    struct masters masters = {.count = 0};
    assert_int_equal(masters_add(&masters, BYTES("67ed"), BYTES("redis-2:7000")), 0);
    masters_add_nodes(&masters, bytes_of(nodes));
    assert_int_equal(masters.count, 3);
    assert_string_equal(masters.at[0].name, "redis-2:7000"); // known already
    assert_string_equal(masters.at[1].name, "host-b:30003");
    assert_string_equal(masters.at[2].name, "[::1]:30009");
    masters_add_nodes(&masters, NO_BYTES);
    assert_int_equal(masters.count, 3);
}

static void test_no_more_masters_than_there_is_room(void **state) {
    (void)state;
    static struct masters masters;
    char id[8];
    for (int i = 0; i < MASTERS_MAX + 2; i++) {
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(masters_add(&masters, bytes_of(id), BYTES("h:1")), i < MASTERS_MAX ? i : MASTERS_MAX);
    }
}

// Masters with 5, 4 and 0 partitions.
static void test_the_smallest_partitions_of_the_fullest_move(void **state) {
    (void)state;
    struct masters masters = {.count = 3, .at = {{.partitions = 5}, {.partitions = 4}, {.partitions = 0}}};
    uint32_t owners[9] = {0, 0, 0, 0, 0, 1, 1, 1, 1};
    const uint64_t bytes[9] = {50, 20, 40, 10, 30, 70, 5, 60, 80};
    const uint32_t expected[3][2] = {{3, 0}, {1, 0}, {6, 1}};
    struct partition_move move;
    for (int i = 0; i < 3; i++) {
        assert_true(moves_next(&masters, 9, owners, bytes, &move));
        assert_int_equal(move.partition, expected[i][0]);
        assert_int_equal(move.from, expected[i][1]);
        assert_int_equal(move.to, 2);
    }
    assert_false(moves_next(&masters, 9, owners, bytes, &move));
    for (int i = 0; i < 3; i++)
        assert_int_equal(masters.at[i].partitions, 3);
}

static void test_a_difference_of_one_is_even(void **state) {
    (void)state;
    struct masters masters = {.count = 2, .at = {{.partitions = 2}, {.partitions = 1}}}, none = {.count = 0};
    uint32_t owners[3] = {0, 0, 1};
    const uint64_t bytes[3] = {1, 1, 1};
    struct partition_move move;
    assert_false(moves_next(&masters, 3, owners, bytes, &move));
    assert_false(moves_next(&none, 0, owners, bytes, &move));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masters_of_the_text),
        cmocka_unit_test(test_no_more_masters_than_there_is_room),
        cmocka_unit_test(test_the_smallest_partitions_of_the_fullest_move),
        cmocka_unit_test(test_a_difference_of_one_is_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
