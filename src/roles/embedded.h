// SPDX-License-Identifier: MIT
// The embedded Redis: a redis-server of our own on a Unix socket in DIR, append-only, one per DIR.
//
// It inherits a lock on DIR/lock and outlives a crash of ours; a new start that finds the lock held adopts the running
// one, and starts its own only once the lock is free. Two servers on one DIR would lose acknowledged writes. Of several
// services on one DIR the first to come looks after the Redis (DIR/owner), the others only use it.
#pragma once
#include <stddef.h>
#include <uv.h>

struct embedded;

// Starts or adopts. `memory_limit`: bytes that a Redis started here may use; 0: as roles/redis_memory.h says. NULL with
// one line in ret_error when the directory or redis-server is not usable.
struct embedded *embedded_start(uv_loop_t *loop, const char *directory, uint64_t memory_limit, char *ret_error,
                                size_t error_size);
// Shuts the server down (SIGTERM: it writes what is left) and waits for its end, unless another service owns it; then
// frees.
void embedded_stop(struct embedded *embedded, void (*on_stopped)(void *context), void *context);
