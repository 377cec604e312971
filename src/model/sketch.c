// SPDX-License-Identifier: MIT
// Both forms are read into the number of registers of each value. That tells whether the form is sound, and how many
// visitors there are.
#include "model/sketch.h"
#include <math.h>

enum { HEAD = 16, ENCODING_AT = 4, CACHED_AT = 8, REGISTERS = 16384, REGISTER_MAX = 51 };
enum { DENSE, SPARSE };

// How many registers have each value.
struct registers {
    unsigned of[64], count;
};

// Three bytes have four registers, lowest bits first.
static bool read_dense(const uint8_t *at, size_t len, struct registers *registers) {
    if (len != REGISTERS / 4 * 3)
        return false;
    for (const uint8_t *end = at + len; at < end; at += 3) {
        registers->of[at[0] & 63]++;
        registers->of[(at[0] >> 6 | at[1] << 2) & 63]++;
        registers->of[(at[1] >> 4 | at[2] << 4) & 63]++;
        registers->of[at[2] >> 2]++;
    }
    registers->count = REGISTERS;
    return true;
}

// The number of a run's registers, and its number of bytes.
static unsigned run_length(const uint8_t *at, size_t *ret_size) {
    *ret_size = at[0] >> 6 == 1 ? 2 : 1;
    if (at[0] & 0x80)
        return (at[0] & 3U) + 1;
    return at[0] & 0x40 ? ((at[0] & 63U) << 8 | at[1]) + 1 : at[0] + 1U;
}

static bool read_sparse(const uint8_t *at, size_t len, struct registers *registers) {
    while (len) {
        size_t size;
        if (len == 1 && at[0] >> 6 == 1)
            return false;
        unsigned value = at[0] & 0x80 ? (at[0] >> 2 & 31U) + 1 : 0, length = run_length(at, &size);
        registers->of[value] += length;
        registers->count += length;
        if (registers->count > REGISTERS)
            return false;
        at += size;
        len -= size;
    }
    return true;
}

static bool read_registers(struct bytes sketch, struct registers *registers) {
    const uint8_t *at = (const uint8_t *)sketch.at;
    *registers = (struct registers){.count = 0};
    if (sketch.len < HEAD || memcmp(at, "HYLL", 4) != 0 || at[ENCODING_AT] > SPARSE)
        return false;
    bool (*read)(const uint8_t *, size_t, struct registers *) = at[ENCODING_AT] == DENSE ? read_dense : read_sparse;
    if (!read(at + HEAD, sketch.len - HEAD, registers) || registers->count != REGISTERS)
        return false;
    for (int value = REGISTER_MAX + 1; value < 64; value++)
        if (registers->of[value])
            return false;
    return true;
}

bool sketch_valid(struct bytes sketch) {
    struct registers registers;
    return read_registers(sketch, &registers);
}

// The corrections for registers that are empty, and for those that are full.
static double sigma(double x) {
    double sum = x, before = -1;
    if (x == 1)
        return INFINITY;
    for (double y = 1; sum != before; y += y) {
        x *= x;
        before = sum;
        sum += x * y;
    }
    return sum;
}

static double tau(double x) {
    double sum = 1 - x, before = -1;
    if (x == 0 || x == 1)
        return 0;
    for (double y = 0.5; sum != before; y *= 0.5) {
        x = sqrt(x);
        before = sum;
        sum -= (1 - x) * (1 - x) * y;
    }
    return sum / 3;
}

bool sketch_count(struct bytes sketch, uint64_t *ret_count) {
    const double m = REGISTERS, alpha = 0.721347520444481703680; // 1 / (2 ln 2)
    struct registers registers;
    if (!read_registers(sketch, &registers))
        return false;
    double z = m * tau((m - registers.of[REGISTER_MAX]) / m);
    for (int value = REGISTER_MAX - 1; value > 0; value--)
        z = (z + registers.of[value]) / 2;
    z += m * sigma(registers.of[0] / m);
    *ret_count = (uint64_t)llround(alpha * m * m / z);
    return true;
}
