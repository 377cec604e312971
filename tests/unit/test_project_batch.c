// SPDX-License-Identifier: MIT
// Log entries become deltas: which items they change, what is set aside, and how much a batch takes.
#include "base/buffer.h"
#include "ops/metrics.h"
#include "project/projection_type.h"
#include "project/ref_index.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PARTITIONS = 4 };

static struct batch batch;
static struct buffer text;

static int begin(void **state) {
    (void)state;
    buffer_init(&text, 1 << 22);
    return batch_init(&batch, PARTITIONS, 4 * 1000) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    batch_release(&batch);
    buffer_release(&text);
    return 0;
}

static void begin_entry(double accept_ms) {
    buffer_clear(&text);
    buffer_add_f64(&text, accept_ms);
}

static void add_vote(ref_t item, uint8_t kind, int32_t time_s) {
    buffer_add_char(&text, 'V');
    buffer_add_u64(&text, item);
    buffer_add_u64(&text, 98);
    buffer_add_u8(&text, kind);
    buffer_add_u32(&text, (uint32_t)time_s);
    buffer_add_u8(&text, ENTRY_NO_KIND);
    buffer_add_u32(&text, 0);
}

// `ages_ms`: of the recent views; NULL: an hour each.
static void add_aged_view(ref_t item, const ref_t *recent, const int64_t *ages_ms, uint8_t count) {
    buffer_add_char(&text, 'W');
    buffer_add_u64(&text, item);
    buffer_add_u64(&text, 99);
    buffer_add_f64(&text, 1760000000000.0);
    buffer_add_u8(&text, 1);
    buffer_add_char(&text, 's');
    buffer_add_u16(&text, 2);
    buffer_add(&text, "id", 2);
    buffer_add_u8(&text, count);
    for (int i = 0; i < count; i++) {
        buffer_add_u64(&text, recent[i]);
        buffer_add_f64(&text, 1760000000000.0 - (ages_ms ? (double)ages_ms[i] : 3600000));
    }
}

static void add_view(ref_t item, const ref_t *recent, uint8_t count) {
    add_aged_view(item, recent, NULL, count);
}

static void take(uint32_t source, uint64_t ms, delta_maker *make_deltas) {
    struct log_entry entry = {.partition = source, .id = {ms, 0}, .value = buffer_bytes(&text)};
    batch_take(&batch, &entry, make_deltas);
}

static uint64_t bad_entries(void) {
    return *metric_cell(METRIC_BAD_ENTRIES);
}

static void votes_reach_their_items(void **state) {
    (void)state;
    begin_entry(5000);
    add_vote(6, 1, 100);
    add_vote(7, 0, 200);
    take(3, 10, sums_projection.make_deltas);
    assert_int_equal(batch.entry_count, 1);
    assert_int_equal(batch.deltas[2].count, 1);
    assert_int_equal(batch.deltas[3].count, 1);
    const struct delta *delta = &batch.deltas[2].at[0];
    assert_int_equal(delta->item, 6);
    assert_int_equal(delta->kind, 1);
    assert_int_equal(delta->vote.time_ms, INT64_C(1704067200000) + 100000);
    assert_int_equal(batch.entries[delta->entry].source, 3);
    assert_true(batch.oldest_ms == 5000);
    assert_int_equal(batch.last[3].ms, 10);
}

static void a_view_reaches_all_tables(void **state) {
    (void)state;
    const ref_t recent[] = {5, 8, 6}; // the second is the viewed item itself
    begin_entry(5000);
    add_view(8, recent, 3);
    take(0, 10, neighbours_projection.make_deltas);
    assert_int_equal(batch.deltas[0].count, 2); // 8: from 5 and from 6
    assert_int_equal(batch.deltas[1].count, 1);
    assert_int_equal(batch.deltas[2].count, 1);
    double near = coview_weight(1, 3600000), far = coview_weight(3, 3600000);
    assert_int_equal(batch.deltas[1].at[0].coview.item, 8);
    assert_true(batch.deltas[1].at[0].coview.weight == near);
    assert_true(batch.deltas[2].at[0].coview.weight == far);
    assert_int_equal(batch.deltas[0].at[0].coview.item, 5);
    assert_true(fabs(batch.deltas[0].at[0].coview.weight - near / 3) < 1e-12);
    assert_true(fabs(batch.deltas[0].at[1].coview.weight - far / 3) < 1e-12);
}

