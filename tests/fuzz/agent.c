// SPDX-License-Identifier: MIT
// User agents: any bytes are a reader, a tool or a bot, and upper case changes nothing.
#include "model/agents.h"
#include "tests/fuzz/fuzz.h"
#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char upper[4096];
    struct bytes text = {(const char *)data, size};
    enum agent agent = agent_of(text);
    FUZZ_CHECK(agent == AGENT_READER || agent == AGENT_TOOL || agent == AGENT_BOT);
    if (size > sizeof upper)
        return 0;
    for (size_t i = 0; i < size; i++)
        upper[i] = data[i] < 128 ? (char)toupper(data[i]) : (char)data[i];
    FUZZ_CHECK(agent_of((struct bytes){upper, size}) == agent);
    return 0;
}
