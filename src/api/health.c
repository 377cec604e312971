// SPDX-License-Identifier: MIT
// /healthz, /readyz and /metrics.
#include "api/call.h"
#include "ops/metrics.h"
#include <stdio.h>

enum { NOTE_SIZE = 640 };

void health_start(struct call *call) {
    answer_text(call, "text/plain; charset=utf-8", BYTES("ok\n"));
}

// What the projector says of the machines; "": nothing that matters.
static const char *said_of_machines(const struct call *call) {
    const struct metrics_note *note = metrics_noted();
    if (!note)
        return "this machine has no projector at work";
    return call->for_operators ? note->named : note->unnamed;
}

// A process that is not in charge is ready too: it takes votes and views. If it were not, neither of two processes that
// replace each other would be ready.
static void tell_ready(struct call *call) {
    const char *partly = store_partly(call->api->store), *lacking = store_lacks(call->api->store);
    const char *complaint = partly ? partly : store_complaint(call->api->store);
    bool waits = metrics_noted() && metric_total(METRIC_PROJECTOR_WAITS);
    const char *note = complaint ? complaint : lacking && !waits ? lacking : said_of_machines(call);
    char text[NOTE_SIZE] = "ready\n";
    uint32_t unserved = store_unserved(call->api->store);
    if (unserved)
        snprintf(text, sizeof text, "ready; %u of %d partitions are not served (%s)\n", unserved,
                 (int)call->api->settings->partitions, store_why_unserved(call->api->store));
    else if (*note)
        snprintf(text, sizeof text, "ready; %s\n", note);
    answer_text(call, "text/plain; charset=utf-8", bytes_of(text));
}

void ready_start(struct call *call) {
    const char *why, *trouble = store_trouble(call->api->store);
    bool ready = store_ready(call->api->store, &why);
    if (call->api->draining)
        answer_error(call, UNAVAILABLE, "draining");
    else if (!ready || trouble)
        answer_error(call, UNAVAILABLE, ready ? trouble : why);
    else
        tell_ready(call);
}

void metrics_start(struct call *call) {
    struct buffer text;
    buffer_init(&text, METRIC_TEXT_MAX);
    metrics_render(&text);
    if (text.failed)
        answer_error(call, UNAVAILABLE, NULL);
    else
        answer_text(call, "text/plain; version=0.0.4; charset=utf-8", buffer_bytes(&text));
    buffer_release(&text);
}
