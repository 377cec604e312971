// SPDX-License-Identifier: MIT
// Percent-decoding of paths and queries, exactly once, and the walk over a query's parameters; and the other way round.
#pragma once
#include "base/arena.h"
#include "base/buffer.h"

// Decodes %XX (a bad escape, or NUL, is false); `plus_is_space` for queries. The result lives in the arena, or is
// `text` itself when nothing was escaped.
bool uri_decode(struct arena *arena, struct bytes text, bool plus_is_space, struct bytes *ret_text);
// The same with NULs.
bool uri_decode_any(struct arena *arena, struct bytes text, bool plus_is_space, struct bytes *ret_text);

// Takes the next name=value off `rest`, both still escaped; false at the end. "a" alone has an empty value; empty
// pieces between && are passed over.
bool query_next(struct bytes *rest, struct bytes *ret_name, struct bytes *ret_value);

// As one segment of a path, or one value of a query: all but A-Z a-z 0-9 - . _ ~ is escaped.
void uri_add_escaped(struct buffer *out, struct bytes text);
// An address that people wrote, as one that is valid (https://url.spec.whatwg.org): what browsers put right is put
// right, and leads to the same place.
void uri_add_valid(struct buffer *out, struct bytes url);
bool uri_is_plain(struct bytes url); // uri_add_valid leaves it as it is, which is seen at once
