// SPDX-License-Identifier: MIT
// What operators are told of Redis: its memory, its keys, the nodes of the partitions. The calls follow store.h.
#pragma once
#include "store/scan.h"
#include "store/store.h"

// What Redis uses. Of the masters of a Cluster `used` and `max` are those of the fullest: the one that uses most of its
// maxmemory; where none has a maxmemory (0: no limit), the one that uses most.
struct redis_memory_use {
    uint64_t used, max, used_by_all;
    uint64_t evicted; // keys since the start, of all masters together
    uint32_t masters; // that have told
    bool all_told;    // no master is away
    bool append_only; // each keeps an append-only file
};
void store_read_memory(struct store *store, struct read_call *call,
                       void (*on_memory)(struct read_call *call, const struct redis_memory_use *use));
// Reads the memory that the logs take, of those partitions that tell.
void store_read_log_bytes(struct store *store, struct read_call *call,
                          void (*on_bytes)(struct read_call *call, uint64_t bytes));

// Reads a page of all keys with the bytes of each (0: the key no longer exists). Of items, voters and visitors it asks
// for every `one_in`th only; the others have UNASKED bytes.
#define UNASKED UINT64_MAX
void store_read_usage(struct store *store, struct read_call *call, struct scan *scan, uint32_t one_in,
                      void (*on_key)(struct read_call *call, struct bytes key, uint64_t bytes));

// What the node of a partition says of it. All zero before the first look.
struct partition_look {
    bool there;              // its node has answered; else the rest is of an earlier look
    char owner[280], id[41]; // its node: host and port or path; its id in a Cluster. Empty: nobody is known
    uint64_t entries;        // that its log has ever had
    struct log_id last;      // the id of the last one
    uint64_t new_entries;    // since the look before
    uint64_t read;           // of these, how many still were in the log, and were read; of them:
    uint64_t votes, views;   // how many votes (or retractions), and views
};
// Looks at each partition; looks[i] of the look before is updated.
void store_look_at_partitions(struct store *store, struct read_call *call, struct partition_look *looks);
// In a Cluster: the text of CLUSTER NODES, for a tool. Not called when the user may not ask for it.
void store_read_cluster_nodes(struct store *store, struct read_call *call,
                              void (*on_text)(struct read_call *call, struct bytes text));
