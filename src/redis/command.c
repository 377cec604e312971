// SPDX-License-Identifier: MIT
// The arguments are kept end to end in two buffers. The store uses one command again and again, so a batch of several
// hundred arguments seldom allocates.
#include "redis/command.h"

enum { COMMAND_BYTES_MAX = 64 << 20, COMMAND_ARGUMENTS_MAX = 1 << 20 };

void command_init(struct command *command) {
    buffer_init(&command->bytes, COMMAND_BYTES_MAX);
    buffer_init(&command->ends, COMMAND_ARGUMENTS_MAX * sizeof(uint32_t));
    command_clear(command);
}

void command_release(struct command *command) {
    buffer_release(&command->bytes);
    buffer_release(&command->ends);
}

void command_clear(struct command *command) {
    buffer_clear(&command->bytes);
    buffer_clear(&command->ends);
    command->script = NO_SCRIPT;
    command->place = NO_PLACE;
    command->write = command->tracked = command->needs_open = command->no_redirect = command->divisible = false;
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
    buffer_add_int(&command->bytes, argument);
    command_end_argument(command);
}

void command_add_double(struct command *command, double argument) {
    buffer_add_double(&command->bytes, argument);
    command_end_argument(command);
}

void command_add_ref(struct command *command, uint64_t reference) {
    buffer_add_u64(&command->bytes, reference);
    command_end_argument(command);
}

uint32_t command_count(const struct command *command) {
    return (uint32_t)(command->ends.len / sizeof(uint32_t));
}

struct bytes command_argument(const struct command *command, uint32_t i) {
    const uint32_t *ends = (const uint32_t *)(const void *)command->ends.at;
    uint32_t start = i ? ends[i - 1] : 0;
    return (struct bytes){command->bytes.at + start, ends[i] - start};
}

void command_copy(struct command *to, const struct command *from, uint32_t begin, uint32_t end) {
    if (from->bytes.failed || from->ends.failed) { // a part of it must not be sent
        to->bytes.failed = true;
        return;
    }
    for (uint32_t i = begin; i < end; i++)
        command_add(to, command_argument(from, i));
}

// A command in RESP: "*3", then for each argument a line such as "$4" and a line with its bytes. CR LF ends each line.
static void write_count(struct buffer *out, char type, size_t count) {
    buffer_add_char(out, type);
    buffer_add_int(out, (int64_t)count);
    buffer_add_bytes(out, BYTES("\r\n"));
}

bool command_write(const struct command *command, struct buffer *out) {
    const uint32_t *ends = (const uint32_t *)(const void *)command->ends.at;
    uint32_t count = command_count(command), begin = 0;
    size_t before = out->len;
    if (count == 0) // Redis ignores an empty command: no reply would come
        return false;
    write_count(out, '*', count);
    for (uint32_t i = 0; i < count; begin = ends[i++]) {
        write_count(out, '$', ends[i] - begin);
        buffer_add(out, command->bytes.at + begin, ends[i] - begin);
        buffer_add_bytes(out, BYTES("\r\n"));
    }
    if (!out->failed && !command->bytes.failed && !command->ends.failed)
        return true;
    out->len = before;
    out->failed = false;
    return false;
}
