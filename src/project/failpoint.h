// SPDX-License-Identifier: MIT
// A test can kill or stop the process before or after a step of a round (steps.def):
// ENGAGED_FAILPOINT=commit-chunk-after:3 raises SIGKILL the third time; commit-chunk-after:3:stop raises SIGSTOP.
// Without the variable a point costs one comparison.
#pragma once

enum moment { BEFORE, AFTER };

void failpoints_read(void); // once, at start
void failpoint(unsigned step, enum moment moment);
