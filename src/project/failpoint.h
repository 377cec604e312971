// SPDX-License-Identifier: MIT
// Named points of a batch at which a test may have the process killed: ENGAGED_FAILPOINT=name:count raises SIGKILL at
// the count-th passing of that point. Without the variable a point costs one comparison.
#pragma once

// FAILPOINT(identifier, name): where the projector's promise could break.
#define FAILPOINTS(FAILPOINT)                                                                                          \
    FAILPOINT(READ, "read")                                                                                            \
    FAILPOINT(COMMIT, "commit")                                                                                        \
    FAILPOINT(POSITION_BEFORE, "position-before")                                                                      \
    FAILPOINT(POSITION_AFTER, "position-after")                                                                        \
    FAILPOINT(TRIM_BEFORE, "trim-before")                                                                              \
    FAILPOINT(TRIM_AFTER, "trim-after")

enum failpoint {
#define FAILPOINT(id, name) FAILPOINT_##id,
    FAILPOINTS(FAILPOINT)
#undef FAILPOINT
        FAILPOINT_COUNT
};

void failpoints_read(void); // once, at start
void failpoint(enum failpoint point);
