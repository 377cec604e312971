// SPDX-License-Identifier: MIT
// Searches for all texts of agents.def in one pass: at each byte, a table gives the few texts that begin with the two
// bytes found there.
#include "model/agents.h"
#include <stdint.h>

enum { LENGTH_MAX = 1024, HEADS = 4096 }; // the rest of a longer User-Agent is not searched

static const struct text {
    enum agent agent;
    struct bytes text;
} texts[] = {
#define AGENT(class, text) {AGENT_##class, {text, sizeof text - 1}},
#include "model/agents.def"
#undef AGENT
};

enum { TEXTS = sizeof texts / sizeof *texts };

// Chains of texts by their numbers, from 1; 0 ends a chain.
static uint8_t heads[HEADS], nexts[TEXTS + 1];

static size_t head_of(const char *at) {
    return ((size_t)(uint8_t)at[0] * 61 + (uint8_t)at[1]) % HEADS;
}

static void make_chains(void) {
    _Static_assert(TEXTS <= UINT8_MAX, "a text's number is a byte");
    for (size_t i = TEXTS; i > 0; i--) { // so the first text of the list is the first of its chain
        uint8_t *head = &heads[head_of(texts[i - 1].text.at)];
        nexts[i] = *head;
        *head = (uint8_t)i;
    }
}

static size_t copy_lower(struct bytes from, char *to) {
    size_t len = from.len < LENGTH_MAX ? from.len : LENGTH_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = from.at[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return len;
}

// The text that `rest` begins with; NULL: none.
static const struct text *text_at(struct bytes rest) {
    for (size_t i = heads[head_of(rest.at)]; i; i = nexts[i])
        if (bytes_starts(rest, texts[i - 1].text))
            return &texts[i - 1];
    return NULL;
}

enum agent agent_of(struct bytes user_agent) {
    static bool made;
    char lower[LENGTH_MAX];
    size_t len = copy_lower(user_agent, lower);
    enum agent agent = AGENT_READER;
    if (!made)
        make_chains();
    made = true;
    for (size_t i = 0; i + 1 < len && agent != AGENT_BOT; i++) {
        const struct text *text = text_at((struct bytes){lower + i, len - i});
        if (text && text->agent > agent)
            agent = text->agent;
        if (text)
            i += text->text.len - 1;
    }
    return agent;
}
