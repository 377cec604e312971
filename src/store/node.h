// SPDX-License-Identifier: MIT
// What the store keeps for each node of Redis (redis/router.h): its handshake, heartbeat, life, rights and memory
// policy. It begins when the router finds the node and ends when the router gives it up. One Redis has one.
#pragma once
#include "redis/router.h"
#include "store/scripts.h"

enum { HANDSHAKE_MAX = 12 + SCRIPT_COUNT, LIFE_SIZE = 48 };

struct store;
struct store_node;

// One question to a node. `check` returns NULL, or why this Redis cannot be used.
struct handshake_call {
    struct redis_call call; // first: the connection's view of it
    struct store_node *at;
    const char *(*check)(struct store_node *at, const redisReply *reply);
};

struct store_node {
    struct store *store;
    struct node *node;
    struct store_node *next; // all of the store
    struct handshake_call handshake[HANDSHAKE_MAX];
    struct redis_connection *handshaking; // the first or the second of the node
    uint32_t handshake_count, beats;
    struct handshake_call role, beat; // of the heartbeat
    bool beating, is_master;
    int64_t clock_asked_ms;                // for its time, by CLOCK_MONOTONIC
    int64_t clock_least_ms, clock_most_ms; // how far it is ahead of CLOCK_MONOTONIC (base/clock.h); in a Cluster
    uint64_t clock_heard_ms;
    struct handshake_call look; // the question for the life of the master: open.c
    bool looking;
    char life_found[LIFE_SIZE],
        life[LIFE_SIZE];               // the life that Redis named last; the one in which the logs were opened
    uint32_t opening, opened;          // open.c: the partition that is being opened; how many logs were opened
    uint64_t digests;                  // of their lives
    uint32_t replicas;                 // replicas.c: how many a write waits for,
    bool knows_replicas;               // once INFO has told,
    uint64_t replicas_missed_ms;       // since when fewer are there; 0: they are there
    char replicas_life[LIFE_SIZE];     // the life of the master that told
    struct handshake_call policy;      // the question for the memory policy: eviction.c
    bool asking_policy, evicts, blind; // blind: INFO is refused, and that is logged
    char eviction[TROUBLE_SIZE];       // what an eviction would cost; empty: nothing
    struct {
        struct handshake_call call;
        bool lacks_scan, lacks_tracking;
        bool asking, named;  // named: Redis has named the commands; they are not guessed from a refusal
        uint64_t refused_ms; // when a command was refused last; 0: never
        char road[TROUBLE_SIZE],
            rest[TROUBLE_SIZE]; // the commands that all calls lack, and those that some calls lack; empty: none
    } rights;
};
