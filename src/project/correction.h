// SPDX-License-Identifier: MIT
// A correction as it is recorded: whose votes, or which item's in which span, are to be taken back; how far it is.
#pragma once
#include "base/arena.h"
#include "base/buffer.h"
#include "base/outcome.h"
#include "model/names.h"

enum { CORRECTION_ID_SIZE = 33, CORRECTION_JSON_MAX = 8 << 10, CORRECTION_NOTE_MAX = 500 };

enum correction_kind { CORRECT_VISITOR, CORRECT_ITEM, CORRECT_ERASURE };

struct correction {
    char id[CORRECTION_ID_SIZE];
    enum correction_kind kind; // an erasure leaves no record when it is done
    struct bytes site, item, note;
    ref_t visitor;          // of visitor and erasure; forgotten when done
    int64_t from_ms, to_ms; // only votes of this span, ends included
    int64_t requested_ms, done_ms;
    uint64_t cursor; // of the scan: where to go on
    uint64_t scanned, retracted;
};

void correction_new_id(char id[static CORRECTION_ID_SIZE]);
// `shown`: without what only the scan needs.
void correction_render(const struct correction *correction, bool shown, struct buffer *out);
// Texts go into the arena. False when it is not one of ours.
enum outcome correction_read(struct bytes json, struct arena *arena, struct correction *ret_correction);
