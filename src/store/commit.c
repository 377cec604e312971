// SPDX-License-Identifier: MIT
// The write of one partition (lua/commit.lua): composed piece by piece, sent in one call of the script.
//
// The script does nothing unless the partition's version is the one that was read, so all pieces are written, or none.
// Applied ids and states have arguments of their own. Every other piece is a command of "name, key, arguments".
//
// Members are collected per key in a hash table (struct commit_key), because one command with many members is far
// cheaper than many commands: a batch that moves five hundred items in seven rankings is seven ZADD, and the visitors
// of an item are one PFADD. Of a ranking only the best `bound` members are sent; the script trims the rest in any case.
//
// project/partition_write.c and rankings_writer.c call it. To add a kind of piece, write a function like commit_item:
// it finds the key's slot with commit_key and adds a command with begin_piece. List a new Redis command in rights.def.
#include "base/hash.h"
#include "model/item.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ARGUMENTS_MAX = 4000,    // of one redis.call, as Lua's unpack has room for on its stack
    CANDIDATES_MAX = 1 << 20 // of one ranking in one commit
};

// A key that the commit writes, with the members that it gains and loses.
struct commit_key {
    UT_hash_handle hh;
    struct key key;
    uint32_t index;           // in KEYS after the states, from 1
    uint32_t bound;           // a ranking's; 0 for any other key, and for a set that only loses members
    uint32_t cutoffs;         // of a set of a period: the index of the key of its cutoffs; else 0
    int64_t due_ms;           // and when it is to be cut or removed
    struct command in, out;   // the members that it gains (visitors too) and loses
    struct buffer candidates; // of a ranking: a struct ranking_candidate for each member of `in`
    double cut_below;         // the best value of the members that are not sent; NAN: all are sent
    char cutoff_name[RANKING_NAME_MAX];
    size_t cutoff_name_len;
};

struct ranking_candidate {
    double value;
    uint32_t member; // its index in `in`
    bool may_be_member;
};

struct commit {
    struct redis_call call; // first: the connection's view of it
    struct store *store;
    enum projection projection;
    uint32_t partition, applied, states, commands, rankings, periods; // periods: the index of their key; 0: none
    uint64_t version;
    char life[PARTITION_LIFE_SIZE];
    struct command applied_arguments, state_keys, state_arguments, command_arguments, ranking_arguments;
    struct commit_key *keys;
    uint32_t key_count;
    bool failed; // no memory for a piece
    void (*on_done)(void *context, const struct commit_result *result);
    void *context;
};

enum { FIXED_KEYS = 3 };

struct commit *commit_new(struct store *store, enum projection projection, uint32_t partition, uint64_t version,
                          struct bytes life) {
    struct commit *commit = calloc(1, sizeof *commit);
    if (!commit)
        return NULL;
    *commit = (struct commit){.store = store, .projection = projection, .partition = partition, .version = version};
    snprintf(commit->life, sizeof commit->life, "%.*s", (int)life.len, life.len ? life.at : "");
    command_init(&commit->applied_arguments);
    command_init(&commit->state_keys);
    command_init(&commit->state_arguments);
    command_init(&commit->command_arguments);
    command_init(&commit->ranking_arguments);
    return commit;
}

void commit_free(struct commit *commit) {
    struct commit_key *key, *next;
    HASH_ITER (hh, commit->keys, key, next) {
        HASH_DEL(commit->keys, key);
        command_release(&key->in);
        command_release(&key->out);
        buffer_release(&key->candidates);
        free(key);
    }
    command_release(&commit->applied_arguments);
    command_release(&commit->state_keys);
    command_release(&commit->state_arguments);
    command_release(&commit->command_arguments);
    command_release(&commit->ranking_arguments);
    free(commit);
}

// ---- Pieces

