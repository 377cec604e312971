// SPDX-License-Identifier: MIT
// What is kept: one list by last use over bodies and orders, one bound of bytes; canonical keys and raw targets.
#include "ops/metrics.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

// ---- The list by last use

static void unlink_kept(struct serve *serve, struct kept *kept) {
    *(kept->newer ? &kept->newer->older : &serve->newest) = kept->older;
    *(kept->older ? &kept->older->newer : &serve->oldest) = kept->newer;
}

static void link_newest(struct serve *serve, struct kept *kept) {
    kept->newer = NULL;
    kept->older = serve->newest;
    *(serve->newest ? &serve->newest->newer : &serve->oldest) = kept;
    serve->newest = kept;
}

void kept_add(struct serve *serve, struct kept *kept, size_t bytes) {
    kept->bytes = bytes;
    serve->bytes += bytes;
    link_newest(serve, kept);
}

void kept_use(struct serve *serve, struct kept *kept) {
    if (serve->newest == kept)
        return;
    unlink_kept(serve, kept);
    link_newest(serve, kept);
}

void kept_resize(struct serve *serve, struct kept *kept, size_t bytes) {
    serve->bytes = serve->bytes - kept->bytes + bytes;
    kept->bytes = bytes;
    metric_set(METRIC_BODY_BYTES, serve->bytes);
}

static void drop(struct serve *serve, struct kept *kept) {
    unlink_kept(serve, kept);
    serve->bytes -= kept->bytes;
    kept->free(kept);
}

void kept_trim(struct serve *serve) {
    struct kept *kept = serve->oldest;
    while (kept && serve->bytes > (size_t)serve->settings->body_cache) {
        struct kept *newer = kept->newer;
        if (!kept->busy)
            drop(serve, kept);
        kept = newer;
    }
}

void kept_drop_all(struct serve *serve) {
    while (serve->oldest)
        drop(serve, serve->oldest);
}

// ---- Canonical keys: two spellings of one question have one key

static int by_bytes(const void *a, const void *b) {
    return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

static void add_part(struct buffer *key, struct bytes part) {
    buffer_add_u16(key, (uint16_t)part.len);
    buffer_add_bytes(key, part);
}

// Excluded ids in any order, once or twice, exclude the same; ids asked for are answered in their order.
static size_t sort_ids(const struct question *question, struct bytes ids[static IDS_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < question->id_count && i < IDS_MAX; i++)
        ids[i] = question->ids[i];
    if (question->recipe == &recipe_items || question->id_count == 0)
        return question->id_count;
    qsort(ids, question->id_count, sizeof ids[0], by_bytes);
    for (size_t i = 0; i < question->id_count; i++)
        if (i == 0 || !bytes_eq(ids[i], ids[count - 1]))
            ids[count++] = ids[i];
    return count;
}

enum { KEY_MOST = 128 << 10, KEY_FIXED = 6 + 4 * LIST_KINDS }; // before its parts

static void make_key(const struct question *question, const struct bytes *ids, size_t id_count, struct buffer *key) {
    buffer_add_char(key, question->recipe->letter);
    buffer_add_u8(key, (uint8_t)question->format);
    buffer_add_u8(key, question->category.at != NULL);
    buffer_add_u8(key, question->item.at != NULL);
    buffer_add_u16(key, (uint16_t)id_count);
    for (int kind = 0; kind < LIST_KINDS; kind++)
        buffer_add_u32(key, question->limits[kind]);
    add_part(key, question->site);
    add_part(key, question->item);
    add_part(key, question->category);
    add_part(key, question->ranking ? question->ranking->name : NO_BYTES);
    for (size_t i = 0; i < id_count; i++)
        add_part(key, ids[i]);
}

// ---- Shelves

static struct bytes take_part(char **at) {
    uint16_t len;
    memcpy(&len, *at, sizeof len);
    struct bytes part = {*at + sizeof len, len};
    *at += sizeof len + len;
    return part;
}

// The shelf's arguments are views of its own key.
static void point_into_key(struct shelf *shelf, const struct question *question, struct bytes *ids, size_t id_count) {
    char *at = shelf->key + KEY_FIXED;
    struct question *asked = &shelf->asked;
    *asked = *question;
    asked->site = take_part(&at);
    asked->item = take_part(&at);
    asked->category = take_part(&at);
    if (!question->category.at)
        asked->category = NO_BYTES;
    if (!question->item.at)
        asked->item = NO_BYTES;
    take_part(&at); // the ranking's name: the ranking itself lives as long as the plan
    for (asked->id_count = 0; asked->id_count < id_count; asked->id_count++)
        ids[asked->id_count] = take_part(&at);
    asked->ids = ids;
}

static void shelf_free(struct kept *kept) {
    struct shelf *shelf = (struct shelf *)kept;
    struct serve *serve = shelf->serve;
    for (struct alias *alias = shelf->aliases, *next; alias; alias = next) {
        next = alias->next;
        HASH_DEL(serve->aliases, alias);
        free(alias);
    }
    HASH_DEL(serve->shelves, shelf);
    if (shelf->body)
        body_release(shelf->body);
    free(shelf->key);
    free(shelf);
}

// One piece of memory: the shelf, then its ids.
static struct shelf *shelf_new(struct serve *serve, const struct question *question, struct buffer *key,
                               size_t id_count) {
    size_t size = sizeof(struct shelf) + id_count * sizeof(struct bytes);
    struct shelf *shelf = calloc(1, size);
    char *copy = malloc(key->len);
    if (!shelf || !copy || key->failed) {
        free(shelf);
        free(copy);
        return NULL;
    }
    memcpy(copy, key->at, key->len);
    shelf->serve = serve;
    shelf->key = copy;
    shelf->key_len = key->len;
    shelf->kept.free = shelf_free;
    point_into_key(shelf, question, (struct bytes *)(shelf + 1), id_count);
    HASH_ADD_KEYPTR(hh, serve->shelves, shelf->key, shelf->key_len, shelf);
    if (!HASH_HAS_TAKEN(shelf)) {
        free(copy);
        free(shelf);
        return NULL;
    }
    kept_add(serve, &shelf->kept, size + key->len);
    return shelf;
}

struct shelf *shelf_get(struct serve *serve, const struct question *question) {
    struct bytes ids[IDS_MAX];
    struct shelf *shelf = NULL;
    struct buffer key;
    size_t id_count = sort_ids(question, ids);
    buffer_init(&key, KEY_MOST);
    make_key(question, ids, id_count, &key);
    if (!key.failed)
        HASH_FIND(hh, serve->shelves, key.at, key.len, shelf);
    if (!shelf) {
        kept_trim(serve); // before: where all the others are busy it would take the new one
        shelf = shelf_new(serve, question, &key, id_count);
    }
    buffer_release(&key);
    return shelf;
}

void shelf_remember_target(struct shelf *shelf, struct bytes target) {
    struct serve *serve = shelf->serve;
    struct alias *alias;
    HASH_FIND(hh, serve->aliases, target.at, target.len, alias);
    if (alias || shelf->alias_count == ALIASES_MOST || !(alias = malloc(sizeof *alias + target.len)))
        return;
    memcpy(alias->target, target.at, target.len);
    HASH_ADD_KEYPTR(hh, serve->aliases, alias->target, target.len, alias);
    if (!HASH_HAS_TAKEN(alias)) {
        free(alias);
        return;
    }
    alias->shelf = shelf;
    alias->next = shelf->aliases;
    shelf->aliases = alias;
    shelf->alias_count++;
    kept_resize(serve, &shelf->kept, shelf->kept.bytes + sizeof *alias + target.len);
}
