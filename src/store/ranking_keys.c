// SPDX-License-Identifier: MIT
// The key of a set of a ranking, and the field of its cutoff.
#include "store/projection.h"
#include <inttypes.h>
#include <stdio.h>

size_t ranking_name(const struct ranking_at *ranking, char text[static RANKING_NAME_MAX]) {
    int len = snprintf(text, RANKING_NAME_MAX, "%016" PRIx64 ":%.*s", ranking->site, (int)ranking->name.len,
                       ranking->name.at);
    if (ranking->category)
        len += snprintf(text + len, RANKING_NAME_MAX - (size_t)len, ":%016" PRIx64, *ranking->category);
    if (ranking->no_card)
        len += snprintf(text + len, RANKING_NAME_MAX - (size_t)len, ":no-card");
    return (size_t)len;
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
