// SPDX-License-Identifier: MIT
// Packs series and reads them back (series.h).
#include "model/series.h"

enum { HOURS_A_DAY = 24, HAS_SINCE = 1, DAY_CODE = 3, HEAD_BITS = 3, VARINT_BITS = 42 };
enum { LAST = 2, MORE = 1, DISTANCE_BITS = 2, SIGNAL_BITS = 4, GRAINS_MASK = 7, LAST_SIGNAL = 8, NO_SIGNAL = 0xf8 };

// ---- Packing

static void add_varint(struct buffer *packed, uint64_t value) {
    for (; value > 0x7f; value >>= 7)
        buffer_add_u8(packed, (uint8_t)(value | 0x80));
    buffer_add_u8(packed, (uint8_t)value);
}

static void pack_head(const struct series *series, struct buffer *packed) {
    bool has_since = series->era || series->since_s || series->days_since_s;
    int32_t hour = series->newest[GRAIN_HOUR], code = series->newest[GRAIN_DAY] - hour / HOURS_A_DAY + 1;
    code = code < 0 ? 0 : code > DAY_CODE ? DAY_CODE : code;
    uint32_t head = (uint32_t)hour << HEAD_BITS | (uint32_t)code << 1 | has_since;
    buffer_add_u16(packed, (uint16_t)head);
    buffer_add_u8(packed, (uint8_t)(head >> 16));
    if (!has_since)
        return;
    buffer_add_u8(packed, series->era);
    buffer_add_u32(packed, series->since_s);
    buffer_add_u32(packed, series->days_since_s);
}

// The buckets that are written of one grain.
struct packed_grain {
    struct bucket at[SERIES_HOURS];
    uint32_t count;
};

static void copy_buckets(struct buckets buckets, struct packed_grain *written) {
    written->count = buckets.count;
    memcpy(written->at, buckets.at, buckets.count * sizeof *buckets.at);
}

// The months without what their days tell.
static void months_left(struct buckets months, struct buckets days, struct packed_grain *written) {
    uint32_t day = 0;
    written->count = 0;
    for (uint32_t i = 0; i < months.count; i++) {
        int32_t first = calendar_first_day(GRAIN_MONTH, (int32_t)months.at[i].number);
        uint64_t told = 0;
        for (; day < days.count && (int32_t)days.at[day].number >= first; day++)
            told += days.at[day].count;
        if (months.at[i].count <= told)
            continue;
        written->at[written->count] = months.at[i];
        written->at[written->count++].count -= told;
    }
}

static void pack_buckets(const struct packed_grain *written, int32_t before, struct buffer *packed) {
    for (uint32_t i = 0; i < written->count; i++) {
        struct bucket bucket = written->at[i];
        uint32_t distance = (uint32_t)(before - (int32_t)bucket.number);
        bool last = i + 1 == written->count;
        buffer_add_u8(packed, (uint8_t)(distance << DISTANCE_BITS | (last ? LAST : 0) | (bucket.count > 1 ? MORE : 0)));
        if (bucket.count > 1)
            add_varint(packed, bucket.count - 2);
        before = (int32_t)bucket.number - 1;
    }
}

static void pack_signal(const struct series *series, int signal, bool is_last, struct buffer *packed) {
    struct packed_grain grains[GRAINS_COUNTED];
    struct buckets days = series_buckets(series, signal, GRAIN_DAY);
    copy_buckets(series_buckets(series, signal, GRAIN_HOUR), &grains[GRAIN_HOUR]);
    copy_buckets(days, &grains[GRAIN_DAY]);
    months_left(series_buckets(series, signal, GRAIN_MONTH), days, &grains[GRAIN_MONTH]);
    int head = signal << SIGNAL_BITS | (is_last ? LAST_SIGNAL : 0);
    for (int grain = 0; grain < GRAINS_COUNTED; grain++)
        head |= (grains[grain].count > 0) << grain;
    buffer_add_u8(packed, (uint8_t)head);
    for (int grain = 0; grain < GRAINS_COUNTED; grain++)
        pack_buckets(&grains[grain], series->newest[grain], packed);
}

void series_pack(const struct series *series, struct buffer *packed) {
    uint16_t whole = series->end[SIGNAL_COUNT - 1][GRAIN_MONTH], first = 0;
    pack_head(series, packed);
    if (whole == 0)
        buffer_add_u8(packed, NO_SIGNAL);
    for (int signal = 0; first < whole; signal++) {
        uint16_t end = series->end[signal][GRAIN_MONTH];
        if (end > first)
            pack_signal(series, signal, end == whole, packed);
        first = end;
    }
}

// ---- Reading

static uint64_t read_varint(struct reader *reader) {
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < VARINT_BITS; shift += 7) {
        uint8_t byte = read_u8(reader);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    reader->failed = true;
    return 0;
}

