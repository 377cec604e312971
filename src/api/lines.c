// SPDX-License-Identifier: MIT
// Cuts a streamed body into lines, and has as many of them under way as Redis answers well within redis_timeout.
#include "api/lines.h"
#include "api/line_pace.h"
#include "base/clock.h"
#include <stdlib.h>

#define GATE_OPEN_NS UINT64_C(1000000000)
enum { LINE_ARENA_MAX = 256 << 10, ANSWER_MAX = 256 << 10, REST_MAX = 256 << 10, WAIT_MS = 30000 };

struct rejected {
    unsigned long line;
    enum outcome outcome;
};

enum gate { GATE_SHUT, GATE_WAITING, GATE_OPEN, GATE_FAILED };

struct lines {
    struct call *call;
    enum gate gate; // for lines that wait for the projections; it opens for a second
    uint64_t open_until_ns;
    struct line *waiting, **waiting_end;
    struct read_call wait;
    line_starter *start_line;
    struct buffer partial; // the beginning of a line that a piece cut
    struct buffer rest;    // of a piece, from rest_used on: lines that have to wait
    size_t rest_used;
    struct line_pace pace;
    unsigned long number, accepted, rejected_count;
    uint32_t in_flight;
    bool taking, pausing, paused, ended, cut;
    struct read_call pause;
    bool too_long; // the partial line
    void (*on_end)(struct call *call);
    struct log_id *entries; // per partition, the latest
    struct rejected rejected[REJECTED_LISTED];
};

// Found by route, because the body may begin before the endpoint does.
static line_starter *starter_of(const struct call *call) {
    if (call->route->start == import_start)
        return import_line;
    return call->route->start == events_start ? event_line : card_line;
}

bool lines_prepare(struct call *call) {
    struct lines *lines = arena_take(call->request->arena, sizeof *lines);
    struct log_id *entries =
        arena_take(call->request->arena, (size_t)call->api->settings->partitions * sizeof *entries);
    if (!lines || !entries)
        return false;
    lines->call = call;
    lines->start_line = starter_of(call);
    lines->entries = entries;
    line_pace_begin(&lines->pace, (uint32_t)call->api->settings->redis_timeout_ms);
    buffer_init(&lines->rest, REST_MAX);
    buffer_init(&lines->partial, (size_t)call->api->settings->line_limit + 1); // "\r" belongs to its end
    call->state = lines;
    return true;
}

struct call *line_call(const struct line *line) {
    return line->lines->call;
}

void line_note(struct line *line, uint32_t partition, struct log_id entry) {
    if (log_id_order(entry, line->lines->entries[partition]) > 0)
        line->lines->entries[partition] = entry;
}

const struct log_id *lines_entries(const struct call *call) {
    return ((struct lines *)call->state)->entries;
}

// ---- Lines

static void on_paused(struct read_call *pause, enum outcome outcome);
static void set_paused(struct lines *lines, bool paused);

// Redis was away for a line, as in a failover: the next ones wait, so that not all of them are lost with it.
static void take_none_for_a_while(struct lines *lines) {
    if (lines->pausing || lines->ended || lines->cut || lines->gate == GATE_FAILED)
        return;
    uint32_t ms = line_pace_pause(&lines->pace);
    if (!ms)
        return;
    set_paused(lines, true);
    lines->pausing = true;
    lines->pause = (struct read_call){.on_done = on_paused, .context = lines};
    store_wait_ms(lines->call->api->store, &lines->pause, ms);
}

static void accept(struct lines *lines) {
    lines->accepted++;
    line_pace_accepted(&lines->pace);
}

static void reject(struct lines *lines, unsigned long number, enum outcome outcome) {
    if (lines->rejected_count < REJECTED_LISTED)
        lines->rejected[lines->rejected_count] = (struct rejected){number, outcome};
    lines->rejected_count++;
    if (outcome == UNAVAILABLE)
        take_none_for_a_while(lines);
}

static void free_line(struct line *line) {
    arena_release(&line->arena);
    free(line);
}

static void start_line(struct lines *lines, struct bytes text) {
    lines->number++;
    if (text.len && text.at[text.len - 1] == '\r')
        text.len--;
    if (text.len >= lines->partial.cap) {
        reject(lines, lines->number, TOO_LARGE);
        return;
    }
    if (bytes_trim(text).len == 0)
        return;
    struct line *line = malloc(sizeof *line);
    if (!line) {
        reject(lines, lines->number, UNAVAILABLE);
        return;
    }
    *line = (struct line){.lines = lines, .number = lines->number, .began_ns = clock_mono_ns()};
    arena_init(&line->arena, LINE_ARENA_MAX);
    lines->in_flight++;
    enum outcome outcome = lines->start_line(line, text);
    if (outcome != OK && line->arena.lacking)
        outcome = UNAVAILABLE; // without memory a right line may have been read wrong
    if (outcome == OK && !line->skipped)
        return;
    lines->in_flight--;
    if (outcome == OK)
        accept(lines);
    else
        reject(lines, line->number, outcome);
    free_line(line);
}

