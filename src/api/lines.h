// SPDX-License-Identifier: MIT
// NDJSON calls: each line starts one call of the store, and the answer counts and names the results.
//
// As many lines are under way as Redis is fast enough for (line_pace.h); the client waits meanwhile. A wrong line is
// counted and named by its number, and never stops the rest. The start function of an endpoint calls lines_finish.
#pragma once
#include "api/call.h"

enum { REJECTED_LISTED = 1000 };

struct lines;

// One line under way. Its text and the endpoint's state are in its arena.
struct line {
    struct lines *lines;
    unsigned long number;
    bool skipped;
    uint64_t began_ns;
    struct arena arena;
    void *work;                    // the endpoint's
    struct line *next;             // the next line that waits for the projections …
    void (*go)(struct line *line); // … and what it does then
};

// Starts the line's work. OK: line_done will be called; else the reason why not.
typedef enum outcome line_starter(struct line *line, struct bytes text);

// Makes the state, before the body; the route gives `start`. False without memory.
bool lines_prepare(struct call *call);
void lines_take(struct http_request *request, struct bytes piece);
void lines_cut(struct http_request *request);
// The body has ended: `on_end` once, when no line is under way any more.
void lines_finish(struct call *call, void (*on_end)(struct call *call));
void line_done(struct line *line, enum outcome outcome);
struct call *line_call(const struct line *line);
// For a starter: calls `go`, at once or later, when everything that was acknowledged before this call is projected (and
// again once a second while the call runs); line_done follows. UNAVAILABLE when that takes too long: nothing is done.
enum outcome line_after_projection(struct line *line, void (*go)(struct line *line)) MUST_CHECK;
// Notes the log entry that a line made, for `wait`.
void line_note(struct line *line, uint32_t partition, struct log_id entry);
const struct log_id *lines_entries(const struct call *call);
// The answer: {"accepted":N,"rejected":[{"line":7,"code":…}]}
void lines_answer(struct call *call);

// The same once both projections have passed what was accepted, when the query says wait=true.
void lines_answer_projected(struct call *call);
// The line is accepted and needs no work. Called in place of line_done, from within the starter, which returns OK.
void line_skip(struct line *line);

line_starter card_line, event_line, import_line, editorial_line;
