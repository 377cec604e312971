// SPDX-License-Identifier: MIT
// What children.c (processes) and renewal.c (generations) share. Nobody else includes it.
#pragma once
#include "roles/children.h"

struct child {
    struct child *next;
    struct children *all;
    const struct launch *launch; // NULL: retired
    const char *role;
    char name[24];
    int worker;   // its number, from 0; -1: the projector
    unsigned row; // of the metrics: no other child's as long as this one is in the list
    uv_process_t process;
    bool running, closing;
    bool retired; // not to be started again
    uint64_t started_ms, start_at_ms, back_off_ms;
    uint64_t kill_at_ms; // retired: if it has not ended by then
    unsigned crashes;    // in a row, none of them healthy before
    uint64_t beats;      // of its loop, as seen last …
    uint64_t silent_ms;  // … and for how long: our own ticks, so that our own standing still does not count
};

struct children {
    uv_loop_t *loop;
    struct launch *launch;
    struct launch *next_launch; // of the generation that is to take over; NULL: none
    struct child *list;
    uv_timer_t tick;
    uint64_t generations;
    uint64_t give_up_at_ms; // with next_launch, as the next three
    const char *spoilt;     // why the next generation is to be given up; NULL: it is not
    unsigned ends;          // of its processes
    bool in_charge;         // it is, and the present one still serves
    bool stopping, refused, told_ready;
    bool proven; // one of the present generation has been accepted by Redis: the settings are right
    struct children_hooks hooks;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

bool child_is_ready(const struct child *child);
bool children_all_ready(const struct children *all, const struct launch *launch);
// Makes the generation of this launch the one in charge (ops/generation.h).
void children_put_in_charge(struct children *all, const struct launch *launch);
// Sends SIGTERM to the children of one launch; NULL: to all. A child that has had it gets no second one.
void children_retire(struct children *all, const struct launch *launch);
// Ends the generation `from`; `to` is the only one then.
void children_hand_on(struct children *all, struct launch *from, struct launch *to);
// Called at every tick: a reload succeeds, fails, or waits.
void children_look_after_renewal(struct children *all, uint64_t now);
