// SPDX-License-Identifier: MIT
// The struct of a store and what the files of this room share. No other room includes it.
#pragma once
#include "base/arena.h"
#include "store/node.h"
#include "store/plan.h"
#include "store/projection.h"
#include "store/scripts.h"
#include "store/write_queue.h"

enum { SPLITS_MAX = 16, PARTITION_LIFE_SIZE = 72 };

struct split;
struct waits;        // waits.c
struct subscription; // wake.c
struct tracking;     // tracking.c
struct later;
struct cluster; // cluster.c

struct store {
    uv_loop_t *loop;
    const struct settings *settings;
    const struct secret_key *hash_key;
    struct plan plan;
    struct router *router;
    struct store_node *nodes;
    struct cluster *cluster; // NULL: Redis is no Cluster
    struct address address;
    struct command command; // every command is composed here; it may be reused as soon as it is sent
    struct write_queue votes, views;
    struct bucket_cache *bucket_cache; // bucket counts remembered per item
    struct deferred *deferred, **deferred_end;
    uv_timer_t heartbeat;
    struct waits *waits;
    struct subscription *subscription; // NULL: not in a projector
    struct tracking *tracking;         // NULL: nothing is tracked
    int open_parts;                    // while stopping: parts that are not closed yet
    bool guards_logs, told_replicas;   // told_replicas: that min-replicas-to-write is not set
    char lives[PARTITION_LIFE_SIZE];   // digest of the lives of all logs, or the life of the only one
    struct redis_call record;          // our settings, into engaged:meta: meta.c
    bool recording, recorded;          // recorded: they are in Redis, as of a few seconds ago
    bool was_recorded;                 // since the last handshake
    bool zone_recorded;                // ever: no change of the time zone is accepted afterwards
    bool refused, told_refused;
    uint64_t generation;
    char (
        *partition_lives)[PARTITION_LIFE_SIZE]; // per partition: the field "life" of its offsets, as it was heard last
    struct split *splits[SPLITS_MAX];           // splits under way: vote_writes.c
    struct later *laters;                       // later.c
    char refusal[256];
    char note[256]; // trouble.c: a node's name and what is wrong there
    void (*on_refused)(void *context, const char *line);
    void *refused_context;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

// handshake.c: the handshake of a new connection, and the heartbeat once a second.
void handshake_start(void *store, struct node *node);
void writes_handshake_start(void *store, struct node *node); // of the connection that waits for replicas
// replicas.c: notes how many replicas are there, by INFO replication.
void replicas_note(struct store_node *at, const redisReply *info);
void heartbeat(uv_timer_t *timer);
void hear_time(int64_t least_ms, int64_t most_ms);

// meta.c. Begins the call that compares the settings with the data. Only the generation in charge records its settings.
void meta_begin(struct store *store);
void meta_begin_plain(struct command *command, const struct settings *settings, const struct secret_key *hash_key);
// What the reply to that call says against this Redis; NULL: nothing. Tells the store's owner, once.
const char *meta_take(struct store *store, const redisReply *reply);
const char *meta_wrong(struct store *store, const struct redis_call *call);
void meta_beat(struct store *store); // records the settings if they are not recorded
extern const char meta_is_other[];   // what is said when another program has written the key

// cluster.c. NULL without memory; free() ends it.
struct cluster *cluster_new(struct store *store);
void cluster_look(void *store);                                               // compares and opens what is to be
void cluster_turn(struct cluster *cluster);                                   // at the end of each turn
bool cluster_agrees(const struct cluster *cluster);                           // the settings agree with the data
struct bytes cluster_life(const struct cluster *cluster, uint32_t partition); // digest of it; empty: not known yet
void cluster_disagree(struct cluster *cluster); // the data is not that of the settings: nothing is written any more
void cluster_open_again(struct store_node *at, bool close); // what the node owns; `close`: it has another life
void cluster_hear_time(struct store_node *at, int64_t least_ms, int64_t most_ms);

// rights.c and eviction.c: two more reasons to refuse writes, asked for in the handshake and every few seconds.
void rights_compose(struct command *command);
void rights_ask(struct store *store); // begins the command
const char *rights_check(struct store_node *at, const redisReply *reply);
void rights_look(struct store_node *at);
// What the reply means, of channels too, a line for each kind of command. False: nothing could be written; the last
// line says why.
bool rights_told(const struct settings *settings, bool cluster, const redisReply *reply,
                 void (*on_line)(void *context, const char *line), void *context);
bool rights_lack(const struct store_node *at);
void rights_refused(void *store, struct node *node, const char *error);
void eviction_ask(struct store *store);
const char *eviction_check(struct store_node *at, const redisReply *reply);
void eviction_look(struct store_node *at);
bool eviction_refuses(const struct store_node *at);
void node_close_or_open(struct store_node *at); // refuses or accepts writes by these two

// logs.c: the hash of a partition's offsets. A projection's field is "<id> <hash of the lives of all logs>".
void life_heard(struct store *store, uint32_t partition, struct bytes life); // the field "life" of the partition
uint64_t hash_of_lives(const struct store *store);          // of all partitions, as they were heard last
struct log_id offset_in(struct bytes text, uint64_t lives); // {0,0} when it is not valid in these lives
// handshake.c: begins AUTH, for an address with a password.
void begin_login(struct store *store);
// waits.c: the waits for the projections. NULL without memory. `on_closed` fires when its handles are closed.
struct waits *waits_new(struct store *store); // before waits_start it may be freed with free()
void waits_start(struct waits *waits);
void waits_stop(struct waits *waits, void (*on_closed)(struct store *store));
// wake.c: asks the projectors to look at the logs at once, whatever their intervals.
void wake_projectors(struct store *store);
void subscription_beat(struct subscription *subscription);
void subscription_stop(struct subscription *subscription, void (*on_closed)(struct store *store));
// tracking.c (tracking.h). The memory is free() later.
void tracking_again(struct tracking *tracking); // after a refusal; NULL: there is none
void tracking_stop(struct tracking *tracking, void (*on_closed)(struct store *store));
// open.c: the value of "\nname:value\r" in a section of INFO; NO_BYTES when there is none.
struct bytes info_value(struct bytes info, const char *name);
// The master's life, and the opening of the logs under it.
void ask_for_life(struct store *store);                                 // begins the command
bool life_note(struct store_node *at, const redisReply *info);          // false: this Redis is not a master
bool life_is_known(const struct store_node *at);                        // false: Redis does not tell it
bool life_goes_on(const struct store_node *at, const redisReply *info); // true: the logs were opened in it
// Begins the call of the script that opens the logs of a node; open_next takes its reply, and is true when it has begun
// another call.
void open_begin(struct store_node *at);
bool open_next(struct store_node *at, const redisReply *reply);
void open_begin_one(struct store *store, const struct store_node *at, uint32_t partition); // of one log
int tell_opened(const redisReply *reply); // returns how many logs were opened
void open_look(struct store_node *at);    // opens the logs again if the life has changed
void laters_end(struct store *store);     // later.c, on shutdown

// The next version of a partition: a random number from 1 to 2^52. So no two contents share a version, even after Redis
// has lost data.
uint64_t version_new(void);

// Whether a call may touch the keys of one partition only.
static inline bool store_cuts_by_partition(const struct store *store) {
    return store->address.kind == ADDRESS_CLUSTER || !store->settings->cross_slot;
}

// card_author.c: reads the author from a card (struct card.json); empty if it has none. UNAVAILABLE without memory.
enum outcome card_author(struct bytes card, struct arena *texts, struct bytes *ret_author);

// Runs `tell` at the end of this turn: for calls that fail before anything is sent.
void store_defer(struct store *store, struct deferred *deferred, void (*tell)(struct deferred *deferred));

static inline void send_command(struct store *store, struct redis_call *call) {
    router_send(store->router, call, &store->command);
}
// What is asked of one node, not of the owner of a key.
static inline void send_to(struct store_node *at, struct redis_call *call) {
    router_send_to(at->store->router, at->node, call, &at->store->command);
}
// The node that a partition is on, as far as is known; NULL: nobody.
static inline struct store_node *node_of(const struct store *store, uint32_t partition) {
    struct node *node = router_node_of(store->router, partition);
    return node ? node->context : NULL;
}
// For the writes of bulk calls: they wait until the queue has room.
static inline void send_patient(struct store *store, struct redis_call *call) {
    router_send_patient(store->router, call, &store->command);
}
// Begins a plain command in store->command.
static inline struct command *begin_command(struct store *store, const char *name) {
    command_clear(&store->command);
    command_add_text(&store->command, name);
    return &store->command;
}
static inline void add_key(struct store *store, const struct key *key) {
    if (store->command.place == NO_PLACE)
        store->command.place = key->place;
    command_add(&store->command, (struct bytes){key->at, key->len});
}

// "1700000000000-3"; {0,0} for anything else.
struct log_id log_id_parse(struct bytes text);
enum { LOG_ID_TEXT = 48 };
void log_id_format(struct log_id id, char text[static LOG_ID_TEXT]);
static inline bool log_id_none(struct log_id id) {
    return id.ms == 0 && id.seq == 0;
}
