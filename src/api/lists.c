// SPDX-License-Identifier: MIT
// The shared reads: checked arguments on to the serve room, which answers.
#include "api/call.h"

void item_start(struct call *call) {
    serve_item(call->api->serve, call->request, call->site, call->item, call->params.plain);
}

void items_start(struct call *call) {
    const struct params *params = &call->params;
    if (params->id_count == 0)
        answer_error(call, BAD_PARAMETER, "at least one id is needed");
    else
        serve_items(call->api->serve, call->request, call->site, params->ids, params->id_count, params->plain);
}

void rankings_start(struct call *call) {
    serve_rankings(call->api->serve, call->request, call->site);
}

static struct list_query query_of(const struct call *call) {
    const struct params *params = &call->params;
    return (struct list_query){.site = call->site,
                               .name = call->name,
                               .item = call->item,
                               .category = params->category,
                               .limit = params->limit,
                               .exclude = params->excluded,
                               .exclude_count = params->exclude_count,
                               .target_is_plain = params->plain};
}

void ranking_start(struct call *call) {
    struct list_query query = query_of(call);
    serve_ranking(call->api->serve, call->request, &query);
}

void related_start(struct call *call) {
    struct list_query query = query_of(call);
    serve_related(call->api->serve, call->request, &query);
}
