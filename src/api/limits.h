// SPDX-License-Identifier: MIT
// Which writes count: rate limits per network and visitor, crawlers, readers who opt out. Calls with the secret key
// have no rate limit and are never a crawler's.
#pragma once
#include "api/call.h"
#include "api/known.h"

enum limit {
#define LIMIT(id, name, wide) LIMIT_##id,
#include "api/limits.def"
#undef LIMIT
    LIMIT_COUNT
};

// The hash of the request's network. Waiting reads of different networks take turns.
uint64_t limit_network_hash(const struct http_request *request);

// Each function charges the buckets of a call that it lets pass. When several limits are checked in a row, those before
// the refusing one have been charged too. TOO_MANY_REQUESTS sets call->retry_after_s.
enum outcome limit_new_visitor(struct call *call) MUST_CHECK;
enum outcome limit_erasure(struct call *call) MUST_CHECK;
// Called only for a wrong secret key. A right key is never limited, so nobody can shut the publisher out.
enum outcome limit_wrong_key(struct call *call) MUST_CHECK;
// A write by call->visitor, whose reference is `visitor`, under the rate limits of its network and of the visitor. A
// visitor created by this request is charged to new_visitors. A vote also counts for its item, a retraction does not.
enum outcome limit_vote(struct call *call, ref_t visitor, ref_t item) MUST_CHECK;
enum outcome limit_retraction(struct call *call, ref_t visitor) MUST_CHECK;
enum outcome limit_view(struct call *call, ref_t visitor) MUST_CHECK;
// Whether this view adds to co-views. One network adds only so much to one item in an hour.
bool limit_teaches(const struct call *call, ref_t item);
// Whether the item must be looked up before the write. view.lua does not see the item (it may be in another partition);
// vote.lua checks it itself.
bool limit_needs_look(const struct call *call, ref_t item, bool is_view);
// After the look-up: UNKNOWN_ITEM, TOO_MANY_REQUESTS, or the failure of the look-up.
enum outcome limit_item(struct call *call, const struct item_look *look, bool is_view) MUST_CHECK;

// Only an item with a card takes writes.
bool needs_card(const struct call *call);
// The setting bots says that this call does not count.
bool is_bot(const struct call *call);
// The browser says that it prefetches the page.
bool is_prefetch(const struct call *call);
// What the opt-out of this reader means for a view; OPT_OUT_IGNORE also when the reader sends none.
enum opt_out_setting opt_out_of(const struct call *call);
