// SPDX-License-Identifier: MIT
// The sets of authors: for each author of a site one set in a partition, of the items that the author has written and
// that have an event, the newest first. They say which items the rankings of an author consist of; the values are
// computed from the sums when such a ranking is read (serve/author_snapshot.c). So a vote or a view writes nothing
// here, a new ranking needs no new set, and an author costs one set a partition, not one for each ranking and period.
// Another set of the author has the items without an event: lists that ask for the author are filled up with it.
//
// An item's value there is the time of its card; a half millisecond more says that the card has none, and that it was
// placed then. An item is in one set at most: the author is the whole text of its card's field. Like any set of a
// ranking this one is bounded and has a cutoff (rankings_writer.h).
#pragma once
#include "project/rankings_writer.h"

void write_author_places(const struct secret_key *hash_key, const struct cutoffs *cutoffs, int64_t now_ms,
                         const struct placed_item *item, struct commit *commit);
