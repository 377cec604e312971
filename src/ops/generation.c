// SPDX-License-Identifier: MIT
#include "ops/generation.h"
#include <stddef.h>

static const uint64_t *shared;
static uint64_t own;

void generation_share(const uint64_t *current, uint64_t number) {
    shared = current;
    own = number;
}

bool generation_is_current(void) {
    return shared && __atomic_load_n(shared, __ATOMIC_ACQUIRE) == own;
}
