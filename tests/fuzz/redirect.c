// SPDX-License-Identifier: MIT
// Error texts of Redis: every one has a meaning, and where MOVED and ASK lead is a host and a port that can be tried.
#include "redis/redirect.h"
#include "tests/fuzz/fuzz.h"

enum { SLOT_COUNT = 16384 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct host_port asked = {"10.0.0.9", "7009"};
    struct redirect redirect;
    struct host_port again;
    char *text = malloc(size + 1);
    FUZZ_CHECK(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    const struct error_meaning *meaning = error_meaning_of(text);
    FUZZ_CHECK(!meaning->again || meaning->outcome == UNAVAILABLE);
    if (redirect_parse(text, &asked, &redirect)) {
        FUZZ_CHECK(meaning->kind == ERROR_MOVED || meaning->kind == ERROR_ASK);
        FUZZ_CHECK(redirect.slot < SLOT_COUNT && port_parse(bytes_of(redirect.to.port), again.port));
        FUZZ_CHECK(!redirect.to.host[0] || host_parse(bytes_of(redirect.to.host), again.host));
    }
    free(text);
    return 0;
}
