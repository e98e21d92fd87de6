/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_log_watch: what an attempt writes, as a stream.
 *
 * The file is watched by the kernel, or where it is not there yet, the folder in which it will be;
 * the attempt's end comes as an event of its run. So nothing is read while nothing happens. Parts
 * are read on uv's pool, the next one when the transport has taken the last.
 */
#ifndef SERVE_API_LOG_WATCH_H
#define SERVE_API_LOG_WATCH_H

#include "serve/rpc.h"

extern const struct api_action api_log_watch;

#endif
