/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify: telling the service manager how a server is, as sd_notify(3) describes it.
 *
 * Without NOTIFY_SOCKET in the environment all of this is nothing. What cannot be told is not: a
 * manager that does not listen is no reason to stop serving.
 */
#ifndef SERVE_NOTIFY_H
#define SERVE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#define NOTIFY_BYTES_MAX 1024u

struct notify {
    int fd;              /* -1: nobody asked */
    int64_t watchdog_us; /* so often at least it wants to hear WATCHDOG=1; 0: never */
};

void notify_open(struct notify *n);
/* "READY=1", "STATUS=serving"; lines are parted by \n. */
void notify_say(const struct notify *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void notify_close(struct notify *n);

#endif
