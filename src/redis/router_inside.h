// SPDX-License-Identifier: MIT
// The struct of a router, which the router's files share. No other file includes it.
//
// Of a Cluster the router keeps for each place its owner and the calls that wait: those that a node has refused and
// that are sent again after a rest, those for which a node is not ready yet, and those that need the place open. A
// place rests for all of its calls together: after each rest at most PROBES_MAX of them are sent, and all others as
// soon as one rest has passed without a refusal.
#pragma once
#include "redis/members.h"
#include "redis/redirect.h"
#include "redis/router.h"
#include "redis/sentinel_watch.h"
#include "redis/topology.h"

enum {
    HOPS_MAX = 5,
    PROBES_MAX = 16,
    REST_LEAST_MS = 5,
    REST_MAX_MS = 80,
    REST_FORGOTTEN_MS = 1000,
    REST_HOP_MS = 20, // two nodes name each other
    SENT_HOME_MS = 5000,
    REST_DOWN_MS = 50,     // nobody serves the slot
    WAITING_MAX = 1 << 16, // calls of all places; one more is OVERLOADED
    ROUTER_NODES_MAX = 512,
};

struct router_place {
    struct node *owner; // NULL: nobody is known
    uint64_t since;     // the number of the change that made it the owner
    uint64_t moved_ms;  // when a MOVED has named the owner last
    bool open;          // router_open_place
    bool refused;       // a call came back since the last probes
    uint32_t rest_ms;
    uint64_t rest_until_ms;
    struct held *waiting, **waiting_end;
};

struct map_refresh {
    struct redis_call call;
    struct node *asked; // NULL: no question is under way
    struct node *hint;  // whom to ask next: a MOVED has named it
    bool wanted;
    bool comparing, conflict;   // router_members.c: no map is taken yet; two hosts are of different Clusters
    uint64_t ends_ms;           // until when it waits for hosts that are slow to connect; 0: none has answered
    char first[NODE_NAME_SIZE]; // the host with which the others are compared
    char trouble[TROUBLE_SIZE]; // why the last question had no answer that could be used; empty: it had one
    uint64_t changes;           // router.changes when it was asked
    uint64_t not_before_ms, done_ms;
    uint32_t back_off_ms;
};

struct router {
    uv_loop_t *loop;
    struct address address;
    struct router_hooks hooks;
    uint32_t timeout_ms, queue_max, numbers;
    struct node *nodes;
    struct node *only;            // owns all places; NULL in a Cluster
    struct sentinel_watch *watch; // of sentinel://; else NULL
    void (*on_stopped)(void *context);
    void *stopped_context;
    bool stopping;
    // A Cluster's.
    uint32_t place_count, node_count, waiting_count;
    struct router_place *places;
    uint16_t *slots; // of the places
    struct topology *map, *read;
    struct member_ids *known, *heard; // the nodes of our Cluster, also of before; those of the last answer
    uint64_t strangers_ms;            // when nodes of another one were asked again
    uint64_t changes;                 // of owners and connections
    bool dirty;                       // one of them since on_places
    struct map_refresh refresh;
    struct buffer scratch;
    struct redis_call *failed, **failed_end; // ended without a reply; on_reply runs at the end of the turn
    uv_timer_t timer, rests;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    int handles;
};

// router_nodes.c. NULL: no memory, or too many.
struct node *router_add_node(struct router *router, const struct address *address);
void router_name_node(struct node *node);                                         // by its address
struct node *router_find_node(struct router *router, const struct host_port *at); // finds it, or adds it
void router_set_owner(struct router *router, uint32_t place, struct node *owner);
void router_leave_unused(struct router *router, uint64_t now_ms);
void router_leave_all(struct router *router);
void router_closed(struct router *router); // when the last handle of a Cluster's router is closed, this frees it

// router_sentinel.c: the one node is the master that Sentinels name.
bool router_start_watch(struct router *router);
const char *router_find_master(void *node, struct address *address); // the hook on_connecting of its connection
void router_stop_watch(struct router *router);

// router_redirect.c
bool router_on_refused(void *node, struct held *held, const char *error);
void router_hold(struct router *router, struct held *held, uint32_t rest_ms); // 0: it waits without a rest
void router_send_waiting(struct router *router, uint64_t now_ms);             // those that may go
void router_fail_waiting(struct router *router, uint64_t before_ms);
void router_fail(struct router *router, struct redis_call *call, enum outcome outcome);
void router_tell_failed(struct router *router);

// router_members.c
bool router_node_serves(const struct node *node); // it is ready, and of our Cluster
// True, with the reason, when the map of this answer must not be taken.
bool router_doubts(struct router *router, struct node *node, const redisReply *reply, char why[static TROUBLE_SIZE]);
void router_note_doubt(struct node *node, const char *why);
void router_ask_map(struct node *node, struct redis_call *call); // CLUSTER SLOTS or SHARDS
void router_ask_who(struct node *node);
void router_ask_strangers(struct router *router, uint64_t now_ms);
bool router_has_compared(struct router *router, uint64_t now_ms); // a map may be taken

// router_refresh.c
void router_refresh_turn(struct router *router, uint64_t now_ms); // asks, when it is time
void router_refresh_from(struct router *router, struct node *hint);
