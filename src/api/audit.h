// SPDX-License-Identifier: MIT
// The audit log: which key called what. dispatch.c asks it about each call with a right key, answer.c tells it the
// status.
//
// A call that changes what all readers see, an export and an erasure have an entry each. It is in Redis before the call
// begins, without a status, and is replaced when the call is answered: nothing is changed without an entry, and an
// entry without a status says that nobody knows how the call ended. (A bulk call begins with its body: its entry is
// sent before its first line.) All other calls with a key are counted by key and call (audit_counts.c; the API calls
// these counts "sums"), as they are many: reads that need the key, events, votes and views of accounts. Shared reads
// are for everybody, and nobody looks at their key. Neither address nor visitor is in it. If the log cannot be written
// a change is 503, but where only its node is away (of a Cluster) the call goes on, and the service's own log has a
// line instead. A new route is covered by its kind and method; kind_of in audit.c has the exceptions.
#pragma once
#include "api/call.h"

enum { AUDIT_NAME_MAX = 128 };
struct bytes audit_name(const struct route *route,
                        char text[static AUDIT_NAME_MAX]); // "PUT /v1/{site}/items/{item}"

// Before the body of a bulk call. UNAVAILABLE without memory.
enum outcome audit_body(struct call *call) MUST_CHECK;
// Starts the endpoint, when the entry is written.
void audit_start(struct call *call);
// The call is about to be answered. NULL: there is none.
void audit_answered(struct call *call, int status);

// audit_counts.c
void audit_count_call(struct call *call);
void audit_send_counts(struct api *api);
// A write of the log begins or ends: api_finish waits for those under way.
void audit_write_begins(void);
void audit_write_ends(void);
