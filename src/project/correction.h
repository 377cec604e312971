// SPDX-License-Identifier: MIT
// A correction as it is recorded: whose votes, or which item's in which span, are to be taken back; how far it is.
#pragma once
#include "base/arena.h"
#include "base/buffer.h"
#include "base/outcome.h"
#include "model/names.h"

enum { CORRECTION_ID_SIZE = 33, CORRECTION_JSON_MAX = 8 << 10, CORRECTION_NOTE_MAX = 500, RUN_ID_SIZE = 41 };

#define CORRECTION_NO_END INT64_MAX // of the span

enum correction_kind { CORRECT_VISITOR, CORRECT_ITEM, CORRECT_ERASURE };

struct correction {
    char id[CORRECTION_ID_SIZE];
    enum correction_kind kind; // an erasure leaves no record when it is done
    struct bytes site, item, note;
    ref_t visitor;          // of visitor and erasure; forgotten when done
    int64_t from_ms, to_ms; // only votes of this span, from <= t < to, in whole seconds as votes' times are
    int64_t requested_ms, done_ms;
    uint64_t cursor;       // of an item's: the next of its buckets
    char run[RUN_ID_SIZE]; // the Redis process that the cursor was reached in: in another, votes may be back
    uint64_t scanned, retracted;
    uint64_t retracted_kept; // as its record has it
};

void correction_new_id(char id[static CORRECTION_ID_SIZE]);
// `shown`: without what only the scan needs.
void correction_render(const struct correction *correction, bool shown, struct buffer *out);
bool correction_covers(const struct correction *correction, int64_t vote_ms);
// Texts go into the arena. BAD_FIELD or BAD_JSON when it is not one of ours.
enum outcome correction_read(struct bytes json, struct arena *arena, struct correction *ret_correction);
