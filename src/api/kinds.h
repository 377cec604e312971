// SPDX-License-Identifier: MIT
// Kinds of vote by name.
#pragma once
#include "ops/settings.h"

// -1: not configured.
static inline int kind_index(const struct settings *settings, struct bytes name) {
    for (uint32_t i = 0; i < settings->kind_count; i++)
        if (bytes_eq(name, bytes_of(settings->kind_names[i])))
            return (int)i;
    return -1;
}
