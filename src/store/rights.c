// SPDX-License-Identifier: MIT
// The commands that Redis refuses to this user (ACL) or does not know (rename-command). They are asked for on each new
// connection before anything is written, every few seconds, at once after a refusal, and each second while one is
// refused. A Redis before 7 cannot tell: there the first refusal does. While a command lacks that every write needs,
// the store refuses the writes of callers.
#include "ops/log.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include "store/tracking.h"
#include <stdio.h>

enum right_of {
    RIGHT_ROAD,
    RIGHT_SCAN,
    RIGHT_WAIT,
    RIGHT_CARDS,
    RIGHT_REFILL,
    RIGHT_AUDIT,
    RIGHT_TRACKING,
    RIGHT_TRACKING_CHANNEL,
    RIGHT_WAKE_CHANNEL,
    RIGHT_CLUSTER,
    RIGHT_REPLICAS,
    RIGHT_ROLE,
    RIGHT_NEEDS
};
#define REFUSES "Redis refuses %s to this user, or has it renamed"
#define REFUSES_KEYS "Redis refuses this user some of our keys ({e* and engaged:*)"

static const struct right {
    const char *command;
    enum right_of need;
} rights[] = {
#define RIGHT(command, need) {command, need},
#include "store/rights.def"
#undef RIGHT
};
enum { RIGHT_COUNT = sizeof rights / sizeof *rights, NAMES_SIZE = 64, REFUSAL_LASTS_MS = 2000 };

static const char *const cannot[RIGHT_NEEDS] = {
    [RIGHT_SCAN] = "erasure, correction, export or removal of unknown items",
    [RIGHT_WAIT] = "deletion, import, export or ?wait=true",
    [RIGHT_CARDS] = "cards, import or editorial",
    [RIGHT_REFILL] = "new rankings",
    [RIGHT_AUDIT] = "status in the audit log",
    [RIGHT_TRACKING] = "memory of unchanged states",
    [RIGHT_TRACKING_CHANNEL] = "memory of unchanged states",
    [RIGHT_WAKE_CHANNEL] = "prompt ?wait=true, deletion or import",
    [RIGHT_CLUSTER] = "call that follows a slot to another node",
};

// Who asks.
struct asker {
    const struct settings *settings;
    bool cluster, tracks;
    bool channels; // it names channels, too; a process says by itself when one is refused (wake.c, tracking.c)
};

static struct asker asker_of(const struct store *store) {
    return (struct asker){store->settings, store->cluster, store->tracking, false};
}

static bool is_wanted(const struct asker *asker, enum right_of need) {
    switch (need) {
    case RIGHT_REPLICAS:
        return asker->settings->wait_replicas > 0;
    case RIGHT_ROLE:
        return asker->settings->cross_slot;
    case RIGHT_AUDIT:
        return asker->settings->audit_entries > 0;
    case RIGHT_TRACKING:
        return asker->tracks;
    case RIGHT_TRACKING_CHANNEL:
        return asker->tracks && asker->channels;
    case RIGHT_WAKE_CHANNEL:
        return asker->channels;
    case RIGHT_CLUSTER:
        return asker->cluster;
    default:
        return true;
    }
}

// What nothing needs with these settings is RIGHT_NEEDS; what every write needs is RIGHT_ROAD.
static enum right_of need_of(const struct asker *asker, const struct right *right) {
    if (!is_wanted(asker, right->need))
        return RIGHT_NEEDS;
    return right->need == RIGHT_REPLICAS || right->need == RIGHT_ROLE ? RIGHT_ROAD : right->need;
}

// ---- What is known

// Keeps the text, and logs it only when it has changed.
static void keep(const struct store_node *at, char text[static TROUBLE_SIZE], const char *now) {
    if (strcmp(text, now) == 0)
        return;
    if (*now)
        log_error(at->store->cluster ? "redis %s: %s" : "%.0s%s", at->node->name, now);
    else
        log_info(at->store->cluster ? "redis %s: no longer so: %s" : "%.0sno longer so: %s", at->node->name, text);
    snprintf(text, TROUBLE_SIZE, "%s", now);
}

