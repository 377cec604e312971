// SPDX-License-Identifier: MIT
// Rate limits: exact bursts and rates, no edge of a window, buckets apart from each other, a full table, many
// processes.
#include "base/keyed.h"
#include "ops/rate_limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
// After what it needs:
#include <cmocka.h>

#define SECOND_NS UINT64_C(1000000000)
#define START_NS (1000 * SECOND_NS)

static uint64_t new_key(void) {
    static uint64_t count;
    count++;
    return rate_limit_key('A', (struct bytes){(const char *)&count, sizeof count}, 0);
}

static int taken_of(struct rate_limit rate_limit, uint64_t key, uint64_t now_ns, int tries) {
    int taken = 0;
    for (int i = 0; i < tries; i++)
        taken += rate_limit_take(rate_limit, key, now_ns) == 0;
    return taken;
}

static void test_a_bucket_is_never_fuller_than_the_present_limit(void **state) {
    (void)state;
    struct rate_limit low = rate_limit_of(1, 10), high = rate_limit_of(60, 10);
    uint64_t key = new_key();
    assert_int_equal(taken_of(low, key, START_NS, 20), 10);
    assert_int_equal(rate_limit_take(high, key, START_NS), SECOND_NS);
    assert_int_equal(rate_limit_take(high, key, START_NS), SECOND_NS);
    assert_int_equal(taken_of(high, key, START_NS + 3 * SECOND_NS, 20), 3);
    assert_int_equal(taken_of(low, key, START_NS + 3 * SECOND_NS, 20), 9);
}

static void test_burst_then_rate(void **state) {
    (void)state;
    struct rate_limit rate_limit = rate_limit_of(60, 10);
    uint64_t key = new_key();
    assert_int_equal(taken_of(rate_limit, key, START_NS, 20), 10);
    assert_int_equal(rate_limit_take(rate_limit, key, START_NS), SECOND_NS);
    assert_int_equal(rate_limit_take(rate_limit, key, START_NS + SECOND_NS / 4), SECOND_NS * 3 / 4);
    assert_int_equal(taken_of(rate_limit, key, START_NS + SECOND_NS, 5), 1);
    assert_int_equal(taken_of(rate_limit, key, START_NS + 5 * SECOND_NS, 20), 4);
    assert_int_equal(taken_of(rate_limit, key, START_NS + 3600 * SECOND_NS, 20), 10);
}

// Whoever keeps to the rate is never refused; a loop at ten times the rate gets the rate, after its burst.
static void test_long_run(void **state) {
    (void)state;
    struct rate_limit rate_limit = rate_limit_of(60, 5);
    uint64_t patient = new_key(), loop = new_key();
    int taken = 0;
    for (uint64_t i = 0; i < 600; i++) {
        assert_int_equal(rate_limit_take(rate_limit, patient, START_NS + i * SECOND_NS), 0);
        for (uint64_t j = 0; j < 10; j++)
            taken += rate_limit_take(rate_limit, loop, START_NS + i * SECOND_NS + j * SECOND_NS / 10) == 0;
    }
    assert_in_range(taken, 600, 605);
}

static void test_forms(void **state) {
    (void)state;
    assert_int_equal(taken_of(rate_limit_of(0, 10), new_key(), START_NS, 1000), 1000); // none
    assert_int_equal(taken_of(rate_limit_of(7, 0), new_key(), START_NS, 1000), 7);     // as many as in a minute
    assert_int_equal(taken_of(rate_limit_of(1, 1), new_key(), START_NS, 1000), 1);
    assert_int_equal(taken_of(rate_limit_of(1000000, 1000000), new_key(), START_NS, 1000), 1000);
}

static struct limits_share share_of(const char *text) {
    struct limits_share share = {0, 0};
    assert_true(limits_share_parse(bytes_of(text), &share));
    return share;
}

