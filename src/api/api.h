// SPDX-License-Identifier: MIT
// The HTTP contract: routes, who may call, arguments, answers. One file per endpoint, one table of routes (routes.def).
#pragma once
#include "api/assets.h"
#include "base/netaddr.h"
#include "http/http.h"
#include "model/token.h"
#include "ops/rate_limits.h"
#include "serve/serve.h"
#include "store/store.h"

struct known_items; // known.h

struct api {
    const struct settings *settings;
    const struct token_keys *tokens;
    const struct secret_key *hash_key;
    struct store *store;
    struct serve *serve;
    struct assets assets;
    struct netranges trusted;         // the setting trusted_proxies
    struct limits_share limits_share; // the setting
    struct known_items *known;
    uint8_t site_numbers[SITES_MAX]; // of the configuration's sites, in the metrics
    bool draining;                   // set on SIGTERM: /readyz says so
};

// For http_server_start, with the struct api * as `app`: the public listener, and the operators' listener (it has
// /metrics and health, but no calls of sites).
extern const struct http_callbacks api_public_callbacks;
extern const struct http_callbacks api_ops_callbacks;
extern const struct http_callbacks api_publisher_callbacks; // the setting publisher_listen
void api_name_sites(struct api *api);
void api_name_routes(void); // for the metrics, before metrics_attach
// When nothing is served any more: sends what the audit log lacks. False: it lacks nothing, and `on_done` is not
// called.
bool api_finish(struct api *api, void (*on_done)(void *context), void *context) MUST_CHECK;
// For on_answered of these when the setting access_log is on.
void api_log_answer(const struct http_request *request, const struct http_answered *answered);
// The problem+json of an outcome, with Retry-After, Allow and CORS where due. `detail` may be NULL.
void api_answer_error(struct http_request *request, enum outcome outcome, const char *detail);
