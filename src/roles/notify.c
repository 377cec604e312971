// SPDX-License-Identifier: MIT
// A socket per datagram, as there are few. A datagram that nobody takes is lost, as systemd intends.
#include "roles/notify.h"
#include "base/bytes.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un to;
static socklen_t to_len; // 0: nobody listens
static uint64_t watchdog_us;

static void take_socket(void) {
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    to.sun_family = AF_UNIX;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@') // an abstract name
        to.sun_path[0] = '\0';
    to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static void take_watchdog(void) {
    unsigned long long us, pid;
    const char *interval = getenv("WATCHDOG_USEC"), *whose = getenv("WATCHDOG_PID");
    bool ours = !whose || (bytes_to_u64(bytes_of(whose), UINT64_MAX, &pid) && pid == (unsigned long long)getpid());
    if (interval && ours && bytes_to_u64(bytes_of(interval), UINT64_MAX, &us))
        watchdog_us = us;
}

void notify_init(void) {
    take_socket();
    take_watchdog();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

uint64_t notify_watchdog_ms(void) {
    return to_len && watchdog_us ? (watchdog_us / 2000 ? watchdog_us / 2000 : 1) : 0;
}

void notify(const char *format, ...) {
    char text[512];
    va_list arguments;
    if (!to_len)
        return;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (len > 0)
        sendto(fd, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1, MSG_NOSIGNAL,
               (const struct sockaddr *)&to, to_len);
    close(fd);
}
