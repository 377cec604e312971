// SPDX-License-Identifier: MIT
// Internet addresses and ranges of them, as text and as 16 bytes. An IPv4 address is its mapped IPv6 one
// (::ffff:a.b.c.d), so that the two spellings are one address; the peer of a Unix socket is all zero.
#pragma once
#include "base/bytes.h"
#include <stdint.h>

struct netaddr {
    uint8_t at[16];
};

// The addresses whose first `bits` bits are those of `address`.
struct netrange {
    struct netaddr address;
    unsigned bits;
};

// "192.0.2.1" or "2001:db8::1": no brackets, port or zone.
bool netaddr_parse(struct bytes text, struct netaddr *ret_address);
bool netaddr_is_ipv4(const struct netaddr *address);
bool netaddr_is_loopback(const struct netaddr *address); // 127.0.0.0/8 or ::1
bool netaddr_is_local(const struct netaddr *address);    // loopback, or a Unix socket's
// An address, an address with a prefix length ("10.0.0.0/8", "2001:db8::/32"), or "unix".
bool netrange_parse(struct bytes text, struct netrange *ret_range);
bool netrange_holds(const struct netrange *range, const struct netaddr *address);

enum { NETRANGES_MAX = 64 };

struct netranges {
    struct netrange list[NETRANGES_MAX];
    size_t count;
    bool automatic; // the word "auto" was one of them
};

// Ranges, and the word "auto", separated by spaces; false when one is none or there are too many.
bool netranges_parse(struct bytes text, struct netranges *ret_ranges);
bool netranges_hold(const struct netranges *ranges, const struct netaddr *address);
