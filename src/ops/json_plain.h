// SPDX-License-Identifier: MIT
// Most cards are plain JSON, and whether they are is seen in one pass over their bytes: jansson takes thirty times as
// long for the same answer, and a page has two dozen cards.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>

struct plain_member {
    struct bytes name, value; // of a text: what is between its quotes, with its escapes
    bool is_text, has_escapes;
};

// True if these are valid members of an object, without the braces: at most 16 different names without escapes, whose
// values are texts, whole numbers of at most 15 digits, true, false, null, and arrays of these. False: jansson must
// say.
bool json_members_are_plain(struct bytes members);
// Takes the next one off such members. False at the end, where none are left, and before what is not plain.
bool json_plain_next(struct bytes *members, struct plain_member *ret_member);
