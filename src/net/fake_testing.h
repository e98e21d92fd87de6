/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_testing: a service without a store, for tests and benchmarks of what lies before it.
 *
 * It has some of the API's own methods, so that clients made from the .proto files can call it.
 * What is asked for says what happens:
 *
 *     weft.v1.Queues/Get       "fail": queue_full, with a hint; "invalid": two places are wrong;
 *                              "hang": until it is cancelled; "later": with fake_finish();
 *                              "wide": a reply of FAKE_WIDE_BYTES; else that queue
 *     weft.v1.Queues/Enqueue   an id for each task
 *     weft.v1.Runs/Watch       events 1 … `after`, as fast as they are taken; id "hang": and no end
 */
#ifndef NET_FAKE_TESTING_H
#define NET_FAKE_TESTING_H

#include "api/call.h"
#include "base/list.h"

#define FAKE_WIDE_BYTES 300000u

struct fake {
    struct call_service service;
    struct list later;
    unsigned started, done, cancelled;
    uint64_t messages;
    char key[CALL_KEY_BYTES_MAX + 1]; /* the newest idempotency key */
    char id[CALL_ID_BYTES_MAX + 1];   /* of the newest call */
    int64_t deadline_us;              /* of the newest call */
};

void fake_init(struct fake *f);

/* Answer all that is "later". */
void fake_finish(struct fake *f);

#endif
