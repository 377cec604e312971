// SPDX-License-Identifier: MIT
// One target partition of a batch: chunk after chunk is read, folded and written back under the partition's version.
//
// A write that finds another version is made anew from fresh states: a deletion or a card came between. When the marks
// of our sources have moved as well, or the rankings are being made by another plan, another projector is at work, and
// the engine gives way.
#include "ops/log.h"
#include "project/engine.h"
#include "project/failpoint.h"
#include <stdlib.h>

bool target_init(struct target *target, struct engine *engine) {
    uint32_t n = engine->partitions;
    *target = (struct target){.engine = engine};
    ref_index_init(&target->items);
    ref_index_init(&target->sites);
    target->marks = calloc(n, sizeof(*target->marks));
    target->marks_seen = calloc(n, sizeof(*target->marks_seen));
    target->marks_new = calloc(n, sizeof(*target->marks_new));
    target->work = engine->type->work_new(engine->plan, engine->hash_key);
    return target->marks && target->marks_seen && target->marks_new && target->work;
}

void target_release(struct target *target) {
    if (!target->engine)
        return;
    ref_index_release(&target->items);
    ref_index_release(&target->sites);
    free(target->missing);
    free(target->missing_index);
    free(target->marks);
    free(target->marks_seen);
    free(target->marks_new);
    target->engine->type->work_free(target->work);
}

static const struct touch_list *touches(const struct target *target) {
    return &target->engine->batch.targets[target->partition];
}

static void end_target(struct target *target, enum engine_failure failure) {
    target->running = false;
    engine_target_done(target, failure);
}

// ---- A chunk

static bool same_entry(const struct touch *a, const struct touch *b) {
    return a->entry != NO_ENTRY && a->entry == b->entry;
}

// Notes the items and sites of the next chunk: whole entries, until there are enough items.
static bool cut_chunk(struct target *target) {
    const struct touch_list *list = touches(target);
    ref_index_clear(&target->items);
    ref_index_clear(&target->sites);
    uint32_t at = target->chunk;
    for (; at < list->count; at++) {
        const struct touch *touch = &list->at[at];
        bool may_end = at > target->chunk && !same_entry(touch, touch - 1);
        if (may_end && target->items.count >= target->chunk_items)
            break;
        ref_t site;
        if (ref_index_add(&target->items, touch->item) == NO_INDEX)
            return false;
        if (target->engine->type->touch_site(target->engine->hash_key, touch, &site) &&
            ref_index_add(&target->sites, site) == NO_INDEX)
            return false;
    }
    target->chunk_end = at;
    return true;
}

// ---- What must be read of it

static bool make_missing_room(struct target *target) {
    uint32_t room = target->items.count;
    if (room <= target->missing_room)
        return true;
    ref_t *refs = realloc(target->missing, room * sizeof(*refs));
    target->missing = refs ? refs : target->missing;
    uint32_t *numbers = realloc(target->missing_index, room * sizeof(*numbers));
    target->missing_index = numbers ? numbers : target->missing_index;
    target->missing_room = refs && numbers ? room : target->missing_room;
    return refs && numbers;
}

static bool find_missing(struct target *target) {
    target->missing_count = 0;
    if (!make_missing_room(target))
        return false;
    for (uint32_t i = 0; i < target->items.count; i++) {
        ref_t item = target->items.refs[i];
        if (cache_find(&target->engine->cache, item))
            continue;
        target->missing[target->missing_count] = item;
        target->missing_index[target->missing_count++] = i;
    }
    return true;
}

// Loads what was in the cache when the read began. False when that is not current any more: it must be read as well.
static bool load_cached(struct target *target) {
    struct cache *cache = &target->engine->cache;
    uint32_t missing = 0;
    cache_set_version(cache, target->partition, target->call.version, false);
    for (uint32_t i = 0; i < target->items.count; i++) {
        if (missing < target->missing_count && target->missing_index[missing] == i) {
            missing++;
            continue;
        }
        const struct target_item *held = cache_find(cache, target->items.refs[i]);
        if (!held)
            return false;
        if (!target->engine->type->load(target->work, i, held))
            target->failed = true;
    }
    return true;
}

// After our own commit the partition is as we have just written it.
static void remember_chunk(struct target *target, uint64_t version) {
    const struct projection_type *type = target->engine->type;
    struct cache *cache = &target->engine->cache;
    cache_set_version(cache, target->partition, version, true);
    for (uint32_t i = 0; type->describe && i < target->items.count; i++) {
        struct target_item item;
        if (type->describe(target->work, i, &item))
            cache_put(cache, target->items.refs[i], &item);
        else
            cache_drop(cache, target->items.refs[i]);
    }
}

static void on_item(struct target_call *call, size_t index, const struct target_item *item) {
    struct target *target = call->context;
    if (!target->engine->type->load(target->work, target->missing_index[index], item))
        target->failed = true;
}

static void on_total(struct target_call *call, size_t index, struct bytes packed) {
    struct target *target = call->context;
    target->engine->type->load_total(target->work, (uint32_t)index, packed);
}

static void on_floor(struct target_call *call, struct bytes name, double value) {
    struct target *target = call->context;
    if (!target->engine->type->load_floor(target->work, name, value))
        target->failed = true;
}

static void on_target_read(struct target_call *call, enum outcome outcome);

