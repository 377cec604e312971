// SPDX-License-Identifier: MIT
// Reads CLUSTER SLOTS and CLUSTER SHARDS. Both become ranges of slots, each with a node.
#include "redis/topology.h"
#include "redis/reply_parts.h"
#include <stdlib.h>

enum { SLOT_COUNT = 16384 };

struct slot_range {
    int64_t first, last;
    const redisReply *endpoint, *port, *id;
};

// A map while it is read.
struct map_reading {
    const struct topology_question *question;
    struct topology *topology;
    uint32_t ranges;
};

// ---- Parts of a reply

static bool is_array(const redisReply *reply) {
    return reply && reply->type == REDIS_REPLY_ARRAY;
}

// -1: it is no integer.
static int64_t integer_of(const redisReply *reply) {
    return reply && reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
}

// ---- Nodes

static const struct topology_node *node_of_id(const struct topology *topology, const char *id) {
    for (uint32_t i = 0; topology && id[0] && i < topology->node_count; i++)
        if (strcmp(topology->nodes[i].id, id) == 0)
            return &topology->nodes[i];
    return NULL;
}

static bool read_port(const redisReply *reply, char ret_port[static PORT_SIZE]) {
    char digits[DECIMAL_SIZE];
    struct bytes text = reply_text(reply);
    return port_parse(text.at ? text : bytes_of_int(integer_of(reply), digits), ret_port);
}

// NIL and "" mean the node that was asked. "?" means that the node does not know: the address of before stays.
static bool read_host(const struct map_reading *reading, const struct slot_range *range, struct topology_node *node) {
    struct bytes endpoint = reply_text(range->endpoint);
    if (!range->endpoint || (!endpoint.at && range->endpoint->type != REDIS_REPLY_NIL))
        return false;
    if (!bytes_eq(endpoint, BYTES("?")))
        return host_parse(endpoint.len ? endpoint : bytes_of(reading->question->asked->host), node->at.host);
    const struct topology_node *before = node_of_id(reading->question->before, node->id);
    if (before)
        memcpy(node->at.host, before->at.host, sizeof node->at.host);
    return before != NULL;
}

static bool read_node(const struct map_reading *reading, const struct slot_range *range, struct topology_node *node) {
    struct bytes id = reply_text(range->id);
    *node = (struct topology_node){.id = ""};
    if (id.len < TOPOLOGY_ID_SIZE && id.len && !memchr(id.at, 0, id.len))
        memcpy(node->id, id.at, id.len);
    return read_port(range->port, node->at.port) && read_host(reading, range, node);
}

// The index of the node in the table, where it is added if it is new; NO_OWNER: the table is full.
static uint16_t index_of(struct topology *topology, const struct topology_node *node) {
    uint32_t i = 0;
    while (i < topology->node_count && !host_port_eq(&topology->nodes[i].at, &node->at))
        i++;
    if (i == TOPOLOGY_NODES_MAX)
        return NO_OWNER;
    if (i == topology->node_count)
        topology->nodes[topology->node_count++] = *node;
    return (uint16_t)i;
}

// ---- Ranges

static bool covers(const struct map_reading *reading, const struct slot_range *range, uint32_t place) {
    uint16_t slot = reading->question->slots[place];
    return range->first <= slot && slot <= range->last && reading->topology->owner[place] == NO_OWNER;
}

// A place goes to the first range that covers it.
static bool give(struct map_reading *reading, const struct slot_range *range) {
    struct topology *topology = reading->topology;
    struct topology_node node;
    uint32_t place = 0;
    if (range->first < 0 || range->first > range->last || range->last >= SLOT_COUNT)
        return false;
    while (place < topology->place_count && !covers(reading, range, place))
        place++;
    if (place == topology->place_count)
        return true; // none of our slots
    uint16_t index = read_node(reading, range, &node) ? index_of(topology, &node) : NO_OWNER;
    for (; index != NO_OWNER && place < topology->place_count; place++)
        if (covers(reading, range, place)) {
            topology->owner[place] = index;
            topology->unserved--;
        }
    return index != NO_OWNER;
}

