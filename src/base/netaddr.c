// SPDX-License-Identifier: MIT
// Addresses by inet_pton, which takes no leading zeros, no missing parts and no zones.
#include "base/netaddr.h"
#include <arpa/inet.h>

enum { MAPPED_BITS = 96, ALL_BITS = 128 };

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool netaddr_parse(struct bytes text, struct netaddr *ret_address) {
    char copy[INET6_ADDRSTRLEN];
    struct netaddr address;
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.at, '\0', text.len))
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    memcpy(address.at, mapped, sizeof mapped);
    if (inet_pton(AF_INET, copy, address.at + sizeof mapped) != 1 && inet_pton(AF_INET6, copy, address.at) != 1)
        return false;
    *ret_address = address;
    return true;
}

bool netaddr_is_ipv4(const struct netaddr *address) {
    return memcmp(address->at, mapped, sizeof mapped) == 0;
}

bool netaddr_is_loopback(const struct netaddr *address) {
    static const uint8_t loopback6[16] = {[15] = 1};
    return (netaddr_is_ipv4(address) && address->at[12] == 127) ||
           memcmp(address->at, loopback6, sizeof loopback6) == 0;
}

bool netaddr_is_local(const struct netaddr *address) {
    static const struct netaddr of_unix;
    return netaddr_is_loopback(address) || memcmp(address, &of_unix, sizeof of_unix) == 0;
}

bool netrange_parse(struct bytes text, struct netrange *ret_range) {
    struct netrange range = {.bits = ALL_BITS};
    unsigned long long bits;
    const char *slash = text.len ? memchr(text.at, '/', text.len) : NULL;
    struct bytes address = {text.at, slash ? (size_t)(slash - text.at) : text.len};
    if (bytes_eq(text, BYTES("unix"))) {
        *ret_range = range;
        return true;
    }
    if (!netaddr_parse(address, &range.address))
        return false;
    unsigned before = memchr(address.at, ':', address.len) ? 0 : MAPPED_BITS;
    if (slash) {
        if (!bytes_to_u64((struct bytes){slash + 1, text.len - address.len - 1}, ALL_BITS - before, &bits))
            return false;
        range.bits = before + (unsigned)bits;
    }
    *ret_range = range;
    return true;
}

bool netrange_holds(const struct netrange *range, const struct netaddr *address) {
    unsigned whole = range->bits / 8, rest = range->bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    if (memcmp(range->address.at, address->at, whole) != 0)
        return false;
    return rest == 0 || ((range->address.at[whole] ^ address->at[whole]) & mask) == 0;
}

bool netranges_parse(struct bytes text, struct netranges *ret_ranges) {
    ret_ranges->count = 0;
    ret_ranges->automatic = false;
    for (text = bytes_trim(text); text.len; text = bytes_trim(text)) {
        const char *space = memchr(text.at, ' ', text.len);
        struct bytes word = {text.at, space ? (size_t)(space - text.at) : text.len};
        bool automatic = bytes_eq(word, BYTES("auto"));
        if (!automatic &&
            (ret_ranges->count == NETRANGES_MAX || !netrange_parse(word, &ret_ranges->list[ret_ranges->count])))
            return false;
        ret_ranges->automatic |= automatic;
        ret_ranges->count += !automatic;
        text = (struct bytes){text.at + word.len, text.len - word.len};
    }
    return true;
}

bool netranges_hold(const struct netranges *ranges, const struct netaddr *address) {
    for (size_t i = 0; i < ranges->count; i++)
        if (netrange_holds(&ranges->list[i], address))
            return true;
    return false;
}
