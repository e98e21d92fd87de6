/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embedded: the server within this process, as a transport for the client.
 */
#ifndef SERVE_EMBEDDED_H
#define SERVE_EMBEDDED_H

#include "client/client.h"

/*
 * Open the store of the settings. Where `carry` is set, the guardian is started first, so that this
 * comes before the program has threads. A store that is not there is made where `create` is set,
 * else it is CODE_STORE_NOT_FOUND. Returns 0 or CLIENT_E_REFUSED with a problem.
 */
int embedded_connect(const struct client_settings *settings, struct client *ret,
                     struct client_problem *ret_problem);

#endif
