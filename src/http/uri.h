// SPDX-License-Identifier: MIT
// Percent-decoding of paths and queries, exactly once, and the walk over a query's parameters.
#pragma once
#include "base/arena.h"

// Decodes %XX (a bad escape, or NUL, is false); `plus_is_space` for queries. The result lives in the arena, or is
// `text` itself when nothing was escaped.
bool uri_decode(struct arena *arena, struct bytes text, bool plus_is_space, struct bytes *ret_text);

// Takes the next name=value off `rest`, both still escaped; false at the end. "a" alone has an empty value; empty
// pieces between && are passed over.
bool query_next(struct bytes *rest, struct bytes *ret_name, struct bytes *ret_value);
