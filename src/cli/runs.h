/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs: what the commands about runs share.
 */
#ifndef CLI_RUNS_H
#define CLI_RUNS_H

#include <jansson.h>

#include "cli/command.h"

/* {"id": "12"} */
json_t *runs_request(int64_t run);

/* The run of the first argument, and a client. 0, or the exit status after saying why not. */
int runs_open(struct cli *c, enum cli_need need, int64_t *ret_run);

#endif
