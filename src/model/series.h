// SPDX-License-Identifier: MIT
// How many events of each signal an item had in each hour (UTC), day and month (of the service's zone): sparse buckets,
// latest first. A bucket is kept while it lies within 48 hours, 37 days, 36 months of the newest event of the item, by
// the calendar. The newest event only rises, also when its vote is taken back, so a bucket that went never returns with
// a part of its count. The totals of a site in a partition have series too. Pure, but for the calendar.
//
// All buckets of all signals are in one array, by signal and grain, so that an item in memory is some kilobytes, and
// only what it has is touched. Copy it by unpacking it.
//
// What was counted before an instant, `since`, is in no bucket: a reader answers null for a span that begins before it.
// It is 0 for what began with its series. A data set that older programs wrote has an instant from which on it has
// series, and each accepted change of the time zone begins days and months again: era.
//
// Packed, 13.4 bytes for a mean item of a real log and at most 1.7 kB for two signals: u24 = newest hour · 8 + newest
// day (from the day of that hour in UTC, less 1) · 2 + 1 if there follow u8 era, u32 since, u32 since of days and
// months (in s since 1970). Then each signal that has buckets: u8 = signal · 16 + grains that it has (1 hours, 2 days,
// 4 months), and the buckets of each, latest first: u8 = distance · 4 + 2 if it is the grain's last + 1 if its count is
// more than 1, and then varint count - 2. The distance of the first is that from the newest event; of another that from
// the one before, less 1. A month has what its days do not tell: its count less those of the days in it that are kept;
// 0 is left out. In an export the era is 255, and behind the two instants is a u32, a fingerprint of the name of the
// time zone: days and months of another zone are not taken.
//
// sums.c packs and unpacks it; fold.c adds and takes; store and serve read.
#pragma once
#include "base/buffer.h"
#include "base/calendar.h"
#include "base/reader.h"

enum { SIGNAL_VIEWS = 8, SIGNAL_COUNT = 9 }; // 0…7: kinds of vote
enum { SERIES_HOURS = 48, SERIES_DAYS = 37, SERIES_MONTHS = 36 };
enum { SERIES_BUCKETS = SIGNAL_COUNT * (SERIES_HOURS + SERIES_DAYS + SERIES_MONTHS) };

enum { ERA_OF_EXPORT = 255 };
#define SINCE_UNKNOWN UINT32_MAX // days of an export from another zone

enum { BUCKET_NUMBER_BITS = 24, BUCKET_COUNT_BITS = 40 };
#define BUCKET_NUMBER_MAX ((UINT32_C(1) << BUCKET_NUMBER_BITS) - 1)
#define BUCKET_COUNT_MAX ((UINT64_C(1) << BUCKET_COUNT_BITS) - 1)

struct bucket {
    uint64_t number : BUCKET_NUMBER_BITS, count : BUCKET_COUNT_BITS; // of an hour, day or month (base/calendar.h)
};

struct series {
    int32_t newest[GRAINS_COUNTED]; // numbers of the newest event; 0: none
    uint8_t era;
    uint32_t since_s, days_since_s;             // 0: since ever
    uint16_t end[SIGNAL_COUNT][GRAINS_COUNTED]; // where its buckets end and the next ones begin
    struct bucket at[SERIES_BUCKETS];
};

struct buckets {
    const struct bucket *at; // latest first
    uint32_t count;
};

// How the series of this data set began. A process says it when it knows; it is 0 until then.
struct series_beginning {
    uint8_t era;           // how often a change of the time zone was accepted
    uint32_t since_s;      // what has no series began to count then
    uint32_t days_since_s; // the present era began then
};
void series_begin(struct series_beginning beginning);
uint32_t series_began_s(void); // its since_s
uint32_t series_days_began_s(void);

void series_clear(struct series *series);
// For a state that had no series: it begins to count at the data set's instant, or at `unix_ms` if that is later.
void series_begin_late(struct series *series, int64_t unix_ms);
bool series_empty(const struct series *series); // no bucket
// Adds `count` events at that instant; one before 1970 is in no bucket.
void series_add(struct series *series, int signal, int64_t event_ms, uint64_t count);
// Takes back an event of that time. It takes nothing from a bucket that is not kept, never leaves one below zero, and
// passes over an event from before `since`.
void series_take(struct series *series, int signal, int64_t event_ms);
void series_clear_signal(struct series *series, int signal);
// The signal becomes that of another state, for an import. The newest event and `since` are the later ones of both. If
// the other one's days were of another zone, days and months begin now.
void series_replace(struct series *series, int signal, const struct series *by, int64_t now_ms);
void series_for_export(struct series *series); // the next thing is series_pack
// Adds the signal's events of `more` and takes those of `less`, never below zero: what the series of a site learn when
// an item is set. Either may be NULL.
void series_move(struct series *series, int signal, const struct series *more, const struct series *less);

struct buckets series_buckets(const struct series *series, int signal, enum grain grain);
// The events of the numbers `from` to `to`, both included. A week is asked for as days.
uint64_t series_count(const struct series *series, int signal, enum grain grain, int32_t from, int32_t to);
// From which instant on buckets of this grain have all that was counted; a span that begins before is not known.
int64_t series_since(const struct series *series, enum grain grain);
// The oldest number of the grain that the item can still have a bucket of.
int32_t series_oldest(const struct series *series, enum grain grain);

// Whether all that it says can be before that instant, of a signal that had so many events in all.
bool series_lie_before(const struct series *series, int signal, uint64_t events, int64_t unix_ms);

void series_pack(const struct series *series, struct buffer *packed);
// Drops the days and months of another era; they begin again with the present one. series_unpack does it.
void series_follow_era(struct series *series);
// Reads all that is left. False if it is corrupt; then the series are cleared.
bool series_unpack(struct reader *reader, struct series *ret_series);
