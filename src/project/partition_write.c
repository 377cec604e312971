// SPDX-License-Identifier: MIT
// Writes the deltas of a batch, one partition after another. A partition is written in chunks: each is read, folded and
// committed under the partition's version.
//
// If the version has changed, a deletion or a card came between, and the chunk is done again from fresh states. If the
// applied ids of our sources have changed too, or the rankings follow another plan, another projector is at work, and
// the round ends (ROUND_OVERTAKEN).
#include "ops/log.h"
#include "project/engine.h"
#include <stdlib.h>

enum { MANY_PARTITIONS = 64 }; // so many that a read asks for single applied ids

bool write_init(struct engine *engine) {
    uint32_t n = engine->partitions;
    struct partition_write *part = &engine->write;
    ref_index_init(&part->items);
    ref_index_init(&part->sites);
    part->applied = calloc(n, sizeof(*part->applied));
    part->applied_seen = calloc(n, sizeof(*part->applied_seen));
    part->applied_new = calloc(n, sizeof(*part->applied_new));
    part->work = engine->type->work_new(engine->plan, engine->hash_key);
    return part->applied && part->applied_seen && part->applied_new && part->work;
}

void write_release(struct engine *engine) {
    struct partition_write *part = &engine->write;
    ref_index_release(&part->items);
    ref_index_release(&part->sites);
    free(part->missing);
    free(part->missing_index);
    free(part->applied);
    free(part->applied_seen);
    free(part->applied_new);
    engine->type->work_free(part->work);
}

static const struct delta_list *deltas(const struct engine *engine) {
    return &engine->batch.deltas[engine->write.partition];
}

// ---- A chunk

// Whether the delta may change the total of a site, *ret_site.
static bool delta_site(const struct engine *engine, const struct delta *delta, ref_t *ret_site) {
    const struct projection_type *type = engine->type;
    return type->delta_site && type->delta_site(engine->hash_key, delta, ret_site);
}

static bool same_entry(const struct delta *a, const struct delta *b) {
    return a->entry != NO_ENTRY && a->entry == b->entry;
}

// A card, an import or a repair may write all sets of an item; a vote or a view writes those in which it moves.
enum { TIMES_AN_ITEM = 3 };

static uint32_t more_than_an_item(const struct delta *delta) {
    bool light = delta->type == DELTA_VOTE || delta->type == DELTA_VIEW || delta->type == DELTA_COVIEW;
    return light ? 0 : TIMES_AN_ITEM - 1;
}

// Chooses the next chunk: whole entries, until there are enough items. Collects its items and sites.
static bool cut_chunk(struct engine *engine) {
    struct partition_write *part = &engine->write;
    const struct delta_list *list = deltas(engine);
    ref_index_clear(&part->items);
    ref_index_clear(&part->sites);
    uint32_t at = part->chunk, more = 0;
    for (; at < list->count; at++) {
        const struct delta *delta = &list->at[at];
        bool may_end = at > part->chunk && !same_entry(delta, delta - 1);
        if (may_end && part->items.count + more >= part->chunk_items)
            break;
        more += more_than_an_item(delta);
        ref_t site;
        if (ref_index_add(&part->items, delta->item) == NO_INDEX)
            return false;
        if (delta_site(engine, delta, &site) && ref_index_add(&part->sites, site) == NO_INDEX)
            return false;
    }
    part->chunk_end = at;
    return true;
}

// ---- What the cache knows of the chunk

static bool make_missing_capacity(struct engine *engine) {
    struct partition_write *part = &engine->write;
    uint32_t capacity = part->items.count;
    if (capacity <= part->missing_capacity)
        return true;
    ref_t *refs = realloc(part->missing, capacity * sizeof(*refs));
    part->missing = refs ? refs : part->missing;
    uint32_t *numbers = realloc(part->missing_index, capacity * sizeof(*numbers));
    part->missing_index = numbers ? numbers : part->missing_index;
    part->missing_capacity = refs && numbers ? capacity : part->missing_capacity;
    return refs && numbers;
}

static bool find_missing(struct engine *engine) {
    struct partition_write *part = &engine->write;
    part->missing_count = 0;
    if (!make_missing_capacity(engine))
        return false;
    for (uint32_t i = 0; i < part->items.count; i++) {
        ref_t item = part->items.refs[i];
        if (cache_find(&engine->cache, item))
            continue;
        part->missing[part->missing_count] = item;
        part->missing_index[part->missing_count++] = i;
    }
    return true;
}

// Loads the items that were in the cache when the read began. False when one is no longer current and must be read,
// too.
static bool load_cached(struct engine *engine) {
    struct partition_write *part = &engine->write;
    struct cache *cache = &engine->cache;
    uint32_t missing = 0;
    cache_set_version(cache, part->partition, part->call.version, false);
    for (uint32_t i = 0; i < part->items.count; i++) {
        if (missing < part->missing_count && part->missing_index[missing] == i) {
            missing++;
            continue;
        }
        const struct partition_item *held = cache_find(cache, part->items.refs[i]);
        if (!held)
            return false;
        if (!engine->type->load(part->work, i, held))
            part->failed = true;
    }
    return true;
}

