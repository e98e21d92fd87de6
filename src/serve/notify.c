/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"

/* A number of the environment; 0 where there is none. */
static int64_t number(const char *name)
{
    const char *text = getenv(name);
    int64_t n;

    return text && str_int64(str_of(text), &n) && n > 0 ? n : 0;
}

/* The watchdog is for this process, not for a child that inherited the variables. */
static int64_t watchdog(void)
{
    int64_t pid = number("WATCHDOG_PID");

    return pid == 0 || pid == getpid() ? number("WATCHDOG_USEC") : 0;
}

void notify_open(struct notify *n)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;

    *n = (struct notify){.fd = -1};
    if (length == 0 || (path[0] != '/' && path[0] != '@') || length >= sizeof(to.sun_path))
        return;
    memcpy(to.sun_path, path, length);
    if (path[0] == '@') /* an abstract name */
        to.sun_path[0] = '\0';
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd >= 0 && connect(n->fd, (const struct sockaddr *)&to,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length))) {
        log_say(LOG_WARNING, "notify_failed", LOG_TEXT("socket", str_of(path)));
        notify_close(n);
    }
    if (n->fd >= 0)
        n->watchdog_us = watchdog();
}

void notify_say(const struct notify *n, const char *format, ...)
{
    struct buf b;
    va_list args;

    if (n->fd < 0)
        return;
    buf_init(&b, NOTIFY_BYTES_MAX);
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    if (send(n->fd, b.p, b.n, MSG_NOSIGNAL) < 0)
        log_say(LOG_DEBUG, "notify_unheard", LOG_TEXT("text", buf_str(&b)));
    buf_deinit(&b);
}

void notify_close(struct notify *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}
