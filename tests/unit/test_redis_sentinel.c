// SPDX-License-Identifier: MIT
// Which master follows from what Sentinels say: stale ones, ones that disagree, a group set up anew, hostile replies.
#include "redis/sentinel.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// After what it needs:
#include "replies.h"
#include <cmocka.h>

// Answers as "a1 a1 b2": a host of one letter and an epoch.
static uint32_t answers_of(const char *text, struct sentinel_answer *answers) {
    uint32_t count = 0;
    for (; *text; text += text[2] ? 3 : 2)
        answers[count++] = (struct sentinel_answer){.at = {.host = {text[0]}, .port = "6379"}, .epoch = text[1] - '0'};
    return count;
}

// The choice in the same form, and its votes: "b2 1"; "": none.
static void expect(const char *text, uint32_t known, const char *before, const char *wanted) {
    struct sentinel_answer answers[8], earlier[1];
    struct sentinel_choice choice;
    char found[300] = "";
    uint32_t count = answers_of(text, answers);
    if (sentinel_choose(answers, count, known, answers_of(before, earlier) ? earlier : NULL, &choice))
        snprintf(found, sizeof found, "%s%d %u", choice.master.at.host, (int)choice.master.epoch, choice.votes);
    if (strcmp(found, wanted) != 0)
        fail_msg("%s of %u after %s: %s, not %s", text, known, before, found, wanted);
}

static void test_the_choice(void **state) {
    (void)state;
    expect("", 3, "", "");
    expect("", 3, "a1", "");
    expect("a1", 3, "", "a1 1");
    expect("a1 a1 a1", 3, "", "a1 3");
    expect("a1 a1 b2", 3, "a1", "b2 1"); // one has heard of the failover
    expect("b2 a1 b2", 3, "a1", "b2 2"); // one has not
    expect("a1 b1 b1", 3, "", "b1 2");   // equal epochs
    expect("a0 b0", 2, "", "a0 1");
    expect("a0 b0", 2, "b0", "b0 1"); // a tie: the one that it was
    expect("b0 a0", 2, "b0", "b0 1");
    expect("a1 b2 b2 c2 c2 c2", 6, "a1", "c2 3");
}

static void test_an_epoch_that_has_fallen(void **state) {
    (void)state;
    expect("a1", 3, "b2", "");        // a stale Sentinel alone
    expect("a1", 1, "b2", "a1 1");    // there is only this one
    expect("a1 a1", 3, "b2", "a1 2"); // the group was set up anew
    expect("a1 a1", 4, "b2", "");     // not more than half
    expect("a1 a1 b2", 3, "b2", "b2 1");
    expect("a1 c1 a1", 5, "b2", "");
    expect("b1", 3, "b2", ""); // also at the same address
}

static bool read_master(const char *text, struct sentinel_answer *answer) {
    redisReply *reply = reply_of(text);
    bool good = sentinel_read_master(reply, answer);
    freeReplyObject(reply);
    return good;
}

// Sentinels send numbers as texts; the short form would make integers of them.
static redisReply *as_texts(redisReply *reply) {
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        as_texts(reply->element[i]);
    if (reply->type == REDIS_REPLY_INTEGER) {
        char digits[24];
        int len = snprintf(digits, sizeof digits, "%lld", reply->integer);
        reply->type = REDIS_REPLY_STRING;
        reply->str = strdup(digits);
        reply->len = (size_t)len;
    }
    return reply;
}

static void test_the_answer_of_one(void **state) {
    (void)state;
    struct sentinel_answer answer = {.epoch = 77};
    redisReply *reply =
        as_texts(reply_of("[name engaged ip ::1 port 7001 runid aa flags master,s_down config-epoch 12 quorum 2 odd]"));
    assert_true(sentinel_read_master(reply, &answer));
    freeReplyObject(reply);
    assert_string_equal(answer.at.host, "::1");
    assert_string_equal(answer.at.port, "7001");
    assert_int_equal(answer.epoch, 12);
}

static void test_hostile_answers(void **state) {
    (void)state;
    static const char *const wrong[] = {"~",
                                        "[]",
                                        "text",
                                        "[ip h port x config-epoch x1]",
                                        "[ip h]",
                                        "[ip h port]",
                                        "[ip '' port p1 config-epoch x]",
                                        "[ip [h] port [1] config-epoch [1]]",
                                        "[[ip h] [port 1]]"};
    struct sentinel_answer answer = {.epoch = 77};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(read_master(wrong[i], &answer));
    static const char *const of_texts[] = {"[ip h port 0 config-epoch 1]", "[ip h port 65536 config-epoch 1]",
                                           "[ip h/i port 1 config-epoch 1]", "[ip h port 1 config-epoch -1]",

                                           "[ip h port 1]"};
    for (size_t i = 0; i < sizeof of_texts / sizeof *of_texts; i++) {
        redisReply *reply = as_texts(reply_of(of_texts[i]));
        assert_false(sentinel_read_master(reply, &answer));
        freeReplyObject(reply);
    }
    assert_int_equal(answer.epoch, 77);
}

static uint32_t read_others(const char *text, struct sentinel_other *others) {
    redisReply *reply = as_texts(reply_of(text));
    uint32_t count = sentinel_read_others(reply, others);
    freeReplyObject(reply);
    return count;
}

static void test_the_others(void **state) {
    (void)state;
    struct sentinel_other others[SENTINELS_MAX];
    assert_int_equal(read_others("[[name x ip 10.0.0.2 port 26379 runid bb] [ip h port 0 runid cc] [ip h port 1] x []"
                                 " [ip h port 1 runid ee flags s_down,sentinel,disconnected]"
                                 " [runid dd port 5000 ip ::1]]",
                                 others),
                     2);
    assert_string_equal(others[0].at.host, "10.0.0.2");
    assert_string_equal(others[0].id, "bb");
    assert_string_equal(others[1].at.port, "5000");
    assert_int_equal(read_others("[]", others) + read_others("~", others) + read_others("word", others), 0);
    char text[SENTINELS_MAX * 40] = "[";
    for (int i = 0; i < SENTINELS_MAX + 3; i++)
        sprintf(text + strlen(text), "[ip h%d port 1 runid r%d]", i, i);
    assert_int_equal(read_others(strcat(text, "]"), others), SENTINELS_MAX);
}

static void test_an_id(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"abc", "abc"}, {"''", ""}, {"~", ""}, {"[abc]", ""}, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""}};
    char id[SENTINEL_ID_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        redisReply *reply = reply_of(rows[i][0]);
        sentinel_read_id(reply, id);
        freeReplyObject(reply);
        assert_string_equal(id, rows[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_choice),        cmocka_unit_test(test_an_epoch_that_has_fallen),
        cmocka_unit_test(test_the_answer_of_one), cmocka_unit_test(test_hostile_answers),
        cmocka_unit_test(test_the_others),        cmocka_unit_test(test_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
