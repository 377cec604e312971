// SPDX-License-Identifier: MIT
// Preloaded into a process by test_allocations.py: makes one allocation fail, of any library. The orders are in a
// file named by FAILING_MALLOC, which the test maps too. stderr says where the failed allocation was asked for.
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TRACE_MAX = 32 };

struct orders {
    _Atomic int64_t left; // allocations until one fails; 0: none does
    _Atomic int64_t stay; // so many fail from then on
    _Atomic int64_t seen; // allocations since the test has set it to 0
    _Atomic int64_t hits; // that failed
};

static struct orders nothing, *orders = &nothing;

__attribute__((constructor)) static void map_orders(void) {
    const char *path = getenv("FAILING_MALLOC");
    int fd = path ? open(path, O_RDWR) : -1;
    void *trace[1];
    backtrace(trace, 1); // its first use allocates
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        orders = at;
}

static void tell(void) {
    void *trace[TRACE_MAX];
    static const char text[] = "an allocation fails by order:\n";
    if (write(2, text, sizeof text - 1) > 0)
        backtrace_symbols_fd(trace, backtrace(trace, TRACE_MAX), 2);
}

static int fails(void) {
    atomic_fetch_add(&orders->seen, 1);
    if (atomic_load(&orders->left) <= 0)
        return 0;
    int64_t left = atomic_fetch_sub(&orders->left, 1);
    if (left != 1)
        return 0;
    if (atomic_fetch_sub(&orders->stay, 1) > 1)
        atomic_store(&orders->left, 1); // the next one too
    atomic_fetch_add(&orders->hits, 1);
    tell();
    errno = ENOMEM;
    return 1;
}

#define NEXT(name) __atomic_load_n(&name, __ATOMIC_RELAXED) ? name : (name = dlsym(RTLD_NEXT, #name + sizeof "next_" - 1))

void *malloc(size_t size) {
    static void *(*next_malloc)(size_t);
    return fails() ? NULL : (NEXT(next_malloc))(size);
}

void *calloc(size_t count, size_t size) {
    static void *(*next_calloc)(size_t, size_t);
    return fails() ? NULL : (NEXT(next_calloc))(count, size);
}

void *realloc(void *at, size_t size) {
    static void *(*next_realloc)(void *, size_t);
    return size && fails() ? NULL : (NEXT(next_realloc))(at, size);
}
