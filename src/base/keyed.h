// SPDX-License-Identifier: MIT
// Keyed hashes, random bytes and constant-time compares: the one room that knows libsodium.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>
#include <stdint.h>

enum { KEY_SIZE = 32, MAC_SIZE = 16 };

struct secret_key {
    uint8_t at[KEY_SIZE];
};

// Before anything else in a process; false when the system gives no randomness.
bool keyed_init(void);
void random_fill(void *at, size_t len);
// 64 hex digits.
bool secret_key_parse(struct bytes hex, struct secret_key *ret_key);
void secret_key_format(const struct secret_key *key, char hex[static 2 * KEY_SIZE + 1]);

// SipHash-2-4 of the parts, each preceded by its length, so no two lists of parts collide by their seams. `domain`
// separates uses.
uint64_t keyed_hash64(const struct secret_key *key, char domain, const struct bytes *parts, size_t count);
// BLAKE2b-128 (keyed) of the parts, likewise.
void keyed_mac(const struct secret_key *key, char domain, const struct bytes *parts, size_t count,
               uint8_t ret_mac[static MAC_SIZE]);
// In time that depends on the lengths only.
bool constant_time_eq(struct bytes a, struct bytes b);

// SHA-384 of the bytes in Base64, as an `integrity` attribute has it.
void sha384_base64(struct bytes text, char base64[static 65]);
// SHA-256 of the bytes, as 64 lower-case hex digits and a NUL: what sha256sum prints.
void sha256_hex(struct bytes text, char hex[static 65]);
