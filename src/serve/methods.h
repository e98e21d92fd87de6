/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods: the calls of docs/api.md, one row each.
 *
 * A row says how the JSON request becomes a struct, which engine function takes it, how its reply
 * becomes JSON, and whether it writes. A method that needs more than one transaction, or the
 * machine beside the store, has a function of its own.
 */
#ifndef SERVE_METHODS_H
#define SERVE_METHODS_H

#include "client/client.h"
#include "serve/batcher.h"
#include "work/guardian.h"

struct methods {
    struct batcher *reader;
    struct batcher *writer; /* it opens its store with the first call that writes */
    const char *data;       /* the folder of the logs */
    struct str url;         /* of the store, as it is */
    struct guardian_self self;
};

/* Make a call and wait for it. Any thread but the batchers'. Returns 0 with a reply that the caller
 * owns, or CLIENT_E_REFUSED with a problem. */
int methods_call(const struct methods *m, const char *method, const json_t *request,
                 json_t **ret_reply, struct client_problem *ret_problem);

/* Fill a problem from an answer that is not OK. Returns CLIENT_E_REFUSED. */
int methods_refused(const struct batcher_answer *answer, struct client_problem *ret_problem);

/* A store's URL as it may be shown: without a password. */
struct str methods_url(struct arena *a, struct str url);

#endif
