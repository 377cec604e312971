// SPDX-License-Identifier: MIT
// What /metrics says of calls by route, status and site. routes.c gives each route its number.
#include "api/call.h"

void api_name_sites(struct api *api) {
    for (uint32_t i = 0; i < api->settings->site_count; i++)
        api->site_numbers[i] = (uint8_t)metric_site(api->settings->site_list[i].name);
}

void api_on_counted(const struct http_count *counts, unsigned count, uint64_t ended_ns) {
    for (unsigned i = 0; i < count; i++)
        metric_requests(counts[i].route, counts[i].status, ended_ns - counts[i].began_ns, counts[i].times);
}

// Clients make up names of sites, so only those of the configuration have a number.
void call_dropped(const struct call *call, enum metric_reason reason) {
    const struct settings *settings = call->api->settings;
    metric_drop(call->site_setting ? call->api->site_numbers[call->site_setting - settings->site_list] : 0, reason);
}

void call_refused(const struct call *call, enum outcome outcome) {
    bool of_reader = !call->route || call->route->kind == ROUTE_PRIVATE;
    if (outcome == BAD_ORIGIN && of_reader)
        call_dropped(call, DROPPED_ORIGIN);
    else if (outcome == TOO_MANY_REQUESTS && of_reader)
        call_dropped(call, DROPPED_LIMIT);
}
