// SPDX-License-Identifier: MIT
// What json_in.c learns from the bytes of a JSON text without jansson.
#pragma once
#include "base/bytes.h"

// The text has more than the 8 levels that we take; jansson takes 2,048. Brackets in strings do not count.
bool json_is_deep(struct bytes body);

// The names of the outermost object of valid JSON, one after another, with their escapes.
struct json_names {
    struct bytes body;
    size_t at;
    int depth;
};
bool json_next_name(struct json_names *names, struct bytes *ret_name);
