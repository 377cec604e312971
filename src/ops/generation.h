// SPDX-License-Identifier: MIT
// Which generation of processes is in charge. During a reload two generations live side by side: the new one connects
// and compares, but it listens, projects and records only when the supervisor has said, in memory that all share, that
// it is in charge. So one that is given up leaves nothing behind.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// A child: the shared cell, and its own number.
void generation_share(const uint64_t *current, uint64_t own);
// False in a process that has shared nothing: a command-line tool.
bool generation_is_current(void);
