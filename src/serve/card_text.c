// SPDX-License-Identifier: MIT
// The texts that a fragment shows, as views of a card that is plain JSON (ops/json_plain.h). Most are; for the others,
// and whatever else is unusual, fragment.c has jansson, which takes forty times as long.
#include "ops/json_plain.h"
#include "serve/feed.h"

enum { TEXT_MAX = 2000 };

static size_t take_escape(const char *at, char *to) {
    static const char from[] = "\"\\/nt", into[] = "\"\\/\n\t";
    const char *found = strchr(from, *at);
    *to = found && *at ? into[found - from] : '\0';
    return *to ? 1 : 0;
}

// Without its escapes, if they have one character each.
static bool unescape(struct bytes text, struct arena *arena, struct bytes *ret_text) {
    char *to = arena_take(arena, text.len), *at = to;
    bool right = to != NULL;
    for (size_t i = 0; right && i < text.len; i++, at++) {
        *at = text.at[i];
        if (*at == '\\')
            right = ++i < text.len && take_escape(text.at + i, at);
    }
    *ret_text = (struct bytes){to, (size_t)(at - to)};
    return right;
}

static bool take_text(const struct plain_member *member, struct arena *arena, struct bytes *ret_text) {
    *ret_text = member->value;
    return member->is_text && (!member->has_escapes || unescape(member->value, arena, ret_text)) &&
           ret_text->len <= TEXT_MAX && bytes_are_text(*ret_text);
}

static struct bytes *place_of(struct bytes name, struct card_text *text) {
    if (bytes_eq(name, BYTES("title")))
        return &text->title;
    if (bytes_eq(name, BYTES("url")))
        return &text->url;
    if (bytes_eq(name, BYTES("image")))
        return &text->image;
    return bytes_eq(name, BYTES("author")) ? &text->author : NULL;
}

// Those that are not texts of a fragment are passed over, but for the counts, which are the item's.
static bool take_member(const struct plain_member *member, struct arena *arena, struct card_text *text) {
    struct bytes *place = place_of(member->name, text);
    if (place)
        return !place->at && take_text(member, arena, place);
    return !bytes_eq(member->name, BYTES("views")) && !bytes_eq(member->name, BYTES("votes"));
}

bool card_text_plain(const struct item_state *state, const struct settings *settings, struct arena *arena,
                     struct card_text *ret_text) {
    struct bytes rest = state->card;
    struct plain_member member;
    *ret_text = (struct card_text){.views = {true, state->views}, .votes.count = settings->kind_count};
    memcpy(ret_text->votes.values, state->votes, settings->kind_count * sizeof state->votes[0]);
    while (rest.len)
        if (!json_plain_next(&rest, &member) || !take_member(&member, arena, ret_text))
            return false;
    return true;
}
