// SPDX-License-Identifier: MIT
// What the fuzzers share: a check that a release build can't leave out. Each file is one target of `make fuzz`.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define FUZZ_CHECK(truth)                                                                                              \
    do {                                                                                                               \
        if (!(truth))                                                                                                  \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
