// SPDX-License-Identifier: MIT
// Dies on purpose where a test asked for it (tests/faults).
#include "project/failpoint.h"
#include "base/bytes.h"
#include "ops/log.h"
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const names[FAILPOINT_COUNT] = {
#define FAILPOINT(id, name) [FAILPOINT_##id] = name,
    FAILPOINTS(FAILPOINT)
#undef FAILPOINT
};

static unsigned long long passes_left[FAILPOINT_COUNT]; // 0: never

void failpoints_read(void) {
    struct bytes text = bytes_of(getenv("ENGAGED_FAILPOINT"));
    for (int i = 0; i < FAILPOINT_COUNT; i++) {
        struct bytes name = bytes_of(names[i]);
        if (text.len > name.len && bytes_starts(text, name) && text.at[name.len] == ':') {
            struct bytes count = {text.at + name.len + 1, text.len - name.len - 1};
            if (bytes_to_u64(count, 1000000000, &passes_left[i]))
                log_warn("failpoint %s: this process will kill itself", names[i]);
        }
    }
}

void failpoint(enum failpoint point) {
    if (passes_left[point] != 0 && --passes_left[point] == 0)
        kill(getpid(), SIGKILL);
}
