/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn_executor: what weft's executor makes of the same work as spawn_floor's.
 *
 *     spawn_executor [-j N] [-g] COUNT PROGRAM [ARGUMENT]...
 *
 * Starts PROGRAM COUNT times, N (the number of processors) at once, each as a job with all that
 * belongs to one; no store, no engine. With -g without cgroups. Prints as spawn_floor does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "work/executor.h"
#include "work/guardian.h"

struct bench {
    struct executor *ex;
    struct job job;
    long count, started, done, failed;
};

static void start(struct bench *b)
{
    b->job.token = ++b->started;
    executor_start(b->ex, &b->job);
}

static void on_done(void *context, int64_t token, const struct job_result *result)
{
    struct bench *b = context;

    (void)token;
    b->done++;
    if (result->outcome != OUTCOME_SUCCEEDED && !b->failed++)
        fprintf(stderr, "spawn_executor: " STR_FMT "\n", STR_ARG(result->message));
    if (b->started < b->count)
        start(b);
}

static int run(struct bench *b, enum executor_rung rung, unsigned at_once)
{
    struct executor_options options = {
        .slots = at_once, .events = {.context = b, .done = on_done}
    };
    struct rusage used;
    int64_t from, us;
    uv_loop_t loop;

    if (guardian_new_on(rung, &options.guardian))
        return 1;
    uv_loop_init(&loop);
    options.loop = &loop;
    if (executor_new(&options, &b->ex))
        return 1;
    from = clock_monotonic();
    while (b->started < b->count && b->started < (long)at_once)
        start(b);
    uv_run(&loop, UV_RUN_DEFAULT);
    us = clock_monotonic() - from;
    getrusage(RUSAGE_SELF, &used);
    printf("%ld processes in %.3f s, %.1f us each (%s; of weft's own %.1f us)\n", b->done,
           (double)us / 1e6, (double)us / (double)b->count,
           executor_rung(b->ex) == EXECUTOR_CGROUP ? "cgroup" : "group",
           ((double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
            (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec)) /
               (double)b->count);
    executor_free(b->ex);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    guardian_free(options.guardian);
    return b->failed != 0;
}

int main(int argc, char **argv)
{
    unsigned at_once = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    enum executor_rung rung = EXECUTOR_CGROUP;
    struct bench b = {0};
    int option;

    while ((option = getopt(argc, argv, "+gj:")) != -1) {
        if (option == 'g')
            rung = EXECUTOR_GROUP;
        else if (option != 'j' || sscanf(optarg, "%u", &at_once) != 1)
            at_once = 0;
    }
    if (at_once < 1 || at_once > EXECUTOR_SLOTS_MAX || argc - optind < 2 ||
        sscanf(argv[optind], "%ld", &b.count) != 1 || b.count < 1) {
        fprintf(stderr, "usage: spawn_executor [-j N] [-g] COUNT PROGRAM [ARGUMENT]...\n");
        return 2;
    }
    b.job = (struct job){
        .argv = (const char *const *)(argv + optind + 1),
        .env = (const char *const *)environ,
        .cwd = "/",
        .out_path = "/tmp/weft-spawn-executor.out",
        .err_path = "/tmp/weft-spawn-executor.err",
        .output_path = "/tmp/weft-spawn-executor.output",
        .progress_path = "/tmp/weft-spawn-executor.progress",
        .grace_us = CLOCK_S,
    };
    return run(&b, rung, at_once);
}
