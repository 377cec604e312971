// SPDX-License-Identifier: MIT
// Turns among reads: how many at once, and in whose order.
#include "serve/serve_inside.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// After what it needs:
#include <cmocka.h>

enum { MANY = 400 };

static struct turns turns;
static char order[MANY];
static size_t had;

// Named by its first letter in the order in which they had it; it goes on until it is told to end.
struct named {
    struct turn turn; // first
    char name;
    bool ends_at_once;
};

static void on_turn(struct turn *turn) {
    struct named *named = (struct named *)turn;
    order[had++] = named->name;
    order[had] = '\0';
    if (named->ends_at_once)
        turn_end(&turns);
}

static enum turn_answer take(struct named *named, uint64_t network, char name) {
    named->name = name;
    return turn_take(&turns, network, &named->turn, on_turn);
}

// With `most` at once, all of them in work.
static void begin(uint32_t queue, struct named *first) {
    turns_init(&turns, queue);
    had = 0;
    order[0] = '\0';
    for (uint32_t i = 0; i < turns.max; i++)
        assert_int_equal(take(&first[i], 9, '-'), TURN_NOW);
    assert_true(turns_are_full(&turns));
}

static void end(uint32_t count) {
    while (count--)
        turn_end(&turns);
}

static void test_so_many_at_once_as_the_queue_is_long(void **state) {
    (void)state;
    static const uint32_t lengths[][2] = {{64, 4}, {256, 4}, {320, 5}, {4096, 64}, {65536, 1024}, {1000000, 1024}};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        turns_init(&turns, lengths[i][0]);
        assert_int_equal(turns.max, lengths[i][1]);
    }
    static struct named some[6];
    begin(64, some);
    end(1);
    assert_false(turns_are_full(&turns));
    assert_int_equal(take(&some[4], 1, 'a'), TURN_NOW);
    assert_int_equal(take(&some[5], 1, 'b'), TURN_LATER);
    end(5);
    assert_string_equal(order, "b");
    assert_true(turns.running == 0 && !turns.ring && !turns.queues);
}

static void test_networks_take_turns(void **state) {
    (void)state;
    static struct named some[4], a[4], b[2], c;
    begin(64, some);
    for (int i = 0; i < 4; i++)
        take(&a[i], 1, 'a');
    for (int i = 0; i < 2; i++)
        take(&b[i], 2, 'b');
    take(&c, 3, 'c');
    end(7);
    assert_string_equal(order, "abcabaa");
    assert_int_equal(turns.running, 4);
    end(4);
    assert_true(turns.running == 0 && !turns.queues);
}

static void test_who_leaves_is_passed_over(void **state) {
    (void)state;
    static struct named some[4], a[3], b[1];
    begin(64, some);
    for (int i = 0; i < 3; i++)
        take(&a[i], 1, (char)('1' + i));
    take(&b[0], 2, 'b');
    turn_leave(&turns, &a[1].turn);
    turn_leave(&turns, &a[1].turn); // fine
    turn_leave(&turns, &b[0].turn);
    end(4);
    assert_string_equal(order, "13");
    take(&a[0], 1, 'x'); // room again
    end(3);
    assert_true(turns.running == 0 && !turns.ring);
}

static void test_who_has_left_is_not_counted(void **state) {
    (void)state;
    static struct named some[4], a[3], b[2], shared;
    begin(64, some);
    for (int i = 0; i < 3; i++)
        take(&a[i], 1, 'a');
    turn_leave(&turns, &a[1].turn);
    turn_leave(&turns, &a[2].turn);
    take(&b[0], 2, 'b');
    take(&b[1], 2, 'b');
    take(&shared, 2, '!');
    turn_hasten(&turns, 1, &shared.turn); // one waits there
    end(4);
    assert_string_equal(order, "ab!b");
    end(turns.running);
}

// A body that many networks read waits in the shortest of their queues.
static void test_a_turn_moves_to_a_shorter_queue_only(void **state) {
    (void)state;
    static struct named some[4], a[3], b[3], shared;
    begin(64, some);
    for (int i = 0; i < 3; i++)
        take(&a[i], 1, 'a');
    take(&shared, 1, '!');
    turn_hasten(&turns, 1, &shared.turn); // its own
    take(&b[0], 2, 'b');
    turn_hasten(&turns, 2, &shared.turn);
    end(4);
    assert_string_equal(order, "aba!");
    end(4);
    had = 0;
    end(turns.running);
    begin(64, some);
    take(&shared, 1, '!');
    for (int i = 0; i < 3; i++)
        take(&b[i], 2, 'b');
    turn_hasten(&turns, 2, &shared.turn); // longer
    turn_hasten(&turns, 3, &shared.turn); // it is the first of its own already
    end(4);
    assert_string_equal(order, "!bbb");
    end(turns.running);
    begin(64, some);
    for (int i = 0; i < 3; i++)
        take(&a[i], 1, 'a');
    take(&shared, 1, '!');
    turn_hasten(&turns, 3, &shared.turn); // one that has no queue yet
    end(3);
    assert_string_equal(order, "a!a");
    end(turns.running + 1);
    assert_int_equal(turns.running, 0);
}

// What ends before it returns does not stack up.
static void test_many_that_end_at_once_do_not_nest(void **state) {
    (void)state;
    static struct named some[4], many[MANY - 1];
    begin(64, some);
    for (int i = 0; i < MANY - 1; i++) {
        many[i].ends_at_once = true;
        take(&many[i], (uint64_t)i % 7, 'x');
    }
    end(1);
    assert_int_equal(had, MANY - 1);
    assert_true(turns.running == 3 && !turns.queues);
    end(3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_so_many_at_once_as_the_queue_is_long),
        cmocka_unit_test(test_networks_take_turns),
        cmocka_unit_test(test_who_leaves_is_passed_over),
        cmocka_unit_test(test_who_has_left_is_not_counted),
        cmocka_unit_test(test_a_turn_moves_to_a_shorter_queue_only),
        cmocka_unit_test(test_many_that_end_at_once_do_not_nest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
