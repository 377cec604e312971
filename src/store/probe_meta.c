// SPDX-License-Identifier: MIT
// What engaged:meta says of the data, for `engaged check --connect`: it only reads what lua/meta.lua compares at a
// start.
#include "base/keyed.h"
#include "model/keys.h"
#include "model/names.h"
#include "redis/misfit.h"
#include "redis/reply_parts.h"
#include "store/plan.h"
#include "store/probe_inside.h"
#include <inttypes.h>
#include <stdio.h>

// The fields, in the order in which they are asked for.
enum { HELD_FORMAT, HELD_PARTITIONS, HELD_HASH_KEY, HELD_KINDS, HELD_ZONE, HELD_COUNT };

static bool is_hash_key_of(const struct settings *settings, struct bytes held) {
    struct secret_key key;
    char text[17];
    if (!secret_key_parse(bytes_of(settings->hash_key), &key))
        return true; // there is none to compare
    snprintf(text, sizeof text, "%016" PRIx64, keyed_hash64(&key, 'f', NULL, 0));
    return bytes_eq(held, bytes_of(text));
}

// New kinds may only be added behind those of the data.
static bool are_kinds_of(const struct settings *settings, struct bytes held) {
    char text[KINDS_MAX * NAME_SIZE] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < settings->kind_count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s ", settings->kind_names[i]);
    return bytes_starts(bytes_of(text), held) && text[held.len] == ' ';
}

static bool is_number(struct bytes held, unsigned long long least, unsigned long long most) {
    unsigned long long number;
    return bytes_to_u64(held, most, &number) && number >= least;
}

// The sentence that says what differs; empty: nothing does.
static void difference(const struct settings *settings, const redisReply *reply, char *ret_why, size_t size) {
    struct bytes held[HELD_COUNT];
    for (size_t i = 0; i < HELD_COUNT; i++)
        held[i] = reply_text_at(reply, i);
    unsigned long long partitions = (unsigned long long)settings->partitions;
    *ret_why = '\0';
    if (!is_number(held[HELD_FORMAT], 0, DATA_FORMAT))
        snprintf(ret_why, size, "the data has format %.20s of a newer program", held[HELD_FORMAT].at);
    else if (!is_number(held[HELD_PARTITIONS], partitions, partitions))
        snprintf(ret_why, size, "partitions: the data has %.20s, the setting says %llu", held[HELD_PARTITIONS].at,
                 partitions);
    else if (!is_hash_key_of(settings, held[HELD_HASH_KEY]))
        snprintf(ret_why, size, "hash_key: not the key that the data was made with");
    else if (!are_kinds_of(settings, held[HELD_KINDS]))
        snprintf(ret_why, size, "kinds: the data has \"%.100s\", new ones may only be added behind these",
                 held[HELD_KINDS].at);
    else if (held[HELD_ZONE].len && !settings->accept_time_zone &&
             !bytes_eq(held[HELD_ZONE], bytes_of(settings->time_zone)))
        snprintf(ret_why, size, "time_zone: the days of the data are those of %.60s, the setting says %.60s",
                 held[HELD_ZONE].at, settings->time_zone);
}

// A Redis without data fits, and so does a node of a Cluster that has the key not (MOVED).
enum probed probe_meta(const struct probe *probe, const struct address *at, struct blocking *context) {
    char why[PROBE_WHY];
    struct key meta;
    key_meta(&meta);
    meta.at[meta.len] = '\0';
    redisReply *reply =
        BLOCKING_CALL(context, "HMGET", meta.at, "format", "partitions", "hash-key", "kinds", "time-zone");
    enum probed probed = FITS;
    if (reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "WRONGTYPE", 9) == 0)
        probed = probe_tell(probe, MISFIT, at, "the key engaged:meta is another program's");
    if (reply_text_at(reply, HELD_FORMAT).len) {
        difference(probe->settings, reply, why, sizeof why);
        if (*why)
            probed = probe_tell(probe, MISFIT, at, why);
    }
    freeReplyObject(reply);
    return probed;
}
