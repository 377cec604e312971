// SPDX-License-Identifier: MIT
// Reads log entries, record by record. Whatever is in Redis, nothing is read past the end of the entry.
#include "model/entry.h"
#include "base/reader.h"
#include "model/sums.h"
#include <math.h>

bool entry_open(struct bytes value, double *ret_accept_ms, struct bytes *ret_rest) {
    struct reader reader = reader_of(value);
    double accept_ms = read_f64(&reader);
    if (reader.failed || !isfinite(accept_ms))
        return false;
    *ret_accept_ms = accept_ms;
    *ret_rest = reader.rest;
    return true;
}

static struct bytes read_text8(struct reader *reader) {
    uint8_t len = read_u8(reader);
    return read_bytes(reader, len);
}

static struct bytes read_text16(struct reader *reader) {
    uint16_t len = read_u16(reader);
    return read_bytes(reader, len);
}

static int64_t read_vote_time(struct reader *reader) {
    return DECAY_EPOCH_MS + INT64_C(1000) * (int32_t)read_u32(reader);
}

static bool read_vote(struct reader *reader, struct entry_record *record) {
    record->item = read_u64(reader);
    record->voted_site = record->type == 'B' ? read_u64(reader) : 0;
    record->visitor = read_u64(reader);
    record->kind = read_u8(reader);
    record->time_ms = read_vote_time(reader);
    record->old_kind = read_u8(reader);
    record->old_time_ms = read_vote_time(reader);
    return (record->kind < SIGNAL_VIEWS || record->kind == ENTRY_NO_KIND) &&
           (record->old_kind < SIGNAL_VIEWS || record->old_kind == ENTRY_NO_KIND);
}

static bool read_view(struct reader *reader, struct entry_record *record) {
    record->item = read_u64(reader);
    record->visitor = read_u64(reader);
    double time_ms = read_f64(reader);
    record->site = read_text8(reader);
    record->id = read_text16(reader);
    record->recent_count = read_u8(reader);
    if (record->recent_count > COVIEW_ITEMS || !(time_ms >= 0 && time_ms < 1e15) || record->site.len == 0 ||
        record->id.len == 0)
        return false;
    record->time_ms = (int64_t)time_ms;
    for (int i = 0; i < record->recent_count; i++) {
        record->recent[i].item = read_u64(reader);
        double age_ms = time_ms - read_f64(reader);
        record->recent[i].age_ms = age_ms >= 0 && age_ms < 1e15 ? (int64_t)age_ms : INT64_MAX; // junk: too old
    }
    return true;
}

static bool read_deletion(struct reader *reader, struct entry_record *record) {
    record->item = read_u64(reader);
    record->site = read_text8(reader);
    record->id = read_text16(reader);
    record->groups = read_text16(reader);
    return true;
}

static bool read_erasure(struct reader *reader, struct entry_record *record) {
    read_deletion(reader, record);
    record->before = read_text16(reader);
    record->table = read_text16(reader);
    return record->site.len && record->id.len;
}

static bool read_card(struct reader *reader, struct entry_record *record) {
    record->item = read_u64(reader);
    record->groups = read_text16(reader);
    return true;
}

static bool read_import(struct reader *reader, struct entry_record *record) {
    record->item = read_u64(reader);
    record->site = read_text8(reader);
    record->id = read_text16(reader);
    record->packed = read_text16(reader);
    return record->site.len && record->id.len;
}

static bool read_set(struct reader *reader, struct entry_record *record) {
    record->item = read_u64(reader);
    record->site = read_text8(reader);
    record->id = read_text16(reader);
    record->before = read_text16(reader);
    record->packed = read_text16(reader);
    return record->site.len && record->id.len;
}

static bool read_flush(struct reader *reader, struct entry_record *record) {
    (void)reader;
    (void)record;
    return true;
}

static const struct {
    char type;
    bool (*read)(struct reader *reader, struct entry_record *record);
} record_types[] = {
    {'B', read_vote},  {'W', read_view}, {'E', read_erasure},  {'S', read_set},    {'C', read_card},
    {'F', read_flush}, {'V', read_vote}, {'D', read_deletion}, {'I', read_import},
};

int entry_next(struct bytes *rest, struct entry_record *ret_record) {
    struct reader reader = reader_of(*rest);
    if (rest->len == 0)
        return 0;
    struct entry_record record = {.type = (char)read_u8(&reader)};
    for (size_t i = 0; i < sizeof record_types / sizeof *record_types; i++) {
        if (record_types[i].type != record.type)
            continue;
        if (!record_types[i].read(&reader, &record) || reader.failed)
            return -1;
        *ret_record = record;
        *rest = reader.rest;
        return 1;
    }
    return -1;
}
