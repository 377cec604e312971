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
    int worker;   // the worker's number, from 0; -1: the projector
    unsigned row; // the row of its metrics; no other child in the list has it
    uv_process_t process;
    bool running, closing;
    bool retired; // not to be started again
    uint64_t started_ms, start_at_ms, back_off_ms;
    uint64_t kill_at_ms; // when a retired child is killed
    unsigned crashes;    // crashes in a row, without a healthy run between them
    uint64_t beats;      // the last count of its loop's heartbeats …
    uint64_t silent_ms; // … and how long it has not changed, by our own ticks, so that a pause of the supervisor does
                        // not count
};

struct children {
    uv_loop_t *loop;
    struct launch *launch;
    struct launch *next_launch; // the launch of the next generation; NULL: there is none
    struct child *list;
    uv_timer_t tick;
    uint64_t generations;
    uint64_t give_up_at_ms; // this and the next three: only with next_launch
    const char *spoilt;     // why the next generation is given up; NULL: it is not
    unsigned ends;          // how many of its processes have ended
    bool in_charge;         // the next generation is in charge, and the present one still serves
    bool stopping, refused, told_ready;
    bool proven; // a process of the present generation could use Redis, so the settings agree with the data
    struct children_hooks hooks;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

bool child_is_ready(const struct child *child);
bool children_all_ready(const struct children *all, const struct launch *launch);
// Whether one of the present generation can read and write at Redis, so that its settings agree with the data.
bool children_any_usable(const struct children *all);
// Makes the generation of this launch the one in charge (ops/generation.h).
void children_put_in_charge(struct children *all, const struct launch *launch);
// Sends SIGTERM to the children of one launch; NULL: to all. A child that has had it gets no second one.
void children_retire(struct children *all, const struct launch *launch);
// Ends the generation `from`; `to` is the only one then.
void children_hand_on(struct children *all, struct launch *from, struct launch *to);
// Called at every tick: a reload succeeds, fails, or waits.
void children_look_after_renewal(struct children *all, uint64_t now);
