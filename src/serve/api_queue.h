/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_queue: what the methods of weft.v1.Queues do. How a claim waits stands in claim.h.
 */
#ifndef SERVE_API_QUEUE_H
#define SERVE_API_QUEUE_H

#include "engine/task.h"
#include "serve/api.h"

#define API_QUEUE_WAIT_US_MAX (60LL * 1000000)

struct api_queue_claim {
    struct task_claim claim; /* the first: a request of task_claim */
    int64_t wait_us;
};

/* For the other claim, of a work plan's stages (api_plan.c). */
int api_queue_claim_worker(struct api *api, const char *text, struct api_queue_claim *c);
int api_queue_claim_wait(struct api *api, const Weft__V1__Duration *wait,
                         struct api_queue_claim *c);
ProtobufCMessage *api_queue_claim_encode(struct arena *a, const void *request, const void *reply);
bool api_queue_claim_keeps(const void *reply);

extern const struct api_action api_queue_put, api_queue_get, api_queue_list, api_queue_enqueue,
    api_queue_claim, api_queue_pause, api_queue_resume, api_queue_tasks, api_queue_requeue,
    api_queue_purge;

#endif
