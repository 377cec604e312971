// SPDX-License-Identifier: MIT
// Packs series and reads them back (series.h).
#include "model/series.h"

enum { HOURS_A_DAY = 24, HAS_SINCE = 1, DAY_CODE = 3, HEAD_BITS = 3, VARINT_BITS = 42, BUCKET_SIZE_MAX = 7 };
enum { LAST = 2, MORE = 1, DISTANCE_BITS = 2, SIGNAL_BITS = 4, GRAINS_MASK = 7, LAST_SIGNAL = 8, NO_SIGNAL = 0xf8 };

// ---- Packing

// FNV-1a, 32 bits.
static uint32_t zone_fingerprint(void) {
    uint32_t hash = 0x811c9dc5;
    for (const char *at = calendar_zone(); *at; at++)
        hash = (hash ^ (uint8_t)*at) * 0x01000193;
    return hash;
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
    if (series->era == ERA_OF_EXPORT)
        buffer_add_u32(packed, zone_fingerprint());
}

// The months without what their days tell.
static struct buckets months_left(struct buckets months, struct buckets days, struct bucket left[SERIES_MONTHS]) {
    uint32_t day = 0, count = 0;
    for (uint32_t i = 0; i < months.count; i++) {
        int32_t first = calendar_first_day(GRAIN_MONTH, (int32_t)months.at[i].number);
        uint64_t told = 0;
        for (; day < days.count && (int32_t)days.at[day].number >= first; day++)
            told += days.at[day].count;
        if (months.at[i].count <= told)
            continue;
        left[count] = months.at[i];
        left[count++].count -= told;
    }
    return (struct buckets){left, count};
}

static void pack_buckets(struct buckets buckets, int32_t before, struct buffer *packed) {
    uint8_t *begin = (uint8_t *)buffer_reserve(packed, (size_t)buckets.count * BUCKET_SIZE_MAX), *at = begin;
    for (uint32_t i = 0; begin && i < buckets.count; i++) {
        struct bucket bucket = buckets.at[i];
        uint32_t distance = (uint32_t)(before - (int32_t)bucket.number);
        bool last = i + 1 == buckets.count;
        *at++ = (uint8_t)(distance << DISTANCE_BITS | (last ? LAST : 0) | (bucket.count > 1 ? MORE : 0));
        if (bucket.count > 1) {
            uint64_t value = bucket.count - 2;
            for (; value > 0x7f; value >>= 7)
                *at++ = (uint8_t)(value | 0x80);
            *at++ = (uint8_t)value;
        }
        before = (int32_t)bucket.number - 1;
    }
    if (begin)
        packed->len += (size_t)(at - begin);
}

