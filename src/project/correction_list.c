// SPDX-License-Identifier: MIT
// A list of corrections (correction_list.h): an array that doubles, and an arena for the texts.
#include "project/correction_list.h"
#include "base/array.h"
#include <stdlib.h>
#include <string.h>

void corrections_init(struct corrections *list, size_t texts_max) {
    *list = (struct corrections){0};
    arena_init(&list->texts, texts_max);
}

void corrections_clear(struct corrections *list) {
    list->count = 0;
    arena_reset(&list->texts);
}

void corrections_release(struct corrections *list) {
    free(list->at);
    arena_release(&list->texts);
}

static bool copy_text(struct arena *arena, struct bytes *text) {
    if (!text->at)
        return true;
    *text = arena_copy(arena, *text);
    return text->at != NULL;
}

bool corrections_add(struct corrections *list, const struct correction *correction) {
    struct correction copy = *correction;
    struct correction *grown = array_room_for_one(list->at, list->count, &list->capacity, sizeof *grown);
    if (!grown)
        return false;
    list->at = grown;
    if (!copy_text(&list->texts, &copy.site) || !copy_text(&list->texts, &copy.item) ||
        !copy_text(&list->texts, &copy.note))
        return false;
    list->at[list->count++] = copy;
    return true;
}

static int by_turn(const void *a, const void *b) {
    const struct correction *left = a, *right = b;
    bool left_last = left->kind == CORRECT_ERASURE, right_last = right->kind == CORRECT_ERASURE;
    if (left_last != right_last)
        return left_last - right_last;
    if (left->requested_ms != right->requested_ms)
        return left->requested_ms < right->requested_ms ? -1 : 1;
    int order = strcmp(left->id, right->id);
    return order ? order : (left->done_ms != 0) - (right->done_ms != 0);
}

void corrections_sort(struct corrections *list) {
    if (list->count)
        qsort(list->at, list->count, sizeof *list->at, by_turn);
}
