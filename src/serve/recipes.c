// SPDX-License-Identifier: MIT
// What each kind of body is made of. To add one: a recipe with a letter of its own, a start function that in the end
// calls refresh_end, and an entry point in serve.c.
#include "base/clock.h"
#include "model/related.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

enum { OUT_MOST = 4 << 20 };

// ---- Begin and end

void refresh_start(struct shelf *shelf) {
    struct refresh *refresh = calloc(1, sizeof *refresh);
    shelf->serve->refreshes++;
    if (!refresh) {
        shelf->serve->refreshes--;
        shelf_refreshed(shelf, NULL, UNAVAILABLE);
        return;
    }
    refresh->shelf = shelf;
    refresh->began_ms = uv_now(shelf->serve->loop);
    refresh->now_ms = clock_now_ms();
    buffer_init(&refresh->texts, OUT_MOST);
    buffer_init(&refresh->out, OUT_MOST);
    buffer_init(&refresh->marks, OUT_MOST);
    shelf->recipe->start(refresh);
}

void refresh_end(struct refresh *refresh, enum outcome outcome) {
    struct shelf *shelf = refresh->shelf;
    if (refresh->out.failed || refresh->marks.failed)
        outcome = UNAVAILABLE;
    shelf->serve->refreshes--;
    shelf_refreshed(shelf, refresh, outcome);
    buffer_release(&refresh->texts);
    buffer_release(&refresh->out);
    buffer_release(&refresh->marks);
    free(refresh->candidates);
    free(refresh->refs);
    free(refresh->placed);
    free(refresh);
}

// ---- Lists

static void add_list_id(struct json_out *json, const struct shelf *shelf, const char *kind) {
    struct buffer id;
    buffer_init(&id, 2048);
    buffer_addf(&id, "%s:", kind);
    buffer_add_bytes(&id, shelf->name);
    if (shelf->category.at) {
        buffer_add_char(&id, ':');
        buffer_add_bytes(&id, shelf->category);
    }
    json_key(json, BYTES("list"));
    json_text(json, buffer_bytes(&id));
    buffer_release(&id);
}

static void add_entry(struct json_out *json, const struct refresh *refresh, size_t index) {
    const struct placed *placed = &refresh->placed[index];
    json_open(json, '{');
    json_key(json, BYTES("rank"));
    json_int(json, (int64_t)index + 1);
    json_key(json, BYTES("score"));
    json_number(json, placed->candidate.score);
    json_key(json, BYTES("reason"));
    json_text(json, bytes_of(placed->candidate.reason));
    json_raw(json, (struct bytes){refresh->texts.at + placed->json_at, placed->json_len});
    json_close(json, '}');
}

// All but times and scores decides whether the body is a new one.
static void add_mark(struct refresh *refresh, const struct placed *placed) {
    buffer_add_bytes(&refresh->marks, bytes_of(placed->candidate.reason));
    buffer_add(&refresh->marks, refresh->texts.at + placed->json_at, placed->json_len);
}

static void render_list(struct refresh *refresh, const char *kind, const struct ranking *ranking) {
    struct json_out json = json_out_to(&refresh->out);
    size_t count = refresh->placed_count < refresh->shelf->limit ? refresh->placed_count : refresh->shelf->limit;
    json_open(&json, '{');
    add_list_id(&json, refresh->shelf, kind);
    json_key(&json, BYTES("kind"));
    json_text(&json, bytes_of(kind));
    json_key(&json, BYTES("name"));
    json_text(&json, ranking ? ranking->name : bytes_of(kind));
    json_key(&json, BYTES("computed_at"));
    json_time(&json, refresh->now_ms);
    if (ranking && ranking->half_life_ms) {
        json_key(&json, BYTES("half_life"));
        json_number(&json, (double)ranking->half_life_ms / 1000);
    }
    json_key(&json, BYTES("items"));
    json_open(&json, '[');
    for (size_t i = 0; i < count; i++) {
        add_entry(&json, refresh, i);
        add_mark(refresh, &refresh->placed[i]);
    }
    json_close(&json, ']');
    json_close(&json, '}');
}

// ---- A ranking

static void on_ranking_placed(struct refresh *refresh) {
    render_list(refresh, "ranking", refresh->shelf->ranking);
    refresh_end(refresh, OK);
}

