// SPDX-License-Identifier: MIT
// A Redis command while it is composed. Arguments may hold any bytes; each is added whole, or in pieces that
// command_end_argument ends.
#pragma once
#include "base/buffer.h"
#include "base/outcome.h"
#include <stdint.h>

enum { NO_SCRIPT = -1 };
#define NO_PLACE UINT32_MAX

struct command {
    struct buffer bytes; // the arguments end to end
    struct buffer ends;  // uint32 each: where an argument ends
    int script;          // index into script_sources when it calls one, else NO_SCRIPT
    uint32_t place;      // of its keys (model/keys.h): the router sends it to the node that owns it. NO_PLACE: no keys
    bool write;          // of a caller: refused while redis_refuse_writes says so
    bool tracked;        // Redis tells when one of its keys changes (store/tracking.h)
    // In a Cluster:
    bool needs_open;  // it is held until the log of its partition is open on that connection (store/open.c)
    bool no_redirect; // MOVED, ASK, TRYAGAIN and the like end the call: UNAVAILABLE, and the reply has the text
    bool divisible;   // TRYAGAIN ends the call so: the caller divides it and sends the parts
};

void command_init(struct command *command);
void command_release(struct command *command);
void command_clear(struct command *command);
void command_add(struct command *command, struct bytes argument);
void command_add_text(struct command *command, const char *argument);
void command_add_int(struct command *command, int64_t argument);
void command_add_double(struct command *command, double argument); // as text that reads back exactly
void command_add_ref(struct command *command,
                     uint64_t reference); // 8 bytes, little-endian, as the packed formats have it
// Ends an argument whose bytes were appended to `bytes` one by one.
void command_end_argument(struct command *command);
uint32_t command_count(const struct command *command);
struct bytes command_argument(const struct command *command, uint32_t i);
// Adds the arguments from `begin` to `end` of another one.
void command_copy(struct command *to, const struct command *from, uint32_t begin, uint32_t end);
// Appends the command in Redis's protocol (RESP). Without memory, also when an argument could not be added before, it
// returns false and appends nothing.
bool command_write(const struct command *command, struct buffer *out) MUST_CHECK;