// At once the part of the burst, rounded down but not to none; then the part of the rate.
static void test_a_machines_part(void **state) {
    (void)state;
    static const struct {
        const char *share;
        int burst, taken;
    } rows[] = {{"1", 30, 30},       {"1/3", 30, 10},   {"1/3", 31, 10},    {"1/3", 32, 10},
                {"2/3", 3, 2},       {"2/3", 30, 20},   {"1/3", 2, 1},      {"1/3", 1, 1},
                {"1/1000", 3000, 3}, {"1/1000", 10, 1}, {"999/1000", 1, 1}, {"5/7", 7, 5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rate_limit rate_limit = rate_limit_share(rate_limit_of(60, rows[i].burst), share_of(rows[i].share));
        assert_int_equal(taken_of(rate_limit, new_key(), START_NS, 100), rows[i].taken);
    }
    uint64_t key = new_key();
    struct rate_limit third = rate_limit_share(rate_limit_of(60, 1), share_of("1/3"));
    assert_int_equal(rate_limit_take(third, key, START_NS), 0);
    assert_int_equal(rate_limit_take(third, key, START_NS), 3 * SECOND_NS); // one a second by three machines
    assert_int_equal(taken_of(rate_limit_share(rate_limit_of(0, 0), share_of("1/3")), new_key(), START_NS, 1000), 1000);
    assert_int_equal(limits_share_of(10, share_of("1/3")), 3);
    assert_int_equal(limits_share_of(2, share_of("1/3")), 1);
    assert_int_equal(limits_share_of(0, share_of("1/3")), 0);
    assert_int_equal(limits_share_of(1000000, share_of("1")), 1000000);
}

static void test_keys(void **state) {
    (void)state;
    struct bytes who = BYTES("192.0.2.1");
    int64_t day = 86400000;
    assert_int_equal(rate_limit_key('A', who, day), rate_limit_key('A', who, 2 * day - 1));
    assert_int_not_equal(rate_limit_key('A', who, day), rate_limit_key('A', who, 2 * day)); // another key every day
    assert_int_not_equal(rate_limit_key('A', who, day), rate_limit_key('B', who, day));
    assert_int_not_equal(rate_limit_key('A', who, day), rate_limit_key('A', BYTES("192.0.2.2"), day));
}

// A million networks pass through; those that come and go leave room, and one at its rate limit stays there.
static void test_a_full_table(void **state) {
    (void)state;
    struct rate_limit rate_limit = rate_limit_of(60, 60);
    uint64_t busy = new_key(), now_ns = START_NS;
    assert_int_equal(taken_of(rate_limit, busy, now_ns, 100), 60);
    for (int i = 0; i < 1000000; i++)
        assert_int_equal(rate_limit_take(rate_limit, new_key(), now_ns), 0);
    assert_true(rate_limit_take(rate_limit, busy, now_ns) > 0);
}

static void test_many_processes(void **state) {
    (void)state;
    enum { PROCESSES = 8, TRIES = 20000, BURST = 50000 };
    struct rate_limit rate_limit = rate_limit_of(60, BURST);
    uint64_t key = new_key();
    int taken[2];
    assert_int_equal(pipe(taken), 0);
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            int mine = taken_of(rate_limit, key, START_NS, TRIES);
            _exit(write(taken[1], &mine, sizeof mine) != sizeof mine);
        }
    int sum = 0, one;
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(read(taken[0], &one, sizeof one), sizeof one);
        sum += one;
        assert_true(wait(NULL) > 0);
    }
    assert_int_equal(sum, BURST);
}

// ---- Lessons

static int lessons_of(uint64_t key, int64_t max, uint64_t now_ns, int tries) {
    int taken = 0;
    for (int i = 0; i < tries; i++)
        taken += lesson_take(key, max, now_ns);
    return taken;
}

static void test_lessons_of_an_hour(void **state) {
    (void)state;
    uint64_t hour_ns = 3600 * SECOND_NS, key = new_key(), other = new_key();
    assert_int_equal(lessons_of(key, 10, 5 * hour_ns, 50), 10);
    assert_int_equal(lessons_of(key, 10, 6 * hour_ns - 1, 50), 0);
    assert_int_equal(lessons_of(other, 3, 6 * hour_ns - 1, 50), 3);
    assert_int_equal(lessons_of(key, 11, 6 * hour_ns - 1, 50), 1);
    assert_int_equal(lessons_of(key, 10, 6 * hour_ns, 50), 10); // the next hour
    assert_int_equal(lessons_of(other, 3, 6 * hour_ns, 50), 3);
    assert_int_equal(lessons_of(new_key(), 2000, 6 * hour_ns, 3000), 255); // as much as a byte holds
}

// Half a million others: few are refused too early, and none gets more than its limit.
static void test_lessons_of_many(void **state) {
    (void)state;
    enum { KEYS = 500000, MOST = 2 };
    uint64_t now_ns = 7 * 3600 * SECOND_NS;
    int short_of = 0;
    for (int i = 0; i < KEYS; i++) {
        int taken = lessons_of(new_key(), MOST, now_ns, MOST + 1);
        assert_in_range(taken, 0, MOST);
        short_of += taken < MOST;
    }
    assert_in_range(short_of, 0, KEYS / 100);
}

static void test_lessons_of_many_processes(void **state) {
    (void)state;
    enum { PROCESSES = 8, ROUNDS = 200, MOST = 50 };
    uint64_t now_ns = 8 * 3600 * SECOND_NS, keys[ROUNDS];
    int taken[2];
    for (int i = 0; i < ROUNDS; i++)
        keys[i] = new_key();
    assert_int_equal(pipe(taken), 0);
    lesson_take(new_key(), 1, now_ns); // the hour has begun
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            int mine[ROUNDS];
            for (int round = 0; round < ROUNDS; round++)
                mine[round] = lessons_of(keys[round], MOST, now_ns, MOST);
            _exit(write(taken[1], mine, sizeof mine) != sizeof mine);
        }
    int sums[ROUNDS] = {0}, one[ROUNDS];
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(read(taken[0], one, sizeof one), sizeof one);
        for (int round = 0; round < ROUNDS; round++)
            sums[round] += one[round];
        assert_true(wait(NULL) > 0);
    }
    for (int round = 0; round < ROUNDS; round++)
        assert_in_range(sums[round], MOST / 2, MOST); // never more
}

static int set_up(void **state) {
    (void)state;
    int fd = keyed_init() ? rate_limits_create() : -1;
    return fd >= 0 && rate_limits_attach(fd) ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_a_bucket_is_never_fuller_than_the_present_limit),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_a_machines_part),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_a_full_table),
        cmocka_unit_test(test_many_processes),
        cmocka_unit_test(test_lessons_of_an_hour),
        cmocka_unit_test(test_lessons_of_many),
        cmocka_unit_test(test_lessons_of_many_processes),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
