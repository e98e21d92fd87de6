/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the server that this program may become, as the command line sees it.
 */
#ifndef CLIENT_SERVER_H
#define CLIENT_SERVER_H

#include "client/client.h"

/* A setting that was given on the line. */
struct server_flag {
    const char *key;   /* "listen", "tls.cert" */
    const char *value; /* as it was typed */
    const char *flag;  /* "--listen", for sentences about it */
};

struct server_flags {
    const char *file; /* of --config; NULL: WEFT_CONFIG, or none */
    const struct server_flag *list;
    size_t n;
};

/* How `up` tells on stderr where it listens: a sentence, or an object {"listening": …}. */
enum server_say { SERVER_SAY_TEXT, SERVER_SAY_JSON, SERVER_SAY_NOTHING };

struct server {
    /* Serve until a signal ends it. Returns 0, or CLIENT_E_REFUSED with a problem. */
    int (*up)(const struct server_flags *flags, enum server_say say,
              struct client_problem *ret_problem);
    /* The settings as `up` would take them: {"file", "settings": [{"key", "value", "from", …}]}.
     * A problem of a file has the places in its details. */
    int (*config)(const struct server_flags *flags, json_t **ret,
                  struct client_problem *ret_problem);
};

#endif
