// SPDX-License-Identifier: MIT
// HyperLogLogs from outside: those of Redis pass, and nothing that would make it read or write beside them.
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_sparse_runs_make_exactly_all_registers),
        cmocka_unit_test(test_dense_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
