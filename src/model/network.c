// SPDX-License-Identifier: MIT
// Lists of hops are read from the right. Only what a trusted hop has appended is read, so no quote or comma that a
// client sends can change the result.
#include "model/network.h"

// ---- One hop

static bool is_port(struct bytes text) {
    unsigned long long port;
    return text.len > 1 && text.at[0] == ':' && bytes_to_u64((struct bytes){text.at + 1, text.len - 1}, 65535, &port);
}

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:80".
static bool node_parse(struct bytes text, struct netaddr *ret_address) {
    const char *end;
    if (text.len && text.at[0] == '[') {
        if (!(end = memchr(text.at, ']', text.len)))
            return false;
        struct bytes inside = {text.at + 1, (size_t)(end - text.at) - 1}, rest = {end + 1, text.len - inside.len - 2};
        return memchr(inside.at, ':', inside.len) && (rest.len == 0 || is_port(rest)) &&
               netaddr_parse(inside, ret_address);
    }
    if (netaddr_parse(text, ret_address))
        return true;
    if (text.len == 0 || !(end = memchr(text.at, ':', text.len)))
        return false;
    struct bytes address = {text.at, (size_t)(end - text.at)};
    return is_port((struct bytes){end, text.len - address.len}) && netaddr_parse(address, ret_address);
}

// The text of a token or of a quoted string. Escapes are not decoded, as no address needs one.
static bool value_parse(struct bytes text, struct netaddr *ret_address) {
    if (text.len >= 2 && text.at[0] == '"' && text.at[text.len - 1] == '"')
        text = (struct bytes){text.at + 1, text.len - 2};
    return node_parse(text, ret_address);
}

// ---- Lists of hops

// Takes the part after the last `mark` that is not in quotes off the end of `rest`, and trims it.
static struct bytes take_last(struct bytes *rest, char mark) {
    bool quoted = false;
    size_t at = rest->len;
    for (; at > 0 && (quoted || rest->at[at - 1] != mark); at--)
        if (rest->at[at - 1] == '"' && !(at > 1 && rest->at[at - 2] == '\\'))
            quoted = !quoted;
    struct bytes last = {rest->at + at, rest->len - at};
    rest->len = at > 0 ? at - 1 : 0;
    return bytes_trim(last);
}

static bool element_parse(struct bytes element, struct netaddr *ret_address) {
    static const struct bytes name = {"for=", 4};
    while (element.len) {
        struct bytes pair = take_last(&element, ';');
        if (pair.len >= name.len && bytes_eq_nocase((struct bytes){pair.at, name.len}, name))
            return value_parse((struct bytes){pair.at + name.len, pair.len - name.len}, ret_address);
    }
    return false;
}

bool client_is_named_by_auto(const struct netranges *trusted, const struct netaddr *peer,
                             struct bytes x_forwarded_for) {
    return trusted->automatic && x_forwarded_for.at && netaddr_is_local(peer) && !netranges_hold(trusted, peer);
}

struct netaddr client_address(const struct netranges *trusted, struct netaddr peer, struct bytes x_forwarded_for,
                              struct bytes forwarded) {
    bool (*parse)(struct bytes, struct netaddr *) = x_forwarded_for.len ? node_parse : element_parse;
    struct bytes rest = x_forwarded_for.len ? x_forwarded_for : forwarded;
    struct netaddr client = peer;
    bool automatic = client_is_named_by_auto(trusted, &peer, x_forwarded_for);
    if (automatic)
        rest = x_forwarded_for;
    for (bool trusts = automatic; rest.len && (trusts || netranges_hold(trusted, &client));) {
        struct bytes hop = take_last(&rest, ',');
        if (hop.len == 0) // an empty element of a list is ignored (RFC 9110, 5.6.1)
            continue;
        if (!parse(hop, &client))
            break;
        trusts = false;
    }
    return client;
}

static struct netaddr first_bits(struct netaddr address, unsigned bits) {
    for (unsigned bit = bits; bit < 128; bit++)
        address.at[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return address;
}

struct netaddr network_of(struct netaddr address, unsigned ipv6_prefix) {
    return netaddr_is_ipv4(&address) ? address : first_bits(address, ipv6_prefix);
}

struct netaddr wide_network_of(struct netaddr address) {
    enum { MAPPED_BITS = 96 };
    return first_bits(address, netaddr_is_ipv4(&address) ? MAPPED_BITS + 24 : 48);
}
