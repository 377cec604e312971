// SPDX-License-Identifier: MIT
// The second connection of a Redis, for what callers write (setting wait_replicas). A write ends when replicas have it:
// behind the writes of a turn goes a WAIT, and they are told when it is answered. WAIT blocks its connection, so reads
// have the first one. Nothing else is different: the same calls, the same queue (pending.c), the same replies.
//
// At most one WAIT is under way. Replies come in the order of sending, so it speaks of all writes that were answered
// before it; those that come while it is under way are sent at once, and have the next one. When replicas are slow,
// that is one wait for many writes, and a WAIT never queues behind another.
//
// The two connections live and die together: the first is ready when both are, and when one is dropped, the other is.
#include "ops/metrics.h"
#include "redis/connection_inside.h"
#include "redis/pipeline.h"
#include <stddef.h>
#include <stdio.h>

static void end_all(struct redis_connection *writes, enum outcome outcome) {
    struct redis_call *call = writes->answered;
    confirm_init(writes);
    while (call) {
        struct redis_call *next = call->next; // on_reply may free the call
        if (outcome != OK) {
            freeReplyObject(call->reply);
            call->reply = NULL;
            call->outcome = outcome;
        }
        call->on_reply(call);
        call = next;
    }
}

static void complain(struct redis_connection *writes, int64_t had) {
    char text[TROUBLE_SIZE];
    snprintf(text, sizeof text, "only %d of %u replicas had the writes in time (wait_replicas)", (int)had,
             writes->waited_for);
    error_complain(writes, text, true);
}

static void on_waited(struct redis_call *wait) {
    struct redis_connection *writes =
        (struct redis_connection *)((char *)wait - offsetof(struct redis_connection, wait));
    bool enough = wait->outcome == OK && reply_int(wait->reply) >= writes->waited_for;
    if (enough)
        error_complain_no_more(writes);
    else if (wait->outcome == OK)
        complain(writes, reply_int(wait->reply));
    metric_add(METRIC_WAIT_SHORT, wait->reply && !enough);
    freeReplyObject(wait->reply);
    writes->waiting = false;
    end_all(writes, enough ? OK : UNAVAILABLE);
}

void confirm_init(struct redis_connection *writes) {
    writes->answered = NULL;
    writes->answered_end = &writes->answered;
}

void confirm(struct redis_connection *writes, struct redis_call *call) {
    call->unreplicated = writes->replicas == 0;
    if (call->unreplicated) {
        error_complain_no_more(writes);
        metric_add(METRIC_UNREPLICATED_WRITES, 1);
        call->on_reply(call);
        return;
    }
    call->next = NULL;
    *writes->answered_end = call;
    writes->answered_end = &call->next;
}

// The last replica has gone after they were answered, and no WAIT was sent for them: they are as those that come now.
static void end_unreplicated(struct redis_connection *writes) {
    for (struct redis_call *call = writes->answered; call; call = call->next) {
        call->unreplicated = true;
        metric_add(METRIC_UNREPLICATED_WRITES, 1);
    }
    end_all(writes, OK);
}

// Half of the time-out, so that the write ends in time even if it came when another WAIT had just been sent.
void confirm_end_turn(struct redis_connection *writes) {
    if (writes->replicas == 0 && !writes->waiting)
        end_unreplicated(writes);
    if (writes->state != REDIS_STATE_READY || writes->waiting || writes->replicas == 0 ||
        (!writes->unwaited && !writes->answered) || writes->count == writes->capacity)
        return;
    struct command command;
    command_init(&command);
    command_add_text(&command, "WAIT");
    command_add_int(&command, writes->replicas);
    command_add_int(&command, writes->timeout_ms / 2 ? writes->timeout_ms / 2 : 1);
    writes->wait = (struct redis_call){.on_reply = on_waited};
    if (pending_add(writes, &writes->wait, &command)) {
        writes->unwaited = false;
        writes->waiting = true;
        writes->waited_for = writes->replicas;
    }
    command_release(&command);
}

void confirm_fail(struct redis_connection *writes) {
    struct redis_call *call = writes->answered;
    confirm_init(writes);
    writes->unwaited = false;
    while (call) {
        struct redis_call *next = call->next;
        freeReplyObject(call->reply);
        pending_fail_later(writes, call, UNAVAILABLE);
        call = next;
    }
}

struct redis_connection *redis_writes(struct redis_connection *redis) {
    return redis->writes;
}

void redis_set_replicas(struct redis_connection *redis, uint32_t replicas) {
    if (redis->writes)
        redis->writes->replicas = replicas;
}
