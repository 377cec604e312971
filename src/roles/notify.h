// SPDX-License-Identifier: MIT
// Notifies systemd (Type=notify, WatchdogSec=): datagrams to $NOTIFY_SOCKET, as sd_notify(3) describes the protocol.
// Without that variable nothing is sent.
#pragma once
#include <stdint.h>

// Takes the variables out of the environment: children must not speak for the service.
void notify_init(void);
// How often "WATCHDOG=1" is to be sent, in ms: half of what systemd waits for; 0: never.
uint64_t notify_watchdog_ms(void);
// Lines such as "READY=1\nSTATUS=…".
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));
