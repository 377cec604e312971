// SPDX-License-Identifier: MIT
// Times as text: RFC 3339 and Unix seconds in, ISO 8601 UTC out, durations of the settings (250ms, 3s, 30m, 3h, 7d).
// Times are int64 milliseconds since 1970-01-01 UTC without leap seconds; years 1 to 9999.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>
#include <stdint.h>

#define TIME_FIRST_MS INT64_C(-62135596800000) // 0001-01-01T00:00:00Z
#define TIME_LAST_MS INT64_C(253402300799999)  // 9999-12-31T23:59:59.999Z
enum { TIME_TEXT_SIZE = 25 };                  // "2026-11-23T18:00:00.123Z" and a NUL
enum { TIME_AHEAD_MS = 60000 }; // the most that an event's time may be ahead of the clock, for clocks differ

// RFC 3339 with any offset and fraction (cut to milliseconds), a leap second read as the next one; false for anything
// else.
bool time_parse(struct bytes text, int64_t *ret_unix_ms);
// Unix seconds with an optional fraction; false when not finite or outside the years above.
bool time_from_seconds(double seconds, int64_t *ret_unix_ms);
void time_format(int64_t unix_ms, char text[static TIME_TEXT_SIZE]);
// "Sun, 06 Nov 1994 08:49:37 GMT", for HTTP's Date and a feed's pubDate (RFC 822 with four digits of the year).
enum { TIME_RFC822_SIZE = 30 };
void time_format_http(int64_t unix_ms, char text[static TIME_RFC822_SIZE]);
// A whole number and a unit (ms s m h d); a bare 0 is zero.
bool duration_parse(struct bytes text, int64_t *ret_ms);

// A date, and the days from 1970-01-01 to it.
struct civil {
    int year, month, day;
};
int64_t days_of_civil(struct civil date);
struct civil civil_of_days(int64_t days);
