// SPDX-License-Identifier: MIT
// The table of outcomes, by number.
#include "base/outcome.h"

static const struct {
    int status;
    const char *code, *title;
} outcomes[OUTCOME_COUNT] = {
#define OUTCOME(name, status, code, title) [name] = {status, code, title},
#include "base/outcomes.def"
#undef OUTCOME
};

int outcome_status(enum outcome outcome) {
    return outcomes[outcome].status;
}

const char *outcome_code(enum outcome outcome) {
    return outcomes[outcome].code;
}

const char *outcome_title(enum outcome outcome) {
    return outcomes[outcome].title;
}
