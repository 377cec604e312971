// SPDX-License-Identifier: MIT
// Reads the replies of Sentinels and chooses the master.
#include "redis/sentinel.h"
#include "redis/reply_parts.h"
#include <stdio.h>

// ---- Choosing

static uint64_t highest_epoch(const struct sentinel_answer *answers, uint32_t count) {
    uint64_t highest = 0;
    for (uint32_t i = 0; i < count; i++)
        highest = answers[i].epoch > highest ? answers[i].epoch : highest;
    return highest;
}

static uint32_t votes_for(const struct sentinel_answer *answers, uint32_t count, const struct sentinel_answer *master) {
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++)
        votes += answers[i].epoch == master->epoch && host_port_eq(&answers[i].at, &master->at);
    return votes;
}

bool sentinel_choose(const struct sentinel_answer *answers, uint32_t count, uint32_t known,
                     const struct sentinel_answer *before, struct sentinel_choice *ret_choice) {
    struct sentinel_choice choice = {.votes = 0};
    uint64_t epoch = highest_epoch(answers, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t votes = answers[i].epoch == epoch ? votes_for(answers, count, &answers[i]) : 0;
        bool stays = before && host_port_eq(&answers[i].at, &before->at); // of two with as many votes
        if (votes > choice.votes || (votes && votes == choice.votes && stays))
            choice = (struct sentinel_choice){answers[i], votes};
    }
    bool is_old = before && epoch < before->epoch;
    if (choice.votes == 0 || (is_old && choice.votes <= known / 2))
        return false;
    *ret_choice = choice;
    return true;
}

// ---- Reading

static bool read_place(const redisReply *reply, struct host_port *ret) {
    return host_parse(reply_text(reply_member(reply, "ip")), ret->host) &&
           port_parse(reply_text(reply_member(reply, "port")), ret->port);
}

bool sentinel_read_master(const redisReply *reply, struct sentinel_answer *ret_answer) {
    struct sentinel_answer answer = {.epoch = 0};
    unsigned long long epoch;
    if (!read_place(reply, &answer.at) ||
        !bytes_to_u64(reply_text(reply_member(reply, "config-epoch")), UINT64_MAX, &epoch))
        return false;
    answer.epoch = epoch;
    *ret_answer = answer;
    return true;
}

void sentinel_meaning_of(const char *error, const char *master, char *ret_text, size_t size) {
    if (strncmp(error, "ERR No such master", 18) == 0)
        snprintf(ret_text, size, "knows no master %s", master);
    else if (strncmp(error, "ERR ", 4) == 0 && strstr(error, "nknown command"))
        snprintf(ret_text, size, "is no Sentinel");
    else
        snprintf(ret_text, size, "says %.*s", (int)size - 6, error);
}

static void read_id(struct bytes id, char ret_id[static SENTINEL_ID_SIZE]) {
    bool fits = id.len && id.len < SENTINEL_ID_SIZE && !memchr(id.at, 0, id.len);
    memset(ret_id, 0, SENTINEL_ID_SIZE);
    if (fits)
        memcpy(ret_id, id.at, id.len);
}

void sentinel_read_id(const redisReply *reply, char ret_id[static SENTINEL_ID_SIZE]) {
    read_id(reply_text(reply), ret_id);
}

// In a list with commas.
static bool has_flag(const redisReply *reply, const char *flag) {
    struct bytes flags = reply_text(reply_member(reply, "flags"));
    return flags.len && memmem(flags.at, flags.len, flag, strlen(flag));
}

uint32_t sentinel_read_others(const redisReply *reply, struct sentinel_other ret_others[static SENTINELS_MAX]) {
    uint32_t count = 0;
    bool is_array = reply && reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; is_array && i < reply->elements && count < SENTINELS_MAX; i++) {
        struct sentinel_other *other = &ret_others[count];
        *other = (struct sentinel_other){.id = ""};
        read_id(reply_text(reply_member(reply->element[i], "runid")), other->id);
        bool is_down = has_flag(reply->element[i], "s_down");
        count += !is_down && other->id[0] && read_place(reply->element[i], &other->at);
    }
    return count;
}
