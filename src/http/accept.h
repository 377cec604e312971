// SPDX-License-Identifier: MIT
// What a request says about the representations that it takes: Accept-Encoding and If-None-Match.
#pragma once
#include "base/bytes.h"

// True when gzip is accepted: named, or covered by `*`, with a q that isn't 0.
bool accepts_gzip(struct bytes accept_encoding);
// True when the list of entity tags holds `tag` (with its quotes), compared weakly, or is `*`.
bool tags_match(struct bytes if_none_match, struct bytes tag);
