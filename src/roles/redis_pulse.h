// SPDX-License-Identifier: MIT
// Whether the embedded Redis answers. One that hangs, or never listens, is not killed, as it may be at work on a disk
// that is slow; but the log says so, once, and when it is over.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct redis_pulse {
    int fd;          // -1: there is no connection
    bool asked;      // and not answered yet
    bool said;       // that it is silent
    uint32_t due_ms; // until it is asked again
    uint32_t silent_ms;
};

// Called every `tick_ms`: time is counted by these calls, so that our own standing still does not count.
void redis_pulse_tick(struct redis_pulse *pulse, const char *socket_path, uint32_t tick_ms);
void redis_pulse_stop(struct redis_pulse *pulse);
