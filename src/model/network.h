// SPDX-License-Identifier: MIT
// Who a client is on the network: its address behind trusted proxies, reduced to its network. Pure.
#pragma once
#include "base/netaddr.h"

// The client's address: the peer's, unless the peer is a trusted proxy. Then the rightmost hop that is not trusted, of
// X-Forwarded-For when there is one, else of Forwarded (RFC 7239); what stands to the left of it anybody may have
// written. A hop that can't be read ends the search: the hop before it, on its right, is the answer.
struct netaddr client_address(const struct netranges *trusted, struct netaddr peer, struct bytes x_forwarded_for,
                              struct bytes forwarded);
// The network that has a ceiling: an IPv4 address, or the first `ipv6_prefix` bits of an IPv6 one.
struct netaddr network_of(struct netaddr address, unsigned ipv6_prefix);
// The network around it, which one party may hold as a whole: an IPv4 /24, an IPv6 /48.
struct netaddr wide_network_of(struct netaddr address);