// After our own commit the cache knows the partition's states.
static void remember_chunk(struct engine *engine) {
    struct partition_write *part = &engine->write;
    const struct projection_type *type = engine->type;
    cache_set_version(&engine->cache, part->partition, part->result.version, true);
    for (uint32_t i = 0; type->describe && i < part->items.count; i++) {
        struct partition_item item;
        if (type->describe(part->work, i, &item))
            cache_put(&engine->cache, part->items.refs[i], &item);
        else
            cache_drop(&engine->cache, part->items.refs[i]);
    }
}

// ---- The next chunk

// The first partition from `from` on that has deltas, or the number of partitions.
static uint32_t partition_from(const struct engine *engine, uint32_t from) {
    while (from < engine->partitions && engine->batch.deltas[from].count == 0)
        from++;
    return from;
}

static enum step first_chunk_of(struct engine *engine, uint32_t partition) {
    struct partition_write *part = &engine->write;
    if (partition == engine->partitions)
        return STEP_WRITE_OFFSETS;
    part->partition = partition;
    part->chunk = 0;
    part->chunk_items = engine->chunk_items;
    part->conflict = false;
    return STEP_READ_CHUNK;
}

enum step write_first(struct engine *engine) {
    return first_chunk_of(engine, partition_from(engine, 0));
}

enum step write_failed(struct engine *engine) {
    struct partition_write *part = &engine->write;
    engine_leave(engine, part->partition, part->chunk);
    return first_chunk_of(engine, partition_from(engine, part->partition + 1));
}

static enum step next_chunk(struct engine *engine) {
    struct partition_write *part = &engine->write;
    part->chunk = part->chunk_end;
    if (part->chunk < deltas(engine)->count)
        return STEP_READ_CHUNK;
    return first_chunk_of(engine, partition_from(engine, part->partition + 1));
}

// ---- Reading

static void on_item(struct partition_read *call, size_t index, const struct partition_item *item) {
    struct engine *engine = call->context;
    struct partition_write *part = &engine->write;
    if (!engine->type->load(part->work, part->missing_index[index], item))
        part->failed = true;
}

static void on_total(struct partition_read *call, size_t index, struct bytes packed) {
    struct engine *engine = call->context;
    engine->type->load_total(engine->write.work, (uint32_t)index, packed);
}

static void on_cutoff(struct partition_read *call, struct bytes name, double value) {
    struct engine *engine = call->context;
    if (!engine->type->load_cutoff(engine->write.work, name, value))
        engine->write.failed = true;
}

static void on_cut(struct partition_read *call, size_t period, struct bytes name, double value) {
    struct engine *engine = call->context;
    if (!engine->type->load_cut(engine->write.work, (uint32_t)period, name, value))
        engine->write.failed = true;
}

// The periods whose cutoffs the chunk wants.
static const struct period *wanted_periods(struct engine *engine, uint32_t *ret_count) {
    struct partition_write *part = &engine->write;
    *ret_count = 0;
    if (!engine->type->note_delta)
        return NULL;
    for (uint32_t i = part->chunk; i < part->chunk_end; i++)
        engine->type->note_delta(part->work, &deltas(engine)->at[i]);
    return engine->type->periods(part->work, ret_count);
}

static void on_read(struct partition_read *call, enum outcome outcome) {
    struct engine *engine = call->context;
    if (outcome == OVERLOADED && engine->chunk_items > 1)
        engine->chunk_items /= 2;
    engine_answered(engine, outcome);
}

enum step begin_read_chunk(struct engine *engine) {
    struct partition_write *part = &engine->write;
    const struct projection_type *type = engine->type;
    part->failed = false;
    if (!cut_chunk(engine) || !find_missing(engine) ||
        !type->begin(part->work, part->items.refs, part->items.count, part->sites.refs, part->sites.count)) {
        log_error("%s: no memory for a chunk", projection_name(type->projection));
        return ROUND_FAILED;
    }
    uint32_t period_count;
    const struct period *periods = wanted_periods(engine, &period_count);
    part->call = (struct partition_read){.projection = type->projection,
                                         .partition = part->partition,
                                         .items = part->missing,
                                         .item_count = part->missing_count,
                                         .sources = engine->partitions < MANY_PARTITIONS ? NULL : engine->batch.last,
                                         .sites = part->sites.refs,
                                         .site_count = part->sites.count,
                                         .periods = periods,
                                         .period_count = period_count,
                                         .on_item = on_item,
                                         .on_total = on_total,
                                         .on_cutoff = type->load_cutoff ? on_cutoff : NULL,
                                         .on_cut = on_cut,
                                         .on_done = on_read,
                                         .context = engine,
                                         .applied = part->applied};
    store_read_partition(engine->store, &part->call);
    return STEP_WAITS;
}

