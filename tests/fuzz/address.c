// SPDX-License-Identifier: MIT
// The setting `redis`: what is taken has whole parts within their bounds, and what is refused names a reason in one
// line.
#include "redis/address.h"
#include "tests/fuzz/fuzz.h"

static void check_taken(const struct address *address) {
    FUZZ_CHECK(address->host_count <= HOSTS_MAX);
    FUZZ_CHECK((address->kind == ADDRESS_UNIX) == (address->host_count == 0));
    FUZZ_CHECK((address->kind == ADDRESS_UNIX) == (address->path[0] != '\0'));
    FUZZ_CHECK((address->kind == ADDRESS_SENTINEL) == (address->master[0] != '\0'));
    FUZZ_CHECK(address->kind == ADDRESS_REDIS || address->database == 0);
    for (uint32_t i = 0; i < address->host_count; i++) {
        struct host_port again;
        FUZZ_CHECK(host_parse(bytes_of(address->hosts[i].host), again.host));
        FUZZ_CHECK(port_parse(bytes_of(address->hosts[i].port), again.port));
        FUZZ_CHECK(host_port_eq(&again, &address->hosts[i]));
        for (uint32_t j = 0; j < i; j++)
            FUZZ_CHECK(!host_port_eq(&address->hosts[i], &address->hosts[j]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct address address;
    char error[256] = "", *text = malloc(size + 1);
    FUZZ_CHECK(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (address_parse(text, &address, error, sizeof error))
        check_taken(&address);
    else
        FUZZ_CHECK(strncmp(error, "redis: ", 7) == 0 && !strchr(error, '\n'));
    free(text);
    return 0;
}
