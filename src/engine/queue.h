/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: a name under which tasks wait in order of (priority, id), and its settings.
 */
#ifndef ENGINE_QUEUE_H
#define ENGINE_QUEUE_H

#include "engine/tx.h"

#define QUEUE_NAME_BYTES_MAX 200u
#define QUEUE_TASKS_DEFAULT  10000000
#define QUEUE_TASKS_MAX      1000000000LL

struct queue_put {
    struct str name;
    /* Open tasks at most; 0: QUEUE_TASKS_DEFAULT. They are counted without a lock, so that programs
     * which add at the same moment may together pass it by what each of them adds. */
    int64_t tasks_max;
    bool paused;
};

struct queue_status {
    struct str name;
    bool paused;
    int64_t tasks_max;
    int64_t counts[TASK_STATE_N];
};

/* Make the queue, or change its settings. */
int queue_put(struct tx *tx, const struct queue_put *req, struct queue_status *reply);
int queue_get(struct tx *tx, const struct str *name, struct queue_status *reply);
/* Without the counts, which cost another statement. */
int queue_settings(struct tx *tx, const struct str *name, struct queue_status *reply);

#endif
