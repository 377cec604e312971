// SPDX-License-Identifier: MIT
// HyperLogLogs from outside: those of Redis pass; bytes that would make Redis read or write out of bounds are refused.
#include "model/early.h"
#include "model/sketch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HEAD = 16, DENSE_SIZE = HEAD + 12288 };

static char dense[DENSE_SIZE + 1] = "HYLL";

static bool sparse_is_valid(const char *runs, size_t len) {
    char sketch[64] = "HYLL\1";
    memcpy(sketch + HEAD, runs, len);
    return sketch_valid((struct bytes){sketch, HEAD + len});
}
#define SPARSE(runs) sparse_is_valid(runs, sizeof(runs) - 1)

static void test_heads(void **state) {
    (void)state;
    assert_false(sketch_valid(NO_BYTES));
    assert_false(sketch_valid(BYTES("HYLL\1\0\0\0\0\0\0\0\0\0\0")));
    assert_false(sketch_valid(BYTES("HYLL\1\0\0\0\0\0\0\0\0\0\0\0"))); // no registers
    assert_true(sketch_valid(BYTES("HYLL\1\0\0\0\0\0\0\0\0\0\0\0\177\377")));
    assert_false(sketch_valid(BYTES("HYLK\1\0\0\0\0\0\0\0\0\0\0\0\177\377")));
    assert_false(sketch_valid(BYTES("HYLL\2\0\0\0\0\0\0\0\0\0\0\0\177\377")));
}

static void test_sparse_runs_make_exactly_all_registers(void **state) {
    (void)state;
    assert_true(SPARSE("\177\377"));          // 16384 zeros
    assert_true(SPARSE("\177\376\200"));      // 16383 zeros, one of value 1
    assert_true(SPARSE("\177\373\203"));      // 16380, four
    assert_true(SPARSE("\177\276\77\200"));   // 16319, 64, one
    assert_false(SPARSE("\177\376"));         // one is missing
    assert_false(SPARSE("\177\377\0"));       // one too many
    assert_false(SPARSE("\177\377\200"));     // written beside the last
    assert_false(SPARSE("\177\377\177\377")); // twice as many: sums that pass over the end and come back
    assert_false(SPARSE("\177\376\177"));     // the second byte of a run is missing
    assert_false(SPARSE("\177"));
}

static void test_dense_registers(void **state) {
    (void)state;
    assert_true(sketch_valid((struct bytes){dense, DENSE_SIZE}));
    assert_false(sketch_valid((struct bytes){dense, DENSE_SIZE - 1}));
    assert_false(sketch_valid((struct bytes){dense, DENSE_SIZE + 1}));
    for (size_t at = 0; at < 4; at++) { // 51 is the most; registers 0 to 3, across bytes
        size_t bit = 6 * at;
        for (unsigned value = 51; value <= 52; value++) {
            memset(dense + HEAD, 0, 3);
            dense[HEAD + bit / 8] = (char)(value << bit % 8);
            if (bit % 8 > 2)
                dense[HEAD + bit / 8 + 1] = (char)(value >> (8 - bit % 8));
            assert_int_equal(sketch_valid((struct bytes){dense, DENSE_SIZE}), value == 51);
        }
    }
    memset(dense + HEAD, 0, 3);
    dense[DENSE_SIZE - 1] = (char)(52 << 2); // the last register
    assert_false(sketch_valid((struct bytes){dense, DENSE_SIZE}));
    dense[DENSE_SIZE - 1] = (char)(51 << 2);
    assert_true(sketch_valid((struct bytes){dense, DENSE_SIZE}));
    dense[DENSE_SIZE - 1] = 0;
}

// What Redis 7 keeps after PFADD of one reference or two (8 bytes each, the lowest first).
static void test_early_visitors_are_packed_as_redis_does(void **state) {
    (void)state;
    static const struct {
        ref_t one, other; // 0: none
        const char *runs;
        size_t len;
    } vectors[] = {{1, 0, "\x58\xc1\x80\x67\x3c", 5},
                   {7, 0, "\x73\x8c\x80\x4c\x71", 5},
                   {57, 0, "\x7c\xfb\x88\x43\x02", 5},
                   {31, 0, "\x64\xf7\x88\x5b\x06", 5},
                   {7, 11, "\x40\xc2\x80\x72\xc8\x80\x4c\x71", 8},
                   {31, 13, "\x40\x90\x80\x64\x65\x88\x5b\x06", 8}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct early_visitors early = {.count = 0};
        struct buffer packed;
        buffer_init(&packed, 64);
        assert_true(early_visitors_add(&early, vectors[i].one, true));
        if (vectors[i].other)
            assert_true(early_visitors_add(&early, vectors[i].other, false));
        sketch_pack(&early, &packed);
        assert_int_equal(packed.len, HEAD + vectors[i].len);
        assert_memory_equal(packed.at, "HYLL\1\0\0\0\0\0\0\0\0\0\0\x80", HEAD);
        assert_memory_equal(packed.at + HEAD, vectors[i].runs, vectors[i].len);
        assert_true(sketch_valid(buffer_bytes(&packed)));
        buffer_release(&packed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_sparse_runs_make_exactly_all_registers),
        cmocka_unit_test(test_dense_registers),
        cmocka_unit_test(test_early_visitors_are_packed_as_redis_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
