// SPDX-License-Identifier: MIT
// Adds, takes, trims and packs the buckets of a series (series.h).
#include "model/series.h"
#include <stddef.h>

enum { HOURS_MAX = 1 << 21 }; // what the packed newest event can tell: until the year 2209
enum { SECOND_MS = 1000 };

static const int32_t kept[GRAINS_COUNTED] = {
    [GRAIN_HOUR] = SERIES_HOURS, [GRAIN_DAY] = SERIES_DAYS, [GRAIN_MONTH] = SERIES_MONTHS};
static struct series_beginning beginning;

void series_begin(struct series_beginning of_data) {
    beginning = of_data;
}

uint32_t series_days_began_s(void) {
    return beginning.days_since_s;
}

uint32_t series_began_s(void) {
    return beginning.since_s;
}

void series_clear(struct series *series) {
    memset(series, 0, offsetof(struct series, at));
    series->era = beginning.era;
}

void series_begin_late(struct series *series, int64_t unix_ms) {
    uint32_t since_s = unix_ms > 0 ? (uint32_t)(unix_ms / SECOND_MS) + 1 : 0;
    series->since_s = since_s > beginning.since_s ? since_s : beginning.since_s;
}

// ---- Slices: the buckets of one signal and grain. A slice begins where the one before it ends.

static uint16_t slice_begin(const struct series *series, int signal, int grain) {
    const uint16_t *ends = &series->end[0][0];
    int slice = signal * GRAINS_COUNTED + grain;
    return slice ? ends[slice - 1] : 0;
}

struct buckets series_buckets(const struct series *series, int signal, enum grain grain) {
    uint16_t first = slice_begin(series, signal, (int)grain);
    return (struct buckets){&series->at[first], (uint32_t)(series->end[signal][grain] - first)};
}

bool series_empty(const struct series *series) {
    return series->end[SIGNAL_COUNT - 1][GRAINS_COUNTED - 1] == 0;
}

// Moves what follows the slice by one bucket.
static void shift(struct series *series, int signal, int grain, uint16_t at, int by) {
    uint16_t *ends = &series->end[0][0];
    uint16_t whole = ends[SIGNAL_COUNT * GRAINS_COUNTED - 1], from = by < 0 ? (uint16_t)(at + 1) : at;
    memmove(&series->at[from + by], &series->at[from], (size_t)(whole - from) * sizeof *series->at);
    for (int slice = signal * GRAINS_COUNTED + grain; slice < SIGNAL_COUNT * GRAINS_COUNTED; slice++)
        ends[slice] = (uint16_t)(ends[slice] + by);
}

// Where the bucket of this number is, or would be.
static uint16_t place_of(const struct series *series, int signal, int grain, int32_t number) {
    uint16_t at = slice_begin(series, signal, grain), end = series->end[signal][grain];
    while (at < end && (int32_t)series->at[at].number > number)
        at++;
    return at;
}

static bool is_there(const struct series *series, int signal, int grain, uint16_t at, int32_t number) {
    return at < series->end[signal][grain] && (int32_t)series->at[at].number == number;
}

static bool is_kept(const struct series *series, int grain, int32_t number) {
    return series->newest[grain] - number < kept[grain];
}

static void put_in(struct series *series, int signal, int grain, int32_t number, uint64_t count) {
    if (!is_kept(series, grain, number) || count == 0)
        return;
    uint16_t at = place_of(series, signal, grain, number);
    struct bucket *bucket = &series->at[at];
    if (!is_there(series, signal, grain, at, number)) {
        shift(series, signal, grain, at, 1);
        *bucket = (struct bucket){.number = (uint32_t)number & BUCKET_NUMBER_MAX};
    }
    bucket->count =
        (count < BUCKET_COUNT_MAX - bucket->count ? bucket->count + count : BUCKET_COUNT_MAX) & BUCKET_COUNT_MAX;
}

// False if the bucket should be there and is not.
static bool take_out(struct series *series, int signal, int grain, int32_t number, uint64_t count) {
    if (!is_kept(series, grain, number))
        return true;
    uint16_t at = place_of(series, signal, grain, number);
    if (!is_there(series, signal, grain, at, number))
        return false;
    struct bucket *bucket = &series->at[at];
    if (bucket->count > count)
        bucket->count = (bucket->count - count) & BUCKET_COUNT_MAX;
    else
        shift(series, signal, grain, at, -1);
    return true;
}

// ---- The newest event

static void trim(struct series *series) {
    uint16_t from = 0, to = 0;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        for (int grain = 0; grain < GRAINS_COUNTED; grain++) {
            uint16_t end = series->end[signal][grain];
            for (; from < end && is_kept(series, grain, (int32_t)series->at[from].number); from++)
                series->at[to++] = series->at[from];
            from = end;
            series->end[signal][grain] = to;
        }
}

static void raise(struct series *series, const int32_t numbers[GRAINS_COUNTED]) {
    bool rises = false;
    for (int grain = 0; grain < GRAINS_COUNTED; grain++)
        if (numbers[grain] > series->newest[grain]) {
            series->newest[grain] = numbers[grain];
            rises = true;
        }
    if (rises)
        trim(series);
}

// ---- Events

