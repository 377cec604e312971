// SPDX-License-Identifier: MIT
// How many replicas must have a write before it is acknowledged (redis/confirm.c): as many as wait_replicas says, but
// no more than are there. A replica is there while its master has heard from it within LAG_MAX_S. When its connection
// has ended it counts for GONE_MS more: it may have ended, but it may also have been promoted, and then what this
// master takes alone is lost until we hear of the new one. A master that has had no replica in its present life waits
// for none. When a replica is silent, writes are refused until it is known to be away. With wait_replicas_strict the
// number never falls.
#include "base/bytes.h"
#include "ops/log.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"

enum { LAG_MAX_S = 10, GONE_MS = 5000 };

// One line: "slave0:ip=…,port=…,state=online,offset=…,lag=0".
static bool is_there(struct bytes line) {
    const char *state = memmem(line.at, line.len, ",state=online,", 14);
    const char *lag = memmem(line.at, line.len, ",lag=", 5);
    unsigned long long seconds;
    if (!state || !lag)
        return false;
    struct bytes number = {lag + 5, (size_t)(line.at + line.len - lag - 5)};
    const char *comma = memchr(number.at, ',', number.len);
    if (comma)
        number.len = (size_t)(comma - number.at);
    return bytes_to_u64(number, UINT64_MAX, &seconds) && seconds <= LAG_MAX_S;
}

static uint32_t count_there(struct bytes info) {
    uint32_t count = 0;
    while (info.len) {
        const char *end = memchr(info.at, '\n', info.len);
        struct bytes line = {info.at, end ? (size_t)(end - info.at) : info.len};
        size_t taken = line.len + (end != NULL);
        info = (struct bytes){info.at + taken, info.len - taken};
        if (line.len && line.at[line.len - 1] == '\r')
            line.len--;
        if (bytes_starts(line, BYTES("slave")) && is_there(line))
            count++;
    }
    return count;
}

static void tell(struct store_node *at, uint32_t wanted) {
    if (at->replicas < wanted)
        log_warn("redis %s: %u of %u replicas are there: writes are acknowledged without the others", at->node->name,
                 at->replicas, wanted);
    else if (at->knows_replicas)
        log_info("redis %s: the replicas are there again", at->node->name);
}

// Whether it is too early to do without a replica that was there in this life. The time counts from when it is first
// found missing, not from when it was last seen: a master that was frozen between the two takes writes as soon as it
// wakes.
static bool may_be_promoted(struct store_node *at, struct bytes life, uint32_t there) {
    uint64_t now = uv_now(at->store->loop);
    bool same_life = bytes_eq(life, bytes_of(at->replicas_life));
    bool missing = at->knows_replicas && same_life && there < at->replicas;
    if (!missing || !at->replicas_missed_ms)
        at->replicas_missed_ms = missing ? now : 0;
    snprintf(at->replicas_life, sizeof at->replicas_life, "%.*s", (int)life.len, life.len ? life.at : "");
    return missing && now - at->replicas_missed_ms < GONE_MS;
}

void replicas_note(struct store_node *at, const redisReply *info) {
    uint32_t wanted = (uint32_t)at->store->settings->wait_replicas, there = count_there(reply_text(info));
    struct bytes role = info_value(reply_text(info), "\nrole:"),
                 life = info_value(reply_text(info), "\nmaster_replid:");
    bool can_fall = !at->store->settings->wait_replicas_strict && role.len;
    uint32_t replicas = can_fall && there < wanted ? there : wanted;
    if (wanted == 0 || bytes_eq(role, BYTES("slave")) || may_be_promoted(at, life, replicas))
        return;
    if (at->knows_replicas && at->replicas == replicas)
        return;
    at->replicas = replicas;
    tell(at, wanted);
    at->knows_replicas = true;
    redis_set_replicas(at->node->redis, replicas);
}
