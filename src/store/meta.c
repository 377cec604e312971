// SPDX-License-Identifier: MIT
// How the data is made, in engaged:meta (lua/meta.lua): its format, the partitions, a fingerprint of the hash key, the
// kinds of vote, the time zone, and from when on it has series. Each connection compares it with the settings, and
// tells the series how they began (series_begin), before anything is read or written.
//
// The record has a copy in the same slot: without it nobody would know which era the days in the states are of.
//
// The time zone decides which day an event lies in, so another one than the data's is refused. With --accept-time-zone
// a start takes it: the era goes up by one, and days and months of another era are dropped when a state is read. Only
// the first processes of a start accept, and only until they have recorded their zone; so neither a reload nor two
// services with different zones change it back and forth.
//
// Kinds are added machine by machine: one that knows fewer than the data goes on, if another knows them all. It counts
// and keeps the votes of the others as they are; it does not take such a vote, and does not show it.
//
// Another thing to compare: an argument of the script, its field, and its line in words.
#include "base/calendar.h"
#include "base/clock.h"
#include "model/series.h"
#include "ops/generation.h"
#include "ops/log.h"
#include "redis/reply_parts.h"
#include "store/store_inside.h"
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

// DATA_FORMAT (store/plan.h) is what this program writes; lua/meta.lua knows the oldest that is still read.

const char meta_is_other[] =
    "the key engaged:meta is another program's: the service needs a Redis, or a database, without it";

// What this process knows of the data. It is written again if somebody deletes the key.
static struct series_beginning known;
static bool is_known;

// ---- The call

static void add_known(struct command *command) {
    const uint32_t values[] = {known.era, known.since_s, known.days_since_s};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (is_known)
            command_add_int(command, values[i]);
        else
            command_add_text(command, "");
}

static void add_fingerprint(struct command *command, const char *secret) {
    struct secret_key key;
    char text[17] = "";
    if (secret_key_parse(bytes_of(secret), &key))
        snprintf(text, sizeof text, "%016" PRIx64, keyed_hash64(&key, 'f', NULL, 0));
    command_add_text(command, text);
}

static void begin(struct command *command, const struct settings *settings, const struct secret_key *hash_key,
                  bool accepts) {
    struct key key;
    char text[KINDS_MAX * NAME_SIZE] = "";
    size_t len = 0;
    script_begin(command, SCRIPT_META, 3);
    key_meta(&key);
    command->place = key.place;
    command_add(command, key_bytes(&key));
    key_meta_copy(&key);
    command_add(command, key_bytes(&key));
    key_machines(&key);
    command_add(command, key_bytes(&key));
    command_add_int(command, DATA_FORMAT);
    command_add_int(command, keys_partitions());
    snprintf(text, sizeof text, "%016" PRIx64, keyed_hash64(hash_key, 'f', NULL, 0));
    command_add_text(command, text);
    for (uint32_t i = 0; i < settings->kind_count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, i ? " %s" : "%s", settings->kind_names[i]);
    command_add_text(command, text);
    command_add_text(command, settings->time_zone);
    command_add_text(command, generation_is_current() ? "record" : "");
    command_add_text(command, accepts ? "accept" : "");
    command_add_int(command, clock_now_ms() / 1000 + 1); // what was counted in this second counts as before
    add_known(command);
    command_add_int(command, settings->kind_count);
    snprintf(text, sizeof text, "%016" PRIx64, generation_instance());
    command_add_text(command, text);
    command_add_int(command, clock_now_ms());
    add_fingerprint(command, settings->secret);
    add_fingerprint(command, settings->secret_old);
}

void meta_begin_plain(struct command *command, const struct settings *settings, const struct secret_key *hash_key) {
    begin(command, settings, hash_key, false);
}

static void begin_of(struct store *store) {
    bool accepts = store->settings->accept_time_zone && generation_own() <= 1 && !store->zone_recorded;
    begin(&store->command, store->settings, store->hash_key, accepts);
}

