// SPDX-License-Identifier: MIT
// /healthz, /readyz and /metrics.
#include "api/call.h"
#include "ops/metrics.h"

enum { METRICS_MOST = 256 << 10 };

void health_start(struct call *call) {
    answer_text(call, "text/plain; charset=utf-8", BYTES("ok\n"));
}

// Ready all the same: it takes votes and views, and were it not, of two that replace each other neither would be.
static const struct bytes waiting =
    BYTES("ready; its lists are not: another service projects other [ranking] sections on the same Redis\n");

void ready_start(struct call *call) {
    const char *why;
    bool ready = store_ready(call->api->store, &why);
    if (call->api->draining)
        answer_error(call, UNAVAILABLE, "draining");
    else if (!ready)
        answer_error(call, UNAVAILABLE, why);
    else
        answer_text(call, "text/plain; charset=utf-8",
                    metric_total(METRIC_PROJECTOR_WAITS) ? waiting : BYTES("ready\n"));
}

void metrics_start(struct call *call) {
    struct buffer text;
    buffer_init(&text, METRICS_MOST);
    metrics_render(&text);
    if (text.failed)
        answer_error(call, UNAVAILABLE, NULL);
    else
        answer_text(call, "text/plain; version=0.0.4; charset=utf-8", buffer_bytes(&text));
    buffer_release(&text);
}
