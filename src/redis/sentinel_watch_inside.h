// SPDX-License-Identifier: MIT
// The structs of a watch, which its files share. No other file includes it.
#pragma once
#include "redis/connection.h"
#include "redis/sentinel.h"
#include "redis/sentinel_watch.h"

struct sentinel {
    struct sentinel_watch *watch;
    struct redis_connection *redis;
    struct sentinel *next;
    struct host_port at;
    char id[SENTINEL_ID_SIZE];
    bool of_setting, asking_master, asking_id, asking_others;
    bool silent; // it is logged that it does not answer
    struct redis_call login, master, own_id, others;
    uint32_t asked, answered; // the round in which it was asked last; the last one that it has answered
    struct sentinel_answer answer;
    uint64_t heard_ms;
    char trouble[TROUBLE_SIZE]; // the error that it answers; empty: none
};

struct sentinel_watch {
    uv_loop_t *loop;
    struct address address;
    struct sentinel_watch_hooks hooks;
    struct command command;
    uv_timer_t timer;
    struct sentinel *sentinels;
    uint32_t count, open; // open: those whose connection is not closed yet
    uint32_t round, turn;
    bool in_round, fresh, known; // fresh: a round has ended since the last attempt or the last moment of service;
                                 // known: there is a master
    uint64_t round_end_ms, next_turn_ms;
    struct sentinel_answer master;
    char why[TROUBLE_SIZE]; // why there is no master to connect to
    uint64_t logged_ns;
    bool stopping;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

// sentinel_ask.c: connects to one, and asks it. False without memory.
bool sentinel_connect(struct sentinel *sentinel);
void sentinel_ask_master(struct sentinel *sentinel);
void sentinel_ask_others(struct sentinel *sentinel);
// sentinel_watch.c: what it has answered.
void sentinel_watch_take_answer(struct sentinel *sentinel);
void sentinel_watch_add_others(struct sentinel_watch *watch, const redisReply *reply);
