// SPDX-License-Identifier: MIT
// What fills up a list that is too short, step by step. A step is a ranking, whole or of one category; it is read as
// far as it is kept before the next one begins. `fill` of the list's rules decides which steps there are.
//
// To add a step: a case in step_at, which numbers the steps of a list, and a reason in docs/api.md.
#include "serve/list.h"
#include <math.h>

// Popularity is not kept by category. The ranking that is nearest to it stands for it there: views count in it, little
// is asked of an item, and its half-life is near.
static bool stands_for_popular(const struct ranking *ranking) {
    return ranking->kind == RANK_DECAYED && ranking->weight[SIGNAL_VIEWS] > 0 && ranking->floor <= 1;
}

static double distance(const struct ranking *ranking) {
    return fabs(log2((double)ranking->half_life_ms / POPULAR_HALF_LIFE_MS));
}

const struct ranking *filling_of_categories(const struct plan *plan) {
    const struct ranking *best = NULL;
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct ranking *ranking = &plan->rankings[i];
        if (i != plan->popular && stands_for_popular(ranking) && (!best || distance(ranking) < distance(best)))
            best = ranking;
    }
    return best ? best : &plan->rankings[0];
}

struct filling_step {
    const struct ranking *ranking;
    struct bytes category; // at == NULL: the whole site
    bool of_author;        // `category` is an author
    const char *reason;
};

// First the popular of the categories that the list is for, then those of the site, then the rankings of the settings
// (of those categories only, if the list asks for them), then the newest cards. If the list asks for authors, all that
// they have written comes behind the popular of the site, what nobody has read last.
static bool step_at(const struct list *list, uint32_t index, struct filling_step *ret_step) {
    const struct serve *serve = list->serve;
    const struct plan *plan = serve->plan;
    const struct rule_words *asked = &list->filter.category;
    uint32_t own = asked->count ? asked->count : list->own_category.len > 0, each = asked->count ? asked->count : 1;
    if (index < own) {
        struct bytes category = asked->count ? asked->at[index] : buffer_bytes(&list->own_category);
        *ret_step = (struct filling_step){serve->category_filling, category, false, "popular_in_category"};
        return true;
    }
    index -= own;
    *ret_step = (struct filling_step){&plan->rankings[plan->popular], NO_BYTES, false, "popular"};
    if (index-- == 0)
        return true;
    const struct rule_words *authors = &list->filter.author;
    if (index < 2 * authors->count) {
        bool unread = index >= authors->count;
        *ret_step = (struct filling_step){unread ? &serve->author_unread : &serve->author_items,
                                          authors->at[index % authors->count], true, "popular"};
        return true;
    }
    index -= 2 * authors->count;
    if (index < plan->popular * each) { // the popular ranking is the last of the plan
        struct bytes category = asked->count ? asked->at[index % each] : NO_BYTES;
        *ret_step = (struct filling_step){&plan->rankings[index / each], category, false, "popular"};
        return true;
    }
    *ret_step = (struct filling_step){&serve->newest_cards, NO_BYTES, false, "popular"};
    return index == plan->popular * each;
}

static void on_filling(struct shared_wait *wait, struct shared_value *read) {
    struct list *list = (struct list *)((char *)wait - offsetof(struct list, snapshot_wait));
    struct snapshot_entries *entries = list_keep_entries(list, read);
    struct filling_step step;
    if (!entries || !step_at(list, list->next_filling, &step)) {
        list_end(list, UNAVAILABLE);
        return;
    }
    struct origin origin = {step.ranking, GROUP_FILLING + 2 * list->next_filling + list->fills_deep, step.reason};
    bool fits = supply_entries(list, &origin, entries);
    list->fills_deep = !list->fills_deep && !entries->whole;
    list->next_filling += !list->fills_deep;
    if (fits)
        list_place(list);
    else
        list_end(list, UNAVAILABLE);
}

// Window rankings have nothing that the others lack, and cost more.
static bool next_step(struct list *list, struct filling_step *ret_step) {
    bool more = step_at(list, list->next_filling, ret_step);
    while (more && ret_step->ranking->kind == RANK_WINDOW)
        more = step_at(list, ++list->next_filling, ret_step);
    return more;
}

bool source_fill(struct list *list) {
    struct filling_step step;
    if (!next_step(list, &step))
        return false;
    const struct secret_key *hash_key = list->serve->hash_key;
    ref_t category = step.of_author     ? author_ref(hash_key, step.category)
                     : step.category.at ? category_ref(hash_key, step.category)
                                        : 0;
    struct snapshot_question question = {.site = list->site,
                                         .ranking = step.ranking,
                                         .category = step.category.at ? &category : NULL,
                                         .cards_only =
                                             list->rules->cards_only || step.ranking == &list->serve->newest_cards,
                                         .deep = list->fills_deep};
    list->snapshot_wait.on_value = on_filling;
    snapshot_get(list->serve, &question, &list->snapshot_wait);
    return true;
}