static void add_part(struct lines *lines, struct bytes part) {
    lines->too_long |= part.len > lines->partial.cap - lines->partial.len;
    buffer_add_bytes(&lines->partial, part);
}

static void end_line(struct lines *lines) {
    if (lines->partial.failed)
        reject(lines, ++lines->number, lines->too_long ? TOO_LARGE : UNAVAILABLE);
    else
        start_line(lines, buffer_bytes(&lines->partial));
    buffer_clear(&lines->partial);
    lines->too_long = false;
}

// A line that is whole in the piece is not copied.
static void take_until(struct lines *lines, struct bytes part) {
    if (lines->partial.len == 0 && !lines->partial.failed && part.len <= lines->partial.cap) {
        start_line(lines, part);
        return;
    }
    add_part(lines, part);
    end_line(lines);
}

static void set_paused(struct lines *lines, bool paused) {
    if (lines->paused == paused || lines->ended || lines->cut)
        return;
    lines->paused = paused;
    if (paused)
        http_pause(lines->call->request);
    else
        http_resume(lines->call->request);
}

// As many lines as have room, and the beginning of the next one. Returns what is left.
static struct bytes take_some(struct lines *lines, struct bytes piece, bool all) {
    const char *newline;
    lines->taking = true;
    while (piece.len && (all || (lines->in_flight < lines->pace.window && !lines->pausing)) &&
           (newline = memchr(piece.at, '\n', piece.len))) {
        size_t len = (size_t)(newline - piece.at);
        take_until(lines, (struct bytes){piece.at, len});
        piece.at += len + 1;
        piece.len -= len + 1;
    }
    lines->taking = false;
    if (!memchr(piece.at, '\n', piece.len)) {
        add_part(lines, piece);
        piece.len = 0;
    }
    return piece;
}

// The parser stops after a piece while the call is paused, so there is one rest at a time.
void lines_take(struct http_request *request, struct bytes piece) {
    struct lines *lines = call_of(request)->state;
    struct bytes rest = take_some(lines, piece, false);
    if (rest.len)
        buffer_add_bytes(&lines->rest, rest);
    if (lines->rest.failed) { // without memory they do not wait
        buffer_clear(&lines->rest);
        rest = take_some(lines, rest, true);
    }
    set_paused(lines, rest.len || lines->pausing || lines->in_flight >= lines->pace.window);
}

static void take_rest(struct lines *lines) {
    if (lines->rest.len) {
        struct bytes rest = {lines->rest.at + lines->rest_used, lines->rest.len - lines->rest_used};
        rest = take_some(lines, rest, false);
        lines->rest_used = lines->rest.len - rest.len;
        if (rest.len)
            return;
        buffer_clear(&lines->rest);
        lines->rest_used = 0;
    }
    if (lines->in_flight < lines->pace.window && !lines->pausing)
        set_paused(lines, false);
}

// ---- The end

static void end_if_done(struct lines *lines) {
    if (lines->in_flight || lines->pausing || !(lines->ended || lines->cut))
        return;
    struct call *call = lines->call;
    buffer_release(&lines->partial);
    buffer_release(&lines->rest);
    if (lines->cut)
        answer_error(call, BAD_REQUEST, "the body was cut off");
    else
        lines->on_end(call);
}

void line_done(struct line *line, enum outcome outcome) {
    struct lines *lines = line->lines;
    line_pace_learn(&lines->pace, clock_mono_ns() - line->began_ns, line->number, lines->number, lines->in_flight);
    if (outcome == OK)
        accept(lines);
    else
        reject(lines, line->number, outcome);
    free_line(line);
    lines->in_flight--;
    if (!lines->taking && !lines->pausing && !lines->cut && lines->in_flight <= lines->pace.window / 2)
        take_rest(lines);
    end_if_done(lines);
}

static void on_paused(struct read_call *pause, enum outcome outcome) {
    struct lines *lines = pause->context;
    (void)outcome;
    lines->pausing = false;
    if (!lines->cut)
        take_rest(lines);
    end_if_done(lines);
}

void line_skip(struct line *line) {
    line->skipped = true;
}

