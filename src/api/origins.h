// SPDX-License-Identifier: MIT
// Whose pages may write to a site.
#pragma once
#include "api/call.h"

// By `Origin`: false when the site does not take writes from it. Either way the call remembers it, so that the answer
// names it: only then can a page's developer read why it was refused. The cookie is for the site's own origins alone.
bool origin_grant(struct call *call);
// The same for an image, which has no `Origin`: by the origin of `Referer`, and without one by `Sec-Fetch-Site`.
bool origin_grants_image(struct call *call);
