// SPDX-License-Identifier: MIT
// One connection with a PING a second. Any reply counts as an answer, "-LOADING" too.
#include "roles/redis_pulse.h"
#include "ops/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ASK_EACH_MS = 1000, SILENT_MAX_MS = 10000 };

static void drop(struct redis_pulse *pulse) {
    if (pulse->fd >= 0)
        close(pulse->fd);
    pulse->fd = -1;
}

static void reach(struct redis_pulse *pulse, const char *socket_path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    pulse->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (pulse->fd >= 0 && connect(pulse->fd, (struct sockaddr *)&address, sizeof address) != 0)
        drop(pulse);
}

static void ask(struct redis_pulse *pulse, const char *socket_path) {
    static const char ping[] = "PING\r\n";
    if (pulse->fd < 0)
        reach(pulse, socket_path);
    pulse->asked = true;
    if (pulse->fd >= 0 && send(pulse->fd, ping, sizeof ping - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        drop(pulse);
}

static bool is_answered(struct redis_pulse *pulse) {
    char reply[256];
    ssize_t got = pulse->fd < 0 ? 0 : recv(pulse->fd, reply, sizeof reply, MSG_DONTWAIT);
    if (got > 0)
        return true;
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        drop(pulse);
    return false;
}

static void on_answer(struct redis_pulse *pulse) {
    if (pulse->said)
        log_info("the embedded Redis answers again");
    pulse->asked = pulse->said = false;
    pulse->silent_ms = 0;
    pulse->due_ms = ASK_EACH_MS;
}

static void on_silence(struct redis_pulse *pulse, const char *socket_path, uint32_t tick_ms) {
    pulse->silent_ms += tick_ms;
    if (pulse->fd < 0)
        ask(pulse, socket_path);
    if (pulse->silent_ms < SILENT_MAX_MS || pulse->said)
        return;
    pulse->said = true;
    log_error("the embedded Redis has not answered at %s for %u s: it hangs, or does not start; writes are 503",
              socket_path, SILENT_MAX_MS / 1000);
}

void redis_pulse_tick(struct redis_pulse *pulse, const char *socket_path, uint32_t tick_ms) {
    if (pulse->asked && is_answered(pulse))
        on_answer(pulse);
    else if (pulse->asked)
        on_silence(pulse, socket_path, tick_ms);
    else if (pulse->due_ms > tick_ms)
        pulse->due_ms -= tick_ms;
    else
        ask(pulse, socket_path);
}

void redis_pulse_stop(struct redis_pulse *pulse) {
    drop(pulse);
}
