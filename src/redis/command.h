// SPDX-License-Identifier: MIT
// A Redis command while it is put together: binary-safe arguments one after another, their lengths known at the end.
#pragma once
#include "base/buffer.h"
#include "base/outcome.h"
#include <stdint.h>

struct command {
    struct buffer bytes; // the arguments end to end
    struct buffer ends;  // uint32 each: where an argument ends
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
// Appends the command in Redis's protocol (RESP). False, and nothing is appended, without memory or when an argument
// was left out for want of it.
bool command_write(const struct command *command, struct buffer *out) MUST_CHECK;