// Finds or adds the key. uthash keeps the keys in the order of their first use.
static struct commit_key *commit_key(struct commit *commit, const struct key *key) {
    struct commit_key *found;
    HASH_FIND(hh, commit->keys, key->at, key->len, found);
    if (found)
        return found;
    found = calloc(1, sizeof *found);
    if (!found) {
        commit->failed = true;
        return NULL;
    }
    found->key = *key;
    found->index = ++commit->key_count;
    command_init(&found->in);
    command_init(&found->out);
    buffer_init(&found->candidates, CANDIDATES_MAX * sizeof(struct ranking_candidate));
    found->cut_below = NAN;
    HASH_ADD_KEYPTR(hh, commit->keys, found->key.at, found->key.len, found);
    if (HASH_HAS_TAKEN(found))
        return found;
    free(found);
    commit->failed = true;
    return NULL;
}

static void begin_piece(struct commit *commit, const char *name, uint32_t key_index, uint32_t arguments) {
    command_add_text(&commit->command_arguments, name);
    command_add_int(&commit->command_arguments, key_index);
    command_add_int(&commit->command_arguments, arguments);
    commit->commands++;
}

void commit_applied(struct commit *commit, uint32_t source, struct log_id id) {
    char text[LOG_ID_TEXT];
    log_id_format(id, text);
    command_add_int(&commit->applied_arguments, source);
    command_add_text(&commit->applied_arguments, text);
    commit->applied++;
}

static void set_or_delete(struct commit *commit, const struct key *key, struct bytes packed) {
    if (packed.len) {
        command_add(&commit->state_keys, key_bytes(key));
        command_add(&commit->state_arguments, packed);
        commit->states++;
        return;
    }
    struct commit_key *slot = commit_key(commit, key);
    if (slot)
        begin_piece(commit, "UNLINK", slot->index, 0);
}

void commit_state(struct commit *commit, ref_t item, struct bytes packed) {
    struct key key;
    if (commit->projection == PROJECTION_SUMS)
        key_sums(&key, item);
    else
        key_neighbours(&key, item);
    set_or_delete(commit, &key, packed);
}

void commit_total(struct commit *commit, ref_t site, struct bytes packed, int64_t fades_ms) {
    struct key key;
    key_site_total(&key, commit->partition, site);
    set_or_delete(commit, &key, packed);
    struct commit_key *slot = packed.len && fades_ms ? commit_key(commit, &key) : NULL;
    if (!slot)
        return;
    begin_piece(commit, "PEXPIRE", slot->index, 1); // a value that is set again stays
    command_add_int(&commit->command_arguments, fades_ms);
}

void commit_item(struct commit *commit, ref_t item, struct bytes site, struct bytes id) {
    struct key key;
    key_item(&key, item);
    struct commit_key *slot = commit_key(commit, &key);
    if (!slot)
        return;
    begin_piece(commit, "SETNX", slot->index, 1);
    item_pack_new(site, id, commit->store->settings->kind_count, &commit->command_arguments.bytes);
    command_end_argument(&commit->command_arguments);
}

void commit_visitors_clear(struct commit *commit, ref_t item) {
    struct key key;
    key_uniques(&key, item);
    set_or_delete(commit, &key, NO_BYTES);
}

void commit_sketch(struct commit *commit, ref_t item, const struct early_visitors *early) {
    struct key key;
    key_uniques(&key, item);
    struct commit_key *slot = commit_key(commit, &key);
    if (!slot)
        return;
    begin_piece(commit, "SETNX", slot->index, 1);
    sketch_pack(early, &commit->command_arguments.bytes);
    command_end_argument(&commit->command_arguments);
}

void commit_visitor(struct commit *commit, ref_t item, ref_t visitor) {
    struct key key;
    key_uniques(&key, item);
    struct commit_key *slot = commit_key(commit, &key);
    if (slot)
        command_add_ref(&slot->in, visitor);
}

static void target_period(struct commit *commit, struct commit_key *set, struct period period) {
    struct key key;
    key_period_cutoffs(&key, commit->partition, period);
    const struct commit_key *cutoffs = commit_key(commit, &key);
    key_periods(&key, commit->partition);
    const struct commit_key *periods = commit_key(commit, &key);
    set->cutoffs = cutoffs ? cutoffs->index : 0;
    commit->periods = periods ? periods->index : 0;
    set->due_ms = period_due_ms(period);
}

