// SPDX-License-Identifier: MIT
// Packs and unpacks the state of an item, and computes the half-lives that the settings now ask for.
#include "model/sums.h"
#include "base/reader.h"

enum { FORMAT_NO_SERIES = 1, FORMAT_NO_SERIES_EARLY = 2, FORMAT = 3, FORMAT_EARLY = 4 };

void sums_clear(struct sums *sums) {
    sums->epoch_ms = 0;
    sums->early.count = 0;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        sums->signals[signal].count = 0;
        for (int life = 0; life < HALF_LIVES_MAX; life++)
            sums->signals[signal].sum[life] = DECAY_EMPTY;
    }
    series_clear(&sums->series);
}

void sums_add(struct sums *sums, const struct half_lives *lives, int signal, int64_t event_ms) {
    struct signal_sums *one = &sums->signals[signal];
    one->count++;
    series_add(&sums->series, signal, event_ms, 1);
    for (uint32_t i = 0; i < lives->count; i++)
        one->sum[i] = decay_add(one->sum[i], decay_exponent(event_ms, lives->ms[i]));
}

void sums_take(struct sums *sums, const struct half_lives *lives, int signal, int64_t event_ms) {
    struct signal_sums *one = &sums->signals[signal];
    if (one->count == 0)
        return;
    one->count--;
    series_take(&sums->series, signal, event_ms);
    for (uint32_t i = 0; i < lives->count; i++)
        one->sum[i] = one->count == 0 ? DECAY_EMPTY : decay_take(one->sum[i], decay_exponent(event_ms, lives->ms[i]));
}

bool sums_empty(const struct sums *sums) {
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        if (sums->signals[signal].count != 0)
            return false;
    return series_empty(&sums->series);
}

// ---- Packed

static uint8_t signals_present(const struct sums *sums) {
    uint8_t present = 0;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        present = (uint8_t)(present + (sums->signals[signal].count > 0));
    return present;
}

static void pack_early(const struct early_visitors *early, struct buffer *packed) {
    buffer_add_u8(packed, early->count);
    for (uint8_t i = 0; i < early->count; i++)
        buffer_add_u32(packed, early->registers[i]);
}

void sums_pack(const struct sums *sums, const struct half_lives *lives, struct buffer *packed) {
    bool early = sums->early.count && sums->signals[SIGNAL_VIEWS].count;
    buffer_add_u8(packed, early ? FORMAT_EARLY : FORMAT);
    buffer_add_u8(packed, (uint8_t)lives->count);
    buffer_add_u8(packed, signals_present(sums));
    buffer_add_f64(packed, sums->epoch_ms);
    for (uint32_t i = 0; i < lives->count; i++)
        buffer_add_u64(packed, (uint64_t)lives->ms[i]);
    for (uint8_t signal = 0; signal < SIGNAL_COUNT; signal++) {
        const struct signal_sums *one = &sums->signals[signal];
        if (one->count == 0)
            continue;
        buffer_add_u8(packed, signal);
        buffer_add_u64(packed, one->count);
        for (uint32_t i = 0; i < lives->count; i++)
            buffer_add_f64(packed, one->sum[i]);
    }
    if (early)
        pack_early(&sums->early, packed);
    series_pack(&sums->series, packed);
}

static uint32_t nearest_life(const struct half_lives *lives, int64_t ms) {
    uint32_t best = 0;
    for (uint32_t i = 0; i < lives->count; i++)
        if (lives->ms[i] == ms)
            return i;
    for (uint32_t i = 1; i < lives->count; i++) {
        double now = fabs(log2((double)lives->ms[i] / (double)ms));
        if (now < fabs(log2((double)lives->ms[best] / (double)ms)))
            best = i;
    }
    return best;
}

// Takes all events to be at their mean instant t: S = log2 n + t/h gives t, and t gives the sum for another half-life.
static double move_sum(double sum, uint64_t count, int64_t from_ms, int64_t to_ms) {
    double events = log2((double)count);
    return events + (sum - events) * ((double)from_ms / (double)to_ms);
}