static void on_ranking_order(struct order_wait *wait, struct order *order) {
    struct refresh *refresh = (struct refresh *)((char *)wait - offsetof(struct refresh, wait));
    const struct shelf *shelf = refresh->shelf;
    bool fits = order != NULL;
    for (size_t i = 0; fits && i < order->count; i++) {
        double value = order->list[i].value;
        struct candidate candidate = {.item = item_ref(shelf->serve->hash_key, shelf->site, order->list[i].id),
                                      .value = value,
                                      .score = ranking_score(shelf->ranking, value, refresh->now_ms),
                                      .reason = "ranked"};
        fits = candidate_add(refresh, &candidate);
    }
    if (fits)
        place_candidates(refresh, on_ranking_placed);
    else
        refresh_end(refresh, UNAVAILABLE);
}

static void start_ranking(struct refresh *refresh) {
    const struct shelf *shelf = refresh->shelf;
    struct serve *serve = shelf->serve;
    ref_t category = shelf->category.at ? category_ref(serve->hash_key, shelf->category) : 0;
    refresh->wait.on_order = on_ranking_order;
    order_get(serve, site_ref(serve->hash_key, shelf->site), shelf->ranking, shelf->category.at ? &category : NULL,
              &refresh->wait);
}

const struct recipe recipe_ranking = {'r', start_ranking};

// ---- Related: neighbours and the popular ones by one formula; then, as long as the site has items, what is popular
// beyond them, and what stands in other rankings.

enum { GROUP_FORMULA, GROUP_POPULAR, GROUP_RANKINGS };

static void fill_up(struct refresh *refresh);

static bool add_order(struct refresh *refresh, const struct order *order, uint32_t group) {
    const struct shelf *shelf = refresh->shelf;
    bool fits = true;
    for (size_t i = 0; fits && i < order->count; i++) {
        struct candidate candidate = {.item = item_ref(shelf->serve->hash_key, shelf->site, order->list[i].id),
                                      .value = order->list[i].value,
                                      .group = group,
                                      .reason = "popular"};
        fits = candidate_add(refresh, &candidate);
    }
    return fits;
}

static void on_related_placed(struct refresh *refresh) {
    if (refresh->placed_count < refresh->shelf->limit && refresh->next_ranking < refresh->shelf->serve->plan->count) {
        fill_up(refresh);
        return;
    }
    render_list(refresh, "related", NULL);
    refresh_end(refresh, OK);
}

static void on_filling_order(struct order_wait *wait, struct order *order) {
    struct refresh *refresh = (struct refresh *)((char *)wait - offsetof(struct refresh, wait));
    if (order && add_order(refresh, order, GROUP_RANKINGS + refresh->next_ranking))
        place_candidates(refresh, on_related_placed);
    else
        refresh_end(refresh, UNAVAILABLE);
}

static void fill_up(struct refresh *refresh) {
    struct serve *serve = refresh->shelf->serve;
    const struct ranking *ranking = &serve->plan->rankings[refresh->next_ranking++];
    refresh->wait.on_order = on_filling_order;
    order_get(serve, site_ref(serve->hash_key, refresh->shelf->site), ranking, NULL, &refresh->wait);
}

// Shares of the site's popularity: both sums decay alike, so their ratio is the same at every instant.
static size_t popular_of(const struct refresh *refresh, const struct order *order,
                         struct popular ret_popular[static POPULAR_MOST]) {
    const struct shelf *shelf = refresh->shelf;
    size_t count = order->count < POPULAR_MOST ? order->count : POPULAR_MOST;
    for (size_t i = 0; i < count; i++) {
        double share = exp2(order->list[i].value - order->total);
        ret_popular[i] = (struct popular){item_ref(shelf->serve->hash_key, shelf->site, order->list[i].id),
                                          isfinite(share) ? share : 0};
    }
    return count;
}

static bool add_suggestions(struct refresh *refresh, const struct order *order) {
    struct popular popular[POPULAR_MOST];
    struct suggestion list[POPULAR_MOST + NEIGHBOURS_MOST];
    const struct shelf *shelf = refresh->shelf;
    ref_t item = item_ref(shelf->serve->hash_key, shelf->site, shelf->name);
    size_t popular_count = popular_of(refresh, order, popular);
    size_t count = related_rank(item, &refresh->table, popular, popular_count, list, sizeof list / sizeof list[0]);
    bool fits = true;
    for (size_t i = 0; fits && i < count; i++) {
        struct candidate candidate = {.item = list[i].item,
                                      .value = list[i].score,
                                      .score = list[i].score,
                                      .group = GROUP_FORMULA,
                                      .reason = list[i].from_neighbours ? "related" : "popular"};
        fits = candidate_add(refresh, &candidate);
    }
    return fits && add_order(refresh, order, GROUP_POPULAR);
}

