/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller_address: where somebody is called: "host:port", "http://host:port", "https://host:port".
 *
 * The host is a name, an IPv4 address or an IPv6 address in brackets. Nothing may stand behind the
 * port but one '/'.
 */
#ifndef NET_CALLER_ADDRESS_H
#define NET_CALLER_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "base/str.h"

#define CALLER_ADDRESS_HOST_BYTES_MAX 253u /* of a name of the DNS */

struct caller_address {
    char host[CALLER_ADDRESS_HOST_BYTES_MAX + 1]; /* without brackets */
    char port[sizeof("65535")];
    bool tls;
    bool numeric; /* `socket` is set, and no name has to be resolved */
    struct sockaddr_storage socket;
};

enum { CALLER_ADDRESS_E_BAD = 1 };

/* 0, or CALLER_ADDRESS_E_BAD with the end of a sentence ("has no port") that is a literal. */
int caller_address_parse(struct str text, struct caller_address *ret, const char **ret_why);

#endif
