// SPDX-License-Identifier: MIT
// Which generation of processes is in charge. During a reload two generations live side by side: the new one connects
// and compares, but it listens, projects and records only when the supervisor has said, in memory that all share, that
// it is in charge. So one that is given up leaves nothing behind.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// After the number in ENGAGED_GENERATION, which older programs read up to the number's end.
#define GENERATION_AGAIN " again after a crash"

// A child: the shared cell, its own number, and what all generations of this start of the service have in common.
// `after_crash`: the process before it, of the same generation and role, has ended by itself.
void generation_share(const uint64_t *current, uint64_t own, uint64_t instance, bool after_crash);
uint64_t generation_own(void);
uint64_t generation_instance(void); // 0: none
bool generation_follows_crash(void);
// False in a process that has shared nothing: a command-line tool.
bool generation_is_current(void);
