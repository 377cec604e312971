// SPDX-License-Identifier: MIT
// The windows that counts are read for, `24h` or `today`: which buckets of the calendar each one has at an instant. A
// window begins with a whole bucket: at the full hour, or for days at midnight of the service's zone, that is at or
// before now minus the span. Pure. A new window: a line in the enum and in the table of windows.c.
//
// A set of windows is a mask of bits. So the order in which a request names them, and naming one twice, mean nothing.
#pragma once
#include "base/calendar.h"

enum window { WINDOW_1H, WINDOW_24H, WINDOW_7D, WINDOW_30D, WINDOW_TODAY, WINDOW_YESTERDAY, WINDOW_WEEK, WINDOW_MONTH };
enum { WINDOWS = WINDOW_MONTH + 1 };

struct window_span {
    enum window window;
    enum grain grain;
    int32_t first, last; // numbers of the calendar, both included
    int64_t from_ms;     // when the first one begins
};

// The windows of one answer, in the order of the enum, all of one instant.
struct window_set {
    uint32_t count;
    struct window_span at[WINDOWS];
};

const char *window_name(enum window window);
bool window_find(struct bytes name, enum window *ret_window);
struct window_span window_span_at(enum window window, int64_t now_ms);
struct window_set window_set_at(unsigned mask, int64_t now_ms); // mask: bits of 1 << window
