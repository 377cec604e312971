// SPDX-License-Identifier: MIT
// Backup: redis-cli asks for a snapshot, as a replica does. Restore: a second redis-server loads the file on a loopback
// port under its own password, and the service's Redis replicates it (store/replace.h).
#include "roles/backup.h"
#include "base/clock.h"
#include "redis/address_settings.h"
#include "roles/secrets.h"
#include "store/replace.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PATH_SIZE = 4096,
    OUTPUT_SHOWN = 600,
    PASSWORD_BYTES = 24,
    STAGED_WAIT_US = 20000,
    ENDING_WAITS = 10,
    STAGED_WAITS = 500
};

static int complain(const char *what, const char *why) {
    fprintf(stderr, "engaged: %s: %s\n", what, why);
    return 1;
}

// ---- Processes

// Starts a program with `in` as its standard input and its output in `out`; -1 with errno.
static pid_t spawn_program(char *const argv[], int in, int out) {
    posix_spawn_file_actions_t files;
    pid_t pid;
    posix_spawn_file_actions_init(&files);
    if (in >= 0)
        posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    else
        posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
    char **others = environment_of_others();
    int status = others ? posix_spawnp(&pid, argv[0], &files, NULL, argv, others) : ENOMEM;
    free(others);
    posix_spawn_file_actions_destroy(&files);
    errno = status;
    return status == 0 ? pid : -1;
}

static void show_output(int out) {
    char text[OUTPUT_SHOWN];
    off_t end = lseek(out, 0, SEEK_END), begin = end > OUTPUT_SHOWN ? end - OUTPUT_SHOWN : 0;
    ssize_t len = pread(out, text, sizeof text, begin);
    if (len > 0)
        fprintf(stderr, "%.*s\n", (int)len, text);
}

// ---- Backup

// redis-cli verifies the CA, but no name.
static char **say_tls(const struct settings *settings, const struct address *address, char **argv) {
    const char *const files[][2] = {
        {"--cacert", settings->redis_ca}, {"--cert", settings->redis_cert}, {"--key", settings->redis_key}};
    if (!address->tls)
        return argv;
    *argv++ = (char *)"--tls";
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (*files[i][1]) {
            *argv++ = (char *)files[i][0];
            *argv++ = (char *)files[i][1];
        }
    return argv;
}

// The arguments of redis-cli for an address. The password is in the environment, which `ps` does not show.
static void say_where(const struct settings *settings, const struct address *address, char **argv) {
    if (address->password[0])
        setenv("REDISCLI_AUTH", address->password, 1);
    if (address->kind == ADDRESS_UNIX) {
        *argv++ = (char *)"-s";
        *argv++ = (char *)address->path;
    } else {
        *argv++ = (char *)"-h";
        *argv++ = (char *)address->host;
        *argv++ = (char *)"-p";
        *argv++ = (char *)address->port;
    }
    if (address->user[0]) {
        *argv++ = (char *)"--user";
        *argv++ = (char *)address->user;
    }
    *say_tls(settings, address, argv) = NULL;
}

static bool snapshot(const struct settings *settings, const struct address *address, const char *file) {
    char *argv[24] = {(char *)"redis-cli", (char *)"--rdb", (char *)file};
    int status = -1, out = memfd_create("engaged-output", MFD_CLOEXEC);
    say_where(settings, address, argv + 3);
    pid_t pid = out < 0 ? -1 : spawn_program(argv, -1, out);
    if (pid < 0)
        complain("redis-cli", strerror(errno));
    else if (waitpid(pid, &status, 0) != pid || status != 0)
        show_output(out);
    if (out >= 0)
        close(out);
    return pid >= 0 && status == 0;
}

static bool write_through(const char *file) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

// The file appears whole or not at all: until it is on the disk it has another name, of this process alone.
static bool take_backup(const struct settings *settings, const struct address *address, const char *file) {
    char partial[PATH_SIZE];
    snprintf(partial, sizeof partial, "%s.partial.%d", file, (int)getpid());
    umask(077);
    if (!snapshot(settings, address, partial)) {
        unlink(partial);
        return false;
    }
    if (write_through(partial) && rename(partial, file) == 0)
        return true;
    complain(file, strerror(errno));
    unlink(partial);
    return false;
}

