// SPDX-License-Identifier: MIT
// A card as the publisher sends it, to a card as the store keeps it.
#pragma once
#include "ops/json_in.h"
#include "ops/settings.h"
#include "store/store.h"

enum { CARD_TITLE_MAX = 500, CARD_URL_MAX = 2000, CARD_AUTHOR_MAX = 200, CARD_CATEGORY_MAX = 64 };

struct card_body {
    struct bytes item; // of NDJSON lines only
    struct bytes title, url, image, author;
    struct json_texts categories;
    struct json_time published_at;
    bool has_base;
    struct json_count base_views;
    struct json_counts base_votes;
};

extern const struct json_field card_fields[];      // of PUT
extern const struct json_field card_line_fields[]; // of a line: the same and `item`

// Checks what the table can't (URLs, kinds) and makes the card, in the arena.
enum outcome card_make(const struct card_body *body, const struct settings *settings, struct arena *arena,
                       struct card *ret_card, const char **ret_detail) MUST_CHECK;
