/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up: the options of a line as settings of a server.
 */
#ifndef CLI_UP_H
#define CLI_UP_H

#include "cli/command.h"

/* `file` stands before --config; NULL: it does not. 0, or the exit status after saying what is
 * wrong. What is pointed to lives as long as the command. */
int up_flags(struct cli *c, const char *file, struct server_flags *ret);

#endif
