// SPDX-License-Identifier: MIT
// The files that settings name: secrets and certificates. The struct settings owns their content.
//
// Each is read once for a generation of processes. The supervisor reads them with the settings, and its children find
// copies in a file in memory (ENGAGED_FILES_FD), so that a later edit changes nothing for a child that is started
// again. SIGHUP reads the files again.
#pragma once
#include "base/bytes.h"

enum { GIVEN_PATH_SIZE = 512, GIVEN_SECRET_MAX = 4096, GIVEN_CERTIFICATES_MAX = 1 << 20 };

struct given_file {
    struct given_file *next;
    struct bytes path, text; // one allocation with the struct; each has a NUL behind it
};

// Of a secret and a key no other users than the owner and the group may read or change the file.
enum given_kind { GIVEN_SECRET, GIVEN_KEY, GIVEN_CERTIFICATES };

// Reads the file, or finds it among those that were read. False, with the reason behind the path, when it cannot be
// read, is empty, too large or open to others.
bool given_file_read(struct given_file **files, const char *path, enum given_kind kind, struct bytes *ret_text,
                     char *ret_why, size_t why_size);
// Whether it was read before, or is there.
bool given_file_is_there(const struct given_file *files, const char *path);
// NULL: it was not read.
const struct given_file *given_file_find(const struct given_file *files, const char *path);
void given_files_release(struct given_file **files);

// A file in memory that holds all of them, for children; -1 with errno.
int given_files_copy(const struct given_file *files);
// False when the descriptor holds no such copy.
bool given_files_take(struct given_file **files, int fd);
