// SPDX-License-Identifier: MIT
// How much memory an embedded Redis may use when memory_limit is 0: half of what this process may use, and never less
// than 1.25 times what Redis holds after it has loaded its data. So a flood ends in 503 and not in the kernel's OOM
// killer.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct redis_memory {
    bool wanted;
    int fd; // -1: nothing is asked
    bool setting;
    unsigned reply_len;
    uint64_t limit, holds, may_use;
    char reply[8192];
};

// What this process may use: the machine's memory, less where a cgroup says so.
uint64_t memory_may_use(void);
uint64_t redis_memory_limit(uint64_t may_use, uint64_t holds);

// A Redis has been started, or one is used that was there: its limit is to be set unless it has one.
void redis_memory_want(struct redis_memory *memory);
// Goes on, as far as that is possible without waiting.
void redis_memory_tick(struct redis_memory *memory, const char *socket_path);
void redis_memory_stop(struct redis_memory *memory);
