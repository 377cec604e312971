// SPDX-License-Identifier: MIT
// The ids of the nodes of a Cluster, as the answers to CLUSTER SLOTS or SHARDS name them: masters and replicas. Pure.
//
// Two answers that share no id are of two Clusters: hosts of two Clusters in one setting, or an address that belongs to
// another Cluster by now. Whoever followed both would write to both. The set keeps ids of nodes that are gone as well,
// since all masters may be replaced between two answers; when it is full, the oldest ids go.
#pragma once
#include "redis/topology.h"

enum { MEMBERS_MAX = 512 };

struct member_ids {
    uint32_t count, next; // next: where the next id is written
    char ids[MEMBERS_MAX][TOPOLOGY_ID_SIZE];
};

// Adds those that a reply names; nothing from any other reply.
void members_read(struct member_ids *members, const redisReply *reply);
bool members_add(struct member_ids *members, const struct member_ids *more); // true: some were new
bool members_share(const struct member_ids *a, const struct member_ids *b);
