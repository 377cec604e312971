// SPDX-License-Identifier: MIT
// What the embedded Redis writes becomes lines of the supervisor's log: it writes into a pipe that the supervisor reads
// a few times a second.
//
// The Redis has both ends, the reading one as its stdin, which it never reads. So the pipe lives as long as the Redis:
// what it writes while there is no supervisor stays in it, and who adopts the Redis reads on, by /proc/PID/fd/0.
// Nothing waits for a reader: a full pipe takes no more, and such lines are lost.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { REDIS_LINE_SIZE = 1100 }; // Redis cuts its own lines at 1,024 bytes

struct redis_log {
    int in, out; // -1: closed
    char line[REDIS_LINE_SIZE], last[256];
    size_t len;
};

void redis_log_init(struct redis_log *log);
// Both ends, for a Redis that is about to start. A negative errno when there is no pipe.
int redis_log_open(struct redis_log *log);
// After its start, because libuv makes a child's files blocking; and after a start that has failed.
void redis_log_begin(struct redis_log *log);
// The pipe of a Redis that another supervisor has started; one that an older program has started has none.
void redis_log_adopt(struct redis_log *log, pid_t pid);
// Logs the lines that are there. `last` is then the last one, which says why a Redis gives up; empty: there was none.
void redis_log_read(struct redis_log *log);
void redis_log_close(struct redis_log *log);
