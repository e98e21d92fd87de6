/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carry_logs: what the attempts of a watched run write, told to its listener from the files beside
 * the store.
 *
 * A file that has not grown is not read again before something has happened to the run: only then
 * may its attempt have ended.
 */
#ifndef SERVE_CARRY_LOGS_H
#define SERVE_CARRY_LOGS_H

#include "client/client.h"
#include "serve/api.h"

struct carry_logs {
    const struct client_listener *listener;
    struct api_house house; /* reader and data are enough */
    int64_t run;
    struct arena arena;
    const char **paths; /* of the listener's logs; NULL: not known yet */
    size_t max;
};

void carry_logs_deinit(struct carry_logs *l);

/* Tell what there is by now. `news`: something has happened to the run. Waits for the store.
 * Returns 0, or API_E_REFUSED with the answer. */
int carry_logs_look(struct carry_logs *l, bool news, struct batcher_answer *ret_refusal);
/* All that are wanted are told to their end. */
bool carry_logs_ended(const struct carry_logs *l);

#endif
