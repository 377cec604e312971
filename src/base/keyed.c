// SPDX-License-Identifier: MIT
// The one file that knows libsodium. A list of parts is hashed as: domain, then each part behind its length.
#include "base/keyed.h"
#include <sodium.h>
#include <stdlib.h>

enum { ON_STACK = 1024 };

bool keyed_init(void) {
    return sodium_init() >= 0;
}

// Random bytes are read from the system a few hundred at a time, for a new visitor takes only sixteen. Bytes that were
// handed out are wiped.
void random_fill(void *at, size_t len) {
    static uint8_t pool[512];
    static size_t left;
    if (len > sizeof pool) {
        randombytes_buf(at, len);
        return;
    }
    if (len > left) {
        randombytes_buf(pool, sizeof pool);
        left = sizeof pool;
    }
    left -= len;
    memcpy(at, pool + left, len);
    memset(pool + left, 0, len);
}

bool secret_key_parse(struct bytes hex, struct secret_key *ret_key) {
    struct secret_key key;
    size_t len;
    if (hex.len != 2 * KEY_SIZE || sodium_hex2bin(key.at, sizeof key.at, hex.at, hex.len, NULL, &len, NULL) != 0 ||
        len != KEY_SIZE)
        return false;
    *ret_key = key;
    return true;
}

void secret_key_format(const struct secret_key *key, char hex[static 2 * KEY_SIZE + 1]) {
    sodium_bin2hex(hex, 2 * KEY_SIZE + 1, key->at, KEY_SIZE);
}

static uint8_t *put(uint8_t *at, const void *data, size_t len) {
    if (len)
        memcpy(at, data, len);
    return at + len;
}

uint64_t keyed_hash64(const struct secret_key *key, char domain, const struct bytes *parts, size_t count) {
    _Static_assert(KEY_SIZE >= crypto_shorthash_siphash24_KEYBYTES, "SipHash takes the first half of a key");
    uint8_t text[ON_STACK], mac[MAC_SIZE], hash[8];
    uint64_t value;
    size_t size = 1;
    for (size_t i = 0; i < count; i++)
        size += sizeof(uint64_t) + parts[i].len;
    if (size >
        sizeof text) { // no name is: whole bodies, which are hashed piece by piece, so that no memory is asked for
        keyed_mac(key, domain, parts, count, mac);
        memcpy(&value, mac, sizeof value);
        return value;
    }
    uint8_t *at = put(text, &domain, 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t len = parts[i].len;
        at = put(put(at, &len, sizeof len), parts[i].at, parts[i].len);
    }
    crypto_shorthash_siphash24(hash, text, size, key->at);
    memcpy(&value, hash, sizeof value);
    return value;
}

void keyed_mac(const struct secret_key *key, char domain, const struct bytes *parts, size_t count,
               uint8_t ret_mac[static MAC_SIZE]) {
    crypto_generichash_state state;
    crypto_generichash_init(&state, key->at, KEY_SIZE, MAC_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)&domain, 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t len = parts[i].len;
        crypto_generichash_update(&state, (const uint8_t *)&len, sizeof len);
        crypto_generichash_update(&state, (const uint8_t *)parts[i].at, parts[i].len);
    }
    crypto_generichash_final(&state, ret_mac, MAC_SIZE);
}

bool constant_time_eq(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.at, b.at, a.len) == 0);
}

void sha256_hex(struct bytes text, char hex[static 65]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, (const unsigned char *)text.at, text.len);
    sodium_bin2hex(hex, 65, digest, sizeof digest);
}

// SHA-384 is SHA-512 from another start, cut short (FIPS 180-4, 5.3.4).
void sha384_base64(struct bytes text, char base64[static 65]) {
    static const uint64_t start[8] = {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
                                      0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4};
    enum { SHA384_SIZE = 48 };
    unsigned char digest[crypto_hash_sha512_BYTES];
    crypto_hash_sha512_state state;
    crypto_hash_sha512_init(&state);
    memcpy(state.state, start, sizeof start);
    crypto_hash_sha512_update(&state, (const unsigned char *)text.at, text.len);
    crypto_hash_sha512_final(&state, digest);
    sodium_bin2base64(base64, 65, digest, SHA384_SIZE, sodium_base64_VARIANT_ORIGINAL);
}
