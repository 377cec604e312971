// SPDX-License-Identifier: MIT
// What a User-Agent says it is. A program that hides this is not recognised; rate limits bound it. Pure.
#pragma once
#include "base/bytes.h"

enum agent {
    AGENT_READER, // all others, and an empty User-Agent
    AGENT_TOOL,   // an HTTP library, or a browser that a program drives; crawlers and publishers use both
    AGENT_BOT,    // a crawler, monitor or link preview
};

enum agent agent_of(struct bytes user_agent);
