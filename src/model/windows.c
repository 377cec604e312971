// SPDX-License-Identifier: MIT
// One table: the name of a window, its grain, and how its first bucket is found.
#include "model/windows.h"

enum { HOUR_MS = 3600000, HOURS_OF_DAY = 24 };

// A span goes back `hours` from now. A period is that of now, or with `ago` an earlier one.
static const struct {
    const char *name;
    enum grain grain; // of its buckets
    int32_t hours;    // 0: a period
    enum grain period;
    int32_t ago;
} windows[WINDOWS] = {
    [WINDOW_1H] = {"1h", GRAIN_HOUR, 1, GRAIN_HOUR, 0},
    [WINDOW_24H] = {"24h", GRAIN_HOUR, HOURS_OF_DAY, GRAIN_HOUR, 0},
    [WINDOW_7D] = {"7d", GRAIN_DAY, 7 * HOURS_OF_DAY, GRAIN_DAY, 0},
    [WINDOW_30D] = {"30d", GRAIN_DAY, 30 * HOURS_OF_DAY, GRAIN_DAY, 0},
    [WINDOW_TODAY] = {"today", GRAIN_DAY, 0, GRAIN_DAY, 0},
    [WINDOW_YESTERDAY] = {"yesterday", GRAIN_DAY, 0, GRAIN_DAY, 1},
    [WINDOW_WEEK] = {"week", GRAIN_DAY, 0, GRAIN_WEEK, 0},
    [WINDOW_MONTH] = {"month", GRAIN_MONTH, 0, GRAIN_MONTH, 0},
};

const char *window_name(enum window window) {
    return windows[window].name;
}

bool window_find(struct bytes name, enum window *ret_window) {
    for (int i = 0; i < WINDOWS; i++)
        if (bytes_eq(name, bytes_of(windows[i].name))) {
            *ret_window = (enum window)i;
            return true;
        }
    return false;
}

struct window_span window_span_at(enum window window, int64_t now_ms) {
    struct window_span span = {.window = window, .grain = windows[window].grain};
    int32_t now = calendar_number(span.grain, now_ms);
    span.last = now - windows[window].ago;
    if (windows[window].hours)
        span.first = calendar_number(span.grain, now_ms - (int64_t)windows[window].hours * HOUR_MS);
    else if (windows[window].period == GRAIN_WEEK)
        span.first = calendar_first_day(GRAIN_WEEK, calendar_of_day(GRAIN_WEEK, now));
    else
        span.first = span.last;
    span.from_ms = calendar_begin(span.grain, span.first);
    return span;
}

struct window_set window_set_at(unsigned mask, int64_t now_ms) {
    struct window_set set = {.count = 0};
    for (int i = 0; i < WINDOWS; i++)
        if (mask & 1u << i)
            set.at[set.count++] = window_span_at((enum window)i, now_ms);
    return set;
}
