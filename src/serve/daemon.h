/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon: `weft up`, from the settings to the last answer.
 *
 *     STARTING --listening--> SERVING --SIGTERM, SIGINT, SIGQUIT--> DRAINING --all done--> ended
 *                               |  ^                                   |
 *                               +--+ SIGHUP: settings are read again   +--again--> dies at once
 *
 * The main thread has the network and the methods on one loop; each store connection has a thread
 * (batcher.h), and the executor of runs has one (carrier.h). What survives the process is in the
 * store; its children do not, since the guardian ends them.
 */
#ifndef SERVE_DAEMON_H
#define SERVE_DAEMON_H

#include "client/server.h"

/* As struct server has them. daemon_up() comes before the program has threads. */
int daemon_up(const struct server_flags *flags, enum server_say say,
              struct client_problem *ret_problem);
int daemon_config(const struct server_flags *flags, json_t **ret,
                  struct client_problem *ret_problem);

#endif
