// SPDX-License-Identifier: MIT
// The bytes of a command and what they are for (held.h), copied.
#include "redis/held.h"
#include <stdlib.h>

struct held *held_copy(struct redis_call *call, uint64_t deadline_ms, const struct command *command,
                       struct bytes bytes) {
    struct held *held = malloc(sizeof *held + bytes.len);
    if (!held)
        return NULL;
    *held = (struct held){.call = call,
                          .deadline_ms = deadline_ms,
                          .place = command->place,
                          .script = command->script,
                          .tracked = command->tracked,
                          .write = command->write,
                          .needs_open = command->needs_open,
                          .no_redirect = command->no_redirect,
                          .divisible = command->divisible,
                          .len = bytes.len};
    memcpy(held->bytes, bytes.at, bytes.len);
    return held;
}

struct held *held_new(struct redis_call *call, uint64_t deadline_ms, const struct command *command,
                      struct buffer *scratch) {
    size_t begin = scratch->len;
    if (!command_write(command, scratch))
        return NULL;
    struct bytes bytes = {scratch->at + begin, scratch->len - begin};
    struct held *held = held_copy(call, deadline_ms, command, bytes);
    scratch->len = begin;
    return held;
}
