// SPDX-License-Identifier: MIT
// The one status type: the result of a call, from the Redis connection to the HTTP answer. outcomes.def lists each with
// its HTTP status, its stable code (docs/api.md: `code` never changes) and a title. To add one, add its row there;
// `make check` compares the documents with the table.
#pragma once

enum outcome {
#define OUTCOME(name, status, code, title) name,
#include "base/outcomes.def"
#undef OUTCOME
    OUTCOME_COUNT
};

// The compiler warns when a caller ignores an outcome.
#define MUST_CHECK __attribute__((warn_unused_result))

int outcome_status(enum outcome outcome);
const char *outcome_code(enum outcome outcome);
const char *outcome_title(enum outcome outcome);
