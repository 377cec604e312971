// SPDX-License-Identifier: MIT
// What Sentinels say, and which master follows from it. Pure; sentinel_watch.h asks them.
//
// A Sentinel answers SENTINEL MASTER NAME with an address and a config epoch. The epoch rises with each failover, so
// the address with the highest epoch is the master, even if only one Sentinel names it yet: the others have not heard.
// At equal epochs the address that most of them name is taken. An epoch below the one that was known is that of a
// Sentinel which has slept, or of a group that was set up anew. It is taken only if more than half of the Sentinels
// name it.
#pragma once
#include "redis/address.h"
#include <hiredis/hiredis.h>

enum { SENTINELS_MAX = 32, SENTINEL_ID_SIZE = 41 };

struct sentinel_answer {
    struct host_port at;
    uint64_t epoch;
};

struct sentinel_choice {
    struct sentinel_answer master;
    uint32_t votes; // how many name it with this epoch
};

// `known`: how many Sentinels there are, also those that have not answered. `before`: the master so far; NULL: none.
// False if no answer can be taken.
bool sentinel_choose(const struct sentinel_answer *answers, uint32_t count, uint32_t known,
                     const struct sentinel_answer *before, struct sentinel_choice *ret_choice);

// The reply to SENTINEL MASTER NAME. False if it holds no address that can be tried.
bool sentinel_read_master(const redisReply *reply, struct sentinel_answer *ret_answer);

// What an operator should read of an error that a Sentinel answers; it goes on after "the Sentinel at host:port".
void sentinel_meaning_of(const char *error, const char *master, char *ret_text, size_t size);

struct sentinel_other {
    struct host_port at;
    char id[SENTINEL_ID_SIZE];
};

// The reply to SENTINEL SENTINELS NAME: at most SENTINELS_MAX of them; those that are down, or without an
// address or an id, are left out.
uint32_t sentinel_read_others(const redisReply *reply, struct sentinel_other ret_others[static SENTINELS_MAX]);
// The id in the reply to SENTINEL MYID; empty: it does not tell.
void sentinel_read_id(const redisReply *reply, char ret_id[static SENTINEL_ID_SIZE]);
