/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/weft_runner.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/weft_within.h"

#define PATIENCE_MS_DEFAULT 60000

static atomic_int serving = -1; /* an eventfd, for the handler of the signals */

static void on_signal(int number)
{
    static const uint64_t one = 1;
    int before = errno;
    ssize_t n = write(atomic_load(&serving), &one, sizeof(one));

    (void)number;
    (void)n; /* whoever waits for the first is awake */
    errno = before;
}

static void wait_for_signal(int fd)
{
    uint64_t n;

    while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
        ;
}

int weft_runner_serve(struct weft *w, const struct weft_runner_options *options,
                      const struct weft_stage_type *types, size_t types_n,
                      struct weft_error *ret_error)
{
    int64_t patience_ms =
        options && options->patience_ms ? options->patience_ms : PATIENCE_MS_DEFAULT;
    struct sigaction ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, term, interrupt;
    struct weft_runner *r;
    int fd = eventfd(0, EFD_CLOEXEC), none = -1, result;

    if (fd < 0)
        return asker_refuse(ret_error, WEFT_UNAVAILABLE, "files", "no eventfd can be made: %s",
                            strerror(errno));
    if (!atomic_compare_exchange_strong(&serving, &none, fd)) {
        close(fd);
        return asker_refuse(ret_error, WEFT_INVALID, "serving", "a runner is being served already");
    }
    sigaction(SIGTERM, &ours, &term);
    sigaction(SIGINT, &ours, &interrupt);
    result = weft_runner_start(w, options, types, types_n, &r, ret_error);
    if (!result)
        wait_for_signal(fd);
    sigaction(SIGTERM, &term, NULL);
    sigaction(SIGINT, &interrupt, NULL);
    if (!result)
        weft_runner_close(r, patience_ms);
    atomic_store(&serving, -1);
    close(fd);
    return result;
}
