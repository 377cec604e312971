// SPDX-License-Identifier: MIT
// A reload: the generation of children that is there, the next one, and which of them stays.
#include "ops/log.h"
#include "ops/metrics.h"
#include "roles/children_inside.h"

bool child_is_ready(const struct child *child) {
    return metric_read(child->worker < 0 ? METRIC_PROJECTORS_READY : METRIC_WORKERS_READY, child->row) != 0;
}

bool children_all_ready(const struct children *all, const struct launch *launch) {
    for (const struct child *child = all->list; child; child = child->next)
        if (child->launch == launch && !child_is_ready(child))
            return false;
    return true;
}

static unsigned count_of(const struct children *all, const struct launch *launch) {
    unsigned count = 0;
    for (const struct child *child = all->list; child; child = child->next)
        count += child->launch == launch;
    return count;
}

// How many of them have a connection to Redis. Before a Cluster the data may still refuse their settings.
static unsigned linked_of(const struct children *all, const struct launch *launch) {
    unsigned count = 0;
    for (const struct child *child = all->list; child; child = child->next)
        count += child->launch == launch && metric_read(METRIC_REDIS_UP, child->row) != 0;
    return count;
}

void children_put_in_charge(struct children *all, const struct launch *launch) {
    all->in_charge = launch == all->next_launch;
    __atomic_store_n(metrics_generation(), launch->generation, __ATOMIC_RELEASE);
}

void children_hand_on(struct children *all, struct launch *from, struct launch *to) {
    children_put_in_charge(all, to);
    children_retire(all, from);
    all->told_ready = all->told_ready && all->launch == to;
    all->launch = to;
    all->next_launch = NULL;
    all->in_charge = false;
    launch_free(from, to);
}

static void take_over(struct children *all) {
    children_hand_on(all, all->launch, all->next_launch);
    all->proven = true;
    launch_settle(all->launch);
    log_info("reload: the new processes have taken over");
    all->hooks.on_renewed(all->hooks.context, NULL);
}

static void give_up(struct children *all, const char *why) {
    children_hand_on(all, all->next_launch, all->launch);
    log_error("reload: %s; those before stay", why);
    all->hooks.on_renewed(all->hooks.context, why);
}

static bool any_misses_masters(const struct children *all, const struct launch *launch) {
    for (const struct child *child = all->list; child; child = child->next)
        if (child->launch == launch && metric_read(METRIC_PARTITIONS_UNSERVED, child->row) != 0)
            return true;
    return false;
}

// While masters of a Cluster are away the new processes can read no list, and those before have them in memory: they
// stay in charge for two thirds of reload_timeout.
static bool waits_for_masters(const struct children *all, uint64_t now) {
    const struct launch *next = all->next_launch;
    if (!any_misses_masters(all, next))
        return false;
    if (now + next->reload_timeout_ms / 3 < all->give_up_at_ms)
        return true;
    log_warn("reload: the new processes take over without waiting longer for masters that are away: lists that need "
             "these are 503");
    return false;
}

static bool may_take_charge(const struct children *all, uint64_t now) {
    const struct launch *next = all->next_launch;
    return !all->in_charge && linked_of(all, next) == count_of(all, next) && !waits_for_masters(all, now);
}

void children_look_after_renewal(struct children *all, uint64_t now) {
    if (!all->next_launch || all->stopping)
        return;
    if (all->spoilt)
        give_up(all, all->spoilt);
    else if (now >= all->give_up_at_ms)
        give_up(all, "the new processes do not get ready");
    else if (may_take_charge(all, now))
        children_put_in_charge(all, all->next_launch);
    else if (all->in_charge && children_all_ready(all, all->next_launch))
        take_over(all);
}

bool children_any_usable(const struct children *all) {
    for (const struct child *child = all->list; child; child = child->next)
        if (child->launch == all->launch && metric_read(METRIC_REDIS_USABLE, child->row) != 0)
            return true;
    return false;
}

unsigned children_linked(const struct children *children) {
    return linked_of(children, children->launch);
}

unsigned children_count(const struct children *children) {
    return count_of(children, children->launch);
}

bool children_renewing(const struct children *children) {
    return children->next_launch != NULL;
}

bool children_ready(const struct children *children) {
    return children->told_ready;
}
