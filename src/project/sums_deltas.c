// SPDX-License-Identifier: MIT
// The deltas that the sums projection makes of a log record.
#include "project/sums_deltas.h"

static void make_vote(struct batch *batch, uint32_t entry, const struct entry_record *record) {
    struct delta *delta = batch_add_delta(batch, entry, DELTA_VOTE, record->item);
    if (!delta)
        return;
    delta->kind = record->kind;
    delta->old_kind = record->old_kind;
    delta->vote.site = record->voted_site;
    delta->vote.time_ms = record->time_ms;
    delta->vote.old_time_ms = record->old_time_ms;
}

static void make_view(struct batch *batch, uint32_t entry, const struct entry_record *record) {
    struct delta *delta = batch_add_delta(batch, entry, DELTA_VIEW, record->item);
    if (!delta)
        return;
    delta->view.visitor = record->visitor;
    delta->view.time_ms = record->time_ms;
    delta->view.site = record->site;
    delta->view.id = record->id;
}

static void make_card(struct batch *batch, uint32_t entry, const struct entry_record *record, enum delta_type type) {
    struct delta *delta = batch_add_delta(batch, entry, type, record->item);
    if (!delta)
        return;
    delta->card.groups = record->groups;
    delta->card.site = record->site;
    delta->card.id = record->id;
    delta->card.before = record->before;
    delta->card.packed = record->packed;
}

void sums_deltas(struct batch *batch, uint32_t entry, const struct entry_record *record) {
    static const struct {
        char record;
        enum delta_type type;
    } cards[] = {{'E', DELTA_ERASE}, {'S', DELTA_SET}, {'C', DELTA_CARD}, {'D', DELTA_DELETE}, {'I', DELTA_IMPORT}};
    if (record->type == 'B' || record->type == 'V')
        make_vote(batch, entry, record);
    else if (record->type == 'W')
        make_view(batch, entry, record);
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
        if (cards[i].record == record->type)
            make_card(batch, entry, record, cards[i].type);
}