static void take(struct map_reading *reading, const struct slot_range *range) {
    if (++reading->ranges > TOPOLOGY_RANGES_MAX || !give(reading, range))
        reading->topology->left_out++;
}

// CLUSTER SLOTS: [[first, last, [endpoint, port, id, …], replicas …], …].
static void read_slots(struct map_reading *reading, const redisReply *reply) {
    for (size_t i = 0; i < reply->elements && reading->ranges <= TOPOLOGY_RANGES_MAX; i++) {
        const redisReply *range = reply->element[i], *node = reply_at(range, 2);
        take(reading, &(struct slot_range){.first = integer_of(reply_at(range, 0)),
                                           .last = integer_of(reply_at(range, 1)),
                                           .endpoint = reply_at(node, 0),
                                           .port = reply_at(node, 1),
                                           .id = reply_at(node, 2)});
    }
}

// A shard may name a master that has failed beside the one that has taken over.
static const redisReply *master_of(const redisReply *nodes) {
    const redisReply *master = NULL;
    for (size_t i = 0; is_array(nodes) && i < nodes->elements && i < TOPOLOGY_NODES_MAX; i++) {
        const redisReply *node = nodes->element[i];
        if (!bytes_eq(reply_text(reply_member(node, "role")), BYTES("master")))
            continue;
        if (bytes_eq(reply_text(reply_member(node, "health")), BYTES("online")))
            return node;
        if (!master)
            master = node;
    }
    return master;
}

// CLUSTER SHARDS: [["slots", [first, last, first, last, …], "nodes", [["id", …, "port", …], …]], …].
static void read_shards(struct map_reading *reading, const redisReply *reply) {
    for (size_t i = 0; i < reply->elements && reading->ranges <= TOPOLOGY_RANGES_MAX; i++) {
        const redisReply *ranges = reply_member(reply->element[i], "slots");
        const redisReply *node = master_of(reply_member(reply->element[i], "nodes"));
        struct slot_range range = {.endpoint = reply_member(node, "endpoint"),
                                   .port = reply_member(node, "port"),
                                   .id = reply_member(node, "id")};
        for (size_t j = 0; is_array(ranges) && j < ranges->elements && reading->ranges <= TOPOLOGY_RANGES_MAX; j += 2) {
            range.first = integer_of(reply_at(ranges, j));
            range.last = integer_of(reply_at(ranges, j + 1));
            take(reading, &range);
        }
    }
}

// The first element of a range is a number, that of a shard a name.
static bool is_of_shards(const redisReply *reply) {
    return reply_text(reply_at(reply_at(reply, 0), 0)).at != NULL;
}

bool topology_read(const redisReply *reply, const struct topology_question *question, struct topology *ret_topology) {
    struct map_reading reading = {.question = question};
    if (!is_array(reply) || question->place_count > TOPOLOGY_PLACES_MAX)
        return false;
    if (reply->elements && !is_array(reply->element[0]))
        return false;
    reading.topology = calloc(1, sizeof *reading.topology);
    if (!reading.topology)
        return false;
    reading.topology->place_count = reading.topology->unserved = question->place_count;
    memset(reading.topology->owner, 0xff, sizeof reading.topology->owner); // NO_OWNER
    (is_of_shards(reply) ? read_shards : read_slots)(&reading, reply);
    *ret_topology = *reading.topology;
    free(reading.topology);
    return true;
}

bool topology_wants_shards(const char *error) {
    return strncmp(error, "ERR ", 4) == 0 &&
           (strstr(error, "unknown subcommand") || strstr(error, "Unknown subcommand"));
}

const struct topology_node *topology_owner(const struct topology *topology, uint32_t place) {
    uint16_t owner = place < topology->place_count ? topology->owner[place] : NO_OWNER;
    return owner == NO_OWNER ? NULL : &topology->nodes[owner];
}
