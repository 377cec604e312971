// SPDX-License-Identifier: MIT
// Puts the data of one Redis in the place of another's (replace.h), with two blocking connections and some polling.
#include "store/replace.h"
#include "model/keys.h"
#include "redis/pipeline.h"
#include "store/blocking.h"
#include "store/scripts.h"
#include "store/store_inside.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    POLL_US = 50000,
    LOADING_MAX_S = 3600,
    CALL_MAX_S = 60,
    CONNECTING_MAX_S = 10,
    RETURNING_MAX_S = 10,
    SAME_LOOKS = 5
};
enum { POLLS_A_SECOND = 1000000 / POLL_US };

static bool fail(char *ret_error, const char *what, const char *why) {
    snprintf(ret_error, REPLACE_ERROR_SIZE, "%s: %s", what, why);
    return false;
}

// ---- Calls

#define CALL BLOCKING_CALL

// Frees the reply. False, with the error of Redis, when there is no reply or it is an error.
static bool went_well(struct blocking *context, const char *what, redisReply *reply, char *ret_error) {
    bool good = reply && reply->type != REDIS_REPLY_ERROR;
    if (!good)
        fail(ret_error, what, reply ? reply->str : blocking_trouble(context));
    freeReplyObject(reply);
    return good;
}

static struct blocking *connect_to(const struct address *address, char *ret_error) {
    struct timeval connecting = {CONNECTING_MAX_S, 0}, answering = {CALL_MAX_S, 0};
    return blocking_connect(address, connecting, answering, ret_error, REPLACE_ERROR_SIZE);
}

// True when INFO has the line `name:value`. False, too, when Redis does not answer.
static bool info_says(struct blocking *context, const char *section, const char *name, const char *value) {
    char line[96];
    redisReply *reply = CALL(context, "INFO", section);
    snprintf(line, sizeof line, "\n%s:%s\r\n", name, value);
    struct bytes text = reply_text(reply);
    bool says = text.len && memmem(text.at, text.len, line, strlen(line));
    freeReplyObject(reply);
    return says;
}

// ---- Is it the right data

static bool is_loaded(struct blocking *staged, char *ret_error) {
    for (int i = 0; i < LOADING_MAX_S * POLLS_A_SECOND && blocking_is_alive(staged); i++, usleep(POLL_US))
        if (info_says(staged, "persistence", "loading", "0"))
            return true;
    return fail(ret_error, "the file", "cannot be loaded");
}

static bool is_ours(struct blocking *staged, char *ret_error) {
    struct key meta;
    key_meta(&meta);
    meta.at[meta.len] = '\0';
    redisReply *reply = CALL(staged, "EXISTS", meta.at);
    bool there = reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    freeReplyObject(reply);
    return there || fail(ret_error, "the file", "is no backup of engaged");
}

static redisReply *compare(struct blocking *staged, const struct settings *settings,
                           const struct secret_key *hash_key) {
    const struct script_source *script = &script_sources[SCRIPT_META];
    size_t len = (size_t)(script->end - script->at);
    freeReplyObject(
        blocking_call_bytes(staged, (const char *[]){"SCRIPT", "LOAD", script->at}, (size_t[]){6, 4, len}, 3));
    enum { META_MAX = 64 << 10 };
    struct command command;
    struct buffer text;
    command_init(&command);
    buffer_init(&text, META_MAX);
    meta_begin_plain(&command, settings, hash_key);
    redisReply *reply = command_write(&command, &text) ? blocking_send(staged, text.at, text.len) : NULL;
    buffer_release(&text);
    command_release(&command);
    return reply;
}

static bool agrees(struct blocking *staged, const struct settings *settings, const struct secret_key *hash_key,
                   char *ret_error) {
    redisReply *reply = compare(staged, settings, hash_key);
    const redisReply *line = reply_at(reply, 0);
    bool good = line && line->type == REDIS_REPLY_STRING && line->len == 0;
    if (!good)
        fail(ret_error, "the file",
             line && line->str     ? line->str
             : reply && reply->str ? reply->str
                                   : blocking_trouble(staged));
    freeReplyObject(reply);
    return good;
}

bool replace_check(const struct address *staged, const struct settings *settings, const struct secret_key *hash_key,
                   char ret_error[static REPLACE_ERROR_SIZE]) {
    scripts_verify();
    keys_init((uint32_t)settings->partitions);
    struct blocking *context = connect_to(staged, ret_error);
    if (!context)
        return false;
    bool good =
        is_loaded(context, ret_error) && is_ours(context, ret_error) && agrees(context, settings, hash_key, ret_error);
    blocking_end(context);
    return good;
}

// ---- The exchange

// Sets the password with which the live Redis logs in at its master: the staged one's, and afterwards the old one.
static bool set_master_password(struct blocking *live, const char *password, char *ret_error) {
    return went_well(live, "CONFIG SET masterauth", CALL(live, "CONFIG", "SET", "masterauth", password), ret_error);
}

static char *master_password(struct blocking *live) {
    redisReply *reply = CALL(live, "CONFIG", "GET", "masterauth");
    struct bytes text = reply_text_at(reply, 1);
    char *copy = text.len ? strndup(text.at, text.len) : strdup("");
    freeReplyObject(reply);
    return copy;
}