static bool read_lives(struct reader *reader, uint8_t count, struct half_lives *ret_lives) {
    *ret_lives = (struct half_lives){.count = count};
    if (count == 0 || count > HALF_LIVES_MAX)
        return false;
    for (uint8_t i = 0; i < count; i++) {
        uint64_t ms = read_u64(reader);
        if (ms == 0 || ms > INT64_MAX)
            return false;
        ret_lives->ms[i] = (int64_t)ms;
    }
    return !reader->failed;
}

static bool read_signal(struct reader *reader, const struct half_lives *stored, const struct half_lives *lives,
                        struct sums *sums) {
    double sum[HALF_LIVES_MAX];
    uint8_t signal = read_u8(reader);
    uint64_t count = read_u64(reader);
    for (uint32_t i = 0; i < stored->count; i++) {
        sum[i] = read_f64(reader);
        if (!isfinite(sum[i]))
            return false;
    }
    if (reader->failed || signal >= SIGNAL_COUNT || count == 0 || sums->signals[signal].count)
        return false;
    sums->signals[signal].count = count;
    for (uint32_t i = 0; i < lives->count; i++) {
        uint32_t near = nearest_life(stored, lives->ms[i]);
        sums->signals[signal].sum[i] =
            stored->ms[near] == lives->ms[i] ? sum[near] : move_sum(sum[near], count, stored->ms[near], lives->ms[i]);
    }
    return true;
}

static bool read_early(struct reader *reader, struct early_visitors *early) {
    early->count = read_u8(reader);
    if (early->count == 0 || early->count > EARLY_VISITORS)
        return false;
    for (uint8_t i = 0; i < early->count; i++) {
        early->registers[i] = read_u32(reader);
        if (!sketch_register_valid(early->registers[i]))
            return false;
    }
    return !reader->failed;
}

bool sums_have_series(struct bytes packed) {
    return packed.len == 0 || packed.at[0] == FORMAT || packed.at[0] == FORMAT_EARLY;
}

bool sums_tell_visitors(struct bytes packed) {
    struct reader reader = reader_of(packed);
    uint8_t format = read_u8(&reader), lives = read_u8(&reader), signals = read_u8(&reader);
    if (packed.len == 0 || format == FORMAT_EARLY || format == FORMAT_NO_SERIES_EARLY)
        return true;
    read_bytes(&reader, sizeof(double) + lives * sizeof(uint64_t));
    for (uint8_t i = 0; i < signals && !reader.failed; i++) {
        if (read_u8(&reader) == SIGNAL_VIEWS)
            return false;
        read_bytes(&reader, sizeof(uint64_t) + lives * sizeof(double));
    }
    return true;
}

static bool read_all(struct reader *reader, const struct half_lives *lives, struct sums *sums) {
    struct half_lives stored;
    uint8_t format = read_u8(reader), life_count = read_u8(reader), signals = read_u8(reader);
    sums->epoch_ms = read_f64(reader);
    if (format < FORMAT_NO_SERIES || format > FORMAT_EARLY || !isfinite(sums->epoch_ms) ||
        !read_lives(reader, life_count, &stored))
        return false;
    for (uint8_t i = 0; i < signals; i++)
        if (!read_signal(reader, &stored, lives, sums))
            return false;
    bool early = format == FORMAT_EARLY || format == FORMAT_NO_SERIES_EARLY;
    if (early && (!read_early(reader, &sums->early) || sums->signals[SIGNAL_VIEWS].count == 0))
        return false;
    if (format >= FORMAT)
        return series_unpack(reader, &sums->series);
    series_begin_late(&sums->series, 0);
    return reader->rest.len == 0;
}

bool sums_unpack(struct bytes packed, const struct half_lives *lives, struct sums *ret_sums) {
    struct reader reader = reader_of(packed);
    sums_clear(ret_sums);
    if (packed.len == 0 || read_all(&reader, lives, ret_sums))
        return true;
    sums_clear(ret_sums);
    return false;
}

bool sums_lie_before(const struct sums *sums, const struct half_lives *lives, int signal, int64_t unix_ms) {
    const struct signal_sums *one = &sums->signals[signal];
    for (uint32_t i = 0; i < lives->count; i++)
        if (decay_value(one->sum[i], unix_ms, lives->ms[i]) > (double)one->count * (1 + 1e-6))
            return false;
    return true;
}
