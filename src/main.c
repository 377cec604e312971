// SPDX-License-Identifier: MIT
// The program: reads the settings, then is a supervisor, one of its children (ENGAGED_ROLE), or a tool.
#include "api/api.h"
#include "base/calendar.h"
#include "base/clock.h"
#include "base/hash.h"
#include "ops/generation.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/rate_limits.h"
#include "roles/secrets.h"
#include "roles/supervisor.h"
#include "roles/tools.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

extern char **environ;

// If 0, 1 or 2 is closed, the next file that is opened gets that number, and the log would be written into it.
static void hold_standard_files(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

// Ignores signals that would end a process without a word: a client that has gone (EPIPE), a file at its size limit
// (EFBIG), and the signals that make other daemons rotate their logs. A child leaves SIGHUP to its supervisor, because
// `pkill -HUP engaged` reaches all processes.
static void ignore_signals(bool is_child) {
    static const int ignored[] = {SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2, SIGHUP};
    for (int i = 0; i < 4 + is_child; i++)
        signal(ignored[i], SIG_IGN);
}

static int fail(const char *line) {
    fprintf(stderr, "engaged: %s\n", line);
    return 1;
}

static int print_help(void) {
    puts("engaged [--some-name VALUE …] [--config FILE]     run the service in the foreground");
    puts("        [--accept-time-zone]     with another time_zone than the data's: days, weeks and months begin again");
    tools_print_help();
    puts("  engaged --version | --help | --print-config\n\nSettings (also ENGAGED_SOME_NAME, or a line of FILE):");
    settings_print_help();
    return 0;
}

static void set_up_log(const struct settings *settings, const char *who) {
    _Static_assert((int)LOG_AT_ERROR == (int)LOG_LEVEL_ERROR && (int)LOG_AT_DEBUG == (int)LOG_LEVEL_DEBUG, "one order");
    log_setup(who, (enum log_level)settings->log_level, settings->log_format == LOG_FORMAT_JSON);
}

// A child counts in its supervisor's memory and shares its clock. The supervisor may be an older program (SIGHUP after
// an upgrade), so the names of these variables stay as they are.
static int run_child(const struct role *role, const char *name) {
    static char who[32];
    const char *row = getenv("ENGAGED_ROW"), *fd = getenv("ENGAGED_METRICS_FD"),
               *rate_limits_fd = getenv("ENGAGED_CEILINGS_FD"), *generation = getenv("ENGAGED_GENERATION"), *why;
    prctl(PR_SET_NAME, "engaged");
    snprintf(who, sizeof who, "%.16s[%s]", name, row ? row : "0");
    set_up_log(role->settings, who);
    if (metrics_attach(fd ? atoi(fd) : -1, row ? (unsigned)atoi(row) : 0) < 0) {
        log_error("this program has other metrics than the running one: SIGHUP cannot take it, a new start does");
        return EXIT_REFUSED; // it is useless to start this child again
    }
    if (fd)
        clock_share(metrics_clock_offset());
    generation_share(metrics_generation(), generation ? strtoull(generation, NULL, 10) : 0, *metrics_instance(),
                     generation && strstr(generation, GENERATION_AGAIN));
    if (!calendar_open(role->settings->time_zone, &why))
        return fail(why);
    if (!rate_limits_attach(rate_limits_fd ? atoi(rate_limits_fd) : -1))
        return fail("no memory for rate limits");
    if (strcmp(name, "worker") == 0)
        return worker_run(role);
    if (strcmp(name, "projector") == 0)
        return projector_run(role);
    return fail("ENGAGED_ROLE: no such role");
}

// libuv aborts when it gets no descriptor for itself.
static bool has_descriptors(void) {
    enum { NEEDED = 20 };
    int held[NEEDED], count = 0;
    while (count < NEEDED && (held[count] = open("/", O_PATH | O_CLOEXEC)) >= 0)
        count++;
    for (int i = 0; i < count; i++)
        close(held[i]);
    return count == NEEDED;
}

static int run_service(int argc, char **argv) {
    static struct settings settings;
    static struct role role;
    char error[512], directory[512] = "";
    const char *name = getenv("ENGAGED_ROLE");
    if (!name)
        supervisor_hold_reloads();
    api_name_routes();
    if (!has_descriptors())
        return fail("too few descriptors are left for this process: raise ulimit -n");
    if (!settings_read(&settings, argc, argv, environ, error, sizeof error))
        return fail(error);
    if (embedded_directory(&settings))
        snprintf(directory, sizeof directory, "%s", embedded_directory(&settings));
    if (!role_prepare(&role, &settings, error, sizeof error))
        return fail(error);
    secrets_hide(&argc, argv);
    set_up_log(&settings, "supervisor");
    int code = name ? run_child(&role, name) : supervisor_run(&role, directory, argc, argv);
    settings_release(&settings);
    return code;
}

static int print_config(int argc, char **argv) {
    struct settings settings;
    char error[512];
    argv[1] = argv[0];
    if (!settings_read(&settings, argc - 1, argv + 1, environ, error, sizeof error))
        return fail(error);
    settings_print_config(&settings);
    settings_release(&settings);
    return 0;
}

// A child dies with its supervisor, which may have died before the kernel was told so.
static void die_with_supervisor(void) {
    const char *supervisor = getenv("ENGAGED_SUPERVISOR");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (supervisor && getppid() != atoi(supervisor))
        _exit(fail("the supervisor has ended"));
}

int main(int argc, char **argv) {
    hold_standard_files();
    ignore_signals(getenv("ENGAGED_ROLE") != NULL);
    if (getenv("ENGAGED_ROLE"))
        die_with_supervisor(); // before anything that takes time
    if (!keyed_init())
        return fail("the system gives no random numbers");
    hash_init();
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "--version") == 0)
        return puts("engaged " VERSION) == EOF;
    if (strcmp(first, "--help") == 0)
        return print_help();
    if (strcmp(first, "--print-config") == 0)
        return print_config(argc, argv);
    const struct tool *tool = tool_find(first);
    if (tool) {
        argv[1] = argv[0];
        return tool->run(argc - 1, argv + 1);
    }
    return run_service(argc, argv);
}