static void what_was_read_long_ago_is_no_coview(void **state) {
    (void)state;
    const ref_t recent[] = {5, 6, 7, 9};
    const int64_t ages_ms[] = {0, 21600000, COVIEW_OLDEST_MS, COVIEW_OLDEST_MS + 1};
    begin_entry(5000);
    add_aged_view(8, recent, ages_ms, 4);
    take(0, 10, neighbours_projection.make_deltas);
    assert_int_equal(batch.deltas[0].count, 3); // of 8: all but the last
    assert_int_equal(batch.deltas[1].count, 1); // 5, and not 9
    const double weights[] = {1, 0.5 / 2, 1.0 / 4096 / 3};
    for (int i = 0; i < 3; i++) {
        const struct delta *there = &batch.deltas[1 + i].at[0], *back = &batch.deltas[0].at[i];
        assert_int_equal(there->item, recent[i]);
        assert_int_equal(there->coview.item, 8);
        assert_int_equal(back->coview.item, recent[i]);
        assert_true(fabs(there->coview.weight - weights[i]) < 1e-12);
        assert_true(fabs(back->coview.weight - weights[i] / 3) < 1e-12);
    }
}

// Per partition and source: what lies at or below that is not taken up again.
static void what_is_applied_is_not_taken_up_again(void **state) {
    (void)state;
    struct log_id applied[PARTITIONS * PARTITIONS] = {0};
    batch.applied = applied;
    applied[2 * PARTITIONS + 3] = (struct log_id){10, 4}; // partition 2, of log 3
    applied[0 * PARTITIONS + 3] = (struct log_id){9, 7};
    applied[2 * PARTITIONS + 1] = (struct log_id){90, 0};
    begin_entry(5000);
    add_vote(6, 1, 100); // partition 2
    add_vote(4, 1, 100); // partition 0
    add_vote(7, 1, 100); // partition 3
    struct log_entry entry = {.partition = 3, .value = buffer_bytes(&text)};
    const struct log_id ids[] = {{9, 7}, {9, 8}, {10, 3}, {10, 4}, {10, 5}, {11, 0}};
    const uint32_t left[][3] = {{0, 0, 1}, {0, 1, 2}, {0, 2, 3}, {0, 3, 4}, {1, 4, 5}, {2, 5, 6}}; // of deltas 2, 0, 3
    for (int i = 0; i < 6; i++) {
        entry.id = ids[i];
        batch_take(&batch, &entry, sums_projection.make_deltas);
        assert_int_equal(batch.deltas[2].count, left[i][0]);
        assert_int_equal(batch.deltas[0].count, left[i][1]);
        assert_int_equal(batch.deltas[3].count, left[i][2]);
    }
    assert_int_equal(batch.last[3].ms, 11); // the log goes on
    assert_false(batch.failed);
    assert_non_null(batch_add_delta(&batch, NO_ENTRY, DELTA_REWRITE, 6)); // of a rebuild: always
}

// A deletion names its neighbours, in several deltas: those that have it already don't end the others'.
static void a_deletion_reaches_the_targets_that_lack_it(void **state) {
    (void)state;
    struct log_id applied[PARTITIONS * PARTITIONS] = {0};
    struct neighbours table;
    struct buffer packed;
    batch.applied = applied;
    applied[1 * PARTITIONS + 0] = (struct log_id){10, 0}; // partition 1 has it
    neighbours_clear(&table);
    neighbours_add(&table, 5, 3);
    neighbours_add(&table, 6, 2);
    neighbours_add(&table, 7, 1);
    buffer_init(&packed, 1 << 12);
    neighbours_pack(&table, &packed);
    begin_entry(5000);
    buffer_add_char(&text, 'E');
    buffer_add_u64(&text, 8);
    buffer_add(&text, "\1s\2\0id\0\0\0\0", 10); // site, id, no categories, no sums
    buffer_add_u16(&text, (uint16_t)packed.len);
    buffer_add_bytes(&text, buffer_bytes(&packed));
    take(0, 10, neighbours_projection.make_deltas);
    assert_int_equal(batch.deltas[1].count, 0);
    assert_int_equal(batch.deltas[2].count, 1);
    assert_int_equal(batch.deltas[3].count, 1);
    assert_int_equal(batch.deltas[3].at[0].coview.item, 8);
    buffer_release(&packed);
}

