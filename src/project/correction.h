// SPDX-License-Identifier: MIT
// The record of a correction: the votes to retract (of a visitor, or of an item in a span of time), and its progress.
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
    ref_t visitor;          // for a visitor and an erasure; removed when it is done
    int64_t from_ms, to_ms; // only votes of from <= time < to; whole seconds, like the times of votes
    int64_t requested_ms, done_ms;
    uint64_t cursor;       // for an item: its next bucket
    char run[RUN_ID_SIZE]; // the Redis process in which the cursor was reached; in another one votes may have come back
    uint64_t scanned, retracted;
    uint64_t retracted_kept; // `retracted` as it is recorded
};

void correction_new_id(char id[static CORRECTION_ID_SIZE]);
// `shown`: without the fields that only the scan needs.
void correction_render(const struct correction *correction, bool shown, struct buffer *out);
bool correction_covers(const struct correction *correction, int64_t vote_ms);
// Texts go into the arena. BAD_FIELD or BAD_JSON when the text is not a record of ours.
enum outcome correction_read(struct bytes json, struct arena *arena, struct correction *ret_correction);
