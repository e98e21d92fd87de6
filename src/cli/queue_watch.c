/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_watch: counts and rates of queues, once a second.
 */
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/format.h"
#include "cli/queue.h"
#include "cli/report.h"
#include "cli/table.h"

/* A look at the queues, beside the one before it. */
struct look {
    json_t *queues;
    int64_t at; /* monotonic */
};

static int64_t count(const json_t *queue, const char *state)
{
    return format_number(json_object_get(queue, "counts"), state, 0);
}

/* Tasks that came to an end, however; and all that ever were. */
static int64_t ended(const json_t *q)
{
    return count(q, "succeeded") + count(q, "failed") + count(q, "cancelled");
}

static int64_t all(const json_t *q)
{
    return ended(q) + count(q, "blocked") + count(q, "ready") + count(q, "delayed") +
           count(q, "leased") + count(q, "running") + count(q, "awaiting");
}

static const json_t *same(const json_t *queues, const json_t *queue)
{
    const json_t *q;
    size_t i;

    json_array_foreach(queues, i, q)
    {
        if (str_eq(format_text(q, "name"), format_text(queue, "name")))
            return q;
    }
    return NULL;
}

/* A second; -1: there is nothing to compare with. */
static double rate(const struct look *before, const struct look *now, const json_t *queue,
                   int64_t (*what)(const json_t *queue))
{
    const json_t *old = same(before->queues, queue);
    int64_t us = now->at - before->at;

    if (!old || us <= 0)
        return -1;
    return (double)(what(queue) - what(old)) * 1e6 / (double)us;
}

static void add_rate(struct cli *c, struct table *t, double per_second)
{
    table_add(t, per_second < 0    ? STR("")
                 : per_second < 10 ? str_printf(&c->arena, "%.1f", per_second)
                                   : str_printf(&c->arena, "%.0f", per_second));
    t->right |= 1u << ((t->cells_n - 1) % t->columns);
}

static void show(struct cli *c, const struct look *before, const struct look *now)
{
    static const char *const titles[] = {"QUEUE",  "READY",   "DELAYED", "RUNNING",
                                         "FAILED", "ADDED/S", "ENDED/S"};
    const json_t *q;
    struct table t;
    struct buf b;
    size_t i;

    table_init(&t, &c->arena, titles, 7);
    json_array_foreach(now->queues, i, q)
    {
        table_add(&t, format_text(q, "name"));
        table_number(&t, count(q, "ready"));
        table_number(&t, count(q, "delayed"));
        table_number(&t, count(q, "leased") + count(q, "running"));
        table_number(&t, count(q, "failed"));
        add_rate(c, &t, rate(before, now, q, all));
        add_rate(c, &t, rate(before, now, q, ended));
    }
    buf_init(&b, QUEUE_BYTES_MAX);
    if (c->terminal)
        buf_add(&b, STR("\x1b[H\x1b[J"));
    table_render(&t, &b, report_columns(c), c->color, c->utf8);
    fwrite(b.p, 1, b.n, c->out);
    buf_deinit(&b);
}

static void show_json(struct cli *c, const struct look *before, const struct look *now)
{
    const json_t *q;
    size_t i;

    json_array_foreach(now->queues, i, q)
    {
        double added = rate(before, now, q, all), over = rate(before, now, q, ended);
        json_t *o =
            json_pack("{s:O, s:O, s:o, s:o}", "queue", json_object_get(q, "name"), "counts",
                      json_object_get(q, "counts"), "added_per_s",
                      added < 0 ? json_null() : json_real(round(added * 10) / 10), "ended_per_s",
                      over < 0 ? json_null() : json_real(round(over * 10) / 10));

        cli_json_line(c->out, o);
        json_decref(o);
    }
}

static int look(struct cli *c, struct look *ret)
{
    json_t *reply;
    int status;

    if (c->args_n == 0) {
        status = queue_pages(c, "queues.list", json_object(), "queues", 0, &ret->queues);
    } else {
        status = cli_call(c, "queues.get", queue_request(c), &reply);
        if (!status)
            ret->queues = json_pack("[o]", reply);
    }
    ret->at = clock_monotonic();
    return status;
}

int queue_watch_command(struct cli *c)
{
    const struct timespec second = {.tv_sec = 1};
    struct look before = {0}, now = {0};
    int status = cli_connect(c, CLI_EXISTING);

    while (!status) {
        status = look(c, &now);
        if (status)
            break;
        if (cli_wants_table(c))
            show(c, &before, &now);
        else
            show_json(c, &before, &now);
        /* Nobody reads any more. */
        if (fflush(c->out))
            break;
        json_decref(before.queues);
        before = now;
        now = (struct look){0};
        nanosleep(&second, NULL);
    }
    json_decref(before.queues);
    json_decref(now.queues);
    return status;
}
