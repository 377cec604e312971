// SPDX-License-Identifier: MIT
// The map of a Cluster: which node owns which place. Pure.
//
// A place is one of the P partitions or of the three keys without one; each has a slot. Of the 16,384 slots only these
// are kept, so the map is an array of P + 3 indexes into a table of nodes. Only nodes that own a place are in it. The
// router asks a node for CLUSTER SLOTS, gives the answer to topology_read, and compares the new map with the old one.
//
// A map is never trusted: ranges that are cut, out of bounds or claimed twice, and nodes without a usable address, are
// left out. Their places have no owner, and the router asks another node.
#pragma once
#include "redis/address.h"
#include <hiredis/hiredis.h>

enum {
    TOPOLOGY_NODES_MAX = 256,
    TOPOLOGY_PLACES_MAX = 1024 + 3,
    TOPOLOGY_RANGES_MAX = 16384, // one for each slot; what comes after it is left out
    TOPOLOGY_ID_SIZE = 41,
    NO_OWNER = UINT16_MAX,
};

struct topology_node {
    char id[TOPOLOGY_ID_SIZE]; // empty: the Cluster does not tell it
    struct host_port at;
};

struct topology {
    struct topology_node nodes[TOPOLOGY_NODES_MAX];
    uint32_t node_count, place_count;
    uint32_t unserved; // places without an owner
    uint32_t left_out; // ranges that could not be used
    uint16_t owner[TOPOLOGY_PLACES_MAX];
};

// What is known when the answer comes.
struct topology_question {
    const struct host_port *asked; // the node that has answered: an empty endpoint means its address
    const struct topology *before; // for the endpoint "?": the old address of that id. NULL: none
    const uint16_t *slots;         // of each place
    uint32_t place_count;          // at most TOPOLOGY_PLACES_MAX
};

// Reads the answer to CLUSTER SLOTS, or to CLUSTER SHARDS. False, and *ret_topology is untouched, when it is neither.
// A map in which nobody owns anything is true: topology->unserved says so.
bool topology_read(const redisReply *reply, const struct topology_question *question, struct topology *ret_topology);
// True for an error that says that this Redis does not know CLUSTER SLOTS: ask CLUSTER SHARDS.
bool topology_wants_shards(const char *error);
// The owner of a place; NULL: nobody.
const struct topology_node *topology_owner(const struct topology *topology, uint32_t place);
