// SPDX-License-Identifier: MIT
// Each kind of address before each kind of server.
#include "redis/misfit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// After what it needs:
#include <cmocka.h>

static void expect(const char *found, const char *words) {
    if (!words)
        assert_null(found);
    else if (!found || !strstr(found, words))
        fail_msg("%s, not %s", found ? found : "nothing", words);
}

static void test_the_mode(void **state) {
    (void)state;
    static const struct {
        enum address_kind kind;
        const char *standalone, *cluster, *sentinel;
    } rows[] = {
        {ADDRESS_REDIS, NULL, "is a node of a Cluster", "is a Sentinel"},
        {ADDRESS_UNIX, NULL, "is a node of a Cluster", "is a Sentinel"},
        {ADDRESS_CLUSTER, "is no node of a Cluster", NULL, "is a Sentinel"},
        {ADDRESS_SENTINEL, NULL, "name a node of a Cluster", "is a Sentinel"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect(misfit_of_mode(rows[i].kind, BYTES("# Server\r\nredis_mode:standalone\r\nos:Linux\r\n")),
               rows[i].standalone);
        expect(misfit_of_mode(rows[i].kind, BYTES("# Server\r\nredis_mode:cluster\r\nos:Linux\r\n")), rows[i].cluster);
        expect(misfit_of_mode(rows[i].kind, BYTES("redis_mode:sentinel")), rows[i].sentinel);
        expect(misfit_of_mode(rows[i].kind, BYTES("redis_mode:clustered\r\n")), NULL);
        expect(misfit_of_mode(rows[i].kind, BYTES("redis_mode:")), NULL);
        expect(misfit_of_mode(rows[i].kind, NO_BYTES), NULL);
    }
}

static void test_the_role(void **state) {
    (void)state;
    expect(misfit_of_role(ADDRESS_REDIS, BYTES("master")), NULL);
    expect(misfit_of_role(ADDRESS_REDIS, BYTES("slave")), "a replica");
    expect(misfit_of_role(ADDRESS_SENTINEL, BYTES("slave")), "a replica");
    expect(misfit_of_role(ADDRESS_UNIX, NO_BYTES), "a replica");
    expect(misfit_of_role(ADDRESS_CLUSTER, BYTES("slave")), NULL);
    expect(misfit_of_role(ADDRESS_CLUSTER, BYTES("sentinel")), "a Sentinel");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_mode), cmocka_unit_test(test_the_role)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
