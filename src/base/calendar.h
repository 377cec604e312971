// SPDX-License-Identifier: MIT
// The calendar: which hour, day, ISO week or month an instant lies in, when a numbered one begins, and its name.
// Each is a whole number that counts from 1970: hours of UTC; days, weeks and months of the service's zone. So a day, a
// week and a month are whole days, next to each other, without a gap. A day begins at the first instant at which the
// zone's calendar shows its date or a later one. Therefore a day without a midnight begins at 1:00, one that the zone
// left out (Pacific/Apia, 2011-12-30) is empty, and a day that has begun does not end because the clock is set back.
//
// The zone's rules are the C library's (tzdata); `UTC` needs none. A process opens one zone, at its start, before
// anything asks; until then it is UTC. The bounds of the last day are remembered, so most instants cost two
// comparisons. Times are limited to the years 1 to 9999.
//
// The roles open the zone; the series (model) count by numbers; api and serve read and write the names.
// A new grain: a line in the enum, its two lines in calendar.c (from a day to its number and back), its name.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>
#include <stdint.h>

// Hours, days and months are counted in series; a week is seven days.
enum grain { GRAIN_HOUR, GRAIN_DAY, GRAIN_MONTH, GRAIN_WEEK };
enum { GRAINS_COUNTED = GRAIN_WEEK, GRAINS = GRAIN_WEEK + 1 };
enum { CALENDAR_NAME_SIZE = 14 }; // "2026-11-26T18" and a NUL
enum { CALENDAR_ZONE_SIZE = 64 };

// Is this an IANA name that the machine knows? If not, why. It changes nothing.
bool calendar_zone_known(const char *zone, const char **ret_why);
// From here on days, weeks and months are this zone's. It sets the process's TZ.
bool calendar_open(const char *zone, const char **ret_why);
const char *calendar_zone(void);

// The number of the hour, day, week or month that the instant lies in.
int32_t calendar_number(enum grain grain, int64_t unix_ms);
// Its first millisecond; it ends where the next number begins.
int64_t calendar_begin(enum grain grain, int32_t number);
// The week or month (or the day itself) of a day, and the first day of a week or month. Not for hours.
int32_t calendar_of_day(enum grain grain, int32_t day);
int32_t calendar_first_day(enum grain grain, int32_t number);

// "2026-11-26", "2026-W48" (ISO 8601: the week belongs to the year of its Thursday), "2026-11", and of an hour
// "2026-11-26T18" (UTC).
void calendar_name(enum grain grain, int32_t number, char text[static CALENDAR_NAME_SIZE]);
// Such a name of a day, week or month; false for anything else, and for a date that no calendar has.
bool calendar_parse(struct bytes text, enum grain *ret_grain, int32_t *ret_number);
