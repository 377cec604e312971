// SPDX-License-Identifier: MIT
// From a card as the publisher sends it to a card as the store keeps it.
#pragma once
#include "ops/json_in.h"
#include "ops/settings.h"
#include "store/writes.h"

// In characters, of at most four bytes each.
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

extern const struct json_field card_base_fields[];
// The card's members, for tables of bodies that begin with a struct card_body.
#define CARD_TEXT(json_type, field, longest)                                                                           \
    { .name = #field, .type = json_type, .offset = offsetof(struct card_body, field), .max = longest }
#define CARD_FIELDS                                                                                                    \
    CARD_TEXT(JSON_IN_TITLE, title, CARD_TITLE_MAX), CARD_TEXT(JSON_IN_TEXT, url, CARD_URL_MAX),                       \
        CARD_TEXT(JSON_IN_TEXT, image, CARD_URL_MAX), CARD_TEXT(JSON_IN_TITLE, author, CARD_AUTHOR_MAX),               \
        {.name = "categories",                                                                                         \
         .type = JSON_IN_TITLES,                                                                                       \
         .offset = offsetof(struct card_body, categories),                                                             \
         .least = 1,                                                                                                   \
         .max = CARD_CATEGORY_MAX},                                                                                    \
        {.name = "published_at",                                                                                       \
         .type = JSON_IN_DATE,                                                                                         \
         .offset = offsetof(struct card_body, published_at),                                                           \
         .wrong = BAD_TIME},                                                                                           \
    {                                                                                                                  \
        .name = "base", .type = JSON_IN_OBJECT, .offset = offsetof(struct card_body, has_base),                        \
        .fields = card_base_fields                                                                                     \
    }

extern const struct json_field card_fields[];      // of PUT
extern const struct json_field card_line_fields[]; // of a line: the same and `item`

// Checks what the table cannot check (URLs, kinds) and makes the card, in the arena.
enum outcome card_make(const struct card_body *body, const struct settings *settings, struct arena *arena,
                       struct card *ret_card, const char **ret_detail) MUST_CHECK;
