// SPDX-License-Identifier: MIT
// base64url without padding, of whole triples (tokens are such).
#pragma once
#include "base/bytes.h"

// Writes 4 characters for each 3 bytes, and no NUL. `len` is a multiple of 3.
void base64url_encode(const void *data, size_t len, char *text);
// Decodes exactly `len` bytes, a multiple of 3. False: the content of `ret_data` is undefined.
bool base64url_decode(struct bytes text, void *ret_data, size_t len);
