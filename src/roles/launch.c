// SPDX-License-Identifier: MIT
// The program, its arguments and its files are held open, so that all children of a generation are alike.
#include "roles/launch.h"
#include "http/http.h"
#include "ops/log.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CGROUP_PATH_SIZE = 512,
    PATH_SIZE = 4096,
    FILE_CONFIG = 5,
    FILE_LISTEN = 6,
    ABOVE_CHILD_FILES = 16,
    ARGUMENTS_ADDED = 2 + 2 * LISTENERS
};

static const char *const listen_options[LISTENERS] = {"--listen", "--ops-listen", "--publisher-listen"};

static const char *address_of(const struct settings *settings, int index) {
    const char *const addresses[LISTENERS] = {settings->listen, settings->ops_listen, settings->publisher_listen};
    return strcmp(addresses[index], PUBLISHERS_ON_OPS) == 0 ? "" : addresses[index];
}

// ---- How many workers

// The quota of one cgroup (version 2) in whole cores, rounded up; UINT_MAX: none is set.
static unsigned quota_of(const char *group) {
    unsigned long long quota, period;
    char path[CGROUP_PATH_SIZE + 32];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    FILE *file = fopen(path, "re");
    if (!file)
        return UINT_MAX;
    int found = fscanf(file, "%llu %llu", &quota, &period);
    fclose(file);
    return found == 2 && quota && period ? (unsigned)((quota + period - 1) / period) : UINT_MAX;
}

// The least quota of our cgroup and those above it: systemd sets it on the unit, a container on its root.
static unsigned quota_cores(void) {
    char group[CGROUP_PATH_SIZE] = "";
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file) {
        if (fscanf(file, "0::%511s", group) != 1)
            group[0] = '\0';
        fclose(file);
    }
    unsigned least = quota_of("");
    for (char *slash; (slash = strrchr(group, '/')); *slash = '\0') {
        unsigned quota = quota_of(group);
        least = quota < least ? quota : least;
    }
    return least;
}

static unsigned worker_count(const struct settings *settings) {
    cpu_set_t cores;
    if (settings->workers)
        return (unsigned)settings->workers;
    unsigned count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
    unsigned quota = quota_cores();
    return quota < count ? quota : count;
}

// ---- Files

// Moves the file to a number that no file of a child has, closed on exec: the child has only the files that it is
// given.
static int out_of_the_way(int fd) {
    int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_CHILD_FILES);
    if (fd >= 0)
        close(fd);
    return moved;
}

// The path of our program at the start: when another file is there, /proc/self/exe says "… (deleted)".
static const char *program_path(void) {
    static char path[PATH_SIZE];
    if (!path[0] && readlink("/proc/self/exe", path, sizeof path - 1) < 0)
        path[0] = '\0';
    return path;
}

