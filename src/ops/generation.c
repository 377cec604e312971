// SPDX-License-Identifier: MIT
#include "ops/generation.h"
#include <stddef.h>

static const uint64_t *shared;
static uint64_t own, of_instance;
static bool crashed_before;

void generation_share(const uint64_t *current, uint64_t number, uint64_t instance, bool after_crash) {
    shared = current;
    own = number;
    of_instance = instance;
    crashed_before = after_crash;
}

bool generation_follows_crash(void) {
    return crashed_before;
}

uint64_t generation_own(void) {
    return own;
}

uint64_t generation_instance(void) {
    return of_instance;
}

bool generation_is_current(void) {
    return shared && __atomic_load_n(shared, __ATOMIC_ACQUIRE) == own;
}