void lines_cut(struct http_request *request) {
    struct lines *lines = call_of(request)->state;
    lines->cut = true;
    end_if_done(lines);
}

void lines_finish(struct call *call, void (*on_end)(struct call *call)) {
    struct lines *lines = call->state;
    if (lines->partial.len || lines->partial.failed)
        end_line(lines);
    lines->on_end = on_end;
    lines->ended = true;
    end_if_done(lines);
}

static int by_line(const void *a, const void *b) {
    const struct rejected *left = a, *right = b;
    return (left->line > right->line) - (left->line < right->line);
}

void lines_answer(struct call *call) {
    struct lines *lines = call->state;
    struct buffer body;
    call->lines_accepted = lines->accepted;
    buffer_init(&body, ANSWER_MAX);
    struct json_out json = json_out_to(&body);
    unsigned long listed = lines->rejected_count < REJECTED_LISTED ? lines->rejected_count : REJECTED_LISTED;
    qsort(lines->rejected, listed, sizeof lines->rejected[0], by_line);
    json_open(&json, '{');
    json_key(&json, BYTES("accepted"));
    json_int(&json, (int64_t)lines->accepted);
    json_key(&json, BYTES("rejected"));
    json_open(&json, '[');
    for (unsigned long i = 0; i < listed; i++) {
        json_open(&json, '{');
        json_key(&json, BYTES("line"));
        json_int(&json, (int64_t)lines->rejected[i].line);
        json_key(&json, BYTES("code"));
        json_text(&json, bytes_of(outcome_code(lines->rejected[i].outcome)));
        json_close(&json, '}');
    }
    json_close(&json, ']');
    if (lines->rejected_count > listed) {
        json_key(&json, BYTES("rejected_count"));
        json_int(&json, (int64_t)lines->rejected_count);
    }
    json_close(&json, '}');
    answer_json(call, 200, &body);
    buffer_release(&body);
}

// ---- Waiting for the projections before a line

// The call may end here, with its last line.
static void on_gate(struct read_call *wait, enum outcome outcome) {
    struct lines *lines = wait->context;
    struct line *line = lines->waiting;
    lines->gate = outcome == OK ? GATE_OPEN : GATE_FAILED;
    lines->open_until_ns = clock_mono_ns() + GATE_OPEN_NS;
    lines->waiting = NULL;
    while (line) {
        struct line *next = line->next;
        line->began_ns = clock_mono_ns();
        if (outcome == OK)
            line->go(line);
        else
            line_done(line, UNAVAILABLE);
        line = next;
    }
}

enum outcome line_after_projection(struct line *line, void (*go)(struct line *line)) {
    struct lines *lines = line->lines;
    if (lines->gate == GATE_FAILED)
        return UNAVAILABLE;
    if (lines->gate == GATE_OPEN && clock_mono_ns() >= lines->open_until_ns)
        lines->gate = GATE_SHUT;
    if (lines->gate == GATE_OPEN) {
        go(line);
        return OK;
    }
    if (lines->gate == GATE_SHUT) {
        lines->gate = GATE_WAITING;
        lines->waiting_end = &lines->waiting;
        lines->wait = (struct read_call){.on_done = on_gate, .context = lines};
        store_wait_all_projected(lines->call->api->store, &lines->wait, WAIT_MS);
    }
    line->go = go;
    *lines->waiting_end = line;
    lines->waiting_end = &line->next;
    return OK;
}

// ---- Waiting for them after all lines

static void on_projected(struct read_call *read, enum outcome outcome);

// An image or a form: its sender does not see which lines were rejected.
static void answer_not_projected(struct call *call, enum outcome outcome) {
    const struct lines *lines = call->state;
    answer_error(call, outcome,
                 lines->rejected_count
                     ? "some of the lines are accepted, but not projected in time; others are rejected: send "
                       "them again without wait"
                     : "the lines are accepted, but not projected in time");
}

void lines_answer_projected(struct call *call) {
    if (!call->params.wait) {
        lines_answer(call);
        return;
    }
    struct lines *lines = call->state;
    if (lines->accepted == 0) { // nothing to wait for
        lines_answer(call);
        return;
    }
    struct read_call *read = arena_take(call->request->arena, sizeof *read);
    if (!read) {
        answer_not_projected(call, UNAVAILABLE);
        return;
    }
    *read = (struct read_call){.on_done = on_projected, .context = call};
    store_wait_projected(call->api->store, read, lines_entries(call), WAIT_MS);
}

static void on_projected(struct read_call *read, enum outcome outcome) {
    struct call *call = read->context;
    if (outcome == OK)
        lines_answer(call);
    else
        answer_not_projected(call, outcome);
}
