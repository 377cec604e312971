// SPDX-License-Identifier: MIT
// A client's address behind trusted proxies, and its network. Pure.
#pragma once
#include "base/netaddr.h"

// The client's address is the peer's, unless the peer is a trusted proxy. Then it is the rightmost hop that is not
// trusted, of X-Forwarded-For if there is one, else of Forwarded (RFC 7239). Anybody may have written what is to the
// left of it. A hop that can't be read ends the search: the result is the hop on its right.
//
// If the ranges say "auto", a peer on this machine that is not listed counts as a proxy if it sends X-Forwarded-For.
// The last element is then the client (or a listed proxy, and the search continues); Forwarded is not read. If the
// element can't be read the result is the peer.
struct netaddr client_address(const struct netranges *trusted, struct netaddr peer, struct bytes x_forwarded_for,
                              struct bytes forwarded);
// True if `client_address` believes such a peer.
bool client_is_named_by_auto(const struct netranges *trusted, const struct netaddr *peer, struct bytes x_forwarded_for);
// The network that has a rate limit: an IPv4 address, or the first `ipv6_prefix` bits of an IPv6 one.
struct netaddr network_of(struct netaddr address, unsigned ipv6_prefix);
// The network around it, all of which one party may own: an IPv4 /24, an IPv6 /48.
struct netaddr wide_network_of(struct netaddr address);
