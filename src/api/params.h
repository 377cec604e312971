// SPDX-License-Identifier: MIT
// The query's parameters: checked once by the route's list, then plain values.
// With the secret key an unknown one is an error; without it is ignored and counted. To add one: a bit, a line in
// params.c.
#pragma once
#include "base/outcome.h"
#include "http/http.h"
#include "serve/serve.h"

enum {
    PARAM_LIMIT = 1,
    PARAM_CATEGORY = 2,
    PARAM_EXCLUDE = 4,
    PARAM_IDS = 8, // `id`, repeatable
    PARAM_ID = 16, // `id`, once: the item of a path with "-"
    PARAM_WAIT = 32,
};

struct params {
    uint32_t limit;
    struct bytes category; // at == NULL: none
    struct bytes *excluded, *ids;
    uint32_t exclude_count, id_count;
    bool wait;
    bool plain; // nothing unknown was there
};

// Values lie in the request's arena, or are views of its target. `allowed`: bits above.
enum outcome params_read(struct http_request *request, unsigned allowed, bool strict, struct params *ret_params,
                         const char **ret_detail) MUST_CHECK;
