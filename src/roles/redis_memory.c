// SPDX-License-Identifier: MIT
// The supervisor has no store, so it sends Redis two lines on its Unix socket to ask and a third to set the limit.
// EXISTS is first, because INFO is answered also while Redis loads, when little is held yet.
#include "roles/redis_memory.h"
#include "ops/log.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum { GROUP_SIZE = 512 };

// ---- How much

static uint64_t lesser(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t limit_of_group(const char *group) {
    unsigned long long bytes;
    char path[GROUP_SIZE + 40];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
    FILE *file = fopen(path, "re");
    if (!file)
        return UINT64_MAX;
    int found = fscanf(file, "%llu", &bytes); // or "max"
    fclose(file);
    return found == 1 ? bytes : UINT64_MAX;
}

// The least limit of our cgroup (version 2) and those above it; libuv knows version 1.
uint64_t memory_may_use(void) {
    char group[GROUP_SIZE] = "", line[GROUP_SIZE];
    uint64_t constrained = uv_get_constrained_memory(), least = uv_get_total_memory();
    if (constrained)
        least = lesser(least, constrained);
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "0::%511s", group) == 1)
            break;
    if (file)
        fclose(file);
    least = lesser(least, limit_of_group(""));
    for (char *slash; (slash = strrchr(group, '/')); *slash = '\0')
        least = lesser(least, limit_of_group(group));
    return least;
}

uint64_t redis_memory_limit(uint64_t may_use, uint64_t holds) {
    uint64_t half = may_use / 2, least = holds + holds / 4;
    return half > least ? half : least;
}

// ---- Asking and telling

static void drop(struct redis_memory *memory) {
    if (memory->fd >= 0)
        close(memory->fd);
    memory->fd = -1;
    memory->setting = false;
    memory->reply_len = 0;
}

static void say(struct redis_memory *memory, const char *text) {
    memory->reply_len = 0;
    if (send(memory->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)strlen(text))
        drop(memory);
}

static void ask(struct redis_memory *memory, const char *socket_path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof address.sun_path)
        return;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    memory->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (memory->fd >= 0 && connect(memory->fd, (struct sockaddr *)&address, sizeof address) == 0)
        say(memory, "EXISTS engaged:meta\r\nINFO memory\r\n");
    else
        drop(memory);
}

// More of the reply has come. False: nothing has, or the connection is gone.
static bool take(struct redis_memory *memory) {
    size_t capacity = sizeof memory->reply - 1 - memory->reply_len;
    ssize_t got = recv(memory->fd, memory->reply + memory->reply_len, capacity, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            drop(memory);
        return false;
    }
    memory->reply_len += (unsigned)got;
    memory->reply[memory->reply_len] = '\0';
    return true;
}

static bool find_number(const char *text, const char *name, uint64_t *ret_value) {
    const char *at = strstr(text, name);
    return at && strchr(at, '\r') && sscanf(at + strlen(name), "%" SCNu64, ret_value) == 1;
}

static void tell(struct redis_memory *memory) {
    char command[64];
    memory->may_use = memory_may_use();
    memory->limit = redis_memory_limit(memory->may_use, memory->holds);
    snprintf(command, sizeof command, "CONFIG SET maxmemory %" PRIu64 "\r\n", memory->limit);
    memory->setting = true;
    say(memory, command);
}

static void end(struct redis_memory *memory) {
    bool half = memory->limit == memory->may_use / 2;
    log_info("the embedded Redis may use %" PRIu64 " MiB: %s (memory_limit says otherwise)", memory->limit >> 20,
             half ? "half of the memory that this service may use" : "1.25 times what it holds");
    drop(memory);
    memory->wanted = false;
}

static void on_reply(struct redis_memory *memory) {
    uint64_t limit;
    if (memory->reply[0] == '-') // it is loading
        drop(memory);
    else if (memory->setting)
        end(memory);
    else if (find_number(memory->reply, "\nmaxmemory:", &limit) &&
             find_number(memory->reply, "\nused_memory:", &memory->holds)) {
        if (limit == 0) {
            tell(memory);
            return;
        }
        drop(memory);
        memory->wanted = false; // it has one of its own
    }
}

void redis_memory_want(struct redis_memory *memory) {
    drop(memory);
    memory->wanted = true;
}

void redis_memory_tick(struct redis_memory *memory, const char *socket_path) {
    if (!memory->wanted)
        return;
    if (memory->fd < 0)
        ask(memory, socket_path);
    else if (take(memory))
        on_reply(memory);
}

void redis_memory_stop(struct redis_memory *memory) {
    drop(memory);
    memory->wanted = false;
}
