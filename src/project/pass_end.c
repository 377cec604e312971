// SPDX-License-Identifier: MIT
// Writes the progress of a pass after each page, and ends it. The records are written before the note of the pass, and
// a correction is recorded as done before it is removed from those that wait. So after a crash in between a step is
// done twice, never left out.
#include "base/clock.h"
#include "ops/log.h"
#include "project/corrector_inside.h"
#include "store/correction_records.h"
#include <inttypes.h>

#define TELL_NS (UINT64_C(1000) * 1000 * 1000)
enum { ROWS_MAX = 64 };

// What is written of a member: its progress, that it is done, or that it no longer waits.
enum written { WRITE_PROGRESS, WRITE_DONE, WRITE_GONE };

// Records of members, at most ROWS_MAX at a time.
struct rows {
    struct correction_row at[ROWS_MAX];
    size_t begin[ROWS_MAX], count;
};

// A record that waits counts for its site.
static void add_row(struct corrector *corrector, struct rows *rows, struct correction *member, enum written what) {
    bool keeps = what != WRITE_GONE, counted = what != WRITE_DONE && member->kind != CORRECT_ERASURE;
    member->retracted_kept = member->retracted;
    size_t begin = corrector->json.len, at = rows->count++;
    if (keeps)
        corrector_add_record(corrector, member);
    rows->begin[at] = begin;
    rows->at[at] = (struct correction_row){
        .id = bytes_of(member->id),
        .text = keeps ? (struct bytes){"", corrector->json.len - begin} : NO_BYTES,
        .site = counted ? member->site : NO_BYTES,
    };
}

static bool is_told(const struct pass *pass, const struct correction *member, enum written what) {
    return what != WRITE_PROGRESS || pass->tells_all || member->retracted != member->retracted_kept;
}

// Writes the next members below `end`. False when there are none.
static bool write_rows(struct corrector *corrector, size_t end, enum written what,
                       void (*on_done)(struct read_call *call, enum outcome outcome)) {
    struct pass *pass = &corrector->pass;
    struct rows rows = {.count = 0};
    bool keeps = what != WRITE_GONE;
    buffer_clear(&corrector->json);
    for (; pass->next_written < end && rows.count < ROWS_MAX; pass->next_written++)
        if (is_told(pass, &pass->members.at[pass->next_written], what))
            add_row(corrector, &rows, &pass->members.at[pass->next_written], what);
    if (rows.count == 0)
        return false;
    for (size_t i = 0; keeps && i < rows.count; i++) // now the buffer no longer moves
        rows.at[i].text.at = corrector->json.at + rows.begin[i];
    if (corrector->json.failed)
        corrector_restart(corrector);
    else
        store_write_corrections(corrector->store, corrector_call(corrector, on_done), what == WRITE_DONE, rows.at,
                                rows.count, 0);
    return true;
}

// ---- In the middle

static void on_note(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (corrector_goes_on(corrector, outcome))
        corrector_rest(corrector, PASS_PAUSE_MS);
}

static void keep_note(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    struct buffer *note = &corrector->json;
    buffer_clear(note);
    buffer_addf(note, "%s %s ", pass->id, corrector->run);
    scan_write(corrector->store, &pass->scan, note);
    struct correction_row row = {.id = BYTES("pass"), .text = buffer_bytes(note), .site = NO_BYTES};
    if (note->failed)
        corrector_restart(corrector);
    else
        store_write_corrections(corrector->store, corrector_call(corrector, on_note), false, &row, 1, 0);
}

static void keep_records(struct corrector *corrector);

static void on_records(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (corrector_goes_on(corrector, outcome))
        keep_records(corrector);
}

static void keep_records(struct corrector *corrector) {
    if (!write_rows(corrector, corrector->pass.publishers, WRITE_PROGRESS, on_records))
        keep_note(corrector);
}

// ---- At the end

static void on_notes_gone(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (!corrector_goes_on(corrector, outcome))
        return;
    pass_forget(&corrector->pass);
    corrector->known = false; // corrections that came meanwhile are next
    corrector_rest(corrector, PASS_PAUSE_MS);
}

static void drop_notes(struct corrector *corrector) {
    const struct correction_row rows[] = {{.id = BYTES("pass")}, {.id = BYTES("members")}};
    store_write_corrections(corrector->store, corrector_call(corrector, on_notes_gone), false, rows, 2, 0);
}

static void remove_members(struct corrector *corrector);

static void on_removed(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (corrector_goes_on(corrector, outcome))
        remove_members(corrector);
}

static void remove_members(struct corrector *corrector) {
    if (!write_rows(corrector, corrector->pass.members.count, WRITE_GONE, on_removed))
        drop_notes(corrector);
}

static void record_done(struct corrector *corrector);

static void on_recorded(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (corrector_goes_on(corrector, outcome))
        record_done(corrector);
}

static void record_done(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    if (write_rows(corrector, pass->publishers, WRITE_DONE, on_recorded))
        return;
    pass->next_written = 0;
    remove_members(corrector);
}

static void end(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    for (size_t i = 0; i < pass->members.count; i++) {
        struct correction *member = &pass->members.at[i];
        member->done_ms = clock_now_ms();
        log_info("correction %s is done: %" PRIu64 " votes taken back", member->id, member->retracted);
    }
    if (pass->publishers)
        tidy_soon(corrector);
    record_done(corrector);
}

// Call it when a page is done.
void pass_keep(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    uint64_t now = clock_mono_ns();
    pass->tells_all = now - pass->told_ns >= TELL_NS;
    pass->told_ns = pass->tells_all ? now : pass->told_ns;
    pass->next_written = 0;
    if (pass->scan.goes_on)
        keep_records(corrector);
    else
        end(corrector);
}