static void on_popular(struct order_wait *wait, struct order *order) {
    struct refresh *refresh = (struct refresh *)((char *)wait - offsetof(struct refresh, wait));
    if (order && add_suggestions(refresh, order))
        place_candidates(refresh, on_related_placed);
    else
        refresh_end(refresh, UNAVAILABLE);
}

static void on_table(struct read_call *call, size_t index, const struct neighbours *table, bool usable) {
    struct refresh *refresh = call->context;
    (void)index;
    (void)usable; // a table that can't be read is an empty one: the popular ones fill its place
    refresh->table = *table;
}

static void on_tables(struct read_call *call, enum outcome outcome) {
    struct refresh *refresh = call->context;
    struct serve *serve = refresh->shelf->serve;
    if (outcome != OK) {
        refresh_end(refresh, outcome);
        return;
    }
    refresh->wait.on_order = on_popular;
    order_get(serve, site_ref(serve->hash_key, refresh->shelf->site), &serve->plan->rankings[serve->plan->popular],
              NULL, &refresh->wait);
}

static void start_related(struct refresh *refresh) {
    const struct shelf *shelf = refresh->shelf;
    ref_t item = item_ref(shelf->serve->hash_key, shelf->site, shelf->name);
    refresh->call = (struct read_call){.on_done = on_tables, .context = refresh};
    store_read_neighbours(shelf->serve->store, &refresh->call, &item, 1, on_table);
}

const struct recipe recipe_related = {'n', start_related};

// ---- Items, one and many

static void on_item(struct read_call *call, size_t index, const struct item_state *state) {
    struct refresh *refresh = call->context;
    struct json_out json = json_out_to(&refresh->out);
    json.comma = index > 0;
    if (state->outcome != OK)
        refresh->outcome = state->outcome;
    item_render(&json, refresh->shelf->serve->settings, refresh->shelf->ids[index], state);
}

static void on_item_read(struct read_call *call, enum outcome outcome) {
    struct refresh *refresh = call->context;
    buffer_add_bytes(&refresh->marks, buffer_bytes(&refresh->out));
    refresh_end(refresh, outcome == OK ? refresh->outcome : outcome);
}

static void on_items_read(struct read_call *call, enum outcome outcome) {
    struct refresh *refresh = call->context;
    buffer_add_bytes(&refresh->out, BYTES("]}"));
    on_item_read(call, outcome);
}

static void read_ids(struct refresh *refresh, void (*on_done)(struct read_call *call, enum outcome outcome)) {
    const struct shelf *shelf = refresh->shelf;
    ref_t refs[IDS_MAX];
    for (uint32_t i = 0; i < shelf->id_count; i++)
        refs[i] = item_ref(shelf->serve->hash_key, shelf->site, shelf->ids[i]);
    refresh->call = (struct read_call){.on_done = on_done, .context = refresh};
    store_read_items(shelf->serve->store, &refresh->call, refs, shelf->id_count, on_item);
}

static void start_item(struct refresh *refresh) {
    read_ids(refresh, on_item_read);
}

static void start_items(struct refresh *refresh) {
    buffer_add_bytes(&refresh->out, BYTES("{\"items\":["));
    read_ids(refresh, on_items_read);
}

const struct recipe recipe_item = {'i', start_item};
const struct recipe recipe_items = {'m', start_items};

// ---- The rankings that there are: from the settings alone

static void add_ranking(struct json_out *json, const struct ranking *ranking) {
    static const char *const types[] = {
        [RANK_DECAYED] = "decayed", [RANK_RISING] = "rising", [RANK_BEST] = "best", [RANK_TOTAL] = "total"};
    json_open(json, '{');
    json_key(json, BYTES("name"));
    json_text(json, ranking->name);
    json_key(json, BYTES("type"));
    json_text(json, bytes_of(types[ranking->kind]));
    if (ranking->half_life_ms) {
        json_key(json, BYTES("half_life"));
        json_number(json, (double)ranking->half_life_ms / 1000);
    }
    json_close(json, '}');
}

static void start_rankings(struct refresh *refresh) {
    const struct plan *plan = refresh->shelf->serve->plan;
    struct json_out json = json_out_to(&refresh->out);
    json_open(&json, '{');
    json_key(&json, BYTES("rankings"));
    json_open(&json, '[');
    for (uint32_t i = 0; i < plan->count; i++)
        if (i != plan->popular)
            add_ranking(&json, &plan->rankings[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    buffer_add_bytes(&refresh->marks, buffer_bytes(&refresh->out));
    refresh_end(refresh, OK);
}

const struct recipe recipe_rankings = {'l', start_rankings};
