/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: what the commands about queues share.
 */
#ifndef CLI_QUEUE_H
#define CLI_QUEUE_H

#include "cli/command.h"

#define QUEUE_BYTES_MAX (1u << 30)
#define QUEUE_BATCH     1000 /* tasks in a request */
#define QUEUE_PAGE      1000
#define QUEUE_LINES_BYTES                                                                          \
    (2u << 20) /* of a payload on a line of stdin; the server has the limit                        \
                */

/* {"queue": c->args[0]} */
json_t *queue_request(struct cli *c);

/* A JSON text as a value, kept as it was spelled where that matters. 0, or the exit status after
 * saying what is wrong with it; `what` names it. */
int queue_json(struct cli *c, const char *what, struct str text, json_t **ret);

/* All pages of a list, at most `limit` of it (0: all), as one array that the caller owns. */
int queue_pages(struct cli *c, const char *method, json_t *request, const char *key, int64_t limit,
                json_t **ret);

/* The queues as a table. */
void queue_table(struct cli *c, const json_t *queues);

#endif
