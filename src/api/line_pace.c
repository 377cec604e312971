// SPDX-License-Identifier: MIT
#include "api/line_pace.h"

enum { WINDOW_LEAST = 64, WINDOW_MAX = 1024, SLOW_PART = 2 };
enum { PAUSE_FIRST_MS = 50, PAUSE_MAX_MS = 1600, PATIENCE_MS = 10000 };

void line_pace_begin(struct line_pace *pace, uint32_t redis_timeout_ms) {
    *pace = (struct line_pace){.window = WINDOW_LEAST, .pause_ms = PAUSE_FIRST_MS};
    pace->slow_ns = (uint64_t)redis_timeout_ms * 1000000 / SLOW_PART;
}

// It doubles while it is used and lines are fast, and halves once for all that were under way when one was slow.
void line_pace_learn(struct line_pace *pace, uint64_t took_ns, unsigned long line, unsigned long last,
                     uint32_t in_flight) {
    if (took_ns <= pace->slow_ns) {
        if (pace->window < WINDOW_MAX && in_flight >= pace->window / 2)
            pace->window++;
    } else if (line > pace->narrowed_at) {
        pace->window = pace->window / 2 > WINDOW_LEAST ? pace->window / 2 : WINDOW_LEAST;
        pace->narrowed_at = last;
    }
}

void line_pace_accepted(struct line_pace *pace) {
    pace->pause_ms = PAUSE_FIRST_MS;
    pace->paused_for_ms = 0;
}

uint32_t line_pace_pause(struct line_pace *pace) {
    uint32_t ms = pace->pause_ms;
    if (pace->paused_for_ms >= PATIENCE_MS)
        return 0;
    pace->paused_for_ms += ms;
    pace->pause_ms = ms * 2 < PAUSE_MAX_MS ? ms * 2 : PAUSE_MAX_MS;
    return ms;
}
