/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch: from a leased task to a process, as data.
 *
 * The payload of a run's task, which the engine writes, is a JSON object:
 *     {"argv": ["sort", …], "cwd": "", "env": [["KEY", "value"], …], "grace_us": 5000000}
 *
 * With "refers": true its texts hold ${tasks.NAME.output…} and ${task.attempt}, which are replaced
 * here, for each attempt.
 */
#ifndef SERVE_LAUNCH_H
#define SERVE_LAUNCH_H

#include <jansson.h>

#include "engine/task.h"
#include "work/executor.h"

/* Arguments and environment after replacing, in all; the kernel allows about as much. */
#define LAUNCH_BYTES_MAX (4u << 20)

/* What holds for every job of this program. */
struct launch_base {
    struct arena arena;
    const char **env; /* this program's, without what only an attempt has; ends with NULL */
    size_t env_n;
    const char *data;
    const char *scratch; /* the folder of what attempts hand on */
};

/* `data` is absolute and copied. The folders for logs and scratch files are made by
 * launch_base_folders(); 0 or a fault. */
void launch_base_init(struct launch_base *b, const char *const *env, const char *data);
int launch_base_folders(struct launch_base *b, int64_t incarnation);

/* Before a start: a task may have removed the scratch folder, and the next one must not suffer. */
void launch_base_scratch(const struct launch_base *b);
void launch_base_deinit(struct launch_base *b);

/* A payload that was read, and the outputs that it refers to. */
struct launch {
    json_t *payload;
    bool refers;
    struct str *names; /* of tasks whose outputs are wanted, each once */
    size_t names_n;
    json_t **outputs; /* beside `names`; NULL until launch_outputs(), and where there is none */
};

enum { LAUNCH_E_BAD = 1 };

/* Read a payload. `names` live in the arena. Returns 0, or LAUNCH_E_BAD with a sentence. */
int launch_read(struct arena *a, struct str payload, struct launch *ret, struct str *ret_error);
/* The outputs of `names` as JSON texts, empty for none. */
void launch_outputs(struct arena *a, struct launch *l, const struct str *texts);
void launch_deinit(struct launch *l);

/* Describe the process; `dir` is the absolute folder of its run. The job's texts live in the arena
 * and the payload. Returns 0, or LAUNCH_E_BAD with a sentence and the reason: REFERENCE, or
 * SPAWN_FAILED for more text than a process can be given. */
int launch_job(struct arena *a, const struct launch *l, const struct launch_base *b,
               const char *dir, const struct task_lease *lease, struct job *ret,
               enum task_reason *ret_reason, struct str *ret_error);

#endif