static bool address_of(const struct role *role, struct address *ret_address) {
    char error[256];
    if (!address_of_settings(role->settings, ret_address, error, sizeof error))
        return false;
    if (ret_address->kind == ADDRESS_CLUSTER)
        complain("redis", "a Cluster has no one file: copy the dump of each master instead (docs/cluster.md)");
    else if (ret_address->kind == ADDRESS_SENTINEL)
        complain("redis", "name the master: --redis redis://[user:password@]host:port");
    else
        return true;
    return false;
}

int backup_run(const struct role *role, const char *file) {
    struct address address = {.host_count = 0};
    struct stat made;
    bool good = address_of(role, &address) && take_backup(role->settings, &address, file) && stat(file, &made) == 0;
    address_release(&address);
    if (!good)
        return complain("backup", "failed; nothing was written");
    printf("%s: %lld bytes. Keep the service's secret and hash_key with it (an embedded Redis: DIR/secrets): under "
           "another hash_key nobody's votes are found.\n",
           file, (long long)made.st_size);
    return 0;
}

// ---- The staged Redis

struct staged {
    struct address address;
    char folder[64];
    pid_t pid;
    int out;
};

// A loopback port that is free now.
static bool choose_port(struct address *address) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
                getsockname(fd, (struct sockaddr *)&at, &len) == 0;
    if (fd >= 0)
        close(fd);
    snprintf(address->host, sizeof address->host, "127.0.0.1");
    snprintf(address->port, sizeof address->port, "%u", (unsigned)ntohs(at.sin_port));
    return good;
}

