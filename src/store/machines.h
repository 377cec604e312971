// SPDX-License-Identifier: MIT
// The list of the machines on this store (lua/machines.lua), for project/membership.h. The calls follow store.h.
#pragma once
#include "model/keys.h"
#include "store/store.h"

enum { MACHINE_NAME_SIZE = 96, MACHINES_UNTOLD = 1, MACHINE_PLANS_SIZE = 1024 };
struct machine_record {
    uint64_t instance, generation;  // of this start of the service, of its processes
    struct bytes plan;              // its fingerprint
    bool unwell;                    // it has lately not got through: machines that have come first
    bool waits_no_more;             // for machines that were not told of its plan
    char plans[MACHINE_PLANS_SIZE]; // those that it was told last: the list may be of an older snapshot of Redis
    char name[MACHINE_NAME_SIZE]; // "<version> <host> (<instance>)"; empty: a projector without a service, which is in
                                  // no list
};
// Names of others may be anything: they are shown with `?` for what is no printable ASCII, and cut.
struct machine {
    uint64_t instance; // 0: nobody
    char name[MACHINE_NAME_SIZE];
};
struct machines {
    // For so long a program that knows no machines still projects another plan. MACHINES_UNTOLD: no such program, but
    // machines with another plan are still to be told that ours follows it.
    uint64_t wait_ms;
    struct machine newest; // one with the plan that is projected, if that is another than ours
    uint32_t count;        // how many are alive
    uint32_t untold;       // how many of them have other plans, which ours follows, and were not told of it
    char untold_name[MACHINE_NAME_SIZE]; // one of these
    char plans[MACHINE_PLANS_SIZE];      // for the next call
    uint32_t idle;                       // how many had a turn and do not ask
    char idle_name[MACHINE_NAME_SIZE];   // one of these
    struct machine at_work[PROJECTION_COUNT];
};
// Writes our record into the list of machines and reads the others. `ret_told` must live until on_done, and is filled
// when that is OK.
void store_beat(struct store *store, struct read_call *call, const struct machine_record *own,
                struct machines *ret_told);
// Removes our record, so that nobody has to wait until it is old.
void store_leave(struct store *store, struct read_call *call, const struct machine_record *own);
