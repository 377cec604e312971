// SPDX-License-Identifier: MIT
// Who a client is on the network: its address behind trusted proxies, reduced to its network. Pure.
#pragma once
#include "base/netaddr.h"

// The client's address: the peer's, unless the peer is a trusted proxy. Then the rightmost hop that is not trusted, of
// X-Forwarded-For when there is one, else of Forwarded (RFC 7239); what stands to the left of it anybody may have
// written. A hop that can't be read ends the search: the hop before it, on its right, is the answer.
//
// Where the ranges say "auto", a peer on this machine that is not listed is a proxy as far as it sends X-Forwarded-For:
// its last element is the client (or a listed proxy, then the search goes on), and Forwarded is not read. One that
// can't be read leaves the peer.
struct netaddr client_address(const struct netranges *trusted, struct netaddr peer, struct bytes x_forwarded_for,
                              struct bytes forwarded);
// True when `client_address` goes by what such a peer says.
bool client_is_named_by_auto(const struct netranges *trusted, const struct netaddr *peer, struct bytes x_forwarded_for);
// The network that has a rate limit: an IPv4 address, or the first `ipv6_prefix` bits of an IPv6 one.
struct netaddr network_of(struct netaddr address, unsigned ipv6_prefix);
// The network around it, which one party may hold as a whole: an IPv4 /24, an IPv6 /48.
struct netaddr wide_network_of(struct netaddr address);
