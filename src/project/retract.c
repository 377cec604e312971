// SPDX-License-Identifier: MIT
// Retracts votes as a voter would, some at a time. A vote that was given again since it was read is another vote and is
// kept: the script compares.
#include "base/array.h"
#include "base/clock.h"
#include "ops/metrics.h"
#include "project/corrector_inside.h"
#include <stdlib.h>

enum { RETRACTED_AT_ONCE = 256 };

void found_clear(struct corrector *corrector) {
    corrector->found_count = 0;
    corrector->lacking = false;
}

static void on_retracted(struct vote_call *vote);

void found_add(struct corrector *corrector, struct correction *correction, ref_t item, const struct voter *voter,
               struct bytes site, struct bytes id) {
    struct found *grown =
        array_room_for_one(corrector->found, corrector->found_count, &corrector->found_capacity, sizeof *grown);
    corrector->lacking |= !grown;
    if (!grown)
        return;
    corrector->found = grown;
    struct found *found = &corrector->found[corrector->found_count++];
    *found = (struct found){.corrector = corrector, .correction = correction};
    found->vote = (struct vote_call){.item = item,
                                     .visitor = voter->visitor,
                                     .site = site,
                                     .id = id,
                                     .kind = -1,
                                     .time_ms = clock_now_ms(),
                                     .only_if = voter->packed,
                                     .queued.patient = true,
                                     .on_done = on_retracted};
}

static void retract_some(struct corrector *corrector) {
    size_t end = corrector->next_found + RETRACTED_AT_ONCE;
    if (end > corrector->found_count)
        end = corrector->found_count;
    if (corrector->next_found == end) {
        found_clear(corrector);
        corrector->on_retracted(corrector);
        return;
    }
    size_t begin = corrector->next_found;
    corrector->next_found = end;
    corrector->sent = end - begin;
    corrector->outcome = OK;
    for (size_t i = begin; i < end; i++) {
        corrector->found[i].vote.context = &corrector->found[i]; // now the array no longer moves
        store_vote(corrector->store, &corrector->found[i].vote);
    }
}

static void on_retracted(struct vote_call *vote) {
    struct found *found = vote->context;
    struct corrector *corrector = found->corrector;
    if (vote->outcome != OK && vote->outcome != INTERNAL && vote->outcome != ID_CLASH)
        corrector->outcome = vote->outcome;
    if (vote->outcome == OK && vote->changed) {
        found->correction->retracted++;
        metric_add(METRIC_CORRECTED_VOTES, 1);
    }
    if (--corrector->sent == 0 && corrector_goes_on(corrector, corrector->outcome))
        retract_some(corrector);
}

void retract_found(struct corrector *corrector, void (*on_done)(struct corrector *corrector)) {
    corrector->next_found = 0;
    corrector->on_retracted = on_done;
    if (corrector->lacking)
        corrector_restart(corrector);
    else
        retract_some(corrector);
}
