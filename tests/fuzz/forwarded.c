// SPDX-License-Identifier: MIT
// Forwarded headers: a peer that is not trusted keeps its own address, whatever they say. For a trusted peer the result
// is its own address, or an address that is not trusted.
#include "model/network.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct netranges trusted;
    struct netaddr peer, stranger;
    if (!trusted.count)
        FUZZ_CHECK(netranges_parse(BYTES("10.0.0.0/8 2001:db8::/32"), &trusted));
    FUZZ_CHECK(netaddr_parse(BYTES("10.0.0.1"), &peer) && netaddr_parse(BYTES("192.0.2.9"), &stranger));
    size_t split = size ? data[0] % size : 0;
    struct bytes left = {(const char *)data, split}, right = {(const char *)data + split, size - split};
    struct netaddr found = client_address(&trusted, stranger, left, right);
    FUZZ_CHECK(memcmp(&found, &stranger, sizeof found) == 0);
    client_address(&trusted, peer, left, right);
    client_address(&trusted, peer, NO_BYTES, right);
    network_of(client_address(&trusted, peer, right, NO_BYTES), 64);
    return 0;
}
