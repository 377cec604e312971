// SPDX-License-Identifier: MIT
// A command as the bytes that will be sent, with its call. A connection holds one that waits for room in its queue; in
// a Cluster it keeps the bytes of each call until the reply, and the router sends them elsewhere when this node refuses
// them (redis/router.h).
#pragma once
#include "redis/command.h"

struct redis_call;

struct held {
    struct held *next;
    struct redis_call *call;
    uint64_t deadline_ms; // uv_now; the same wherever it goes
    uint32_t place;
    int script;
    bool read, write; // it counts as a read; it is a caller's write (struct command)
    bool needs_open, no_redirect, divisible;
    bool tracked; // struct command
    bool asks;    // ASKING goes before it
    uint8_t hops; // how often another node was named
    void *to;     // the router's: the node that ASK has named; NULL: the owner of the place
    size_t len;
    char bytes[];
};

// Of the bytes of a command. NULL without memory.
struct held *held_copy(struct redis_call *call, uint64_t deadline_ms, const struct command *command,
                       struct bytes bytes);
// The same of a command that is not written yet. `scratch` is a buffer of whole commands; it is left as it was.
struct held *held_new(struct redis_call *call, uint64_t deadline_ms, const struct command *command,
                      struct buffer *scratch);
