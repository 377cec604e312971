// SPDX-License-Identifier: MIT
// The connection to one Sentinel and the questions to it.
#include "ops/log.h"
#include "redis/reply_parts.h"
#include "redis/sentinel_watch_inside.h"
#include <stddef.h>
#include <stdio.h>

enum { TIMEOUT_MS = 1000, QUEUE_MAX = 64 }; // of its connection

static struct sentinel *of_call(struct redis_call *call, size_t offset) {
    return (struct sentinel *)(void *)((char *)call - offset);
}

// Keeps what an operator has to know, and logs it when it is another than before.
static void note_refusal(struct sentinel *sentinel, const char *error) {
    char text[TROUBLE_SIZE];
    sentinel_meaning_of(error, sentinel->watch->address.master, text, sizeof text);
    if (strcmp(text, sentinel->trouble) == 0)
        return;
    memcpy(sentinel->trouble, text, sizeof text);
    log_warn("redis: the Sentinel at %s:%s %s", sentinel->at.host, sentinel->at.port, text);
}

// True when there is an answer; an error is noted.
static bool has_answer(struct sentinel *sentinel, struct redis_call *call) {
    if (call->reply)
        sentinel->heard_ms = uv_now(sentinel->watch->loop);
    if (call->reply && call->reply->type == REDIS_REPLY_ERROR)
        note_refusal(sentinel, call->reply->str);
    return call->outcome == OK;
}

static void on_master(struct redis_call *call) {
    struct sentinel *sentinel = of_call(call, offsetof(struct sentinel, master));
    bool answers = has_answer(sentinel, call), good = answers && sentinel_read_master(call->reply, &sentinel->answer);
    freeReplyObject(call->reply);
    sentinel->asking_master = false; // from here on the call may be used again
    if (answers && !good)
        note_refusal(sentinel, "something that is no address of a master");
    if (!good)
        return;
    sentinel->trouble[0] = '\0';
    sentinel->answered = sentinel->asked;
    sentinel_watch_take_answer(sentinel);
}

// Older Sentinels do not know the question. It is the first one, so it also learns that a login is wanted.
static void on_own_id(struct redis_call *call) {
    struct sentinel *sentinel = of_call(call, offsetof(struct sentinel, own_id));
    bool unknown = call->reply && call->reply->type == REDIS_REPLY_ERROR && strncmp(call->reply->str, "ERR ", 4) == 0;
    sentinel->asking_id = false;
    if (!unknown && has_answer(sentinel, call))
        sentinel_read_id(call->reply, sentinel->id);
    freeReplyObject(call->reply);
}

static void on_others(struct redis_call *call) {
    struct sentinel *sentinel = of_call(call, offsetof(struct sentinel, others));
    sentinel->asking_others = false;
    if (has_answer(sentinel, call))
        sentinel_watch_add_others(sentinel->watch, call->reply);
    freeReplyObject(call->reply);
}

static void ask(struct sentinel *sentinel, bool *asking, struct redis_call *call, void (*on_reply)(struct redis_call *),
                const char *verb) {
    struct sentinel_watch *watch = sentinel->watch;
    if (*asking || !redis_is_ready(sentinel->redis))
        return;
    *asking = true;
    *call = (struct redis_call){.on_reply = on_reply};
    command_clear(&watch->command);
    command_add_text(&watch->command, "SENTINEL");
    command_add_text(&watch->command, verb);
    if (on_reply != on_own_id)
        command_add_text(&watch->command, watch->address.master);
    redis_send(sentinel->redis, call, &watch->command);
}

void sentinel_ask_master(struct sentinel *sentinel) {
    if (sentinel->asking_master)
        return; // an answer to an earlier question may be of an earlier state: it does not count in this round
    sentinel->asked = sentinel->watch->round;
    ask(sentinel, &sentinel->asking_master, &sentinel->master, on_master, "MASTER");
}

void sentinel_ask_others(struct sentinel *sentinel) {
    ask(sentinel, &sentinel->asking_others, &sentinel->others, on_others, "SENTINELS");
}

static void greet(struct sentinel *sentinel) {
    redis_ready(sentinel->redis);
    ask(sentinel, &sentinel->asking_id, &sentinel->own_id, on_own_id, "MYID");
    sentinel_ask_master(sentinel);
    sentinel_ask_others(sentinel);
}

static void on_login(struct redis_call *call) {
    struct sentinel *sentinel = of_call(call, offsetof(struct sentinel, login));
    if (has_answer(sentinel, call))
        greet(sentinel);
    else
        redis_drop(sentinel->redis, "the login is refused");
    freeReplyObject(call->reply);
}

static void on_connected(void *context) {
    struct sentinel *sentinel = context;
    struct sentinel_watch *watch = sentinel->watch;
    if (!watch->address.sentinel_password[0]) {
        greet(sentinel);
        return;
    }
    command_clear(&watch->command);
    command_add_text(&watch->command, "AUTH");
    if (watch->address.sentinel_user[0])
        command_add_text(&watch->command, watch->address.sentinel_user);
    command_add_text(&watch->command, watch->address.sentinel_password);
    sentinel->login = (struct redis_call){.on_reply = on_login};
    redis_send_early(sentinel->redis, &sentinel->login, &watch->command);
}

static void on_no_message(void *context, const redisReply *content) {
    (void)context, (void)content; // a connection with this hook logs nothing: the watch does
}

bool sentinel_connect(struct sentinel *sentinel) {
    struct redis_hooks hooks = {.on_connected = on_connected, .on_message = on_no_message, .context = sentinel};
    struct address address = sentinel->watch->address;
    address_set_host(&address, &sentinel->at);
    sentinel->redis = redis_start(sentinel->watch->loop, &address, TIMEOUT_MS, QUEUE_MAX, &hooks);
    return sentinel->redis != NULL;
}
