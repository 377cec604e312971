// SPDX-License-Identifier: MIT
// The table has groups of slots; the low bits of a key select its group. Two processes that meet in a slot can at worst
// lose or misplace one charge: a rate limit need not be exact to one, and a killed process leaves no lock behind.
#include "ops/rate_limits.h"
#include "base/keyed.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROUPS = 1 << 15, GROUP = 8, TRIES = 4, LESSONS = 1 << 24, PAGE = 4096, SHARES_MAX = 1000 };
#define MINUTE_NS UINT64_C(60000000000)
#define HOUR_NS (60 * MINUTE_NS)
#define DAY_MS INT64_C(86400000)

struct slot {
    uint64_t key;    // 0: never used
    uint64_t due_ns; // the theoretical arrival time: in the past when the bucket is empty
};

static struct limit_memory {
    struct secret_key seed;
    uint64_t hour; // of the lessons
    _Alignas(64) struct slot groups[GROUPS][GROUP];
    _Alignas(PAGE) uint8_t lessons[LESSONS];
} * shared;

struct rate_limit rate_limit_of(int64_t per_minute, int64_t burst) {
    if (per_minute <= 0)
        return (struct rate_limit){0, 0};
    uint64_t each_ns = MINUTE_NS / (uint64_t)per_minute;
    return (struct rate_limit){each_ns, each_ns * (uint64_t)(burst > 0 ? burst : per_minute)};
}

// ---- A machine's part

bool limits_share_parse(struct bytes text, struct limits_share *ret_share) {
    const char *slash = memchr(text.at, '/', text.len);
    size_t before = slash ? (size_t)(slash - text.at) : text.len;
    struct bytes below = slash ? (struct bytes){slash + 1, text.len - before - 1} : BYTES("1");
    unsigned long long part, whole;
    if (!bytes_to_u64((struct bytes){text.at, before}, SHARES_MAX, &part) || !bytes_to_u64(below, SHARES_MAX, &whole) ||
        part == 0 || part > whole)
        return false;
    *ret_share = (struct limits_share){(uint32_t)part, (uint32_t)whole};
    return true;
}

struct rate_limit rate_limit_share(struct rate_limit rate_limit, struct limits_share share) {
    rate_limit.each_ns = rate_limit.each_ns * share.whole / share.part; // the bucket stays, and holds fewer of them
    if (rate_limit.whole_ns < rate_limit.each_ns)
        rate_limit.whole_ns = rate_limit.each_ns;
    return rate_limit;
}

int64_t limits_share_of(int64_t number, struct limits_share share) {
    int64_t part = number * share.part / share.whole;
    return number > 0 && part == 0 ? 1 : part;
}

// ---- Memory

int rate_limits_create(void) {
    struct secret_key seed;
    int fd = memfd_create("engaged-rate_limits", MFD_CLOEXEC);
    random_fill(&seed, sizeof seed);
    if (fd >= 0 &&
        (ftruncate(fd, sizeof(struct limit_memory)) != 0 || pwrite(fd, &seed, sizeof seed, 0) != sizeof seed)) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

// A supervisor of another version may have made another table. Then each process counts for itself.
static bool is_ours(int fd) {
    struct stat stat;
    return fd >= 0 && fstat(fd, &stat) == 0 && stat.st_size == sizeof(struct limit_memory);
}

bool rate_limits_attach(int fd) {
    if (!is_ours(fd))
        fd = -1;
    void *at = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0),
                    fd < 0 ? -1 : fd, 0);
    if (at == MAP_FAILED)
        return false;
    shared = at;
    if (fd < 0)
        random_fill(&shared->seed, sizeof shared->seed);
    return true;
}

// ---- Slots

uint64_t rate_limit_key(char class, struct bytes who, int64_t unix_ms) {
    int64_t day = unix_ms / DAY_MS;
    struct bytes parts[] = {{(const char *)&day, sizeof day}, who};
    uint64_t key = keyed_hash64(&shared->seed, class, parts, 2);
    return key ? key : 1;
}

static uint64_t load(const uint64_t *cell) {
    return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

static bool exchange(uint64_t *cell, uint64_t from, uint64_t to) {
    return __atomic_compare_exchange_n(cell, &from, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

// The key's slot in its group, else the slot that is empty or closest to empty.
static struct slot *look_up(uint64_t key) {
    struct slot *group = shared->groups[key % GROUPS], *first = group;
    for (size_t i = 0; i < GROUP; i++) {
        if (load(&group[i].key) == key)
            return &group[i];
        if (load(&group[i].due_ns) < load(&first->due_ns))
            first = &group[i];
    }
    return first;
}

static struct slot *slot_of(uint64_t key, uint64_t now_ns) {
    struct slot *slot = look_up(key);
    for (int i = 0; i < TRIES; i++, slot = look_up(key)) {
        uint64_t held = load(&slot->key), due_ns = load(&slot->due_ns);
        if (held == key)
            return slot;
        if (!exchange(&slot->key, held, key))
            continue; // another process was faster, perhaps with the same key
        if (due_ns > now_ns)
            exchange(&slot->due_ns, due_ns, now_ns); // a full group: the new key does not take over the old key's debt
        return slot;
    }
    return slot;
}

uint64_t rate_limit_take(struct rate_limit rate_limit, uint64_t key, uint64_t now_ns) {
    if (rate_limit.whole_ns == 0)
        return 0;
    for (struct slot *slot = slot_of(key, now_ns);;) {
        uint64_t due_ns = load(&slot->due_ns), begin_ns = due_ns > now_ns ? due_ns : now_ns;
        if (begin_ns - now_ns > rate_limit.whole_ns) { // a lower limit, before a reload, has filled it
            exchange(&slot->due_ns, due_ns, now_ns + rate_limit.whole_ns);
            return rate_limit.each_ns;
        }
        uint64_t end_ns = begin_ns + rate_limit.each_ns;
        if (end_ns - now_ns > rate_limit.whole_ns)
            return end_ns - now_ns - rate_limit.whole_ns;
        if (exchange(&slot->due_ns, due_ns, end_ns))
            return 0;
    }
}

// ---- Lessons

// The first process that sees a new hour empties the table. It gives the pages back, because few are used again at
// once.
static void begin_hour(uint64_t now_ns) {
    uint64_t hour = load(&shared->hour);
    if (hour != now_ns / HOUR_NS && exchange(&shared->hour, hour, now_ns / HOUR_NS) &&
        madvise(shared->lessons, LESSONS, MADV_REMOVE) != 0)
        memset(shared->lessons, 0, LESSONS);
}

static bool raise_cell(uint8_t *cell, uint8_t from) {
    return __atomic_compare_exchange_n(cell, &from, from + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

// Only the lesser cell grows, so that keys which share a cell raise each other little. A failed exchange is tried
// again; a cell that was raised in vain makes the limit stricter by one.
bool lesson_take(uint64_t key, int64_t max, uint64_t now_ns) {
    uint8_t *one = &shared->lessons[key % LESSONS], *other = &shared->lessons[(key >> 32) % LESSONS];
    begin_hour(now_ns);
    for (;;) {
        uint8_t first = __atomic_load_n(one, __ATOMIC_RELAXED), second = __atomic_load_n(other, __ATOMIC_RELAXED);
        uint8_t least = first < second ? first : second;
        if (least >= max || least == UINT8_MAX)
            return false;
        bool raised = first > least || raise_cell(one, least);
        raised = raised && (second > least || one == other || raise_cell(other, least));
        if (raised)
            return true;
    }
}
