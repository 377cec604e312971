// SPDX-License-Identifier: MIT
// Arbitrary replies to CLUSTER SLOTS and CLUSTER SHARDS: a map that is read agrees with itself, and each of its nodes
// has an address that can be tried.
//
// An input: the number of places; then two replies of Redis. The map of the first is the one that the second replaces.
#include "redis/topology.h"
#include "tests/fuzz/fuzz.h"
#include <ctype.h>

enum { SLOT_COUNT = 16384, COUNT_DIGITS_MAX = 5 };

static uint16_t slots[TOPOLOGY_PLACES_MAX];

// hiredis allocates what an array announces; a real connection bounds it.
static bool announces_much(const uint8_t *data, size_t size) {
    size_t digits = 0;
    for (size_t i = 0; i < size; i++) {
        digits = data[i] == '*' ? 1 : digits && isdigit(data[i]) ? digits + 1 : 0;
        if (digits > COUNT_DIGITS_MAX)
            return true;
    }
    return false;
}

static void check_map(const struct topology *topology, uint32_t places) {
    uint32_t unserved = 0;
    struct host_port again;
    FUZZ_CHECK(topology->place_count == places && topology->node_count <= TOPOLOGY_NODES_MAX);
    for (uint32_t i = 0; i < places; i++) {
        FUZZ_CHECK(topology->owner[i] == NO_OWNER || topology->owner[i] < topology->node_count);
        unserved += topology_owner(topology, i) == NULL;
    }
    FUZZ_CHECK(unserved == topology->unserved);
    for (uint32_t i = 0; i < topology->node_count; i++) {
        FUZZ_CHECK(host_parse(bytes_of(topology->nodes[i].at.host), again.host));
        FUZZ_CHECK(port_parse(bytes_of(topology->nodes[i].at.port), again.port));
    }
}

static void read_maps(redisReader *reader, uint32_t places) {
    static struct topology maps[2];
    static const struct host_port asked = {"10.0.0.9", "7009"};
    maps[0] = (struct topology){.node_count = 0};
    for (int i = 0; i < 2; i++) {
        void *reply = NULL;
        struct topology_question question = {
            .asked = &asked, .before = i ? &maps[0] : NULL, .slots = slots, .place_count = places};
        if (redisReaderGetReply(reader, &reply) != REDIS_OK || !reply)
            return;
        if (topology_read(reply, &question, &maps[i]))
            check_map(&maps[i], places);
        freeReplyObject(reply);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || announces_much(data, size))
        return 0;
    uint32_t places = data[0] * 4 + 3;
    for (uint32_t i = 0; i < places; i++)
        slots[i] = (uint16_t)(i * SLOT_COUNT / places);
    redisReader *reader = redisReaderCreate();
    FUZZ_CHECK(reader);
    if (redisReaderFeed(reader, (const char *)data + 1, size - 1) == REDIS_OK)
        read_maps(reader, places);
    redisReaderFree(reader);
    return 0;
}
