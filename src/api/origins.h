// SPDX-License-Identifier: MIT
// Whose pages may write to a site.
#pragma once
#include "api/call.h"

// Checks `Origin`: false when the site does not take writes from it. In both cases the call remembers it, and the
// answer names it, so that a page's developer can read the error. Only the site's own origins get the cookie.
bool origin_grant(struct call *call);
// The same for an image, which has no `Origin`: the origin of `Referer` decides, and without one `Sec-Fetch-Site`.
bool origin_grants_image(struct call *call);
