// SPDX-License-Identifier: MIT
// Arbitrary replies of Redis, cut anywhere, through a real connection on a real socket: every call is answered exactly
// once, with a reply when the outcome is OK; then the connection stops and leaves nothing.
//
// An input: how many calls are sent; bits (1: they are of a script, 2: an answered one sends another, 4: Redis is a
// node of a Cluster, and what it refuses is sent again, now or later, or ends, 8: behind ASKING); the seed of the cuts
// (0: none); then the bytes of Redis.
#include "redis/connection.h"
#include "tests/fuzz/fuzz.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CALLS_MAX = 32, QUEUE_MAX = 16, HEAD = 3, TURNS_MAX = 1000, TIMEOUT_MS = 60000 };
enum { OF_SCRIPT = 1, SENDS_ANOTHER = 2, OF_CLUSTER = 4, ASKING = 8 };

struct one_call {
    struct redis_call call; // first
    int answers;
};

static uv_loop_t loop;
static int listener = -1, peer;
static struct address address = {.kind = ADDRESS_UNIX};
static struct redis_connection *fuzzed;
static bool is_stopped;
static uint8_t bits;
static struct one_call calls[2 * CALLS_MAX];
static size_t sent, wanted, refusals;
static struct held *later; // refused calls that are sent again at the next turn

static void send_one(void);

static void on_reply(struct redis_call *call) {
    struct one_call *one = (struct one_call *)call;
    FUZZ_CHECK(++one->answers == 1);
    FUZZ_CHECK(call->outcome != OK || (call->reply && call->reply->type != REDIS_REPLY_ERROR));
    freeReplyObject(call->reply);
    if ((bits & SENDS_ANOTHER) && sent < 2 * wanted)
        send_one();
}

static void send_one(void) {
    struct command command;
    command_init(&command);
    command_add_text(&command, "EVALSHA");
    calls[sent] = (struct one_call){.call.on_reply = on_reply};
    command.script = bits & OF_SCRIPT ? 0 : NO_SCRIPT;
    redis_send(fuzzed, &calls[sent++].call, &command);
    command_release(&command);
}

static void on_connected(void *context) {
    (void)context;
    redis_ready(fuzzed);
}

static void on_stopped(void *context) {
    (void)context;
    is_stopped = true;
}

// Once: a socket that listens under a name that goes with the process.
static void listen_once(void) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (listener >= 0)
        return;
    signal(SIGPIPE, SIG_IGN);
    FUZZ_CHECK(uv_loop_init(&loop) == 0);
    snprintf(address.path, sizeof address.path, "/tmp/engaged-fuzz-%d.sock", (int)getpid());
    memcpy(at.sun_path, address.path, sizeof at.sun_path - 1);
    unlink(address.path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    FUZZ_CHECK(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 8) == 0);
}

// ---- What the router does with a call that was refused

static void end_held(struct held *held) {
    struct redis_call *call = held->call;
    free(held);
    call->outcome = UNAVAILABLE;
    call->reply = NULL;
    call->on_reply(call);
}

static bool on_refused(void *context, struct held *held, const char *error) {
    (void)context;
    FUZZ_CHECK(error[0]);
    if (!held || refusals++ % 3 == 0)
        return false;
    held->asks = bits & ASKING;
    if (refusals % 3 == 2 && redis_send_held(fuzzed, held))
        return true;
    held->next = later;
    later = held;
    return true;
}

static void send_later(bool end) {
    struct held *all = later;
    later = NULL;
    while (all) {
        struct held *held = all;
        all = held->next;
        if (end || !redis_send_held(fuzzed, held))
            end_held(held);
    }
}

static void connect_link(void) {
    struct redis_hooks hooks = {.on_connected = on_connected, .on_refused = bits & OF_CLUSTER ? on_refused : NULL};
    fuzzed = redis_start(&loop, &address, TIMEOUT_MS, QUEUE_MAX, &hooks);
    FUZZ_CHECK(fuzzed);
    peer = -1;
    for (int i = 0; i < TURNS_MAX && (peer < 0 || !redis_is_ready(fuzzed)); i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        if (peer < 0)
            peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    }
    FUZZ_CHECK(peer >= 0 && redis_is_ready(fuzzed));
}

// What was sent to Redis is read away, so that nobody waits.
static void turn(void) {
    char sink[4096];
    uv_run(&loop, UV_RUN_NOWAIT);
    send_later(false);
    while (read(peer, sink, sizeof sink) > 0)
        ;
}

static void feed(const uint8_t *data, size_t size, unsigned seed) {
    while (size && redis_is_ready(fuzzed)) {
        size_t piece = seed ? 1 + rand_r(&seed) % 16 : size;
        ssize_t taken = write(peer, data, piece < size ? piece : size);
        if (taken <= 0)
            break;
        data += taken;
        size -= (size_t)taken;
        turn();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD)
        return 0;
    listen_once();
    sent = refusals = 0;
    wanted = data[0] % CALLS_MAX;
    bits = data[1];
    connect_link();
    while (sent < wanted)
        send_one();
    turn();
    feed(data + HEAD, size - HEAD, data[2]);
    turn();
    bits = 0;
    send_later(true);
    close(peer);
    is_stopped = false;
    redis_stop(fuzzed, on_stopped, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    FUZZ_CHECK(is_stopped);
    send_later(true);
    for (size_t i = 0; i < sent; i++)
        FUZZ_CHECK(calls[i].answers == 1);
    return 0;
}