static void pack_signal(const struct series *series, int signal, bool is_last, struct buffer *packed) {
    struct bucket left[SERIES_MONTHS];
    struct buckets grains[GRAINS_COUNTED];
    int head = signal << SIGNAL_BITS | (is_last ? LAST_SIGNAL : 0);
    for (int grain = 0; grain < GRAINS_COUNTED; grain++)
        grains[grain] = series_buckets(series, signal, (enum grain)grain);
    grains[GRAIN_MONTH] = months_left(grains[GRAIN_MONTH], grains[GRAIN_DAY], left);
    for (int grain = 0; grain < GRAINS_COUNTED; grain++)
        head |= (grains[grain].count > 0) << grain;
    buffer_add_u8(packed, (uint8_t)head);
    for (int grain = 0; grain < GRAINS_COUNTED; grain++)
        if (grains[grain].count)
            pack_buckets(grains[grain], series->newest[grain], packed);
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

// Returns whether its days are of another zone, which an export says.
static bool read_head(struct reader *reader, struct series *series) {
    uint8_t era_now = series->era;
    uint32_t head = read_u16(reader);
    head |= (uint32_t)read_u8(reader) << 16;
    int32_t hour = (int32_t)(head >> HEAD_BITS), day = hour / HOURS_A_DAY - 1 + (int32_t)(head >> 1 & DAY_CODE);
    series->newest[GRAIN_HOUR] = hour;
    series->newest[GRAIN_DAY] = day > 0 ? day : 0;
    series->newest[GRAIN_MONTH] = calendar_of_day(GRAIN_MONTH, series->newest[GRAIN_DAY]);
    series->era = 0;
    if (!(head & HAS_SINCE))
        return false;
    series->era = read_u8(reader);
    series->since_s = read_u32(reader);
    series->days_since_s = read_u32(reader);
    if (series->era != ERA_OF_EXPORT)
        return false;
    bool other_zone = read_u32(reader) != zone_fingerprint();
    series->era = other_zone ? ERA_OF_EXPORT : era_now;
    return other_zone;
}

// False at the end of the bytes, or when the number is longer than a count can be.
static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_value) {
    *ret_value = 0;
    for (uint32_t shift = 0; shift < VARINT_BITS && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        *ret_value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

// Writes the buckets to `to`. Returns how many there are.
static uint16_t read_buckets(struct reader *reader, int32_t before, int32_t oldest, struct bucket *to) {
    const uint8_t *at = (const uint8_t *)reader->rest.at, *end = at + reader->rest.len;
    uint16_t read = 0;
    for (bool last = false; !last;) {
        uint8_t head = at < end ? *at++ : 0;
        int32_t number = before - (head >> DISTANCE_BITS);
        uint64_t more = 0;
        reader->failed |= number < oldest || (head & MORE && !take_varint(&at, end, &more)) ||
                          (at == end && !(head & LAST)) || more > BUCKET_COUNT_MAX - 2;
        if (reader->failed)
            return 0;
        to[read++] = (struct bucket){.number = (uint32_t)number & BUCKET_NUMBER_MAX,
                                     .count = (head & MORE ? more + 2 : 1) & BUCKET_COUNT_MAX};
        before = number - 1;
        last = head & LAST;
    }
    reader->rest = (struct bytes){(const char *)at, (size_t)(end - at)};
    return read;
}

// Both lists go from the latest to the oldest.
static void append_months(struct series *series, struct buckets days, struct buckets left, uint16_t *end) {
    uint32_t day = 0, other = 0;
    while (day < days.count || other < left.count) {
        int32_t month = other < left.count ? (int32_t)left.at[other].number : -1;
        if (day < days.count) {
            int32_t of_day = calendar_of_day(GRAIN_MONTH, (int32_t)days.at[day].number);
            month = of_day > month ? of_day : month;
        }
        uint64_t count = 0;
        for (int32_t first = calendar_first_day(GRAIN_MONTH, month);
             day < days.count && (int32_t)days.at[day].number >= first; day++)
            count += days.at[day].count;
        if (other < left.count && (int32_t)left.at[other].number == month)
            count += left.at[other++].count;
        count = count < BUCKET_COUNT_MAX ? count : BUCKET_COUNT_MAX;
        series->at[(*end)++] =
            (struct bucket){.number = (uint32_t)month & BUCKET_NUMBER_MAX, .count = count & BUCKET_COUNT_MAX};
    }
}

// Returns whether it is the last signal.
static bool read_signal(struct reader *reader, struct series *series, int signal, uint16_t *end) {
    struct bucket left[SERIES_HOURS]; // of months
    struct buckets of_months = {left, 0};
    int head = read_u8(reader);
    reader->failed |= (head & GRAINS_MASK) == 0;
    for (int grain = 0; grain < GRAINS_COUNTED && !reader->failed; grain++) {
        struct bucket *to = grain == GRAIN_MONTH ? left : &series->at[*end];
        bool has = head >> grain & 1;
        uint16_t count = 0;
        if (has)
            count = read_buckets(reader, series->newest[grain], series_oldest(series, (enum grain)grain), to);
        if (grain == GRAIN_MONTH)
            of_months.count = count;
        else
            series->end[signal][grain] = *end = (uint16_t)(*end + count);
    }
    if (!reader->failed)
        append_months(series, series_buckets(series, signal, GRAIN_DAY), of_months, end);
    return reader->failed || head & LAST_SIGNAL;
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
    bool other_zone = read_head(reader, ret_series);
    read_signals(reader, ret_series);
    if (reader->failed)
        series_clear(ret_series);
    else
        series_follow_era(ret_series);
    if (other_zone && !reader->failed)
        ret_series->days_since_s = SINCE_UNKNOWN;
    return !reader->failed;
}
