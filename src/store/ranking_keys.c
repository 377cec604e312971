// SPDX-License-Identifier: MIT
// The key of a set of a ranking, and the field of its cutoff.
#include "base/hex.h"
#include "store/projection.h"
#include <stdio.h>

static char *add(char *at, struct bytes text) {
    memcpy(at, text.at, text.len);
    return at + text.len;
}

static char *add_ref(char *at, ref_t ref) {
    hex_of_u64(ref, at);
    return at + HEX_DIGITS;
}

// Without snprintf: it was a quarter of the projector's instructions.
size_t ranking_name(const struct ranking_at *ranking, char text[static RANKING_NAME_MAX]) {
    _Static_assert(2 * (HEX_DIGITS + 1) + NAME_SIZE + sizeof ":no-card" <= RANKING_NAME_MAX, "it fits");
    char *at = add_ref(text, ranking->site);
    at = add(at, BYTES(":"));
    at = add(at, ranking->name);
    if (ranking->category)
        at = add_ref(add(at, BYTES(":")), *ranking->category);
    if (ranking->no_card)
        at = add(at, BYTES(":no-card"));
    return (size_t)(at - text);
}

void ranking_key(const struct ranking_at *ranking, uint32_t partition, struct key *ret_key) {
    char text[NAME_SIZE + 1 + CALENDAR_NAME_SIZE], period[CALENDAR_NAME_SIZE];
    struct bytes name = ranking->name;
    if (ranking->period.grain != GRAIN_HOUR) {
        calendar_name(ranking->period.grain, ranking->period.number, period);
        name.len = (size_t)snprintf(text, sizeof text, "%.*s@%s", (int)name.len, name.at, period);
        name.at = text;
    }
    if (ranking->no_card)
        key_ranking_no_card(ret_key, partition, ranking->site, name);
    else
        key_ranking(ret_key, partition, ranking->site, name, ranking->category);
}
