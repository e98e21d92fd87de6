/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_log: reading what attempts wrote.
 */
#ifndef SERVE_API_LOG_H
#define SERVE_API_LOG_H

#include "serve/api.h"

struct api_log_read {
    int64_t run;
    struct str name;
    int64_t attempt; /* 0: the newest */
    struct str stream;
    int64_t offset, max;
};

extern const struct api_action api_log_read;

/* For api_log_watch, too: check a request; read a part, and tell the path of the file, which may
 * not be there yet. On a thread of uv's pool. */
int api_log_decode(struct api *api, const void *message, void *request);
int api_log_part(struct api *api, const struct api_log_read *read, Weft__V1__LogPart **ret,
                 const char **ret_path);

#endif
