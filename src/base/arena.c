// SPDX-License-Identifier: MIT
// Blocks in a list, the newest first; takes come from the newest. The oldest block is the one that a reset keeps.
#include "base/arena.h"
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

enum { BLOCK_LEAST = 2048, ALIGNMENT = alignof(max_align_t) };

struct arena_block {
    struct arena_block *next;
    size_t capacity, used;
    alignas(max_align_t) char at[];
};

void arena_init(struct arena *arena, size_t cap) {
    *arena = (struct arena){.cap = cap};
}

static struct arena_block *add_block(struct arena *arena, size_t need) {
    size_t capacity = need > BLOCK_LEAST ? need : BLOCK_LEAST;
    struct arena_block *block = malloc(sizeof *block + capacity);
    if (!block)
        return NULL;
    *block = (struct arena_block){.next = arena->blocks, .capacity = capacity};
    arena->blocks = block;
    ASAN_POISON_MEMORY_REGION(block->at, capacity);
    return block;
}

void *arena_take(struct arena *arena, size_t len) {
    if (len > arena->cap || arena->taken > arena->cap - len)
        return NULL;
    size_t size = (len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct arena_block *block = arena->blocks;
    if (!block || size > block->capacity - block->used)
        block = add_block(arena, size);
    arena->lacking |= !block;
    if (!block)
        return NULL;
    void *at = block->at + block->used;
    block->used += size;
    arena->taken += len;
    ASAN_UNPOISON_MEMORY_REGION(at, len);
    return memset(at, 0, len);
}

struct bytes arena_copy(struct arena *arena, struct bytes source) {
    char *at = arena_take(arena, source.len + 1);
    if (!at)
        return NO_BYTES;
    if (source.len)
        memcpy(at, source.at, source.len);
    return (struct bytes){at, source.len};
}

// Frees all blocks, or all but the oldest.
static void drop_blocks(struct arena *arena, bool keep_oldest) {
    while (arena->blocks && (!keep_oldest || arena->blocks->next)) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        ASAN_UNPOISON_MEMORY_REGION(block->at, block->capacity);
        free(block);
    }
}

void arena_reset(struct arena *arena) {
    drop_blocks(arena, true);
    if (arena->blocks) {
        arena->blocks->used = 0;
        ASAN_POISON_MEMORY_REGION(arena->blocks->at, arena->blocks->capacity);
    }
    arena->taken = 0;
    arena->lacking = false;
}

void arena_release(struct arena *arena) {
    drop_blocks(arena, false);
    arena->taken = 0;
    arena->lacking = false;
}
