// SPDX-License-Identifier: MIT
// Forward decay in log2: sums of any size and any age, without overflow.
#include "model/decay.h"

#define REMAINDER_LEAST (-30.0) // log2 of the part of a sum below which a remainder is only noise

double decay_exponent(int64_t unix_ms, int64_t half_life_ms) {
    return (double)(unix_ms - DECAY_EPOCH_MS) / (double)half_life_ms;
}

double decay_add(double sum, double a) {
    if (sum == DECAY_EMPTY)
        return a;
    if (a == DECAY_EMPTY)
        return sum;
    double larger = sum > a ? sum : a;
    return larger + log1p(exp2(-fabs(sum - a))) * M_LOG2E;
}

double decay_take(double sum, double a) {
    if (sum == DECAY_EMPTY || a == DECAY_EMPTY)
        return sum;
    double part = exp2(a - sum); // the part of the sum that is removed; rounding may make it 1 or more
    double remainder = part < 1 ? log1p(-part) * M_LOG2E : REMAINDER_LEAST;
    return sum + (remainder > REMAINDER_LEAST ? remainder : REMAINDER_LEAST);
}

double decay_value(double sum, int64_t now_ms, int64_t half_life_ms) {
    if (sum == DECAY_EMPTY)
        return 0;
    double exponent = sum - decay_exponent(now_ms, half_life_ms);
    return exp2(exponent < 1023 ? exponent : 1023);
}