// False for an instant that no bucket is for.
static bool numbers_of(int64_t unix_ms, int32_t ret_numbers[GRAINS_COUNTED]) {
    ret_numbers[GRAIN_HOUR] = calendar_number(GRAIN_HOUR, unix_ms);
    ret_numbers[GRAIN_DAY] = calendar_number(GRAIN_DAY, unix_ms);
    ret_numbers[GRAIN_MONTH] = calendar_of_day(GRAIN_MONTH, ret_numbers[GRAIN_DAY]);
    return ret_numbers[GRAIN_HOUR] >= 0 && ret_numbers[GRAIN_HOUR] < HOURS_MAX && ret_numbers[GRAIN_DAY] >= 0;
}

void series_add(struct series *series, int signal, int64_t event_ms, uint64_t count) {
    int32_t numbers[GRAINS_COUNTED];
    if (!numbers_of(event_ms, numbers))
        return;
    raise(series, numbers);
    for (int grain = 0; grain < GRAINS_COUNTED; grain++)
        put_in(series, signal, grain, numbers[grain], count);
}

int64_t series_since(const struct series *series, enum grain grain) {
    bool of_era = grain != GRAIN_HOUR && series->days_since_s > series->since_s;
    return (int64_t)(of_era ? series->days_since_s : series->since_s) * SECOND_MS;
}

// An event that its day does not have is not in its month either.
void series_take(struct series *series, int signal, int64_t event_ms) {
    int32_t numbers[GRAINS_COUNTED];
    if (!numbers_of(event_ms, numbers))
        return;
    for (int grain = 0; grain < GRAINS_COUNTED && event_ms >= series_since(series, (enum grain)grain); grain++)
        if (!take_out(series, signal, grain, numbers[grain], 1))
            return;
}

void series_clear_signal(struct series *series, int signal) {
    uint16_t first = slice_begin(series, signal, 0), end = series->end[signal][GRAINS_COUNTED - 1];
    uint16_t whole = series->end[SIGNAL_COUNT - 1][GRAINS_COUNTED - 1], *ends = &series->end[0][0];
    memmove(&series->at[first], &series->at[end], (size_t)(whole - end) * sizeof *series->at);
    for (int slice = signal * GRAINS_COUNTED; slice < SIGNAL_COUNT * GRAINS_COUNTED; slice++)
        ends[slice] = ends[slice] < end ? first : (uint16_t)(ends[slice] - (end - first));
}

void series_move(struct series *series, int signal, const struct series *more, const struct series *less) {
    if (more)
        raise(series, more->newest);
    for (int grain = 0; grain < GRAINS_COUNTED; grain++) {
        struct buckets added = {0}, taken = {0};
        if (more)
            added = series_buckets(more, signal, (enum grain)grain);
        if (less)
            taken = series_buckets(less, signal, (enum grain)grain);
        for (uint32_t i = 0; i < added.count; i++)
            put_in(series, signal, grain, (int32_t)added.at[i].number, added.at[i].count);
        for (uint32_t i = 0; i < taken.count; i++)
            take_out(series, signal, grain, (int32_t)taken.at[i].number, taken.at[i].count);
    }
}

static void later(uint32_t *since_s, uint32_t other_s) {
    if (other_s > *since_s)
        *since_s = other_s;
}

void series_replace(struct series *series, int signal, const struct series *by, int64_t now_ms) {
    uint32_t now_s = (uint32_t)(now_ms / SECOND_MS) + 1;
    series_clear_signal(series, signal);
    later(&series->since_s, by->since_s);
    later(&series->days_since_s, by->days_since_s == SINCE_UNKNOWN ? now_s : by->days_since_s);
    series_move(series, signal, by, NULL);
}

void series_for_export(struct series *series) {
    series->era = ERA_OF_EXPORT;
}

void series_follow_era(struct series *series) {
    if (series->era == beginning.era)
        return;
    uint16_t from = 0, to = 0;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        for (int grain = 0; grain < GRAINS_COUNTED; grain++) {
            uint16_t end = series->end[signal][grain];
            for (; grain == GRAIN_HOUR && from < end; from++)
                series->at[to++] = series->at[from];
            from = end;
            series->end[signal][grain] = to;
        }
    int32_t day = calendar_number(GRAIN_DAY, calendar_begin(GRAIN_HOUR, series->newest[GRAIN_HOUR]));
    series->newest[GRAIN_DAY] = day > 0 ? day : 0;
    series->newest[GRAIN_MONTH] = calendar_of_day(GRAIN_MONTH, series->newest[GRAIN_DAY]);
    series->days_since_s = beginning.days_since_s;
    series->era = beginning.era;
}

// ---- Reading

uint64_t series_count(const struct series *series, int signal, enum grain grain, int32_t from, int32_t to) {
    struct buckets buckets = series_buckets(series, signal, grain);
    uint64_t count = 0;
    for (uint32_t i = 0; i < buckets.count && (int32_t)buckets.at[i].number >= from; i++)
        if ((int32_t)buckets.at[i].number <= to)
            count += buckets.at[i].count;
    return count;
}

int32_t series_oldest(const struct series *series, enum grain grain) {
    int32_t oldest = series->newest[grain] - kept[grain] + 1;
    return oldest > 0 ? oldest : 0;
}

bool series_lie_before(const struct series *series, int signal, uint64_t events, int64_t unix_ms) {
    int32_t numbers[GRAINS_COUNTED];
    if (!numbers_of(unix_ms, numbers))
        return false;
    for (int grain = 0; grain < GRAINS_COUNTED; grain++)
        if (series->newest[grain] > numbers[grain] ||
            (series_since(series, (enum grain)grain) > unix_ms && series->days_since_s != SINCE_UNKNOWN) ||
            series_count(series, signal, (enum grain)grain, 0, INT32_MAX) > events)
            return false;
    return true;
}
