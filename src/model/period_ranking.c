// SPDX-License-Identifier: MIT
// The table of the windows that a ranking may have, that of the grains, and the values of items.
#include "model/period_ranking.h"

// A series keeps a bucket for 37 days and 36 months after the newest event of its item: an open period has them all.
static const struct {
    int32_t open, readable; // how many, with the present one
} kept[GRAINS] = {[GRAIN_DAY] = {35, 35}, [GRAIN_WEEK] = {5, 12}, [GRAIN_MONTH] = {24, 24}};

static const struct {
    enum grain sets; // GRAIN_HOUR: no window of a ranking
    bool slides;
} windows[WINDOWS] = {
    [WINDOW_24H] = {GRAIN_DAY, true},    [WINDOW_7D] = {GRAIN_WEEK, true},    [WINDOW_30D] = {GRAIN_MONTH, true},
    [WINDOW_TODAY] = {GRAIN_DAY, false}, [WINDOW_WEEK] = {GRAIN_WEEK, false}, [WINDOW_MONTH] = {GRAIN_MONTH, false},
};

bool window_ranks(enum window window) {
    return windows[window].sets != GRAIN_HOUR;
}

bool window_slides(enum window window) {
    return windows[window].slides;
}

enum grain window_sets(enum window window) {
    return windows[window].sets;
}

// ---- Periods

struct period period_at(enum grain grain, int64_t unix_ms) {
    return (struct period){grain, calendar_number(grain, unix_ms)};
}

int64_t period_begin_ms(struct period period) {
    return calendar_begin(period.grain, period.number);
}

int64_t period_end_ms(struct period period) {
    return calendar_begin(period.grain, period.number + 1);
}

// How many periods ago; below 0 for one that has not begun.
static int32_t age_of(struct period period, int64_t now_ms) {
    return calendar_number(period.grain, now_ms) - period.number;
}

// The clock of another machine may be a little ahead, so an event may be of the next period already.
bool period_is_open(struct period period, int64_t now_ms) {
    return age_of(period, now_ms) >= -1 && !period_is_closed(period, now_ms);
}

bool period_is_closed(struct period period, int64_t now_ms) {
    return age_of(period, now_ms) >= kept[period.grain].open;
}

bool period_is_readable(struct period period, int64_t now_ms) {
    int32_t age = age_of(period, now_ms);
    return age >= 0 && age < kept[period.grain].readable;
}

bool period_has_categories(struct period period, int64_t now_ms) {
    return age_of(period, now_ms) < PERIODS_READ_MAX;
}

int64_t period_due_ms(struct period period) {
    return calendar_begin(period.grain, period.number + PERIODS_READ_MAX);
}

int64_t period_expiry_ms(struct period period) {
    return calendar_begin(period.grain, period.number + kept[period.grain].readable);
}

static uint32_t last_periods(enum grain grain, int32_t latest, int32_t count, struct period *ret_periods) {
    for (int32_t i = 0; i < count; i++)
        ret_periods[i] = (struct period){grain, latest - i};
    return (uint32_t)count;
}

uint32_t periods_open(enum grain grain, int64_t now_ms, struct period ret_periods[static PERIODS_OPEN_MAX]) {
    return last_periods(grain, calendar_number(grain, now_ms) + 1, kept[grain].open + 1, ret_periods);
}

uint32_t periods_readable(enum grain grain, int64_t now_ms, struct period ret_periods[static PERIODS_OPEN_MAX]) {
    return last_periods(grain, calendar_number(grain, now_ms), kept[grain].readable, ret_periods);
}

uint32_t periods_of_window(enum window window, int64_t now_ms, struct period ret_periods[static PERIODS_READ_MAX]) {
    enum grain grain = windows[window].sets;
    int32_t now = calendar_number(grain, now_ms);
    int64_t from_ms = window_span_at(window, now_ms).from_ms;
    int32_t count = windows[window].slides ? now - calendar_number(grain, from_ms) + 1 : 1;
    return last_periods(grain, now, count < PERIODS_READ_MAX ? count : PERIODS_READ_MAX, ret_periods);
}

// ---- Values

#define VALUE_STEPS 1e9

static double rounded(double value) {
    double steps = rint(value * VALUE_STEPS) / VALUE_STEPS;
    return isfinite(steps) ? steps : value;
}

// The buckets of the numbers `from` to `to`.
static double weighted(const struct ranking *ranking, const struct series *series, enum grain grain, int32_t from,
                       int32_t to) {
    double value = 0;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        if (ranking->weight[signal] > 0)
            value += ranking->weight[signal] * (double)series_count(series, signal, grain, from, to);
    return rounded(value);
}

double period_value(const struct ranking *ranking, const struct series *series, struct period period) {
    if (period.grain != GRAIN_WEEK)
        return weighted(ranking, series, period.grain, period.number, period.number);
    int32_t monday = calendar_first_day(GRAIN_WEEK, period.number);
    return weighted(ranking, series, GRAIN_DAY, monday, monday + 6);
}

double window_value(const struct ranking *ranking, const struct series *series, const struct window_span *span) {
    return weighted(ranking, series, span->grain, span->first, span->last);
}

uint64_t window_events(const struct ranking *ranking, const struct series *series, const struct window_span *span) {
    uint64_t events = 0;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        if (ranking->weight[signal] > 0)
            events += series_count(series, signal, span->grain, span->first, span->last);
    return events;
}

enum period_move period_move(double value, double cut, bool may_be_member) {
    if (value > cut)
        return PERIOD_PLACE;
    return may_be_member ? PERIOD_LEAVE : PERIOD_NOTHING;
}

// A sum of rounded cuts may end lower than the rounded sum of the counts: that many steps more are safe.
double cuts_sum(const double *cuts, uint32_t count) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += cuts[i];
    return sum > 0 ? rounded(sum) + count / VALUE_STEPS : 0;
}
