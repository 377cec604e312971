// SPDX-License-Identifier: MIT
// An item as API.md section 3 shows it: its card as the publisher gave it, its counts.
#include "serve/serve_inside.h"

void item_members(struct json_out *json, const struct settings *settings, struct bytes id,
                  const struct item_state *state) {
    json_key(json, BYTES("item"));
    json_text(json, id);
    json_raw(json, state->card);
    json_key(json, BYTES("votes"));
    json_open(json, '{');
    for (uint32_t i = 0; i < settings->kind_count; i++) {
        json_key(json, bytes_of(settings->kind_names[i]));
        json_int(json, (int64_t)state->votes[i]);
    }
    json_close(json, '}');
    json_key(json, BYTES("views"));
    json_int(json, (int64_t)state->views);
    json_key(json, BYTES("visitors"));
    json_int(json, (int64_t)state->visitors);
}

void item_render(struct json_out *json, const struct settings *settings, struct bytes id,
                 const struct item_state *state) {
    json_open(json, '{');
    item_members(json, settings, id, state);
    json_close(json, '}');
}