// Asks the staged Redis first: if it has died, its connection says so.
static bool has_all(struct blocking *live, struct blocking *staged) {
    return info_says(staged, "persistence", "loading", "0") &&
           info_says(live, "replication", "master_link_status", "up") && info_says(live, "persistence", "loading", "0");
}

// Redis rewrites its append-only file after the data has come. Until then a crash would bring the old data back.
static bool is_on_disk(struct blocking *live) {
    return info_says(live, "persistence", "aof_enabled", "0") ||
           (info_says(live, "persistence", "aof_rewrite_in_progress", "0") &&
            info_says(live, "persistence", "aof_rewrite_scheduled", "0") &&
            info_says(live, "persistence", "aof_last_bgrewrite_status", "ok"));
}

static bool wait_for_data(struct blocking *live, struct blocking *staged, char *ret_error) {
    for (int i = 0; i < LOADING_MAX_S * POLLS_A_SECOND && blocking_is_alive(live) && blocking_is_alive(staged);
         i++, usleep(POLL_US))
        if (has_all(live, staged) && is_on_disk(live))
            return true;
    return fail(ret_error, "Redis", "did not take the data over");
}

// ---- Waiting until the clients are back

struct clients {
    size_t count;
    uint64_t ids; // their sum
};

static struct clients clients_of(struct blocking *live) {
    struct clients clients = {0, 0};
    redisReply *reply = CALL(live, "CLIENT", "LIST");
    struct bytes text = reply_text(reply);
    for (const char *line = text.at, *end; text.len && (end = strchr(line, '\n')); line = end + 1) {
        unsigned long long id;
        clients.count++;
        if (sscanf(line, "id=%llu", &id) == 1)
            clients.ids += id;
    }
    freeReplyObject(reply);
    return clients;
}

// Clients connect again one by one, with pauses, and close connections that they do not accept. All are back and have
// finished their handshake when several looks in a row see the same ones.
static void wait_for_clients(struct blocking *live, size_t count) {
    struct clients before = {0, 0};
    int same = 0;
    for (int i = 0; i < RETURNING_MAX_S * POLLS_A_SECOND && blocking_is_alive(live) && same < SAME_LOOKS;
         i++, usleep(POLL_US)) {
        struct clients now = clients_of(live);
        bool settled = now.count >= count && now.count == before.count && now.ids == before.ids;
        same = settled ? same + 1 : 0;
        before = now;
    }
}

// The staged Redis speaks no TLS: a Redis that replicates by TLS alone would wait for it in vain.
static bool can_replicate(struct blocking *live, char *ret_error) {
    redisReply *reply = CALL(live, "CONFIG", "GET", "tls-replication");
    bool by_tls = bytes_eq(reply_text_at(reply, 1), BYTES("yes"));
    freeReplyObject(reply);
    return !by_tls || fail(ret_error, "Redis",
                           "its tls-replication is on: switch it off for the restore (CONFIG SET tls-replication no)");
}

static bool exchange(struct blocking *live, struct blocking *staged, const struct address *from, char *ret_error) {
    bool begun = set_master_password(live, from->password, ret_error) &&
                 went_well(live, "REPLICAOF", CALL(live, "REPLICAOF", from->host, from->port), ret_error);
    if (!begun)
        return false;
    // The service connects again, and refuses this Redis until it is a master again.
    bool good = went_well(live, "CLIENT KILL", CALL(live, "CLIENT", "KILL", "TYPE", "normal"), ret_error) &&
                wait_for_data(live, staged, ret_error);
    char error[REPLACE_ERROR_SIZE];
    bool ended = went_well(live, "REPLICAOF NO ONE", CALL(live, "REPLICAOF", "NO", "ONE"), good ? ret_error : error);
    return good && ended;
}

bool replace_data(const struct address *live, const struct address *staged, char ret_error[static REPLACE_ERROR_SIZE]) {
    char error[REPLACE_ERROR_SIZE];
    struct blocking *to = connect_to(live, ret_error), *from = to ? connect_to(staged, ret_error) : NULL;
    char *before = from ? master_password(to) : NULL;
    size_t clients = before ? clients_of(to).count : 0;
    bool good = before && can_replicate(to, ret_error) && exchange(to, from, staged, ret_error);
    if (before)
        set_master_password(to, before, error);
    if (good)
        wait_for_clients(to, clients);
    free(before);
    blocking_end(from);
    blocking_end(to);
    return good;
}

char *replace_master_password(const struct address *live) {
    char error[REPLACE_ERROR_SIZE];
    struct blocking *context = connect_to(live, error);
    char *password = context ? master_password(context) : NULL;
    blocking_end(context);
    return password;
}

bool replace_undo(const struct address *live, const char *master_password_before) {
    char error[REPLACE_ERROR_SIZE];
    struct blocking *context = connect_to(live, error);
    bool good = context && went_well(context, "REPLICAOF NO ONE", CALL(context, "REPLICAOF", "NO", "ONE"), error) &&
                set_master_password(context, master_password_before, error);
    blocking_end(context);
    return good;
}
