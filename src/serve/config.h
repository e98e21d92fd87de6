/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the settings of a server, as one table.
 *
 * A setting is what the last of these says: its default, the file, the environment, the command
 * line. The file is YAML (or JSON, which is YAML); "tls.cert" stands there as `tls: {cert: …}`. All
 * mistakes are found before one is told, each with its place: a line and column of the file, a
 * variable, or a flag.
 */
#ifndef SERVE_CONFIG_H
#define SERVE_CONFIG_H

#include <jansson.h>

#include "base/doc.h"
#include "base/log.h"
#include "client/server.h"
#include "serve/pool_config.h"

#define CONFIG_FILE_BYTES_MAX (1u << 20)
#define CONFIG_TEXT_BYTES_MAX 4096u
#define CONFIG_ERRORS_MAX     100u

/* The keys, in the order in which they are shown. */
enum config_key {
    CONFIG_LISTEN,
    CONFIG_GRPC,
    CONFIG_HOST,
    CONFIG_STORE,
    CONFIG_STORE_DIRECT,
    CONFIG_DATA,
    CONFIG_SLOTS,
    CONFIG_DRAIN,
    CONFIG_LOG_LEVEL,
    CONFIG_LOG_FORMAT,
    CONFIG_TLS_CERT,
    CONFIG_TLS_KEY,
    CONFIG_TLS_CLIENT_CA,
    CONFIG_CALLBACK,
    CONFIG_RUNNER_CA,
    CONFIG_RUNNER_CERT,
    CONFIG_RUNNER_KEY,
    CONFIG_CONNECTIONS,
    CONFIG_CONNECTIONS_PER_ADDRESS,
    CONFIG_REQUESTS_PER_SECOND,
    CONFIG_HEAD,
    CONFIG_BODY,
    CONFIG_WAITING,
    CONFIG_WAITING_BYTES,
    CONFIG_DUTIES,
    CONFIG_N
};

struct config {
    struct str listen;
    struct str grpc; /* empty: none */
    struct str host; /* of a Host field; empty: none */
    struct str store;
    struct str store_direct; /* as store, where nothing else was said */
    struct str data;         /* absolute */
    struct str tls_cert, tls_key, tls_client_ca;
    struct str callback; /* empty: where it listens */
    struct str runner_ca, runner_cert, runner_key;
    int64_t slots; /* 0: no executor */
    int64_t drain_us;
    int64_t log_level, log_format; /* enum log_level, enum log_format */
    int64_t connections, connections_per_address;
    int64_t requests_per_second; /* of one address; 0: no limit */
    int64_t head_bytes, body_bytes;
    int64_t waiting, waiting_bytes; /* for each of the store's threads */
    int64_t duties_us;
    struct pool_configs pools; /* of the file alone */
    struct config_from {
        enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG } source;
        struct str where; /* "weft.yaml:3", "WEFT_LISTEN", "--listen" */
    } from[CONFIG_N];
};

struct config_errors {
    const char *file;       /* that the places lie in; NULL: there is none */
    struct doc_error *list; /* line 0: not of the file */
    size_t n;
};

struct config_given {
    const struct server_flags *flags;
    const char *const *env;
    const char *here; /* the folder that relative paths start from */
    unsigned cpus;
    bool terminal; /* stderr is one */
};

enum { CONFIG_E_BAD = 1 };

/* Returns 0, or CONFIG_E_BAD with at least one error, and then *ret is of no use. */
int config_read(struct arena *a, const struct config_given *given, struct config *ret,
                struct config_errors *ret_errors);

/* Whether a change of the key takes effect without a restart. */
bool config_reloadable(enum config_key key);
const char *config_name(enum config_key key);
bool config_same(const struct config *a, const struct config *b, enum config_key key);

/* Put the values of `old` where a change needs a restart; copied into the arena. */
void config_keep(struct config *c, const struct config *old, struct arena *a);

/* {"file", "settings": [{"key", "value", "from", "where", "default", "reload", "help"}]}. */
json_t *config_show(const struct config *c, const char *file);

/* "64KiB", "1MiB", "100": a size in bytes. */
bool config_bytes(struct str text, int64_t *ret);

/* Split "[::1]:7411", "127.0.0.1:0", "localhost:80". False where it is none. */
bool config_address(struct arena *a, struct str text, const char **ret_host, int64_t *ret_port);

#endif
