// SPDX-License-Identifier: MIT
// The query's parameters: the route's list checks them once, then they are plain values. An unknown parameter is an
// error with the secret key; without it it is ignored and counted. To add one: a bit here, a row in params.c.
#pragma once
#include "base/outcome.h"
#include "http/http.h"
#include "model/windows.h"
#include "ops/json_in.h"
#include "serve/serve.h"

enum {
    PARAM_LIMIT = 1,
    PARAM_CATEGORY = 2,
    PARAM_EXCLUDE = 4,
    PARAM_IDS = 8, // `id`, repeatable
    PARAM_ID = 16, // `id`, once: the item of a path with "-"
    PARAM_WAIT = 32,
    PARAM_FORMAT = 64,
    PARAM_RELATED = 128, // the counts of a page's lists
    PARAM_RANKING = 256,
    PARAM_RECOMMENDATION = 512,
    PARAM_NAME = 1024, // of the page's ranking
    PARAM_OFFSET = 1 << 20,
    PARAM_MAX_AGE = 1 << 21,
    PARAM_AUTHOR = 1 << 25,
    PARAM_RULES = PARAM_CATEGORY | PARAM_AUTHOR | PARAM_MAX_AGE, // of every list
    PARAM_BEFORE = 1 << 22,                                      // the id of an entry of the audit log
    PARAM_PERIOD = 65536,
    PARAM_WINDOW = 2048,
    PARAM_STEP = 4096,
    PARAM_FROM = 8192,
    PARAM_TO = 16384,
    PARAM_SERIES = PARAM_STEP | PARAM_FROM | PARAM_TO,
    PARAM_PAGE = PARAM_RELATED | PARAM_RANKING | PARAM_RECOMMENDATION | PARAM_NAME,
};

struct params {
    uint32_t limit, offset;
    uint32_t counts[LIST_KINDS]; // of a page
    struct bytes name;           // at == NULL: the preset one
    struct bytes period;         // as it was given; at == NULL: that of now
    enum list_format format;
    struct bytes category; // at == NULL: none
    struct bytes author;   // the same
    struct asked_age max_age;
    struct bytes *excluded, *ids;
    uint32_t exclude_count, id_count;
    unsigned windows; // bits of 1 << enum window
    uint32_t windows_named;
    enum grain step;
    struct json_time from, to;
    struct log_id before; // {0,0}: not given
    bool wait;
    bool plain; // nothing unknown was there
    struct arena *arena;
};

// Values lie in the request's arena, or are views of its target. `allowed`: bits above.
enum outcome params_read(struct http_request *request, unsigned allowed, bool strict, struct params *ret_params,
                         const char **ret_detail) MUST_CHECK;
