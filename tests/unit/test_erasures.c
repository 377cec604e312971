// SPDX-License-Identifier: MIT
// Records of erasures and of sets (lua/delete.lua, lua/import.lua): read whole, cut at every byte, and what each projection
// makes of them.
#include "ops/metrics.h"
#include "project/projection_type.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PARTITIONS = 4, ITEM = 6 };

static struct buffer text;
static struct batch batch;

static int begin(void **state) {
    (void)state;
    buffer_init(&text, 1 << 16);
    return batch_init(&batch, PARTITIONS, 4 * 1000) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    batch_release(&batch);
    buffer_release(&text);
    return 0;
}

static void add_text16(struct bytes part) {
    buffer_add_u16(&text, (uint16_t)part.len);
    buffer_add_bytes(&text, part);
}

static void add_name(char type) {
    buffer_clear(&text);
    buffer_add_f64(&text, 5000);
    buffer_add_char(&text, type);
    buffer_add_u64(&text, ITEM);
    buffer_add_u8(&text, 4);
    buffer_add_bytes(&text, BYTES("site"));
    add_text16(BYTES("id"));
}

static void add_erasure(struct bytes table) {
    add_name('E');
    add_text16(BYTES("news\x1fsport"));
    add_text16(BYTES("sums before"));
    add_text16(table);
}

static void add_set(void) {
    add_name('S');
    add_text16(BYTES("before"));
    add_text16(BYTES("and now"));
}

static void take(delta_maker *make_deltas) {
    struct log_entry entry = {.partition = 1, .id = {7, 0}, .value = buffer_bytes(&text)};
    batch_take(&batch, &entry, make_deltas);
}

// The records that can be read of the first `len` bytes; -1 when the rest is corrupt.
static int records_in(size_t len) {
    char *copy = malloc(len + 1); // so that the sanitizers see a read past the end
    struct bytes rest;
    struct entry_record record;
    double accept_ms;
    int got = -1, records = 0;
    memcpy(copy, text.at, len);
    if (entry_open((struct bytes){copy, len}, &accept_ms, &rest))
        while ((got = entry_next(&rest, &record)) > 0)
            records++;
    free(copy);
    return got == 0 ? records : -1;
}

static void torn_ones_are_refused(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        if (kind)
            add_set();
        else
            add_erasure(BYTES("table"));
        for (size_t len = 9; len < text.len; len++)
            assert_int_equal(records_in(len), -1);
        assert_int_equal(records_in(text.len), 1);
    }
}

static void one_without_a_site_or_an_id_is_refused(void **state) {
    (void)state;
    static const char nameless[] = "\0\0\0\0\0\0\0\0"
                                   "?12345678\0\0\0\0\0\0\0\0\0";
    for (int kind = 0; kind < 2; kind++) {
        buffer_clear(&text);
        buffer_add(&text, nameless, sizeof nameless - 1 - (kind ? 2 : 0));
        text.at[8] = kind ? 'S' : 'E';
        assert_int_equal(records_in(text.len), -1);
    }
}

static void the_sums_get_all_of_it(void **state) {
    (void)state;
    add_erasure(BYTES("table"));
    take(sums_projection.make_deltas);
    add_set();
    take(sums_projection.make_deltas);
    const struct delta_list *list = &batch.deltas[ITEM % PARTITIONS];
    assert_int_equal(list->count, 2);
    const struct delta *erasure = &list->at[0], *set = &list->at[1];
    assert_true(erasure->type == DELTA_ERASE && erasure->item == ITEM);
    assert_true(bytes_eq(erasure->card.site, BYTES("site")) && bytes_eq(erasure->card.id, BYTES("id")));
    assert_true(bytes_eq(erasure->card.groups, BYTES("news\x1fsport")));
    assert_true(bytes_eq(erasure->card.before, BYTES("sums before")) && erasure->card.packed.len == 0);
    assert_true(set->type == DELTA_SET && set->item == ITEM);
    assert_true(bytes_eq(set->card.site, BYTES("site")) && bytes_eq(set->card.id, BYTES("id")));
    assert_true(bytes_eq(set->card.before, BYTES("before")) && bytes_eq(set->card.packed, BYTES("and now")));
    assert_int_equal(set->card.groups.len, 0);
    struct secret_key key = {{1}};
    ref_t site = 0, other = 0;
    assert_true(sums_projection.delta_site(&key, erasure, &site) && sums_projection.delta_site(&key, set, &other));
    assert_true(site == other && site == site_ref(&key, BYTES("site")));
}

static void the_tables_of_its_neighbours_forget_it(void **state) {
    (void)state;
    static struct neighbours table;
    struct buffer packed;
    buffer_init(&packed, 1 << 14);
    neighbours_clear(&table);
    for (ref_t item = 20; item < 23; item++)
        neighbours_add(&table, item, 1);
    neighbours_pack(&table, &packed);
    add_erasure(buffer_bytes(&packed));
    take(neighbours_projection.make_deltas);
    uint32_t deltas = 0;
    for (ref_t item = 20; item < 23; item++) {
        const struct delta_list *list = &batch.deltas[item % PARTITIONS];
        assert_int_equal(list->count, 1);
        assert_true(list->at[0].type == DELTA_FORGET && list->at[0].item == item && list->at[0].coview.item == ITEM);
        deltas += list->count;
    }
    assert_int_equal(deltas, 3);
    buffer_release(&packed);
}

static void a_torn_table_harms_nobody(void **state) {
    (void)state;
    add_erasure(BYTES("\1torn"));
    take(neighbours_projection.make_deltas);
    add_erasure(NO_BYTES);
    take(neighbours_projection.make_deltas);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(batch.deltas[i].count, 0);
    assert_false(batch.failed);
    assert_int_equal(batch.entry_count, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(torn_ones_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(one_without_a_site_or_an_id_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(the_sums_get_all_of_it, begin, end),
        cmocka_unit_test_setup_teardown(the_tables_of_its_neighbours_forget_it, begin, end),
        cmocka_unit_test_setup_teardown(a_torn_table_harms_nobody, begin, end),
    };
    keys_init(PARTITIONS);
    return keyed_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
