// SPDX-License-Identifier: MIT
// What one generation of children is started with. All of it is fixed when the settings are read, so a later or wrong
// edit of the file changes nothing for a child that is started again.
#pragma once
#include "ops/settings.h"

enum { LISTENERS = 3 };

// Memory that all processes of the service share, over all generations.
struct shared_files {
    int metrics;
    int rate_limits;
};

// The descriptors that a child inherits, from 3 on; -1 where there is none.
struct launch_files {
    struct shared_files shared;
    int config; // a copy of the configuration file
    int given;  // copies of the files that settings name
};

// The listening sockets of one worker. The supervisor holds them, and the next generation's worker of the same number
// gets the same ones. So a client that has connected and is not accepted yet is served, not reset.
struct launch_sockets {
    int listen[LISTENERS];
};

// The file that a Unix socket was bound to. Another file at its path is not ours.
struct launch_file {
    uint64_t device, inode; // 0: there is none
};

struct launch {
    char program[32]; // /proc/self/fd/N: the program file as it is now
    int program_fd;
    char **argv; // ours, and after it what names the files above
    struct launch_files files;
    struct launch_sockets *sockets; // `workers` of them
    char address[LISTENERS][256];   // of listen, ops_listen and publisher_listen; empty: none
    struct launch_file socket_files[LISTENERS];
    unsigned listen_mode; // of the files of Unix sockets
    char directory[512];  // of the embedded Redis; empty: none
    unsigned workers;
    uint64_t generation; // its number, from 1
    uint64_t drain_timeout_ms, hang_timeout_ms, reload_timeout_ms;
};

// `before`: the launch that this one follows, whose listeners it may take over, or NULL. NULL with one line in
// ret_error: an address is taken, or something is missing.
struct launch *launch_new(const struct settings *settings, const char *directory, const struct shared_files *shared,
                          int argc, char **argv, const struct launch *before, char *ret_error, size_t error_size);
// Stops a worker's TCP sockets from listening for a while, because nobody accepts there: new clients reach the others.
void launch_withdraw(const struct launch *launch, unsigned worker);
// Before the end: closes our copies of the TCP sockets. A worker that drains accepts who waits and closes the last
// copy, so new clients are refused at once. Else the kernel would go on taking clients whom nobody accepts.
void launch_let_go(struct launch *launch);
// The launch has taken over: the files of its Unix sockets get its listen_mode.
void launch_settle(const struct launch *launch);
// Removes the files of Unix sockets that `heir` (may be NULL) has not taken over.
void launch_free(struct launch *launch, const struct launch *heir);