// Its configuration, on a descriptor: a command line would show the password.
static int write_configuration(const struct staged *staged) {
    char text[512];
    int fd = memfd_create("engaged-staged", MFD_CLOEXEC);
    int len =
        snprintf(text, sizeof text,
                 "bind 127.0.0.1\nport %s\nrequirepass %s\ndir %s\ndbfilename dump.rdb\nsave \"\"\nappendonly no\n"
                 "repl-diskless-sync yes\nrepl-diskless-sync-delay 0\n",
                 staged->address.port, staged->address.password, staged->folder);
    if (fd >= 0 && write(fd, text, (size_t)len) == len && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool is_listening(const struct address *address) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    at.sin_port = htons((uint16_t)atoi(address->port));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

static bool has_ended(struct staged *staged) {
    int status;
    if (staged->pid > 0 && waitpid(staged->pid, &status, WNOHANG) == staged->pid)
        staged->pid = -1;
    return staged->pid <= 0;
}

static bool wait_for_staged(struct staged *staged) {
    for (int i = 0; i < STAGED_WAITS && !has_ended(staged); i++, usleep(STAGED_WAIT_US))
        if (is_listening(&staged->address))
            return true;
    return false;
}

// It listens before it loads, so a Redis that cannot load ends during our questions or a moment later.
static bool ends_soon(struct staged *staged) {
    for (int i = 0; i < ENDING_WAITS && !has_ended(staged); i++)
        usleep(STAGED_WAIT_US);
    return has_ended(staged);
}

static bool start_staged(struct staged *staged, const char *file) {
    char path[PATH_SIZE], whole[PATH_SIZE];
    uint8_t noise[PASSWORD_BYTES];
    char *argv[] = {(char *)"redis-server", (char *)"-", NULL};
    snprintf(staged->folder, sizeof staged->folder, "/tmp/engaged-restore-XXXXXX");
    if (!realpath(file, whole) || !mkdtemp(staged->folder) || !choose_port(&staged->address))
        return false;
    random_fill(noise, sizeof noise);
    for (size_t i = 0; i < sizeof noise; i++)
        snprintf(staged->address.password + 2 * i, 3, "%02x", noise[i]);
    snprintf(path, sizeof path, "%s/dump.rdb", staged->folder);
    staged->out = memfd_create("engaged-output", MFD_CLOEXEC);
    int in = write_configuration(staged);
    if (symlink(whole, path) == 0 && in >= 0 && staged->out >= 0)
        staged->pid = spawn_program(argv, in, staged->out);
    if (in >= 0)
        close(in);
    return staged->pid > 0;
}

static void end_staged(struct staged *staged) {
    char path[PATH_SIZE];
    if (staged->pid > 0) {
        kill(staged->pid, SIGKILL); // it holds nothing that is not in the file
        waitpid(staged->pid, NULL, 0);
    }
    if (staged->out >= 0)
        close(staged->out);
    snprintf(path, sizeof path, "%s/dump.rdb", staged->folder);
    unlink(path);
    rmdir(staged->folder);
}

// ---- Restore

static bool is_on_this_machine(const struct address *address) {
    return address->kind == ADDRESS_UNIX || strcmp(address->host, "localhost") == 0 ||
           strncmp(address->host, "127.", 4) == 0;
}

static bool keep_what_is(const struct settings *settings, const struct address *live, const char *file) {
    char before[PATH_SIZE], when[32];
    time_t now = (time_t)(clock_now_ms() / 1000);
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", gmtime(&now));
    snprintf(before, sizeof before, "%s.before-%s", file, when);
    if (!take_backup(settings, live, before))
        return false;
    printf("What was there before is in %s.\n", before);
    return true;
}

// The process that makes the exchange. It clears up if the process that started it is gone at the end.
static int exchange_alone(const struct address *live, struct staged *staged, pid_t parent) {
    char error[REPLACE_ERROR_SIZE];
    setsid(); // killing the group does not kill this process
    bool good = replace_data(live, &staged->address, error);
    if (!good)
        complain("restore", error);
    if (getppid() != parent)
        end_staged(staged);
    return good ? 0 : 1;
}

// From here to the end the live Redis must become a master again, whichever process is killed. Two processes can do it,
// and each does when the other is gone.
static int exchange_safely(const struct address *live, struct staged *staged, const char *file) {
    int status = -1;
    pid_t parent = getpid();
    char *password = replace_master_password(live);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    fflush(stdout);
    pid_t pid = password ? fork() : -1;
    if (pid == 0)
        _exit(exchange_alone(live, staged, parent));
    bool ended = pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status);
    if (pid > 0 && !ended)
        complain("restore", replace_undo(live, password) ? "was killed; the Redis of the service is a master again"
                                                         : "was killed; say REPLICAOF NO ONE to the service's Redis");
    free(password);
    if (pid < 0)
        return complain("restore", "no process or no Redis; nothing was changed");
    if (!ended || WEXITSTATUS(status) != 0)
        return 1;
    printf("%s is what the service has now.\n", file);
    return 0;
}

static int exchange(const struct role *role, const struct address *live, struct staged *staged, const char *file) {
    char error[REPLACE_ERROR_SIZE] = "the data as it is cannot be kept first; nothing was changed";
    if (!start_staged(staged, file))
        return complain(file, strerror(errno));
    bool loads = wait_for_staged(staged);
    bool fits = loads && replace_check(&staged->address, role->settings, &role->hash_key, error);
    if (!loads || (!fits && ends_soon(staged))) {
        show_output(staged->out);
        return complain(file, "Redis does not load it");
    }
    if (!fits || !keep_what_is(role->settings, live, file))
        return complain("restore", error);
    return exchange_safely(live, staged, file);
}

static int restore_to(const struct role *role, const struct address *live, const char *file) {
    struct staged staged = {.pid = -1, .out = -1};
    if (access(file, R_OK) != 0)
        return complain(file, strerror(errno));
    if (!is_on_this_machine(live))
        return complain("restore", "run it on the machine of the Redis: that one must reach the file's data");
    int code = exchange(role, live, &staged, file);
    end_staged(&staged);
    return code;
}

int restore_run(const struct role *role, const char *file) {
    struct stat about;
    if (stat(file, &about) == 0 && !S_ISREG(about.st_mode))
        return complain(file, "not a regular file");
    struct address live = {.host_count = 0};
    int code = address_of(role, &live) ? restore_to(role, &live, file) : 1;
    address_release(&live);
    return code;
}
