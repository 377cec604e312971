// SPDX-License-Identifier: MIT
// Whether the embedded Redis answers. A Redis that hangs, or never listens, is not killed, because a slow disk may be
// the cause; but the log says so once, and once more when it answers.
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

// Called every `tick_ms`. These calls measure the time, so that a pause of the supervisor does not count.
void redis_pulse_tick(struct redis_pulse *pulse, const char *socket_path, uint32_t tick_ms);
void redis_pulse_stop(struct redis_pulse *pulse);