// Redis may name no command and yet refuse some: before 7, or when it refuses only the keys of some partitions.
static bool has_just_refused(const struct store_node *at) {
    return at->rights.refused_ms && uv_now(at->store->loop) - at->rights.refused_ms < REFUSAL_LASTS_MS;
}

static void know(struct store_node *at, const char *road, const char *rest, bool scan, bool tracking) {
    bool named = *road || *rest;
    if (!named && !at->rights.named && has_just_refused(at))
        return;
    at->rights.named = named;
    keep(at, at->rights.road, road);
    keep(at, at->rights.rest, rest);
    at->rights.lacks_scan = scan;
    if (at->rights.lacks_tracking && !tracking)
        tracking_again(at->store->tracking);
    at->rights.lacks_tracking = tracking;
    node_close_or_open(at);
}

// Of a command that has others below it, or of which a channel counts, the second word is told, too.
static size_t name_len(const char *command) {
    size_t len = strcspn(command, " ");
    bool second = strncmp(command, "CLIENT ", 7) == 0 || strncmp(command, "SUBSCRIBE ", 10) == 0 ||
                  strncmp(command, "PUBLISH ", 8) == 0;
    return second ? len + 1 + strcspn(command + len + 1, " ") : len;
}

static void add_name(char names[static NAMES_SIZE], const char *command) {
    size_t len = strlen(names), name = name_len(command);
    if (len + name + 8 < NAMES_SIZE)
        snprintf(names + len, NAMES_SIZE - len, "%s%.*s", len ? ", " : "", (int)name, command);
    else if (memcmp(names + len - 3, "...", 3) != 0)
        snprintf(names + len, NAMES_SIZE - len, " ...");
}

static void tell(const char *names, enum right_of need, char text[static TROUBLE_SIZE]) {
    if (*names && need == RIGHT_ROAD)
        snprintf(text, TROUBLE_SIZE, REFUSES, names);
    else if (*names)
        snprintf(text, TROUBLE_SIZE, REFUSES ": without it no %s", names, cannot[need]);
}

// The names of the refused commands by kind, and what is said of those that every write needs.
static void read_refused(const struct asker *asker, const redisReply *reply, char names[RIGHT_NEEDS][NAMES_SIZE],
                         char road[static TROUBLE_SIZE]) {
    for (size_t i = 0; i < reply->elements; i++) {
        int64_t number = reply_int(reply->element[i]);
        const struct right *right = number >= 1 && number <= RIGHT_COUNT ? &rights[number - 1] : NULL;
        enum right_of need = right ? need_of(asker, right) : RIGHT_NEEDS;
        if (need != RIGHT_NEEDS)
            add_name(names[need], right->command);
    }
    if (reply->elements > RIGHT_COUNT / 2)
        snprintf(road, TROUBLE_SIZE, "%s", "Redis refuses this user our keys ({e* and engaged:*), or most commands");
    else
        tell(names[RIGHT_ROAD], RIGHT_ROAD, road);
}

// Only the first kind of the rest that lacks a command is named.
static void take_refused(struct store_node *at, const redisReply *reply) {
    char names[RIGHT_NEEDS][NAMES_SIZE] = {{0}}, road[TROUBLE_SIZE] = "", rest[TROUBLE_SIZE] = "";
    struct asker asker = asker_of(at->store);
    read_refused(&asker, reply, names, road);
    for (int need = RIGHT_NEEDS - 1; need > RIGHT_ROAD; need--)
        tell(names[need], (enum right_of)need, rest);
    know(at, road, rest, names[RIGHT_SCAN][0], names[RIGHT_TRACKING][0]);
}