void meta_begin(struct store *store) {
    store->recorded = store->was_recorded = generation_is_current();
    begin_of(store);
}

// ---- The reply

// A store that has worked before waits until its data is back. One that has not tells its owner.
static const char *refuse(struct store *store, struct bytes refusal) {
    store->refused = true;
    snprintf(store->refusal, sizeof store->refusal, "%.*s", (int)refusal.len, refusal.at);
    if (store->generation == 0 && !store->told_refused) {
        store->told_refused = true;
        store->on_refused(store->refused_context, store->refusal);
    }
    return store->refusal;
}

// Once: the workers and the projector of a machine each say it.
static void tell_more_kinds(struct bytes kinds) {
    static bool told;
    if (kinds.len && !told)
        log_warn("the data has more kinds of vote (%.*s) than this machine knows: another machine has added them",
                 (int)kinds.len, kinds.at);
    told = kinds.len != 0;
}

// By the first process that records it: then it is that of the data. After a rotation secret_old is no other one.
static void tell_other_secret(bool other) {
    if (other)
        log_warn(
            "secret: another machine, or the start before, signed visitor tokens with another one. Those tokens are "
            "refused here, and ours there: all machines need the same secret");
}

static void follow(struct store *store, const redisReply *reply) {
    tell_more_kinds(reply_text_at(reply, 4));
    tell_other_secret(reply_text_at(reply, 5).len != 0);
    struct series_beginning told = {(uint8_t)reply_int(reply_at(reply, 1)), (uint32_t)reply_int(reply_at(reply, 2)),
                                    (uint32_t)reply_int(reply_at(reply, 3))};
    store->zone_recorded |= store->recorded;
    known = told;
    is_known = true;
    series_begin(told);
}

static bool agrees(const redisReply *reply) {
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 6 && reply_text_at(reply, 0).len == 0;
}

const char *meta_take(struct store *store, const redisReply *reply) {
    struct bytes refusal = reply_text_at(reply, 0);
    store->refused = false;
    if (!agrees(reply))
        return refuse(store, refusal.len ? refusal : BYTES("engaged:meta has no answer"));
    follow(store, reply);
    return NULL;
}

const char *meta_wrong(struct store *store, const struct redis_call *call) {
    if (call->outcome == OK)
        return meta_take(store, call->reply);
    return call->outcome == INTERNAL && call->reply ? meta_is_other : NULL;
}

// ---- Once this generation is in charge, its settings are recorded in Redis, and again every few seconds in case they
// are lost. If Redis has more kinds than we have, another service has added them: we keep ours until the next
// connection.

static void on_recorded(struct redis_call *call) {
    struct store *store = (struct store *)((char *)call - offsetof(struct store, record));
    struct node *node =
        router_node_of(store->router, place_more(PLACE_META)); // perhaps another than that which was asked
    struct bytes refusal = reply_text_at(call->reply, 0);
    bool agreed = call->outcome == OK && agrees(call->reply);
    bool others_kinds = store->was_recorded && bytes_starts(refusal, BYTES("kinds: "));
    store->recording = false;
    store->recorded = call->outcome == OK && (agreed || others_kinds);
    store->was_recorded |= store->recorded;
    if (agreed)
        follow(store, call->reply);
    if (store->cluster && call->outcome == OK && !store->recorded)
        cluster_disagree(store->cluster); // the connection of one node would end alone
    if (node && call->outcome == OK && !store->recorded)
        redis_drop(node->redis, refusal.len ? refusal.at : "engaged:meta has no answer");
    if (node && call->outcome == INTERNAL)
        redis_drop(node->redis, meta_is_other);
    freeReplyObject(call->reply);
}

void meta_beat(struct store *store) {
    if (store->recorded || store->recording || !generation_is_current())
        return;
    store->recording = true;
    store->record = (struct redis_call){.on_reply = on_recorded};
    begin_of(store);
    send_command(store, &store->record);
}
