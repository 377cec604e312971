// SPDX-License-Identifier: MIT
// The address of a Redis: redis://[user:password@]host:port[/db] or unix:PATH.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct address {
    bool is_unix;
    char path[108]; // of the Unix socket
    char host[256];
    char port[6];
    char user[64], password[256]; // empty: none
    int database;
};

// False, with one line in ret_error, when the text has neither form.
bool address_parse(const char *text, struct address *ret_address, char *ret_error, size_t error_size);