// True when another projector has applied more of a log that this batch has read.
static bool is_overtaken(const struct partition_write *part, uint32_t partitions) {
    for (uint32_t i = 0; i < partitions; i++)
        if (log_id_order(part->applied[i], part->applied_seen[i]) > 0)
            return true;
    return false;
}

static struct bytes life_of(const struct engine *engine, uint32_t partition) {
    return (struct bytes){engine->life[partition].text, engine->life[partition].len};
}

enum step end_read_chunk(struct engine *engine) {
    struct partition_write *part = &engine->write;
    bool conflict = part->conflict, another_life = engine->generation != store_generation(engine->store);
    part->conflict = false;
    if (part->failed)
        return ROUND_FAILED;
    if (another_life || !bytes_eq(part->call.life, life_of(engine, part->partition)))
        return engine_begin_again(engine);
    if (conflict && is_overtaken(part, engine->partitions))
        return ROUND_OVERTAKEN;
    if (!rebuild_owns(engine, &part->call))
        return ROUND_OVERTAKEN;
    if (!load_cached(engine))
        return STEP_READ_CHUNK;
    return part->failed ? ROUND_FAILED : STEP_COMMIT_CHUNK;
}

// ---- Folding and writing

static void fold_delta(struct engine *engine, const struct delta *delta, double accept_ms, struct commit *commit) {
    const struct projection_type *type = engine->type;
    struct partition_write *part = &engine->write;
    ref_t site;
    uint32_t total = NO_INDEX;
    if (delta_site(engine, delta, &site))
        total = ref_index_find(&part->sites, site);
    type->fold(part->work, ref_index_find(&part->items, delta->item), total, delta, accept_ms, commit);
}

// Folds the deltas above the applied ids. Returns how many there were.
static uint32_t fold_chunk(struct engine *engine, struct commit *commit) {
    const struct batch *batch = &engine->batch;
    struct partition_write *part = &engine->write;
    uint32_t folded = 0;
    for (uint32_t i = part->chunk; i < part->chunk_end; i++) {
        const struct delta *delta = &deltas(engine)->at[i];
        double accept_ms = 0;
        if (delta->entry != NO_ENTRY) {
            const struct batch_entry *entry = &batch->entries[delta->entry];
            if (log_id_order(entry->id, part->applied[entry->source]) <= 0)
                continue;
            part->applied_new[entry->source] = entry->id;
            accept_ms = entry->accept_ms;
        }
        fold_delta(engine, delta, accept_ms, commit);
        folded++;
    }
    return folded;
}

static void on_committed(void *context, const struct commit_result *result) {
    struct engine *engine = context;
    engine->write.result = *result;
    engine_answered(engine, result->outcome);
}

enum step begin_commit_chunk(struct engine *engine) {
    const struct projection_type *type = engine->type;
    struct partition_write *part = &engine->write;
    struct commit *commit = commit_new(engine->store, type->projection, part->partition, part->call.version,
                                       life_of(engine, part->partition));
    memset(part->applied_new, 0, engine->partitions * sizeof(*part->applied_new));
    if (!commit)
        return ROUND_FAILED;
    uint32_t folded = fold_chunk(engine, commit);
    if (folded == 0 || !type->write(part->work, commit)) {
        commit_free(commit);
        return folded == 0 ? next_chunk(engine) : ROUND_FAILED;
    }
    for (uint32_t i = 0; i < engine->partitions; i++)
        if (part->applied_new[i].ms != 0)
            commit_applied(commit, i, part->applied_new[i]);
    metric_add(type->events, folded);
    commit_send(commit, on_committed, engine);
    return STEP_WAITS;
}

// The version has changed: a smaller chunk is read again.
static enum step after_conflict(struct partition_write *part) {
    struct log_id *seen = part->applied_seen;
    metric_add(METRIC_PROJECTION_CONFLICTS, 1);
    part->conflict = true;
    part->applied_seen = part->applied;
    part->applied = seen;
    if (part->chunk_items > 1)
        part->chunk_items /= 2;
    return STEP_READ_CHUNK;
}

static void remember_applied(struct engine *engine) {
    const struct partition_write *part = &engine->write;
    struct log_id *applied = engine->applied ? engine->applied + (size_t)part->partition * engine->partitions : NULL;
    for (uint32_t i = 0; applied && i < engine->partitions; i++)
        if (part->applied_new[i].ms != 0)
            applied[i] = part->applied_new[i];
}

enum step end_commit_chunk(struct engine *engine) {
    struct partition_write *part = &engine->write;
    if (part->result.moved)
        return after_conflict(part);
    metric_add(engine->type->commits, 1);
    remember_chunk(engine);
    remember_applied(engine);
    if (part->result.rebuild)
        engine->rebuild.needed[part->partition] = true;
    return next_chunk(engine);
}
