// SPDX-License-Identifier: MIT
// A finer bucket has the first event if all that the coarser one counts lies in finer ones.
#include "model/first_event.h"

// The number of the oldest bucket; false if there is none.
static bool oldest(const struct series *series, enum grain grain, int32_t *ret_number) {
    bool any = false;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        struct buckets buckets = series_buckets(series, signal, grain);
        int32_t number = buckets.count ? (int32_t)buckets.at[buckets.count - 1].number : INT32_MAX;
        if (buckets.count && (!any || number < *ret_number))
            *ret_number = number;
        any |= buckets.count > 0;
    }
    return any;
}

static uint64_t count(const struct series *series, enum grain grain, int32_t from, int32_t to) {
    uint64_t events = 0;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        events += series_count(series, signal, grain, from, to);
    return events;
}

// Whether the finer buckets have all events of one coarser bucket.
static bool is_whole(const struct series *series, enum grain coarse, int32_t number, enum grain fine) {
    int64_t begin = calendar_begin(coarse, number), end = calendar_begin(coarse, number + 1);
    return count(series, fine, calendar_number(fine, begin), calendar_number(fine, end - 1)) >=
           count(series, coarse, number, number);
}

static int64_t middle(enum grain grain, int32_t number) {
    int64_t begin = calendar_begin(grain, number);
    return begin + (calendar_begin(grain, number + 1) - begin) / 2;
}

int64_t first_event_ms(const struct series *series) {
    int32_t month, day, hour;
    int64_t since_ms = series_since(series, GRAIN_MONTH);
    if (since_ms)
        return since_ms;
    if (!oldest(series, GRAIN_MONTH, &month))
        return 0;
    if (!oldest(series, GRAIN_DAY, &day) || !is_whole(series, GRAIN_MONTH, month, GRAIN_DAY))
        return middle(GRAIN_MONTH, month);
    if (!oldest(series, GRAIN_HOUR, &hour) || !is_whole(series, GRAIN_DAY, day, GRAIN_HOUR))
        return middle(GRAIN_DAY, day);
    return middle(GRAIN_HOUR, hour);
}
