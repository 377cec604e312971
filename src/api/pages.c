// SPDX-License-Identifier: MIT
// The calls for the widget, the pages and the contract. Who may have them is in the table of routes.
#include "api/call.h"

static void answer_asset(struct call *call, const char *name) {
    const struct body *body = asset_find(&call->api->assets, name);
    if (body)
        http_reply_body(call->request, body);
    else
        answer_error(call, NOT_FOUND, NULL);
}

void asset_start(struct call *call) {
    answer_asset(call, call->route->pattern + 1); // "/widget.js" is the file widget.js
}

void demo_start(struct call *call) {
    if (call->api->settings->demo)
        answer_asset(call, "demo.html");
    else
        answer_error(call, NOT_FOUND, NULL);
}

// The page is not secret: it asks the operator for the key that its calls need.
void dashboard_start(struct call *call) {
    answer_asset(call, "dashboard.html");
}
