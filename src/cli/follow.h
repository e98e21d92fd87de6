/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow: a run on its way to its end, on a terminal, a pipe or as JSON.
 */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "cli/command.h"

/* Where the telling begins: with the run's first event, or with what is news from now on. */
enum follow_from { FOLLOW_ALL, FOLLOW_NEWS };

/* Carry or watch the run and tell of it, then report its end. Returns the exit status: 0 where it
 * succeeded. */
int follow_run(struct cli *c, int64_t run, enum client_follow how, enum follow_from from);

/* Watch the run to its end and say nothing; 0 or CLIENT_E_REFUSED. */
int follow_quietly(struct cli *c, int64_t run, struct client_problem *ret_problem);

#endif
