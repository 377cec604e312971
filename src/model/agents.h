// SPDX-License-Identifier: MIT
// What a User-Agent says it is. Nobody is caught who hides it: that is what ceilings are for. Pure.
#pragma once
#include "base/bytes.h"

enum agent {
    AGENT_READER,  // anything else, and an empty one
    AGENT_LIBRARY, // an HTTP library or tool: a crawler's, or a publisher's own program
    AGENT_BOT,     // a crawler, monitor, link preview or browser without a screen
};

enum agent agent_of(struct bytes user_agent);
