/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_TASK_H
#define CLI_TASK_H

#include "cli/command.h"

/* The request that names a task, from "ID" or "RUN/NAME". 0, or the exit status after saying what
 * is wrong with it. */
int task_request(struct cli *c, const char *text, json_t **ret);

/* Print what tasks.why or runs.why answered. */
void task_print_why(struct cli *c, const json_t *why);
void task_print_run_why(struct cli *c, const json_t *why);

#endif
