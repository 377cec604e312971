// SPDX-License-Identifier: MIT
// Arguments are kept end to end, so a batch of some hundred needs two allocations, kept for the next batch.
#include "store/command.h"
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>

enum { COMMAND_BYTES_MAX = 64 << 20, COMMAND_ARGUMENTS_MAX = 1 << 20, ON_STACK = 64 };

void command_init(struct command *command) {
    buffer_init(&command->bytes, COMMAND_BYTES_MAX);
    buffer_init(&command->ends, COMMAND_ARGUMENTS_MAX * sizeof(uint32_t));
}

void command_release(struct command *command) {
    buffer_release(&command->bytes);
    buffer_release(&command->ends);
}

void command_clear(struct command *command) {
    buffer_clear(&command->bytes);
    buffer_clear(&command->ends);
}

void command_end_argument(struct command *command) {
    buffer_add_u32(&command->ends, (uint32_t)command->bytes.len);
}

void command_add(struct command *command, struct bytes argument) {
    buffer_add_bytes(&command->bytes, argument);
    command_end_argument(command);
}

void command_add_text(struct command *command, const char *argument) {
    command_add(command, bytes_of(argument));
}

void command_add_int(struct command *command, int64_t argument) {
    buffer_addf(&command->bytes, "%" PRId64, argument);
    command_end_argument(command);
}

void command_add_double(struct command *command, double argument) {
    buffer_addf(&command->bytes, "%.17g", argument);
    command_end_argument(command);
}

void command_add_ref(struct command *command, uint64_t reference) {
    buffer_add_u64(&command->bytes, reference);
    command_end_argument(command);
}

uint32_t command_count(const struct command *command) {
    return (uint32_t)(command->ends.len / sizeof(uint32_t));
}

static char *format(const struct command *command, const char **at, size_t *len, size_t *ret_len) {
    uint32_t count = command_count(command), begin = 0;
    const uint32_t *ends = (const uint32_t *)(const void *)command->ends.at;
    for (uint32_t i = 0; i < count; begin = ends[i++]) {
        at[i] = command->bytes.len ? command->bytes.at + begin : "";
        len[i] = ends[i] - begin;
    }
    char *text = NULL;
    long long size = redisFormatCommandArgv(&text, (int)count, at, len);
    if (size < 0)
        return NULL;
    *ret_len = (size_t)size;
    return text;
}

char *command_format(const struct command *command, size_t *ret_len) {
    uint32_t count = command_count(command);
    if (command->bytes.failed || command->ends.failed || count == 0)
        return NULL;
    if (count <= ON_STACK) {
        const char *at[ON_STACK];
        size_t len[ON_STACK];
        return format(command, at, len, ret_len);
    }
    const char **at = malloc(count * sizeof *at);
    size_t *len = malloc(count * sizeof *len);
    char *text = at && len ? format(command, at, len, ret_len) : NULL;
    free(at);
    free(len);
    return text;
}
