// SPDX-License-Identifier: MIT
// Who may count: rate limits per network and visitor, crawlers, readers who ask not to be followed. Calls with the
// secret key are never over a rate limit, and never a crawler's.
#pragma once
#include "api/call.h"
#include "api/known.h"

enum limit {
#define LIMIT(id, name, wide) LIMIT_##id,
#include "api/limits.def"
#undef LIMIT
    LIMIT_COUNT
};

// The network that a request comes from: among reads networks take turns.
uint64_t limit_network_hash(const struct http_request *request);

// Each charges what it lets pass. Where several limits are asked one after another, those before the one that refuses
// have been charged too. TOO_MANY_REQUESTS sets call->retry_after_s.
enum outcome limit_new_visitor(struct call *call) MUST_CHECK;
enum outcome limit_erasure(struct call *call) MUST_CHECK;
// Of a secret key that was found wrong. A right one is never asked: nobody can shut the publisher out.
enum outcome limit_wrong_key(struct call *call) MUST_CHECK;
// A write by call->visitor, whose reference is `visitor`, under the network's and the visitor's rate limit. A visitor
// made here is one more of the network's new ones. A vote is one on its item too, a retraction is not.
enum outcome limit_vote(struct call *call, ref_t visitor, ref_t item) MUST_CHECK;
enum outcome limit_retraction(struct call *call, ref_t visitor) MUST_CHECK;
enum outcome limit_view(struct call *call, ref_t visitor) MUST_CHECK;
// May co-views be learnt from this view? Of one item a network teaches only so much in an hour.
bool limit_teaches(const struct call *call, ref_t item);
// Must the item be looked at before the write is counted? A view in another partition than its item's can't be refused
// by its script, as a vote can.
bool limit_needs_look(const struct call *call, ref_t item, bool is_view);
// After the look: UNKNOWN_ITEM, TOO_MANY_REQUESTS, or what was wrong with the look.
enum outcome limit_item(struct call *call, const struct item_look *look, bool is_view) MUST_CHECK;

// Only an item with a card takes writes.
bool needs_card(const struct call *call);
// The setting bots says that this call does not count.
bool is_bot(const struct call *call);
// The browser says that it fetches the page beforehand.
bool is_prefetch(const struct call *call);
// What the opt-out of this reader means for a view; OPT_OUT_IGNORE also when the reader sends none.
enum opt_out_setting opt_out_of(const struct call *call);
