// SPDX-License-Identifier: MIT
// The machines: services on one Redis. Each writes once a second that it is alive, and is told which machine works
// which projection (lua/machines.lua). The others serve, and their engines sleep. If machines have different rankings,
// those that were defined last are projected, by a machine that has them. Within one service the generation in charge
// is the machine.
//
// No safety comes from it. Two that both work a projection are kept apart by each partition's version, and by the plan
// of its rebuild (partition_write.c); the one that loses pauses. While the list can't be read and others can, because
// in a Cluster the master that has it is away, everybody keeps what was told last. So rankings that follow others wait
// for machines that were not told of them for UNTOLD_MS and no longer.
//
// The list may be lost, or be of an older snapshot of Redis. Therefore each machine remembers the plans that it was
// told last and sends them along: so their order is known again, unless all machines were ended before.
//
// The projector asks membership_works before each round, the corrector and the sweeper before each page. To add a
// projection: its name in model/keys.c.
#pragma once
#include "store/machines.h"
#include <uv.h>

struct membership {
    struct store *store;
    struct machine_record own;
    uv_timer_t timer;
    struct read_call call;
    struct machines told, said; // the answer; what was told to the operator last
    bool works[PROJECTION_COUNT];
    uint64_t sent_ms;   // when it was asked for last, by the loop's clock
    uint64_t unwell_ms; // when it did not get through; 0: never
    uint64_t untold_ms; // since when machines were not told of our plan; 0: all are
    uint64_t until_ms;  // the answer holds until then; 0: there is none
    bool busy, waits, stopping;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

// `plan` must outlive it.
void membership_start(struct membership *membership, uv_loop_t *loop, struct store *store, struct bytes plan);
bool membership_works(const struct membership *membership, enum projection projection);
// Whether another machine works it, as far as is known.
bool membership_leaves(const struct membership *membership, enum projection projection);
// What this machine works does not get through. Another one gets its turn, as it may reach what this one does not.
void membership_unwell(struct membership *membership);
// Another projector was met: who works may have changed since the last beat.
void membership_ask_now(struct membership *membership);
// Leaves the list, so that the others need not wait. Call it when nothing is projected any more.
void membership_stop(struct membership *membership, void (*on_stopped)(void *context), void *context);
