/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "cli/cli.h"

/* Files that are opened later must not become 0, 1 or 2, which are written to. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            abort();
}

static int connect_nowhere(const struct client_settings *settings, struct client *ret,
                           struct client_problem *ret_problem)
{
    struct buf text;

    (void)settings;
    (void)ret;
    ret_problem->code = CODE_STORE_UNAVAILABLE;
    buf_fixed(&text, ret_problem->text, sizeof(ret_problem->text));
    buf_add(&text, STR("this program was built without a store"));
    return CLIENT_E_REFUSED;
}

int main(int argc, char **argv)
{
    const struct cli_world world = {connect_nowhere, stdout, stderr};

    fill_standard_descriptors();
    /* A reader that goes away shows as a failed write, and a run that is carried goes on. */
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_WARNING, isatty(STDERR_FILENO) ? LOG_PLAIN : LOG_JSON);
    exit(cli_main(&world, argc, argv));
}