bool rights_told(const struct settings *settings, bool cluster, const redisReply *reply,
                 void (*on_line)(void *context, const char *line), void *context) {
    char names[RIGHT_NEEDS][NAMES_SIZE] = {{0}}, road[TROUBLE_SIZE] = "", line[TROUBLE_SIZE];
    struct asker asker = {settings, cluster, store_may_track(settings) && !cluster, true};
    if (reply->type != REDIS_REPLY_ARRAY) // this Redis cannot tell
        return true;
    read_refused(&asker, reply, names, road);
    for (int need = RIGHT_ROAD + 1; need < RIGHT_NEEDS && !*road; need++)
        if (names[need][0]) {
            tell(names[need], (enum right_of)need, line);
            on_line(context, line);
        }
    if (*road)
        on_line(context, road);
    return !*road;
}

// ---- Asking

void rights_compose(struct command *command) {
    script_begin(command, SCRIPT_RIGHTS, 0);
    for (size_t i = 0; i < RIGHT_COUNT; i++)
        command_add_text(command, rights[i].command);
}

void rights_ask(struct store *store) {
    rights_compose(&store->command);
}

const char *rights_check(struct store_node *at, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_ARRAY)
        take_refused(at, reply);
    else if (reply->type == REDIS_REPLY_NIL) // this Redis cannot tell; the next refusal will
        know(at, "", "", false, false);
    return NULL;
}

static void on_rights(struct redis_call *call) {
    struct store_node *at = ((struct handshake_call *)call)->at;
    at->rights.asking = false;
    if (call->outcome == OK)
        rights_check(at, call->reply);
    freeReplyObject(call->reply);
}

void rights_look(struct store_node *at) {
    if (at->rights.asking || !redis_is_ready(at->node->redis))
        return;
    at->rights.asking = true;
    at->rights.call = (struct handshake_call){.call.on_reply = on_rights, .at = at};
    rights_ask(at->store);
    send_to(at, &at->rights.call.call);
}

bool rights_lack(const struct store_node *at) {
    return at->rights.road[0] || at->rights.rest[0];
}

// ---- A refusal

// The command's name in "… no permissions to run the 'xadd' command" or "unknown command 'XADD', with args …"; else
// NO_BYTES.
static struct bytes name_in(const char *error) {
    const char *begin = strchr(error, '\''), *end = begin ? strpbrk(begin + 1, "'|") : NULL;
    return end ? (struct bytes){begin + 1, (size_t)(end - begin - 1)} : NO_BYTES;
}

static const struct right *right_of(struct bytes name) {
    for (size_t i = 0; i < RIGHT_COUNT; i++) {
        const char *command = rights[i].command;
        if (bytes_eq_nocase(name, (struct bytes){command, strcspn(command, " ")}))
            return &rights[i];
    }
    return NULL;
}

// Notes a refusal until Redis is asked again. A command that is not in rights.def is not needed (INFO); neither is a
// channel, which users of Redis 7 may use only by a rule of their own (wake.c).
void rights_refused(void *context, struct node *node, const char *error) {
    struct store_node *at = node->context;
    (void)context;
    struct bytes name = name_in(error);
    const struct right *right = right_of(name);
    if (name.len ? !right : strstr(error, "channel") != NULL)
        return;
    at->rights.refused_ms = uv_now(at->store->loop);
    if (rights_lack(at)) // then the heartbeat looks
        return;
    struct asker asker = asker_of(at->store);
    enum right_of need = right ? need_of(&asker, right) : RIGHT_ROAD;
    if (need == RIGHT_NEEDS || need == RIGHT_TRACKING) // tracking.c says it
        return;
    char names[NAMES_SIZE] = "", text[TROUBLE_SIZE] = REFUSES_KEYS;
    add_name(names, right ? right->command : "COMMANDS");
    if (right || !strstr(error, " key"))
        tell(names, need, text);
    keep(at, need == RIGHT_ROAD ? at->rights.road : at->rights.rest, text);
    at->rights.lacks_scan = need == RIGHT_SCAN;
    rights_look(at);
}