static struct commit_key *target_ranking(struct commit *commit, const struct ranking_at *ranking, uint32_t bound) {
    struct key key;
    ranking_key(ranking, commit->partition, &key);
    struct commit_key *slot = commit_key(commit, &key);
    if (slot && bound > slot->bound)
        slot->bound = bound;
    if (!slot || slot->cutoff_name_len)
        return slot;
    slot->cutoff_name_len = ranking_name(ranking, slot->cutoff_name);
    if (ranking->period.grain != GRAIN_HOUR)
        target_period(commit, slot, ranking->period);
    return slot;
}

void commit_place(struct commit *commit, const struct ranking_at *ranking, uint32_t bound, struct bytes id,
                  double value, bool may_be_member) {
    struct commit_key *slot = target_ranking(commit, ranking, bound);
    if (!slot)
        return;
    struct ranking_candidate candidate = {value, command_count(&slot->in), may_be_member};
    command_add(&slot->in, id);
    buffer_add(&slot->candidates, &candidate, sizeof candidate);
    commit->failed |= slot->candidates.failed || slot->in.bytes.failed || slot->in.ends.failed;
}

void commit_leave(struct commit *commit, const struct ranking_at *ranking, uint32_t bound, struct bytes id) {
    struct commit_key *slot = target_ranking(commit, ranking, bound);
    if (slot)
        command_add(&slot->out, id);
}

void commit_keep(struct commit *commit, const struct ranking_at *ranking, uint32_t bound, struct bytes id,
                 double value) {
    struct commit_key *slot = target_ranking(commit, ranking, bound);
    if (!slot)
        return;
    begin_piece(commit, "ZADD", slot->index, 3);
    command_add_text(&commit->command_arguments, "XX");
    command_add_double(&commit->command_arguments, -value);
    command_add(&commit->command_arguments, id);
}

// ---- The call

// Adds the members in commands of at most ARGUMENTS_MAX.
static void add_members(struct commit *commit, const struct commit_key *key, const char *name,
                        const struct command *members) {
    uint32_t count = command_count(members);
    commit->failed |= members->bytes.failed || members->ends.failed;
    for (uint32_t begin = 0; begin < count; begin += ARGUMENTS_MAX) {
        uint32_t end = begin + ARGUMENTS_MAX < count ? begin + ARGUMENTS_MAX : count;
        begin_piece(commit, name, key->index, end - begin);
        command_copy(&commit->command_arguments, members, begin, end);
    }
}

static int best_first(const void *a, const void *b) {
    double one = ((const struct ranking_candidate *)a)->value, other = ((const struct ranking_candidate *)b)->value;
    return (one < other) - (one > other);
}

// Sorts the candidates and keeps the best `bound`: the script would trim the others at once. Others that may be members
// are removed. Returns how many are kept.
static uint32_t cut_candidates(struct commit_key *key) {
    struct ranking_candidate *all = (struct ranking_candidate *)(void *)key->candidates.at;
    uint32_t count = command_count(&key->in);
    if (count <= key->bound)
        return count;
    qsort(all, count, sizeof *all, best_first);
    key->cut_below = all[key->bound].value;
    for (uint32_t i = key->bound; i < count; i++)
        if (all[i].may_be_member)
            command_add(&key->out, command_argument(&key->in, all[i].member));
    return key->bound;
}

static void add_places(struct commit *commit, const struct commit_key *key, uint32_t count) {
    const struct ranking_candidate *at = (const struct ranking_candidate *)(const void *)key->candidates.at;
    for (uint32_t begin = 0; begin < count; begin += ARGUMENTS_MAX / 2) {
        uint32_t end = begin + ARGUMENTS_MAX / 2 < count ? begin + ARGUMENTS_MAX / 2 : count;
        begin_piece(commit, "ZADD", key->index, 2 * (end - begin));
        for (uint32_t i = begin; i < end; i++) {
            command_add_double(&commit->command_arguments, -at[i].value);
            command_add(&commit->command_arguments, command_argument(&key->in, at[i].member));
        }
    }
}

