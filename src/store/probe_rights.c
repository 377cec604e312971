// SPDX-License-Identifier: MIT
// Which commands and channels Redis would refuse to the service's user, for `engaged check --connect`. It asks by the
// script that the service asks by (rights.c), and runs none of them.
#include "redis/redirect.h"
#include "store/probe_inside.h"
#include "store/scripts.h"
#include "store/store_inside.h"
#include <stdio.h>

struct rights_lines {
    const struct probe *probe;
    const struct address *at;
    char last[PROBE_WHY];
};

// The last line may be the reason why nothing would be written; those before it are warnings.
static void on_line(void *context, const char *line) {
    struct rights_lines *told = context;
    if (told->last[0])
        probe_warn(told->probe, told->at, told->last);
    snprintf(told->last, sizeof told->last, "%s", line);
}

static redisReply *ask(struct blocking *context) {
    struct command command;
    struct buffer text;
    redisReply *reply = NULL;
    command_init(&command);
    buffer_init(&text, 1 << 16);
    rights_compose(&command);
    if (command_write(&command, &text))
        reply = blocking_send(context, text.at, text.len);
    buffer_release(&text);
    command_release(&command);
    return reply;
}

static redisReply *load_and_ask(struct blocking *context) {
    const struct script_source *source = &script_sources[SCRIPT_RIGHTS];
    const char *words[] = {"SCRIPT", "LOAD", source->at};
    const size_t lengths[] = {6, 4, (size_t)(source->end - source->at)};
    redisReply *loaded = blocking_call_bytes(context, words, lengths, 3);
    if (!loaded || loaded->type == REDIS_REPLY_ERROR)
        return loaded;
    freeReplyObject(loaded);
    return ask(context);
}

enum probed probe_rights(const struct probe *probe, const struct address *at, struct blocking *context) {
    struct rights_lines told = {probe, at, ""};
    redisReply *reply = load_and_ask(context);
    bool good = reply && reply->type != REDIS_REPLY_ERROR;
    if (good && !rights_told(probe->settings, at->kind == ADDRESS_CLUSTER, reply, on_line, &told))
        good = false;
    else if (good && told.last[0])
        probe_warn(probe, at, told.last);
    else if (!good)
        snprintf(told.last, sizeof told.last, "%s", reply ? reply->str : blocking_trouble(context));
    freeReplyObject(reply);
    return good ? FITS : probe_tell(probe, MISFIT, at, told.last);
}
