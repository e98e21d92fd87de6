/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live: a run as it goes by, as a model and its picture.
 *
 * Events change the model; rendering makes lines of it for a screen of any size. It knows no
 * terminal: whoever has one puts the lines there. Its memory is bounded by the tasks that are under
 * way and LIVE_KEEP of the others.
 */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "core/task.h"

#define LIVE_KEEP                                                                                  \
    1000u /* tasks that are kept of those that wait, have failed and have ended, each */
#define LIVE_TEXT_BYTES       512
#define LIVE_NAME_COLUMNS_MAX 40
#define LIVE_RUNNER_BYTES     64

/* Of what kind a task is: of a workflow, or of a work plan. */
enum live_kind { LIVE_TASK, LIVE_STAGE, LIVE_CHECK };

enum live_class { LIVE_ACTIVE, LIVE_FAILED, LIVE_DONE, LIVE_WAITING, LIVE_CLASS_N };

struct live_row {
    struct list link;
    int64_t id;
    char *name; /* safe to show */
    enum task_state state;
    int64_t attempt;
    int64_t begun;              /* monotonic, of the running attempt */
    int64_t took_us;            /* of the last ended one; -1: none */
    int percent;                /* -1: none was told */
    char text[LIVE_TEXT_BYTES]; /* the newest line or what was told of its progress or end */
    enum live_kind kind;
    char runner[LIVE_RUNNER_BYTES]; /* of a stage, as far as it is known */
    char check[sizeof("PLANNING")]; /* TurboCI's word for where it is */
    int64_t results, failures;      /* of a check */
    int64_t told_at;                /* UTC, of the newest result that was there at first */
};

struct live {
    int64_t run;
    char *title; /* the workflow's name, safe to show */
    int64_t counts[TASK_STATE_N];
    int64_t total;
    int64_t begun;                  /* monotonic */
    struct list rows[LIVE_CLASS_N]; /* the oldest change first */
    size_t rows_n[LIVE_CLASS_N];
    struct map *by_id;
    char notice[LIVE_TEXT_BYTES]; /* the last line of the picture */
    bool growing;                 /* a plan that is not sealed */
    bool color, utf8;
};

/* Where a task in this state stands in the picture. */
enum live_class live_class(enum task_state s);

/* From a run as runs.get gives it (with all, some or none of its tasks). `now` is monotonic
 * everywhere; `utc` tells how long ago things began. `workers` is the list of workers.list, by
 * which runners have names; NULL: they have none until an event says so. */
void live_init(struct live *v, const json_t *run, const json_t *workers, bool color, bool utf8,
               int64_t now, int64_t utc);
void live_deinit(struct live *v);

void live_event(struct live *v, const json_t *event, int64_t now);
void live_line(struct live *v, int64_t task, const char *text);
void live_progress(struct live *v, int64_t task, int percent, const char *text);
void live_notice(struct live *v, const char *text);

/* At most `rows` lines of at most `columns`, each ended by a newline. */
void live_render(const struct live *v, size_t rows, size_t columns, int64_t now, struct buf *out);

#endif
