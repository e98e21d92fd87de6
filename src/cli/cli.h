/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: the command line.
 *
 * It finds the command in the table (command.h), reads its options, and runs it. What it knows of
 * runs and tasks it asks a client for.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include "client/client.h"
#include "client/server.h"
#include "client/simulator.h"

/* Where the command line meets the world. */
struct cli_world {
    client_connect *connect;
    const struct server *server; /* NULL: it cannot become one */
    simulate *simulate;          /* NULL: it has none */
    FILE *out;
    FILE *err;
};

/* Run the command that `argv` names, argv[0] being the program. Returns the exit status:
 * 0 ok, 1 the run failed, 2 usage, 3 not found, 4 conflict, 5 timeout, 6 denied, 7 unavailable. */
int cli_main(const struct cli_world *world, int argc, char **argv);

#endif
