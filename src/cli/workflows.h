/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_WORKFLOWS_H
#define CLI_WORKFLOWS_H

#include "cli/command.h"
#include "cli/source.h"

/* Store a workflow; *ret_reply is that of workflows.put. 0, or the exit status after saying what is
 * wrong with it, with all its places. */
int workflows_store(struct cli *c, const struct source *s, json_t **ret_reply);

#endif
