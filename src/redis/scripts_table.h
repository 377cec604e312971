// SPDX-License-Identifier: MIT
// The scripts of lua/ with their SHA-1, embedded at build time; sorted by name.
#pragma once
#include <stddef.h>

struct script_source {
    const char *name; // the file's name without .lua
    const char *at;
    const char *end;
    char sha1[41];
};

extern const struct script_source script_sources[];
extern const size_t script_source_count;
