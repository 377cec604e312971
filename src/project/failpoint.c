// SPDX-License-Identifier: MIT
// Kills or stops the process at the step that a test names (failpoint.h).
#include "project/failpoint.h"
#include "base/bytes.h"
#include "ops/log.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[][2] = {
#define STEP(id, name, text) {text "-before:", text "-after:"},
#include "project/steps.def"
#undef STEP
};
enum { STEPS = sizeof names / sizeof names[0] };

static unsigned long long passes_left[STEPS][2]; // 0: never
static int raised = SIGKILL;

static void read_one(struct bytes text, unsigned step, enum moment moment) {
    struct bytes name = bytes_of(names[step][moment]);
    if (!bytes_starts(text, name))
        return;
    struct bytes count = {text.at + name.len, text.len - name.len};
    const char *stop = memmem(count.at, count.len, ":stop", 5);
    raised = stop ? SIGSTOP : SIGKILL;
    if (stop)
        count.len = (size_t)(stop - count.at);
    if (bytes_to_u64(count, 1000000000, &passes_left[step][moment]))
        log_warn("failpoint %.*s: this process will %s itself", (int)name.len - 1, name.at,
                 raised == SIGSTOP ? "stop" : "kill");
}

void failpoints_read(void) {
    struct bytes text = bytes_of(getenv("ENGAGED_FAILPOINT"));
    for (unsigned step = 0; text.len && step < STEPS; step++) {
        read_one(text, step, BEFORE);
        read_one(text, step, AFTER);
    }
}

void failpoint(unsigned step, enum moment moment) {
    if (passes_left[step][moment] != 0 && --passes_left[step][moment] == 0)
        kill(getpid(), raised);
}
