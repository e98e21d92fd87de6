/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_run_watch: the events of a run, or of all, as a stream.
 *
 *     LOOKING --events--> SENDING --all are sent, and there may be more--> LOOKING
 *      ^   |none             |
 *      |   v                 +--all are sent, and the run has ended--> over
 *      | ASLEEP --cancelled--> over
 *      +---+ woken: there are news
 *
 * They are read from the store behind the newest that was sent, a page at a time, and the next page
 * when the transport has taken the last: who does not read costs a page.
 */
#ifndef SERVE_API_RUN_WATCH_H
#define SERVE_API_RUN_WATCH_H

#include "serve/rpc.h"

extern const struct api_action api_run_watch;

#endif
