/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tell: a run on its way to its end, on a terminal, a pipe or as JSON.
 */
#ifndef CLI_TELL_H
#define CLI_TELL_H

#include "cli/command.h"

/* Where the telling begins: with the run's first event, or with what is news from now on. */
enum tell_from { TELL_ALL, TELL_NEWS };

/* Carry or watch the run and tell of it, then report its end. Returns the exit status: 0 where it
 * succeeded. */
int tell_run(struct cli *c, int64_t run, enum client_follow how, enum tell_from from);

/* Watch the run to its end and say nothing; 0 or CLIENT_E_REFUSED. */
int tell_nothing(struct cli *c, int64_t run, struct client_problem *ret_problem);

#endif
