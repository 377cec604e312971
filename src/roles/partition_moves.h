// SPDX-License-Identifier: MIT
// Which partitions to move so that all masters of a Cluster have the same number of them, give or take one.
#pragma once
#include "base/bytes.h"
#include <stdint.h>

enum { MASTERS_MAX = 256 };

struct master {
    char id[41], name[280]; // name: host:port, of an IPv6 address [host]:port
    uint32_t partitions;
};

struct masters {
    struct master at[MASTERS_MAX];
    uint32_t count;
};

// The number of the master of this id, which is added if it is new; MASTERS_MAX when there is no room.
uint32_t masters_add(struct masters *masters, struct bytes id, struct bytes name);
// Adds the masters that CLUSTER NODES names, also those without slots. One that has failed is left out.
void masters_add_nodes(struct masters *masters, struct bytes nodes);
// Chooses the next move: from the master with the most partitions to the one with the fewest, of its partitions the one
// with the fewest bytes. owners[i] is the number of the master that has partition i; it and the counts change with the
// move. False when they are even.
struct partition_move {
    uint32_t partition, from, to;
};
bool moves_next(struct masters *masters, uint32_t partitions, uint32_t *owners, const uint64_t *bytes,
                struct partition_move *ret_move);
// Prints the shell function `move`, which moves one slot by redis-cli, and a call of it.
void moves_print_function(void);
void moves_print_call(const struct masters *masters, const struct partition_move *move, uint16_t slot,
                      struct bytes tag);
