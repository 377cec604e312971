// SPDX-License-Identifier: MIT
// The shared reads: they pass checked arguments to the serve room, which answers.
#include "api/call.h"

void item_start(struct call *call) {
    const struct params *params = &call->params;
    struct items_query query = {call->site, &call->item, 1, params->windows, params->plain};
    serve_item(call->api->serve, call->request, &query);
}

void items_start(struct call *call) {
    const struct params *params = &call->params;
    struct items_query query = {call->site, params->ids, params->id_count, params->windows, params->plain};
    if (params->id_count == 0)
        answer_error(call, BAD_PARAMETER, "at least one id is needed");
    else
        serve_items(call->api->serve, call->request, &query);
}

void rankings_start(struct call *call) {
    serve_rankings(call->api->serve, call->request, call->site, call->params.plain);
}

// `kind` LIST_KINDS: a page's, with a count for each.
static struct list_query query_of(const struct call *call, enum list_kind kind) {
    const struct params *params = &call->params;
    struct list_query query = {.site = call->site,
                               .ranking = call->name,
                               .item = call->item,
                               .category = params->category,
                               .author = params->author,
                               .max_age = params->max_age,
                               .period = params->period,
                               .exclude = params->excluded,
                               .exclude_count = params->exclude_count,
                               .format = params->format,
                               .windows = params->windows,
                               .target_is_plain = params->plain};
    query.offset = params->offset;
    if (kind == LIST_KINDS)
        memcpy(query.limits, params->counts, sizeof query.limits);
    else
        query.limits[kind] = params->limit;
    return query;
}

void ranking_start(struct call *call) {
    struct list_query query = query_of(call, LIST_RANKING);
    serve_ranking(call->api->serve, call->request, &query);
}

void related_start(struct call *call) {
    struct list_query query = query_of(call, LIST_RELATED);
    serve_related(call->api->serve, call->request, &query);
}

// The preset ranking is "hot", or the first ranking when none has that name.
void page_start(struct call *call) {
    struct list_query query = query_of(call, LIST_KINDS);
    const struct settings *settings = call->api->settings;
    query.ranking = call->params.name.at ? call->params.name : bytes_of(settings->rankings[0].name);
    for (uint32_t i = 0; !call->params.name.at && i < settings->ranking_count; i++)
        if (strcmp(settings->rankings[i].name, "hot") == 0)
            query.ranking = bytes_of("hot");
    serve_page(call->api->serve, call->request, &query);
}
