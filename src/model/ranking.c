// SPDX-License-Identifier: MIT
// An item's value in a ranking. Weights may be negative (a "down"): the decayed sum is then a difference, and an item
// whose difference is not positive is not in the ranking.
#include "model/ranking.h"

#define WILSON_Z 1.96

// The number of events of signals that have a weight in the ranking.
static uint64_t evidence(const struct ranking *ranking, const struct sums *sums) {
    uint64_t events = 0;
    if (ranking->kind == RANK_BEST)
        return sums->signals[0].count + sums->signals[1].count;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        if (ranking->weight[signal] != 0)
            events += sums->signals[signal].count;
    return events;
}

// log2 Σ weight·sum over the signals of one half-life; DECAY_EMPTY if Σ is not positive.
static double weighted_sum(const struct ranking *ranking, const struct sums *sums, uint32_t life) {
    double gain = DECAY_EMPTY, loss = DECAY_EMPTY;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        double weight = ranking->weight[signal];
        if (weight == 0 || sums->signals[signal].count == 0)
            continue;
        double part = sums->signals[signal].sum[life] + log2(fabs(weight));
        if (weight > 0)
            gain = decay_add(gain, part);
        else
            loss = decay_add(loss, part);
    }
    if (loss == DECAY_EMPTY)
        return gain;
    return gain > loss ? gain + log1p(-exp2(loss - gain)) * M_LOG2E : DECAY_EMPTY;
}

static double weighted_count(const struct ranking *ranking, const struct sums *sums) {
    double total = 0;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        total += ranking->weight[signal] * (double)sums->signals[signal].count;
    return total;
}

static double wilson_lower(double positive, double total) {
    double z2 = WILSON_Z * WILSON_Z, share = positive / total;
    double centre = share + z2 / (2 * total);
    double spread = WILSON_Z * sqrt((share * (1 - share) + z2 / (4 * total)) / total);
    return (centre - spread) / (1 + z2 / total);
}

// Sums of the same events differ in their last bits if the events came in another order. Values are rounded to 1e-9, so
// that such items have equal values and are sorted by id.
#define VALUE_STEPS 1e9

static bool value_of(const struct ranking *ranking, const struct sums *sums, double *ret_value) {
    double up = (double)sums->signals[0].count, down = (double)sums->signals[1].count, value = 0;
    switch (ranking->kind) {
    case RANK_DECAYED:
        value = weighted_sum(ranking, sums, ranking->life);
        break;
    case RANK_RISING:
        // Both sums count from the same epoch, so at an instant the ratio also holds now·(1/h − 1/4h), which is the
        // same for all items: the order does not need it.
        value = weighted_sum(ranking, sums, ranking->life) - weighted_sum(ranking, sums, ranking->long_life);
        break;
    case RANK_BEST:
        value = up + down > 0 ? wilson_lower(up, up + down) : -INFINITY;
        break;
    case RANK_TOTAL:
        value = weighted_count(ranking, sums);
        if (value <= 0)
            return false;
        break;
    case RANK_WINDOW:
        return false;
    }
    *ret_value = rint(value * VALUE_STEPS) / VALUE_STEPS;
    return isfinite(value);
}

bool ranking_value(const struct ranking *ranking, const struct sums *sums, int64_t published_ms, int64_t now_ms,
                   double *ret_value) {
    uint64_t events = ranking->kind == RANK_WINDOW ? 0 : evidence(ranking, sums);
    if (events == 0 || events < ranking->floor)
        return false;
    if (ranking->oldest_age_ms && published_ms && now_ms - published_ms > ranking->oldest_age_ms)
        return false;
    return value_of(ranking, sums, ret_value);
}

double ranking_score(const struct ranking *ranking, double value, int64_t now_ms) {
    switch (ranking->kind) {
    case RANK_DECAYED:
        return decay_value(value, now_ms, ranking->half_life_ms);
    case RANK_RISING: {
        // log2 of the ratio now: value − now/h + now/4h
        double now = decay_exponent(now_ms, ranking->half_life_ms) * 0.75;
        double exponent = value - now;
        return exp2(exponent < 1023 ? exponent : 1023);
    }
    case RANK_BEST:
    case RANK_TOTAL:
    case RANK_WINDOW:
        break;
    }
    return value;
}

uint32_t ranking_bound(uint32_t depth, uint32_t partitions) {
    double mean = (double)depth / partitions;
    return (uint32_t)(mean + 6 * sqrt(mean) + 8);
}