static void finish_ranking(struct commit *commit, struct commit_key *key) {
    uint32_t count = cut_candidates(key);
    add_places(commit, key, count); // before ZREM, which would delete a set that it empties
    add_members(commit, key, "ZREM", &key->out);
    command_add_int(&commit->ranking_arguments, key->index);
    command_add_int(&commit->ranking_arguments, key->bound);
    command_add(&commit->ranking_arguments, (struct bytes){key->cutoff_name, key->cutoff_name_len});
    command_add_int(&commit->ranking_arguments, key->cutoffs);
    if (isnan(key->cut_below))
        command_add(&commit->ranking_arguments, NO_BYTES);
    else
        command_add_double(&commit->ranking_arguments, -key->cut_below);
    command_add_int(&commit->ranking_arguments, key->due_ms);
    commit->rankings++;
}

static void finish_pieces(struct commit *commit) {
    struct commit_key *key, *next;
    HASH_ITER (hh, commit->keys, key, next) {
        if (commit->failed) // a candidate may lack its member
            return;
        if (key->cutoff_name_len)
            finish_ranking(commit, key);
        else
            add_members(commit, key, "PFADD", &key->in);
    }
}

static void add_keys(struct commit *commit) {
    struct store *store = commit->store;
    struct commit_key *slot, *next;
    struct key key;
    key_applied(&key, commit->partition, commit->projection);
    add_key(store, &key);
    key_cutoffs(&key, commit->partition);
    add_key(store, &key);
    key_offsets(&key, commit->partition);
    add_key(store, &key);
    command_copy(&store->command, &commit->state_keys, 0, commit->states);
    HASH_ITER (hh, commit->keys, slot, next)
        add_key(store, &slot->key);
}

static void add_all(struct command *to, const struct command *from, uint32_t count) {
    command_add_int(to, count);
    command_copy(to, from, 0, command_count(from));
}

static void on_committed(struct redis_call *call) {
    struct commit *commit = (struct commit *)call;
    redisReply *reply = call->reply;
    bool whole = call->outcome == OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3;
    struct commit_result result = {.outcome = call->outcome == OK && !whole ? INTERNAL : call->outcome};
    if (whole) {
        result.moved = reply_int(reply->element[0]) == 0;
        result.version = (uint64_t)reply_int(reply->element[1]);
        result.rebuild = reply_int(reply->element[2]) != 0;
    }
    void (*on_done)(void *, const struct commit_result *) = commit->on_done;
    void *context = commit->context;
    freeReplyObject(reply);
    commit_free(commit);
    on_done(context, &result);
}

void commit_send(struct commit *commit, void (*on_done)(void *context, const struct commit_result *result),
                 void *context) {
    struct store *store = commit->store;
    commit->on_done = on_done;
    commit->context = context;
    commit->call.on_reply = on_committed;
    finish_pieces(commit);
    script_begin(&store->command, SCRIPT_COMMIT, FIXED_KEYS + commit->states + commit->key_count);
    add_keys(commit);
    command_add_int(&store->command, (int64_t)commit->version);
    command_add_int(&store->command, (int64_t)version_new());
    command_add_text(&store->command, commit->life);
    add_all(&store->command, &commit->applied_arguments, commit->applied);
    add_all(&store->command, &commit->state_arguments, commit->states);
    add_all(&store->command, &commit->command_arguments, commit->commands);
    command_add_int(&store->command, commit->periods);
    add_all(&store->command, &commit->ranking_arguments, commit->rankings);
    if (commit->failed)
        command_clear(&store->command); // sends nothing: command_write refuses an empty command, and the call fails
    send_command(store, &commit->call);
}