static void read_chunk(struct target *target) {
    const struct projection_type *type = target->engine->type;
    target->failed = false;
    if (!cut_chunk(target) || !find_missing(target) ||
        !type->begin(target->work, target->items.refs, target->items.count, target->sites.refs, target->sites.count)) {
        log_error("%s: no memory for a chunk", type->name);
        end_target(target, FAILED);
        return;
    }
    target->call = (struct target_call){.projection = type->projection,
                                        .partition = target->partition,
                                        .items = target->missing,
                                        .item_count = target->missing_count,
                                        .sites = target->sites.refs,
                                        .site_count = target->sites.count,
                                        .on_item = on_item,
                                        .on_total = on_total,
                                        .on_floor = on_floor,
                                        .on_done = on_target_read,
                                        .context = target,
                                        .marks = target->marks};
    store_read_target(target->engine->store, &target->call);
}

void target_start(struct target *target, uint32_t partition) {
    target->running = true;
    target->partition = partition;
    target->chunk = 0;
    target->chunk_items = target->engine->chunk_items;
    target->conflict = false;
    read_chunk(target);
}

// ---- Folding and writing

static void fold_touch(struct target *target, const struct touch *touch, double accept_ms, struct commit *commit) {
    const struct projection_type *type = target->engine->type;
    ref_t site;
    uint32_t total = NO_INDEX;
    if (type->touch_site(target->engine->hash_key, touch, &site))
        total = ref_index_find(&target->sites, site);
    type->fold(target->work, ref_index_find(&target->items, touch->item), total, touch, accept_ms, commit);
}

// Folds what lies above the marks; how many touches that was.
static uint32_t fold_chunk(struct target *target, struct commit *commit) {
    const struct batch *batch = &target->engine->batch;
    uint32_t folded = 0;
    for (uint32_t i = target->chunk; i < target->chunk_end; i++) {
        const struct touch *touch = &touches(target)->at[i];
        double accept_ms = 0;
        if (touch->entry != NO_ENTRY) {
            const struct batch_entry *entry = &batch->entries[touch->entry];
            if (log_id_order(entry->id, target->marks[entry->source]) <= 0)
                continue;
            target->marks_new[entry->source] = entry->id;
            accept_ms = entry->accept_ms;
        }
        fold_touch(target, touch, accept_ms, commit);
        folded++;
    }
    return folded;
}

static void next_chunk(struct target *target) {
    struct engine *engine = target->engine;
    target->chunk = target->chunk_end;
    bool over = target->chunk == touches(target)->count || engine->failure != NO_FAILURE || engine->stopping;
    if (over)
        end_target(target, NO_FAILURE);
    else
        read_chunk(target);
}

static void on_conflict(struct target *target) {
    struct log_id *seen = target->marks_seen;
    metric_add(METRIC_PROJECTION_CONFLICTS, 1);
    target->conflict = true;
    target->marks_seen = target->marks;
    target->marks = seen;
    if (target->chunk_items > 1)
        target->chunk_items /= 2;
    if (target->engine->failure != NO_FAILURE || target->engine->stopping)
        end_target(target, NO_FAILURE);
    else
        read_chunk(target);
}

static void on_committed(void *context, const struct commit_result *result) {
    struct target *target = context;
    struct engine *engine = target->engine;
    if (result->outcome != OK) {
        end_target(target, FAILED);
        return;
    }
    if (result->moved) {
        on_conflict(target);
        return;
    }
    metric_add(engine->type->commits, 1);
    remember_chunk(target, result->version);
    if (result->refill)
        engine->refill.needed[target->partition] = true;
    if (!engine_is_last_target(engine))
        failpoint(FAILPOINT_COMMIT);
    next_chunk(target);
}

static void commit_chunk(struct target *target) {
    struct engine *engine = target->engine;
    const struct projection_type *type = engine->type;
    struct commit *commit = commit_new(engine->store, type->projection, target->partition, target->call.version);
    memset(target->marks_new, 0, engine->partitions * sizeof(*target->marks_new));
    if (!commit) {
        end_target(target, FAILED);
        return;
    }
    uint32_t folded = fold_chunk(target, commit);
    if (folded == 0) {
        commit_free(commit);
        next_chunk(target);
        return;
    }
    if (!type->write(target->work, commit)) {
        commit_free(commit);
        end_target(target, FAILED);
        return;
    }
    for (uint32_t i = 0; i < engine->partitions; i++)
        if (target->marks_new[i].ms != 0)
            commit_mark(commit, i, target->marks_new[i]);
    metric_add(type->events, folded);
    commit_send(commit, on_committed, target);
}

// True when a log that this batch reads was applied further by somebody else since our last look.
static bool overtaken(const struct target *target) {
    for (uint32_t i = 0; i < target->engine->partitions; i++)
        if (log_id_order(target->marks[i], target->marks_seen[i]) > 0)
            return true;
    return false;
}

static void on_target_read(struct target_call *call, enum outcome outcome) {
    struct target *target = call->context;
    struct engine *engine = target->engine;
    bool conflict = target->conflict;
    target->conflict = false;
    if (outcome == OVERLOADED && engine->chunk_items > 1)
        engine->chunk_items /= 2;
    bool another_life = engine->generation != store_generation(engine->store);
    if (outcome != OK || target->failed || another_life)
        end_target(target, FAILED);
    else if (engine->failure != NO_FAILURE || engine->stopping)
        end_target(target, NO_FAILURE);
    else if ((conflict && overtaken(target)) || !refill_owns(engine, target->partition, call->plan))
        end_target(target, OVERTAKEN);
    else if (!load_cached(target))
        read_chunk(target);
    else if (target->failed)
        end_target(target, FAILED);
    else
        commit_chunk(target);
}
