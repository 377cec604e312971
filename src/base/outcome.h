// SPDX-License-Identifier: MIT
// The one status type: what became of a call, from Redis link to HTTP answer.
// outcomes.def lists each with its HTTP status, its stable code (docs/api.md: `code` never changes) and a title. To add
// one, add its line there and nothing else; `make check` holds the documents to the table.
#pragma once

enum outcome {
#define OUTCOME(name, status, code, title) name,
#include "base/outcomes.def"
#undef OUTCOME
    OUTCOME_COUNT
};

// Whoever gets one must look at it.
#define MUST_CHECK __attribute__((warn_unused_result))

int outcome_status(enum outcome outcome);
const char *outcome_code(enum outcome outcome);
const char *outcome_title(enum outcome outcome);
