// SPDX-License-Identifier: MIT
// How many reads of Redis run at once, and whose turn is next: networks take turns (turns.c).
#pragma once
#include "serve/serve.h"

struct turns {
    uint32_t running, max;
    bool handing_on;
    struct turn_queue *queues, *ring; // by network; the queue whose turn is next
};
void turns_init(struct turns *turns, uint32_t redis_queue);
bool turns_are_full(const struct turns *turns);
// TURN_NOW: the turn has begun. TURN_LATER: `on_turn` will run, unless turn_leave is called. TURN_NEVER: there is no
// memory for a queue. A turn that has begun ends with turn_end.
enum turn_answer { TURN_NOW, TURN_LATER, TURN_NEVER };
enum turn_answer turn_take(struct turns *turns, uint64_t network, struct turn *turn,
                           void (*on_turn)(struct turn *turn));
void turn_hasten(struct turns *turns, uint64_t network, struct turn *turn); // moves it to this queue if it is shorter
void turn_leave(struct turns *turns, struct turn *turn);                    // does nothing if it does not wait
void turn_end(struct turns *turns);