static bool same_file(int a, int b) {
    struct stat one, other;
    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// Opens the program by its path, because an upgrade may have put another file there; or the program that we run, when
// there is none.
static int open_program(void) {
    const char *path = program_path();
    int own = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    int fd = *path && access(path, X_OK) == 0 ? open(path, O_PATH | O_CLOEXEC) : -1;
    if (fd < 0) {
        log_warn("%s: %s; the program that runs is started again", path, strerror(errno));
        return out_of_the_way(own);
    }
    if (!same_file(fd, own))
        log_info("%s is another file than the one that this process runs: the new processes run it", path);
    if (own >= 0)
        close(own);
    return out_of_the_way(fd);
}

static int copy_of(const char *path) {
    char block[4096];
    size_t len;
    bool whole = true;
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    int fd = memfd_create("engaged-config", MFD_CLOEXEC);
    while (whole && (len = fread(block, 1, sizeof block, file)) > 0)
        whole = fd >= 0 && write(fd, block, len) == (ssize_t)len;
    whole = whole && !ferror(file);
    fclose(file);
    if (whole)
        return out_of_the_way(fd);
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool is_unix(const char *address) {
    return strncmp(address, "unix:", 5) == 0;
}

static const char *path_of(const struct launch *launch, int index) {
    return launch->address[index] + 5;
}

static struct launch_file file_at(const char *path) {
    struct stat file;
    if (lstat(path, &file) != 0 || !S_ISSOCK(file.st_mode))
        return (struct launch_file){0, 0};
    return (struct launch_file){file.st_dev, file.st_ino};
}

static bool has_its_file(const struct launch *launch, int index) {
    struct launch_file file = file_at(path_of(launch, index)), own = launch->socket_files[index];
    return own.inode && file.inode == own.inode && file.device == own.device;
}

static mode_t mode_by_umask(void) {
    mode_t mask = umask(077);
    umask(mask);
    return 0777 & ~mask;
}

static unsigned mode_of(const struct settings *settings) {
    return *settings->listen_mode ? (unsigned)strtoul(settings->listen_mode, NULL, 8) : mode_by_umask();
}

static int copy_of_socket(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_CHILD_FILES);
}

// Workers share a port by SO_REUSEPORT, so two services could share one unnoticed. A first bind without the option
// finds that out.
static bool is_free(const char *address, char *ret_error, size_t size) {
    int fd = http_socket_open(address, false, 0, ret_error, size);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

// The socket of worker `worker`: its earlier one; for a Unix socket, the one that all workers share; else a new one.
static int open_socket(const struct launch *launch, unsigned worker, int index, const struct launch *before,
                       char *ret_error, size_t size) {
    const char *address = launch->address[index];
    bool same = before && strcmp(before->address[index], address) == 0 &&
                (!is_unix(address) || has_its_file(before, index)); // else somebody has removed it
    if (same && worker < before->workers)
        return copy_of_socket(before->sockets[worker].listen[index]);
    if (is_unix(address) && worker > 0)
        return copy_of_socket(launch->sockets[0].listen[index]);
    if (!same && worker == 0 && !is_unix(address) && !is_free(address, ret_error, size))
        return -1;
    return out_of_the_way(http_socket_open(address, true, launch->listen_mode, ret_error, size));
}

// All workers have the socket that one path leads to.
static void note_file(struct launch *launch, int index) {
    if (is_unix(launch->address[index]))
        launch->socket_files[index] = file_at(path_of(launch, index));
}

static bool open_sockets(struct launch *launch, const struct launch *before, char *ret_error, size_t size) {
    launch->sockets = malloc(launch->workers * sizeof *launch->sockets);
    if (!launch->sockets)
        return false;
    for (unsigned worker = 0; worker < launch->workers; worker++)
        launch->sockets[worker] = (struct launch_sockets){{-1, -1, -1}};
    for (int i = 0; i < LISTENERS; i++)
        for (unsigned worker = 0; launch->address[i][0] && worker < launch->workers; worker++) {
            if ((launch->sockets[worker].listen[i] = open_socket(launch, worker, i, before, ret_error, size)) < 0)
                return false;
            note_file(launch, i);
        }
    return true;
}

static bool is_listening(int fd) {
    int yes = 0;
    socklen_t len = sizeof yes;
    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes;
}

// Only listening sockets: shutdown() on one that does not listen yet would break the next worker's listen().
void launch_withdraw(const struct launch *launch, unsigned worker) {
    for (int i = 0; i < LISTENERS; i++)
        if (!is_unix(launch->address[i]) && is_listening(launch->sockets[worker].listen[i]))
            shutdown(launch->sockets[worker].listen[i], SHUT_RDWR);
}

void launch_let_go(struct launch *launch) {
    for (int i = 0; i < LISTENERS; i++)
        for (unsigned worker = 0; !is_unix(launch->address[i]) && worker < launch->workers; worker++) {
            if (launch->sockets[worker].listen[i] >= 0)
                close(launch->sockets[worker].listen[i]);
            launch->sockets[worker].listen[i] = -1;
        }
}

// ---- Arguments

static bool add_arguments(struct launch *launch, const struct settings *settings, int argc, char **argv) {
    static char numbers[LISTENERS][8];
    launch->argv = calloc((size_t)argc + ARGUMENTS_ADDED + 1, sizeof *launch->argv);
    if (!launch->argv)
        return false;
    memcpy(launch->argv, argv, (size_t)argc * sizeof *argv);
    if (launch->files.config >= 0) {
        static char path[24];
        snprintf(path, sizeof path, "/proc/self/fd/%d", FILE_CONFIG);
        launch->argv[argc++] = (char *)"--config";
        launch->argv[argc++] = path;
    }
    for (int i = 0; i < LISTENERS; i++)
        if (launch->address[i][0]) {
            snprintf(numbers[i], sizeof numbers[i], "fd:%d", FILE_LISTEN + i);
            launch->argv[argc++] = (char *)listen_options[i];
            launch->argv[argc++] = numbers[i];
        }
    if (strcmp(settings->publisher_listen, PUBLISHERS_ON_OPS) == 0) { // the children know no address of ops_listen
        launch->argv[argc++] = (char *)listen_options[2];
        launch->argv[argc++] = (char *)PUBLISHERS_ON_OPS;
    }
    return true;
}

// ---- All of it

static bool fill(struct launch *launch, const struct settings *settings, int argc, char **argv,
                 const struct launch *before, char *ret_error, size_t size) {
    snprintf(ret_error, size, "no memory or no descriptors are left");
    launch->program_fd = open_program();
    snprintf(launch->program, sizeof launch->program, "/proc/self/fd/%d", launch->program_fd);
    if (launch->program_fd < 0)
        return false;
    if (settings->config_file && (launch->files.config = copy_of(settings->config_file)) < 0) {
        snprintf(ret_error, size, "%s: cannot be copied", settings->config_file);
        return false;
    }
    if (settings->files && (launch->files.given = out_of_the_way(given_files_copy(settings->files))) < 0)
        return false;
    for (int i = 0; i < LISTENERS; i++)
        snprintf(launch->address[i], sizeof launch->address[i], "%s", address_of(settings, i));
    launch->workers = worker_count(settings);
    launch->listen_mode = mode_of(settings);
    if (!open_sockets(launch, before, ret_error, size))
        return false;
    launch->drain_timeout_ms = (uint64_t)settings->drain_timeout_ms;
    launch->hang_timeout_ms = (uint64_t)settings->hang_timeout_ms;
    launch->reload_timeout_ms = (uint64_t)settings->reload_timeout_ms;
    return add_arguments(launch, settings, argc, argv);
}

struct launch *launch_new(const struct settings *settings, const char *directory, const struct shared_files *shared,
                          int argc, char **argv, const struct launch *before, char *ret_error, size_t error_size) {
    struct launch *launch = calloc(1, sizeof *launch);
    if (!launch) {
        snprintf(ret_error, error_size, "no memory is left");
        return NULL;
    }
    launch->files = (struct launch_files){*shared, -1, -1};
    snprintf(launch->directory, sizeof launch->directory, "%s", directory);
    if (fill(launch, settings, argc, argv, before, ret_error, error_size))
        return launch;
    launch_free(launch, before);
    return NULL;
}

void launch_settle(const struct launch *launch) {
    for (int i = 0; i < LISTENERS; i++)
        if (is_unix(launch->address[i]) && has_its_file(launch, i) &&
            chmod(path_of(launch, i), launch->listen_mode) != 0)
            log_warn("listen_mode: %s: %s", launch->address[i], strerror(errno));
}

static bool inherits(const struct launch *heir, const struct launch *launch, int index) {
    return heir && heir->socket_files[index].inode == launch->socket_files[index].inode;
}

void launch_free(struct launch *launch, const struct launch *heir) {
    for (int i = 0; launch->sockets && i < LISTENERS; i++) {
        // Before the socket is closed: afterwards its file's number could be another file's.
        if (is_unix(launch->address[i]) && has_its_file(launch, i) && !inherits(heir, launch, i))
            unlink(path_of(launch, i));
        for (unsigned worker = 0; worker < launch->workers; worker++)
            if (launch->sockets[worker].listen[i] >= 0)
                close(launch->sockets[worker].listen[i]);
    }
    free(launch->sockets);
    if (launch->files.config >= 0)
        close(launch->files.config);
    if (launch->files.given >= 0)
        close(launch->files.given);
    if (launch->program_fd >= 0)
        close(launch->program_fd);
    free(launch->argv);
    free(launch);
}