static void bad_entries_are_set_aside(void **state) {
    (void)state;
    uint64_t before = bad_entries();
    buffer_clear(&text);
    take(0, 1, sums_projection.make_deltas); // wrong type: without a value
    buffer_add(&text, "xyz", 3);
    take(0, 2, sums_projection.make_deltas);
    begin_entry(5000);
    add_vote(4, 0, 1);
    buffer_add(&text, "V12", 3); // corrupt: what came before it counts
    take(0, 3, sums_projection.make_deltas);
    begin_entry(5000);
    buffer_add_char(&text, '?');
    take(0, 4, sums_projection.make_deltas);
    assert_int_equal(bad_entries() - before, 4);
    assert_int_equal(batch.deltas[0].count, 1);
    assert_int_equal(batch.last[0].ms, 4); // and the log goes on
    assert_false(batch.failed);
}

static void a_log_takes_no_more_than_its_share(void **state) {
    (void)state;
    begin_entry(5000);
    for (int i = 0; i < 100; i++)
        add_vote(4, 0, i); // 1,908 bytes: more than the share, but the first
    take(1, 1, sums_projection.make_deltas);
    take(1, 2, sums_projection.make_deltas);
    begin_entry(5000);
    take(1, 3, sums_projection.make_deltas); // small, but after one that was left
    take(2, 1, sums_projection.make_deltas);
    assert_int_equal(batch.last[1].ms, 1);
    assert_true(batch.left);
    assert_int_equal(batch.read[1], 3);
    assert_int_equal(batch.last[2].ms, 1);
    batch_clear(&batch);
    assert_int_equal(batch.deltas[0].count, 0);
    assert_false(batch.left);
    take(1, 3, sums_projection.make_deltas);
    assert_int_equal(batch.last[1].ms, 3);
}

static void a_flush_is_noticed(void **state) {
    (void)state;
    begin_entry(0);
    buffer_add_char(&text, 'F');
    take(1, 1, sums_projection.make_deltas);
    assert_true(batch.flush);
    assert_true(batch.oldest_ms == 0);
}

static void references_are_numbered_in_order(void **state) {
    (void)state;
    struct ref_index index;
    ref_index_init(&index);
    assert_int_equal(ref_index_find(&index, 1), NO_INDEX);
    for (uint32_t i = 0; i < 3000; i++)
        assert_int_equal(ref_index_add(&index, (ref_t)i * 16), i);
    for (uint32_t i = 0; i < 3000; i++)
        assert_int_equal(ref_index_add(&index, (ref_t)i * 16), i);
    assert_int_equal(ref_index_find(&index, 16), 1);
    assert_int_equal(ref_index_find(&index, 17), NO_INDEX);
    ref_index_clear(&index);
    assert_int_equal(ref_index_find(&index, 16), NO_INDEX);
    assert_int_equal(ref_index_add(&index, 16), 0);
    ref_index_release(&index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(votes_reach_their_items, begin, end),
        cmocka_unit_test_setup_teardown(a_view_reaches_all_tables, begin, end),
        cmocka_unit_test_setup_teardown(what_was_read_long_ago_is_no_coview, begin, end),
        cmocka_unit_test_setup_teardown(what_is_applied_is_not_taken_up_again, begin, end),
        cmocka_unit_test_setup_teardown(a_deletion_reaches_the_targets_that_lack_it, begin, end),
        cmocka_unit_test_setup_teardown(bad_entries_are_set_aside, begin, end),
        cmocka_unit_test_setup_teardown(a_log_takes_no_more_than_its_share, begin, end),
        cmocka_unit_test_setup_teardown(a_flush_is_noticed, begin, end),
        cmocka_unit_test(references_are_numbered_in_order),
    };
    return metrics_attach(-1, 0) == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
