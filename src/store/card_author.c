// SPDX-License-Identifier: MIT
// The author of a card whose item does not name it, because data of format 3 has kept it (model/item.h).
#include "ops/json_in.h"
#include "store/store_inside.h"

enum { AUTHOR_CHARACTERS_MAX = 2000, MEMBERS_MAX = 64 << 10 };

struct members {
    struct bytes author;
};

static const struct json_field fields[] = {
    {.name = "author", .type = JSON_IN_TEXT, .offset = offsetof(struct members, author), .max = AUTHOR_CHARACTERS_MAX},
    {.name = NULL}};

enum outcome card_author(struct bytes card, struct arena *texts, struct bytes *ret_author) {
    struct members members = {NO_BYTES};
    struct buffer object;
    const char *detail;
    buffer_init(&object, MEMBERS_MAX);
    buffer_add_char(&object, '{');
    buffer_add_bytes(&object, card);
    buffer_add_char(&object, '}');
    enum outcome outcome =
        object.failed ? UNAVAILABLE : json_read_known(buffer_bytes(&object), fields, &members, texts, &detail);
    buffer_release(&object);
    *ret_author = outcome == OK ? members.author : NO_BYTES;
    return outcome == UNAVAILABLE ? UNAVAILABLE : OK; // any other card has no author that can be read
}