static void read_head(struct reader *reader, struct series *series) {
    uint32_t head = read_u16(reader);
    head |= (uint32_t)read_u8(reader) << 16;
    int32_t hour = (int32_t)(head >> HEAD_BITS), day = hour / HOURS_A_DAY - 1 + (int32_t)(head >> 1 & DAY_CODE);
    series->newest[GRAIN_HOUR] = hour;
    series->newest[GRAIN_DAY] = day > 0 ? day : 0;
    series->newest[GRAIN_MONTH] = calendar_of_day(GRAIN_MONTH, series->newest[GRAIN_DAY]);
    series->era = 0;
    if (!(head & HAS_SINCE))
        return;
    series->era = read_u8(reader);
    series->since_s = read_u32(reader);
    series->days_since_s = read_u32(reader);
}

static void read_buckets(struct reader *reader, const struct series *series, enum grain grain,
                         struct packed_grain *written) {
    int32_t before = series->newest[grain], oldest = series_oldest(series, grain);
    written->count = 0;
    for (bool last = false; !last && !reader->failed;) {
        uint8_t head = read_u8(reader);
        int32_t number = before - (head >> DISTANCE_BITS);
        uint64_t count = head & MORE ? read_varint(reader) + 2 : 1;
        reader->failed |= number < oldest || count >> BUCKET_COUNT_BITS;
        if (reader->failed)
            return;
        written->at[written->count++] =
            (struct bucket){.number = (uint32_t)number & BUCKET_NUMBER_MAX, .count = count & BUCKET_COUNT_MAX};
        before = number - 1;
        last = head & LAST;
    }
}

static void append(struct series *series, uint16_t *end, int32_t number, uint64_t count) {
    series->at[(*end)++] =
        (struct bucket){.number = (uint32_t)number & BUCKET_NUMBER_MAX,
                        .count = (count < BUCKET_COUNT_MAX ? count : BUCKET_COUNT_MAX) & BUCKET_COUNT_MAX};
}

// Both lists go from the latest to the oldest.
static void append_months(struct series *series, const struct packed_grain *days, const struct packed_grain *left,
                          uint16_t *end) {
    uint32_t day = 0, other = 0;
    while (day < days->count || other < left->count) {
        int32_t month = other < left->count ? (int32_t)left->at[other].number : -1;
        if (day < days->count) {
            int32_t of_day = calendar_of_day(GRAIN_MONTH, (int32_t)days->at[day].number);
            month = of_day > month ? of_day : month;
        }
        uint64_t count = 0;
        for (int32_t first = calendar_first_day(GRAIN_MONTH, month);
             day < days->count && (int32_t)days->at[day].number >= first; day++)
            count += days->at[day].count;
        if (other < left->count && (int32_t)left->at[other].number == month)
            count += left->at[other++].count;
        append(series, end, month, count);
    }
}

// Returns whether it is the last signal.
static bool read_signal(struct reader *reader, struct series *series, int signal, uint16_t *end) {
    struct packed_grain grains[GRAINS_COUNTED];
    int head = read_u8(reader);
    for (int grain = 0; grain < GRAINS_COUNTED; grain++) {
        grains[grain].count = 0;
        if (head >> grain & 1)
            read_buckets(reader, series, (enum grain)grain, &grains[grain]);
    }
    reader->failed |= (head & GRAINS_MASK) == 0;
    if (reader->failed)
        return true;
    for (int grain = 0; grain < GRAIN_MONTH; grain++) {
        memcpy(&series->at[*end], grains[grain].at, grains[grain].count * sizeof *series->at);
        *end = (uint16_t)(*end + grains[grain].count);
        series->end[signal][grain] = *end;
    }
    append_months(series, &grains[GRAIN_DAY], &grains[GRAIN_MONTH], end);
    return head & LAST_SIGNAL;
}

static void read_signals(struct reader *reader, struct series *series) {
    uint16_t end = 0;
    bool ended = reader->rest.len && (uint8_t)reader->rest.at[0] == NO_SIGNAL && read_u8(reader);
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        for (int grain = 0; grain < GRAINS_COUNTED; grain++)
            series->end[signal][grain] = end;
        if (!ended && reader->rest.len && (uint8_t)reader->rest.at[0] >> SIGNAL_BITS == signal)
            ended = read_signal(reader, series, signal, &end);
        series->end[signal][GRAIN_MONTH] = end;
    }
    reader->failed |= !ended || reader->rest.len > 0;
}

bool series_unpack(struct reader *reader, struct series *ret_series) {
    series_clear(ret_series);
    read_head(reader, ret_series);
    read_signals(reader, ret_series);
    if (reader->failed)
        series_clear(ret_series);
    else
        series_follow_era(ret_series);
    return !reader->failed;
}
