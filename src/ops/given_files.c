// SPDX-License-Identifier: MIT
// Reads the files that settings name, and passes them to children as one file in memory: for each its path and its
// content, each with its length (u32) before it.
#include "ops/given_files.h"
#include "base/buffer.h"
#include "base/reader.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_MAX = 64 << 20 };

static bool fail(char *ret_why, size_t size, const char *path, const char *why) {
    snprintf(ret_why, size, "%.150s %s", path, why);
    return false;
}

static struct bytes put(char *at, struct bytes from) {
    if (from.len)
        memcpy(at, from.at, from.len);
    at[from.len] = '\0';
    return (struct bytes){at, from.len};
}

// NULL without memory.
static const struct given_file *keep(struct given_file **files, struct bytes path, struct bytes text) {
    struct given_file *file = malloc(sizeof *file + path.len + text.len + 2);
    if (!file)
        return NULL;
    file->path = put((char *)(file + 1), path);
    file->text = put((char *)(file + 1) + path.len + 1, text);
    file->next = *files;
    return *files = file;
}

const struct given_file *given_file_find(const struct given_file *files, const char *path) {
    while (files && strcmp(files->path.at, path) != 0)
        files = files->next;
    return files;
}

bool given_file_is_there(const struct given_file *files, const char *path) {
    return given_file_find(files, path) || access(path, F_OK) == 0;
}

void given_files_release(struct given_file **files) {
    for (struct given_file *file = *files, *next; file; file = next) {
        next = file->next;
        free(file);
    }
    *files = NULL;
}

// ---- Reading one

// Everything up to the end; false with errno.
static bool read_all(int fd, struct buffer *text) {
    enum { BLOCK = 4096 };
    for (;;) {
        char *at = buffer_reserve(text, BLOCK);
        ssize_t got = at ? read(fd, at, BLOCK) : (errno = EFBIG, -1);
        if (got <= 0)
            return got == 0;
        text->len += (size_t)got;
    }
}

// NULL: it may be read.
static const char *fault_of(const struct stat *about, enum given_kind kind) {
    size_t most = kind == GIVEN_SECRET ? GIVEN_SECRET_MAX : GIVEN_CERTIFICATES_MAX;
    if (S_ISDIR(about->st_mode))
        return "is a directory";
    if (!S_ISREG(about->st_mode))
        return "is not a file";
    if (kind != GIVEN_CERTIFICATES && about->st_mode & (S_IRWXO | S_IWGRP))
        return "is a secret that other users can read or change: chmod g-w,o-rwx";
    if (about->st_size == 0)
        return "is empty";
    return (uint64_t)about->st_size > most ? "is too large" : NULL;
}

// O_NONBLOCK: nobody may ever write into a FIFO.
static bool read_file(const char *path, enum given_kind kind, struct buffer *text, char *ret_why, size_t why_size) {
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &about) != 0) {
        fail(ret_why, why_size, path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    const char *fault = fault_of(&about, kind);
    if (!fault && !read_all(fd, text))
        fault = strerror(errno);
    close(fd);
    return !fault || fail(ret_why, why_size, path, fault);
}

bool given_file_read(struct given_file **files, const char *path, enum given_kind kind, struct bytes *ret_text,
                     char *ret_why, size_t why_size) {
    const struct given_file *found = given_file_find(*files, path);
    if (!found) {
        struct buffer text;
        buffer_init(&text, 2 * GIVEN_CERTIFICATES_MAX);
        bool good = read_file(path, kind, &text, ret_why, why_size);
        if (good && !(found = keep(files, bytes_of(path), buffer_bytes(&text))))
            fail(ret_why, why_size, path, "cannot be kept: no memory");
        buffer_release(&text);
    }
    if (found)
        *ret_text = found->text;
    return found != NULL;
}

// ---- Handing over

static void add_part(struct buffer *copy, struct bytes part) {
    buffer_add_u32(copy, (uint32_t)part.len);
    buffer_add_bytes(copy, part);
}

int given_files_copy(const struct given_file *files) {
    struct buffer copy;
    buffer_init(&copy, COPY_MAX);
    for (; files; files = files->next) {
        add_part(&copy, files->path);
        add_part(&copy, files->text);
    }
    int fd = copy.failed ? (errno = ENOMEM, -1) : memfd_create("engaged-files", MFD_CLOEXEC);
    bool whole = fd >= 0;
    for (size_t at = 0; whole && at < copy.len;) {
        ssize_t written = write(fd, copy.at + at, copy.len - at);
        whole = written > 0;
        at += whole ? (size_t)written : 0;
    }
    buffer_release(&copy);
    if (whole || fd < 0)
        return fd;
    close(fd);
    return -1;
}

// Several children share the offset of the descriptor, so it is not used.
bool given_files_take(struct given_file **files, int fd) {
    struct stat about;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        return false;
    if (about.st_size == 0)
        return true;
    void *at = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return false;
    struct reader reader = reader_of((struct bytes){at, (size_t)about.st_size});
    bool good = true;
    while (good && !reader_at_end(&reader)) {
        struct bytes path = read_bytes(&reader, read_u32(&reader)), text = read_bytes(&reader, read_u32(&reader));
        good = !reader.failed && keep(files, path, text);
    }
    munmap(at, (size_t)about.st_size);
    return good;
}
