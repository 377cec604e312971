// SPDX-License-Identifier: MIT
// Rankings of the type `window`: which sets of Redis they have, what an item is worth there, and what is known of an
// item that is in none of them. Pure, but for the calendar.
//
// Such a ranking has one bounded sorted set for each period (a day, week or month), fed by the events of that period.
// `24h` and `today` have days, `7d` and `week` weeks, `30d` and `month` months. The list of a period is its set. The
// list of a sliding window takes its candidates from the sets of all periods that the window overlaps, and counts each
// one from its series (window_value).
//
// A set is {e7}r<site>:<name>@2026-11-26, then ":<category>" or ":no-card" as for any other ranking; its score is minus
// the value. What was left out of it is in the hash {e7}floor@2026-11-26: the field is the set's name without tag and
// period (ranking_name of store/projection.h), its value minus the cut. After each commit, for each set:
//
//   the cut is 0 (no field) until something is left out, and only rises;
//   a member's score is its value; whoever is no member has at most the value of the cut.
//
// An event or retraction of an open period moves its sets. A readable period that is no longer open only loses what is
// deleted. By category (and author) only those periods have sets that a sliding window can overlap.
//
// The sums projection writes the sets, store and serve read them. A new window: its line in windows.h and here.
#pragma once
#include "model/ranking.h"
#include "model/windows.h"

enum { PERIOD_DEPTH = 100 }; // places of a whole set that are exact, by category too
enum {
    PERIODS_OPEN_MAX = 36,
    PERIODS_READ_MAX = 3
}; // of one grain, with that of a minute ahead; that a window overlaps

struct period {
    enum grain grain; // GRAIN_HOUR, which is 0: none, a set of all times
    int32_t number;
};

// Whether a ranking may have this window: not 1h and not yesterday.
bool window_ranks(enum window window);
// Sliding: its list is made of several sets.
bool window_slides(enum window window);
// The grain of the sets of a ranking with this window.
enum grain window_sets(enum window window);

struct period period_at(enum grain grain, int64_t unix_ms);
int64_t period_begin_ms(struct period period);
int64_t period_end_ms(struct period period); // the first instant behind it
// Its events still move its sets: it is one of the last 35 days, 5 weeks, 24 months, or begins within a minute.
bool period_is_open(struct period period, int64_t now_ms);
bool period_is_closed(struct period period, int64_t now_ms); // it was open and is so no more
// Its list can be asked for: one of the last 35 days, 12 weeks, 24 months.
bool period_is_readable(struct period period, int64_t now_ms);
// Its sets by category are kept: it is one of the last PERIODS_READ_MAX.
bool period_has_categories(struct period period, int64_t now_ms);
// When no window overlaps it any more: then its sets by category are removed, and the others are cut to their bound.
int64_t period_due_ms(struct period period);
int64_t period_expiry_ms(struct period period); // when it is no longer readable, and all is removed
// The last ones that are open (or readable), latest first. Returns how many.
uint32_t periods_open(enum grain grain, int64_t now_ms, struct period ret_periods[static PERIODS_OPEN_MAX]);
uint32_t periods_readable(enum grain grain, int64_t now_ms, struct period ret_periods[static PERIODS_OPEN_MAX]);
// Those that a window overlaps, latest first: the sets to read for a list. One for a period.
uint32_t periods_of_window(enum window window, int64_t now_ms, struct period ret_periods[static PERIODS_READ_MAX]);

// The item's value in a period, and in a window (of windows.h): Σ weight × count of its buckets. Both are rounded
// alike, so that equal sums are equal. 0: it has no place.
double period_value(const struct ranking *ranking, const struct series *series, struct period period);
double window_value(const struct ranking *ranking, const struct series *series, const struct window_span *span);
// The events of all signals that have a weight, for `floor`: it is for the reader of a set to apply, and so is
// oldest_age. The sets have all items.
uint64_t window_events(const struct ranking *ranking, const struct series *series, const struct window_span *span);

// What a commit does with an item in a set whose cut is `cut`. `may_be_member`: false if it is certain that it stays
// away, such as when its value only rose, and to at most the cut.
enum period_move { PERIOD_NOTHING, PERIOD_PLACE, PERIOD_LEAVE };
enum period_move period_move(double value, double cut, bool may_be_member);

// What an item that is in none of a partition's sets of a window can have at most there: Σ cut. A list is exact if its
// last place is worth more than that for each partition.
double cuts_sum(const double *cuts, uint32_t count);
