// SPDX-License-Identifier: MIT
// The room's entry points. A read whose raw target is known costs one lookup. Any other read becomes a question; its
// cached body is found or made, and answers.
#include "base/clock.h"
#include "serve/serve_inside.h"
#include "store/list_reads.h"
#include <stdlib.h>

enum { FIELDS_MAX = 512 };

// ---- Start and stop

static void on_sweep(uv_timer_t *timer) {
    cached_body_sweep(timer->data);
    asks_sweep(timer->data);
}

static void add_fields(struct serve *serve) {
    const struct settings *settings = serve->settings;
    buffer_init(&serve->fields, FIELDS_MAX);
    buffer_addf(&serve->fields,
                "Cache-Control: public, max-age=%lld, s-maxage=%lld, stale-while-revalidate=%lld, "
                "stale-if-error=%lld\r\nAccess-Control-Allow-Origin: *\r\n"
                "Access-Control-Expose-Headers: Engaged-Checked-At, Retry-After, ETag\r\n",
                (long long)settings->max_age_s, (long long)settings->shared_max_age_s,
                (long long)settings->stale_while_revalidate_s, (long long)settings->stale_if_error_s);
}

struct serve *serve_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                          const struct plan *plan, struct store *store,
                          void (*answer_error)(struct http_request *request, enum outcome outcome, const char *detail),
                          uint64_t (*network_of)(const struct http_request *request)) {
    struct serve *serve = calloc(1, sizeof *serve);
    if (!serve)
        return NULL;
    serve->loop = loop;
    serve->waited_end = &serve->waited_for;
    serve->settings = settings;
    serve->hash_key = hash_key;
    serve->plan = plan;
    serve->store = store;
    serve->answer_error = answer_error;
    serve->network_of = network_of;
    serve->lru.bytes_max = (size_t)settings->body_cache;
    serve->lru.metric = METRIC_BODY_BYTES;
    serve->items.bytes_max = (size_t)settings->item_cache;
    serve->items.metric = METRIC_ITEM_BYTES;
    buffer_init(&serve->item_text, ITEM_TEXT_MAX);
    turns_init(&serve->turns, (uint32_t)settings->redis_queue);
    serve->newest_cards = (struct ranking){.name = BYTES(NEWEST_NAME), .kind = RANK_TOTAL};
    serve->author_items = (struct ranking){.name = BYTES(AUTHOR_NAME), .kind = RANK_TOTAL};
    serve->author_unread = (struct ranking){.name = BYTES(UNREAD_NAME), .kind = RANK_TOTAL};
    serve->category_filling = filling_of_categories(plan);
    add_fields(serve);
    store_track(store);
    uv_timer_init(loop, &serve->sweep);
    serve->sweep.data = serve;
    uv_timer_start(&serve->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    return serve;
}

static bool is_busy(const struct serve *serve) {
    for (const struct lru_entry *entry = serve->lru.newest; entry; entry = entry->older)
        if (entry->busy)
            return true;
    return serve->turns.running > 0;
}

static void on_closed(uv_handle_t *handle) {
    struct serve *serve = handle->data;
    void (*on_stopped)(void *) = serve->on_stopped;
    void *context = serve->stopped_context;
    lru_drop_all(&serve->lru);
    lru_drop_all(&serve->items);
    ref_table_release(&serve->items_cached);
    ref_table_release(&serve->tables_cached);
    buffer_release(&serve->item_text);
    buffer_release(&serve->fields);
    free(serve);
    on_stopped(context);
}

// Ends within redis_timeout, as every read of the store does.
static void on_ending(uv_timer_t *timer) {
    struct serve *serve = timer->data;
    if (!is_busy(serve))
        uv_close((uv_handle_t *)timer, on_closed);
}

void serve_stop(struct serve *serve, void (*on_stopped)(void *context), void *context) {
    serve->on_stopped = on_stopped;
    serve->stopped_context = context;
    uv_timer_start(&serve->sweep, on_ending, 0, 10);
}

// ---- Reads

bool serve_from_memory(struct serve *serve, struct http_request *request) {
    struct alias *alias;
    HASH_FIND(hh, serve->aliases, request->target.at, request->target.len, alias);
    if (!alias)
        return false;
    request->route = alias->route;
    cached_body_answer(alias->cached, request);
    return true;
}

static void answer(struct serve *serve, struct http_request *request, const struct question *question,
                   bool target_is_plain) {
    struct cached_body *cached = cached_body_get(serve, question);
    if (!cached) {
        serve->answer_error(request, UNAVAILABLE, NULL);
        return;
    }
    if (target_is_plain)
        cached_body_remember_target(cached, request);
    cached_body_answer(cached, request);
}

static struct question question_of(const struct serve *serve, const struct body_builder *builder,
                                   const struct list_query *query) {
    struct question question = {.builder = builder,
                                .site = query->site,
                                .item = query->item,
                                .category = query->category,
                                .author = query->author,
                                .max_age = query->max_age,
                                .format = query->format,
                                .offset = query->offset,
                                .windows = windows_shown(query),
                                .ids = query->exclude,
                                .id_count = query->exclude_count};
    memcpy(question.limits, query->limits, sizeof question.limits);
    if (query->ranking.at)
        question.ranking = plan_find(serve->plan, query->ranking);
    return question;
}

// What is wrong with asking a ranking for its list of a period; NULL: nothing.
static const char *period_fault(const struct question *question, enum grain grain) {
    static const char *const kinds[] = {[GRAIN_DAY] = "period: this ranking has days, such as 2026-11-25",
                                        [GRAIN_WEEK] = "period: this ranking has weeks, such as 2026-W48",
                                        [GRAIN_MONTH] = "period: this ranking has months, such as 2026-11"};
    if (question->ranking->kind != RANK_WINDOW)
        return "period: only a ranking of the type window has periods";
    if (question->category.at || question->author.at)
        return "period: it is kept for the whole site only, so category and author cannot be asked for";
    enum grain own = window_sets(question->ranking->window);
    return own == grain ? NULL : kinds[own];
}

// A period of the ranking's own kind, by its name.
static enum outcome find_period(const struct list_query *query, struct question *question, const char **ret_fault) {
    struct period period;
    if (!calendar_parse(query->period, &period.grain, &period.number))
        return BAD_PARAMETER;
    if ((*ret_fault = period_fault(question, period.grain)))
        return BAD_PARAMETER;
    if (!period_is_readable(period, clock_now_ms()))
        return UNKNOWN_PERIOD;
    question->past = true;
    question->period = period.number;
    return OK;
}

static void answer_list(struct serve *serve, struct http_request *request, const struct body_builder *builder,
                        const struct list_query *query) {
    struct question question = question_of(serve, builder, query);
    enum outcome outcome = query->ranking.at && !question.ranking ? UNKNOWN_RANKING : OK;
    const char *fault = NULL;
    if (outcome == OK && query->period.at)
        outcome = find_period(query, &question, &fault);
    if (outcome == OK)
        answer(serve, request, &question, query->target_is_plain);
    else
        serve->answer_error(request, outcome, fault);
}

void serve_ranking(struct serve *serve, struct http_request *request, const struct list_query *query) {
    answer_list(serve, request, &builder_ranking, query);
}

void serve_related(struct serve *serve, struct http_request *request, const struct list_query *query) {
    answer_list(serve, request, &builder_related, query);
}

void serve_page(struct serve *serve, struct http_request *request, const struct list_query *query) {
    answer_list(serve, request, &builder_page, query);
}

static void answer_items(struct serve *serve, struct http_request *request, const struct body_builder *builder,
                         const struct items_query *query) {
    struct question question = {.builder = builder,
                                .site = query->site,
                                .ids = query->ids,
                                .id_count = (uint32_t)query->count,
                                .windows = query->windows};
    answer(serve, request, &question, query->target_is_plain);
}

void serve_item(struct serve *serve, struct http_request *request, const struct items_query *query) {
    answer_items(serve, request, &builder_item, query);
}

void serve_items(struct serve *serve, struct http_request *request, const struct items_query *query) {
    answer_items(serve, request, &builder_items, query);
}

void serve_series(struct serve *serve, struct http_request *request, const struct series_query *query) {
    struct question question = {.builder = &builder_series,
                                .site = query->site,
                                .item = query->item,
                                .grain = query->grain,
                                .first = query->first,
                                .last = query->last};
    answer(serve, request, &question, query->target_is_plain);
}

void serve_rankings(struct serve *serve, struct http_request *request, struct bytes site, bool target_is_plain) {
    struct question question = {.builder = &builder_rankings, .site = site};
    answer(serve, request, &question, target_is_plain);
}
