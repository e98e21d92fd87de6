/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_id: by which a request is found again, in our log and in its client's.
 *
 * Clients name their requests themselves, in the field x-request-id; those that do not are told the
 * name that we gave.
 */
#ifndef NET_REQUEST_ID_H
#define NET_REQUEST_ID_H

#include <stdint.h>

#include "api/call.h"

#define REQUEST_ID_FIELD "x-request-id"

/* The id of a request whose client asked for `asked`: that one, where it has 1 to CALL_ID_BYTES_MAX
 * bytes, all of them printable ASCII and no blank; else the one after *newest, in 16 hexadecimal
 * digits. It lives in `out`. */
struct str request_id_take(uint64_t *newest, struct str asked, char out[static CALL_ID_BYTES_MAX]);

/* Where the ids of a server begin: at random, so that those of two servers do not meet. */
uint64_t request_id_seed(void);

#endif
