/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatcher: the dispatch of a server (dispatch.h), with connections to runners, on a thread and
 * loop of its own.
 *
 * So the messages of many runners, and their TLS, delay no request of the network's thread.
 *
 *     DISPATCHING --drain--> DRAINING --all calls have ended--> OVER --free--> joined
 */
#ifndef SERVE_DISPATCHER_H
#define SERVE_DISPATCHER_H

#include "serve/dispatch.h"

struct dispatcher;

struct dispatcher_options {
    struct hub *hub;
    struct batcher *writer;
    struct str callback;       /* copied */
    struct caller_files files; /* borrowed */
    /* Once, on its thread, after a drain. */
    void (*over)(void *context);
    void *context;
};

enum { DISPATCHER_E_BAD = 1 };

/* What is pointed to must outlive it. Returns 0, or DISPATCHER_E_BAD with one sentence in the arena
 * where a file cannot be used. */
int dispatcher_new(const struct dispatcher_options *options, struct arena *a,
                   struct dispatcher **ret, struct str *ret_error);

/* Any thread, as what follows. */
void dispatcher_drain(struct dispatcher *d, int64_t grace_us);
/* The files are read again; the log says where one cannot be used. */
void dispatcher_reload(struct dispatcher *d);
void dispatcher_stats(struct dispatcher *d, struct dispatch_stats *ret);
size_t dispatcher_left_alone(struct dispatcher *d, struct arena *a, const int64_t **ret);

/* The batchers may have been stopped, and must not have been freed. NULL is fine. */
struct dispatcher *dispatcher_free(struct dispatcher *d);

#endif
