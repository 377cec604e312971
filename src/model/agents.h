// SPDX-License-Identifier: MIT
// What a User-Agent says it is. Nobody is caught who hides it: that is what rate limits are for. Pure.
#pragma once
#include "base/bytes.h"

enum agent {
    AGENT_READER, // anything else, and an empty one
    AGENT_TOOL,   // an HTTP library, or a browser that a program drives: a crawler's, or a publisher's own
    AGENT_BOT,    // a crawler, monitor or link preview
};

enum agent agent_of(struct bytes user_agent);
