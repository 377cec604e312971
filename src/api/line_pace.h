// SPDX-License-Identifier: MIT
// How many lines of a bulk call are under way, and how long none begins after one that Redis was away for.
//
// Commands wait in the queue of a connection, and their time runs: more of them than Redis answers in redis_timeout
// would all be too late, for ever. So their number grows while they are fast and halves when one was slow.
#pragma once
#include <stdint.h>

struct line_pace {
    uint32_t window; // the most lines under way
    uint64_t slow_ns;
    unsigned long narrowed_at;        // the last line that had begun when the window became smaller
    uint32_t pause_ms, paused_for_ms; // the next pause; all of them since a line was accepted
};

void line_pace_begin(struct line_pace *pace, uint32_t redis_timeout_ms);
// A line has ended, `took_ns` after it began. `last` is the last one that has begun.
void line_pace_learn(struct line_pace *pace, uint64_t took_ns, unsigned long line, unsigned long last,
                     uint32_t in_flight);
void line_pace_accepted(struct line_pace *pace);
// How long to wait after a line that Redis was away for; 0: it was away for too long, so no more.
uint32_t line_pace_pause(struct line_pace *pace);
