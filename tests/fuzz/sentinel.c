// SPDX-License-Identifier: MIT
// Arbitrary replies of Sentinels: a master that is chosen has an address that can be tried and is one that was named.
//
// An input: how many Sentinels there are; then replies to SENTINEL MASTER, SENTINELS and MYID by turns.
#include "redis/sentinel.h"
#include "tests/fuzz/fuzz.h"
#include <ctype.h>

enum { COUNT_DIGITS_MAX = 5 };

// hiredis allocates what an array announces; a real connection bounds it.
static bool announces_much(const uint8_t *data, size_t size) {
    size_t digits = 0;
    for (size_t i = 0; i < size; i++) {
        digits = data[i] == '*' ? 1 : digits && isdigit(data[i]) ? digits + 1 : 0;
        if (digits > COUNT_DIGITS_MAX)
            return true;
    }
    return false;
}

static void check_place(const struct host_port *at) {
    struct host_port again;
    FUZZ_CHECK(host_parse(bytes_of(at->host), again.host) && port_parse(bytes_of(at->port), again.port));
}

static void read_other(const redisReply *reply, int turn) {
    struct sentinel_other others[SENTINELS_MAX];
    char id[SENTINEL_ID_SIZE];
    uint32_t count = turn == 1 ? sentinel_read_others(reply, others) : 0;
    FUZZ_CHECK(count <= SENTINELS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        check_place(&others[i].at);
        FUZZ_CHECK(others[i].id[0]);
    }
    sentinel_read_id(reply, id);
    FUZZ_CHECK(strlen(id) < SENTINEL_ID_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sentinel_answer answers[SENTINELS_MAX];
    struct sentinel_choice choice;
    uint32_t count = 0;
    void *reply = NULL;
    if (size == 0 || announces_much(data, size))
        return 0;
    redisReader *reader = redisReaderCreate();
    FUZZ_CHECK(reader);
    redisReaderFeed(reader, (const char *)data + 1, size - 1);
    for (int turn = 0; redisReaderGetReply(reader, &reply) == REDIS_OK && reply; turn = (turn + 1) % 3) {
        if (turn == 0 && count < SENTINELS_MAX && sentinel_read_master(reply, &answers[count]))
            check_place(&answers[count++].at);
        read_other(reply, turn);
        freeReplyObject(reply);
    }
    redisReaderFree(reader);
    const struct sentinel_answer *before = count > 1 ? &answers[0] : NULL;
    if (sentinel_choose(answers, count, data[0] % (SENTINELS_MAX + 1), before, &choice)) {
        check_place(&choice.master.at);
        FUZZ_CHECK(choice.votes > 0 && choice.votes <= count);
    }
    return 0;
}
