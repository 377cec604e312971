// SPDX-License-Identifier: MIT
// Sends each command to the node of Redis that owns its place (model/keys.h).
//
// A Redis that stands alone, and the master of a Sentinel group, are a router with one node that owns all places. A
// Cluster is a table: for each place the node that owns its slot. The connections (connection.h) know one Redis each;
// the router knows where what is, and follows it when it moves.
//
// A call ends exactly once, never before router_send has returned. It is UNAVAILABLE at once when the owner of its
// place is not known or not connected, as with one Redis that is away. A call that Redis has surely not executed
// (MOVED, ASK, TRYAGAIN, CLUSTERDOWN …) is sent again, within its deadline, unless command.no_redirect or
// command.divisible say otherwise. A call whose fate is not known (the connection dropped, the deadline passed) is
// never sent again.
//
// The store (store/store.c) owns the router. What it keeps for each node is struct store_node (store/node.h).
#pragma once
#include "redis/address.h"
#include "redis/connection.h"

struct router;

enum { NODE_NAME_SIZE = 280, NODE_ID_SIZE = 41 };

// A Redis that the router is or was connected to. Others only read it.
struct node {
    struct router *router;
    struct redis_connection *redis;
    void *context; // the owner's: struct store_node
    struct address address;
    char name[NODE_NAME_SIZE]; // host:port, or the path of a socket; for logs
    char id[NODE_ID_SIZE];     // in a Cluster; else empty
    uint32_t number;           // rises with each node that comes: tells two nodes of one address apart
    struct node *next;         // all nodes of the router
    // The router's own.
    struct host_port at;   // in a Cluster
    uint32_t owned;        // places of its own, by the table
    uint64_t connected;    // a number of its present connection; 0: it is not ready
    uint64_t unused_at_ms; // since when it owns nothing
    uint64_t sent_home_ms; // when it last sent a call away to itself
    bool wants_shards;     // it does not know CLUSTER SLOTS
    // router_members.c: the question whose node it is, the connection on which it was asked, and that on which it was
    // ours.
    struct redis_call who;
    bool asking_who;
    uint64_t who_at, vouched;
    char doubt[TROUBLE_SIZE]; // why its last map was not taken; empty: it was
    bool leaving;
};

struct router_hooks {
    // A node comes. Returns its context; NULL: no memory.
    void *(*on_node)(void *context, struct node *node);
    // A node goes: its connection is closed, and nothing of it is pending.
    void (*on_node_gone)(void *context, struct node *node);
    // Do the handshake now with redis_send_early (node->redis); then call redis_ready or redis_drop.
    void (*on_connected)(void *context, struct node *node);
    // The same for the connection that waits for replicas, redis_writes(node->redis). NULL: there is none.
    void (*on_writes_connected)(void *context, struct node *node);
    // Redis refuses a command to this user (redis_is_refusal).
    void (*on_refusal)(void *context, struct node *node, const char *text);
    // A turn of the loop ends; commands that are sent here are still written in this turn.
    void (*on_turn)(void *context);
    // In a Cluster, at the end of a turn: owners have changed, nodes have become ready or gone. So places may have lost
    // what router_open_place said of them.
    void (*on_places)(void *context);
    void *context;
};

// Begins to connect. `address` and `hooks` are copied. NULL without memory.
struct router *router_start(uv_loop_t *loop, const struct address *address, uint32_t timeout_ms, uint32_t queue_max,
                            const struct router_hooks *hooks);
// Every call that is under way is UNAVAILABLE. `on_stopped` fires when all handles are closed; the router is freed by
// then.
void router_stop(struct router *router, void (*on_stopped)(void *context), void *context);

// ---- Sending: by command->place; a command without a place goes to some node that is ready

// As redis_send, redis_send_read and redis_send_patient.
void router_send(struct router *router, struct redis_call *call, const struct command *command);
void router_send_read(struct router *router, struct redis_call *call, const struct command *command);
void router_send_patient(struct router *router, struct redis_call *call, const struct command *command);
// To this node, whatever it owns, and never elsewhere: INFO, SCAN, TIME.
void router_send_to(struct router *router, struct node *node, struct redis_call *call, const struct command *command);
void router_send_read_to(struct router *router, struct node *node, struct redis_call *call,
                         const struct command *command);

// ---- Nodes and places

bool router_is_cluster(const struct router *router);
struct node *router_node_of(const struct router *router, uint32_t place); // NULL: nobody is known to own it
// Calls `fn` for each node that owns places, ready or not. `fn` may send; it must not stop the router.
void router_each_master(struct router *router, void (*fn)(void *context, struct node *node), void *context);
struct node *router_nodes(struct router *router);            // all nodes, also those that own nothing; by node->next
struct node *router_ready_node(const struct router *router); // some node that is ready; NULL: none
// True when the owner of the place is connected and its handshake is done.
bool router_is_ready(const struct router *router, uint32_t place);
// The same, and the place is open: commands that need it open (command.needs_open) are sent at once.
bool router_is_open(const struct router *router, uint32_t place);
// The owner's word that the log of the partition is open on the present connection of its node. The router takes it
// back when that connection drops and when the place has another owner. With one node all places are open when it is
// ready.
void router_open_place(struct router *router, uint32_t place, bool is_open);
// Changes whenever the node that owns the place or its connection is another. What was read at another number may be
// of another life.
uint64_t router_epoch(const struct router *router, uint32_t place);
uint32_t router_unserved(const struct router *router); // partitions whose owner is not ready
// Asks for the table of the Cluster soon, because something looks wrong.
void router_refresh(struct router *router);

// Why nothing is ready: of the first node.
const char *router_trouble(const struct router *router);
const char *router_complaint(const struct router *router, uint32_t within_ms); // redis_complaint of some node
const char *router_complaint_of(const struct router *router, uint32_t within_ms, const struct node **ret_node);
// Why a partition of a Cluster is not served: its node's name and trouble, or that nobody owns it. Returns `text`.
const char *router_why_unserved(const struct router *router, char *text, size_t size);
