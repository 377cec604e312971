// SPDX-License-Identifier: MIT
// Reads the ids of all nodes out of CLUSTER SLOTS and CLUSTER SHARDS.
#include "redis/members.h"
#include "redis/reply_parts.h"

enum { SLOTS_FIRST_NODE = 2, SLOTS_ID = 2 };

static bool has(const struct member_ids *members, const char *id) {
    for (uint32_t i = 0; i < members->count; i++)
        if (strcmp(members->ids[i], id) == 0)
            return true;
    return false;
}

// True: it is new.
static bool add(struct member_ids *members, struct bytes id) {
    char text[TOPOLOGY_ID_SIZE] = "";
    if (id.len == 0 || id.len >= sizeof text || memchr(id.at, 0, id.len))
        return false;
    memcpy(text, id.at, id.len);
    if (has(members, text))
        return false;
    memcpy(members->ids[members->next], text, sizeof text);
    members->next = (members->next + 1) % MEMBERS_MAX;
    members->count += members->count < MEMBERS_MAX;
    return true;
}

// [first, last, [endpoint, port, id, …] of the master, then of each replica].
static void read_range(struct member_ids *members, const redisReply *range) {
    const redisReply *node;
    for (size_t i = SLOTS_FIRST_NODE; (node = reply_at(range, i)); i++)
        add(members, reply_text_at(node, SLOTS_ID));
}

static void read_shard(struct member_ids *members, const redisReply *nodes) {
    const redisReply *node;
    for (size_t i = 0; (node = reply_at(nodes, i)); i++)
        add(members, reply_text(reply_member(node, "id")));
}

void members_read(struct member_ids *members, const redisReply *reply) {
    const redisReply *part;
    for (size_t i = 0; i < TOPOLOGY_RANGES_MAX && (part = reply_at(reply, i)); i++) {
        const redisReply *nodes = reply_member(part, "nodes");
        if (nodes)
            read_shard(members, nodes);
        else
            read_range(members, part);
    }
}

bool members_add(struct member_ids *members, const struct member_ids *more) {
    bool any = false;
    for (uint32_t i = 0; i < more->count; i++)
        any |= add(members, bytes_of(more->ids[i]));
    return any;
}

bool members_share(const struct member_ids *a, const struct member_ids *b) {
    for (uint32_t i = 0; i < a->count; i++)
        if (has(b, a->ids[i]))
            return true;
    return false;
}
