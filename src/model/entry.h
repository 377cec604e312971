// SPDX-License-Identifier: MIT
// A log entry: what one batch of writes changed. The scripts of lua/ append entries, src/project reads them. This file
// and the scripts' head blocks define the format. Pure.
//
// One stream entry has the field "1" (the format's version) with the value: f64 accept time in ms, then records
// (little-endian; times of votes in s since 2024-01-01; "text8" is u8 length and bytes, "text16" u16 length and bytes):
//   'B' ballot    u64 item, u64 site, u64 voter, u8 new kind (255: none), i32 new time, u8 old kind (255: none),
//                 i32 old time: a vote, another one, or its retraction
//   'W' view      u64 item, u64 visitor, f64 event time in ms, text8 site, text16 id, u8 n,
//                 n × (u64 item, f64 time in ms): the items that the visitor read before it, latest first
//   'E' erasure   u64 item, text8 site, text16 id, text16 groups (model/item.h) that rankings have it under,
//                 text16 packed sums and text16 neighbours before (lua/delete.lua has removed both)
//   'S' set       u64 item, text8 site, text16 id, text16 packed sums before,
//                 text16 packed sums now (lua/import.lua has written them); rank the item again in all its
//                 rankings (lua/put.lua, with empty sums)
//   'C' card      u64 item, text16 old groups: rank the item again
//   'F' flush     (a request waits: project at once)
// Data of formats 2 and 3 may also have:
//   'V' vote      as a ballot, without the site
// Data of format 2 may also have:
//   'D' deletion  u64 item, text8 site, text16 id, text16 groups
//   'I' import    u64 item, text8 site, text16 id, text16 packed sums: its views are these
#pragma once
#include "model/neighbours.h"

enum { ENTRY_NO_KIND = 255 };

struct entry_record {
    char type;
    ref_t item;
    uint8_t kind, old_kind;
    int64_t time_ms, old_time_ms; // of a vote, or of a view
    ref_t visitor;                // or voter
    ref_t voted_site;             // of a ballot; else 0
    struct bytes site, id;        // of all but votes and cards; views of the entry
    struct bytes groups;          // of an erasure, or the old ones of a card
    struct bytes before, packed;  // sums before and now
    struct bytes table;           // neighbours before
    int recent_count;
    struct {
        ref_t item;
        int64_t age_ms;
    } recent[COVIEW_ITEMS];
};

// Begins reading an entry's value; false if its head is corrupt.
bool entry_open(struct bytes value, double *ret_accept_ms, struct bytes *ret_rest);
// Reads the next record off `rest`. Returns 1; 0 at the end; -1 if the record is corrupt or of an unknown type.
int entry_next(struct bytes *rest, struct entry_record *ret_record);
