// SPDX-License-Identifier: MIT
// What the error replies of Redis mean, and where MOVED and ASK lead.
#include "redis/redirect.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// After what it needs:
#include <cmocka.h>

static const struct host_port asked = {"10.0.0.9", "7009"};
static struct redirect redirect;

static void expect(const char *text, unsigned slot, const char *host, const char *port) {
    assert_true(redirect_parse(text, &asked, &redirect));
    assert_int_equal(redirect.slot, slot);
    assert_string_equal(redirect.to.host, host);
    assert_string_equal(redirect.to.port, port);
}

static void test_where_they_lead(void **state) {
    (void)state;
    expect("MOVED 3999 127.0.0.1:6381", 3999, "127.0.0.1", "6381");
    expect("ASK 0 node-1.example:65535", 0, "node-1.example", "65535");
    expect("MOVED 1 ::1:7001", 1, "::1", "7001");
    expect("MOVED 16383 [::1]:7001", 16383, "::1", "7001");
    expect("MOVED 1 fe80::1%eth0:7001", 1, "fe80::1%eth0", "7001");
    expect("MOVED 1 :7001", 1, "10.0.0.9", "7001");
    expect("ASK 1 ?:7001", 1, "", "7001");
}

static void test_what_leads_nowhere(void **state) {
    (void)state;
    static const char *const wrong[] = {"",
                                        "MOVED",
                                        "MOVED 1",
                                        "MOVED 1 ",
                                        "MOVED 1 h",
                                        "MOVED 1 h:",
                                        "MOVED 1 h:0",
                                        "MOVED 1 h:65536",
                                        "MOVED 1 h:x",
                                        "MOVED 16384 h:1",
                                        "MOVED -1 h:1",
                                        "MOVED x h:1",
                                        "MOVED  1 h:1",
                                        "MOVED 1 h:1 more",
                                        "MOVED 1 a/b:1",
                                        "MOVED 1 a\x01:1",
                                        "MOVEDX 1 h:1",
                                        "moved 1 h:1",
                                        "ASKING 1 h:1",
                                        "MOVED 99999999999999999999 h:1",
                                        "TRYAGAIN"};
    char many[400] = "MOVED 1 ";
    memset(many + 8, 'h', HOST_SIZE);
    strcpy(many + 8 + HOST_SIZE, ":1");
    redirect.slot = 77;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(redirect_parse(wrong[i], &asked, &redirect));
    assert_false(redirect_parse(many, &asked, &redirect));
    assert_false(redirect_parse("MOVED 1 :7001", &(struct host_port){"", ""}, &redirect));
    assert_int_equal(redirect.slot, 77);
}

// Only what was surely not executed is sent again.
static void test_what_is_sent_again(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum error_kind kind;
        bool again;
        enum outcome outcome;
        bool drop;
    } rows[] = {
        {"MOVED 1 h:1", ERROR_MOVED, true, UNAVAILABLE, true},
        {"ASK 1 h:1", ERROR_ASK, true, UNAVAILABLE, true},
        {"TRYAGAIN Multiple keys request during rehashing of slot", ERROR_TRYAGAIN, true, UNAVAILABLE, false},
        {"CLUSTERDOWN The cluster is down", ERROR_CLUSTERDOWN, true, UNAVAILABLE, false},
        {"CLUSTERDOWN Hash slot not served", ERROR_CLUSTERDOWN, true, UNAVAILABLE, false},
        {"ERR Script attempted to execute a write command while the cluster is down and readonly script: x, on "
         "@user_script:1.",
         ERROR_CLUSTERDOWN, true, UNAVAILABLE, false},
        {"READONLY You can't write against a read only replica.", ERROR_READONLY, true, UNAVAILABLE, true},
        {"LOADING Redis is loading the dataset in memory", ERROR_LOADING, true, UNAVAILABLE, false},
        {"MASTERDOWN Link with MASTER is down", ERROR_MASTERDOWN, true, UNAVAILABLE, true},
        {"NOREPLICAS Not enough good replicas to write.", ERROR_NOREPLICAS, false, UNAVAILABLE, false},
        {"UNBLOCKED force unblock from blocking operation", ERROR_UNBLOCKED, false, UNAVAILABLE, true},
        {"ERR WAIT cannot be used with replica instances.", ERROR_UNBLOCKED, false, UNAVAILABLE, true},
        {"OOM command not allowed", ERROR_OTHER, false, UNAVAILABLE, false},
        {"BUSY Redis is busy running a script", ERROR_OTHER, false, UNAVAILABLE, false},
        {"MISCONF Redis is configured to save", ERROR_OTHER, false, UNAVAILABLE, false},
        {"NOSCRIPT No matching script.", ERROR_OTHER, false, UNAVAILABLE, false},
        {"NOAUTH Authentication required.", ERROR_OTHER, false, UNAVAILABLE, true},
        {"CROSSSLOT Keys in request don't hash to the same slot", ERROR_CUT, false, INTERNAL, false},
        {"ERR Script attempted to access a non local key in a cluster node script: 7a, on @user_script:3.", ERROR_CUT,
         false, INTERNAL, false},
        {"ERR Script attempted to access keys that do not hash to the same slot", ERROR_CUT, false, INTERNAL, false},
        {"ERR Script attempted: undeclared keys were accessed during rehashing of the slot", ERROR_CUT, false, INTERNAL,
         false},
        {"WRONGTYPE Operation against a key", ERROR_OTHER, false, INTERNAL, false},
        {"BUSYKEY Target key name already exists.", ERROR_OTHER, false, INTERNAL, false},
        {"MOVEDX", ERROR_OTHER, false, INTERNAL, false},
        {"ERR something", ERROR_OTHER, false, INTERNAL, false},
        {"", ERROR_OTHER, false, INTERNAL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct error_meaning *meaning = error_meaning_of(rows[i].text);
        assert_int_equal(meaning->kind, rows[i].kind);
        assert_int_equal(meaning->again, rows[i].again);
        assert_int_equal(meaning->outcome, rows[i].outcome);
        assert_int_equal(meaning->drop, rows[i].drop);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_they_lead),
        cmocka_unit_test(test_what_leads_nowhere),
        cmocka_unit_test(test_what_is_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
