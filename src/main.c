/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "client/remote.h"
#include "serve/daemon.h"
#include "serve/embedded.h"
#include "serve/table.h"
#include "sim/sim_sweep.h"

/* Files that are opened later must not become 0, 1 or 2, which are written to. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            abort();
}

static int connect_to(const struct client_settings *settings, struct client *ret,
                      struct client_problem *ret_problem)
{
    size_t n;
    const struct method *const *methods = table_methods(&n);

    return settings->server ? remote_connect(settings, methods, n, ret, ret_problem)
                            : embedded_connect(settings, ret, ret_problem);
}

int main(int argc, char **argv)
{
    static const struct server server = {daemon_up, daemon_config};
    const struct cli_world world = {
        .connect = connect_to,
        .server = &server,
        .simulate = sim_sweep,
        .out = stdout,
        .err = stderr,
    };

    fill_standard_descriptors();
    /* A reader that goes away shows as a failed write, and a run that is carried goes on. */
    signal(SIGPIPE, SIG_IGN);
    /* A limit on the size of files shows as a failed write, too. */
    signal(SIGXFSZ, SIG_IGN);
    /* They would end it without a word, and mean nothing to it. */
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    log_setup(LOG_WARNING, isatty(STDERR_FILENO) ? LOG_PLAIN : LOG_JSON);
    exit(cli_main(&world, argc, argv));
}
