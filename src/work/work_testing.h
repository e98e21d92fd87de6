/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_testing: an executor with a folder of its own, for tests with real processes.
 */
#ifndef WORK_WORK_TESTING_H
#define WORK_WORK_TESTING_H

#include "base/clock.h"
#include "base/test.h"
#include "work/executor.h"
#include "work/guardian.h"

#define TESTING_JOBS_MAX 2048
#define TESTING_SLOTS    64

/* What is freed does not always go back to the system at once; the sanitizers keep it for a while.
 */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define TESTING_RSS_SLACK_BYTES (64 << 20)
#else
#define TESTING_RSS_SLACK_BYTES (8 << 20)
#endif

/* What became of a job. */
struct testing_end {
    bool done;
    enum outcome outcome;
    enum task_reason reason;
    int exit_code;
    int signal;
    int64_t run_us, cpu_us, max_rss_bytes;
    int64_t done_at_us;
    char *message;
    char *err;
    char *output;
};

struct testing {
    enum executor_rung rung;
    char folder[64]; /* "/tmp/weft-test-XXXXXX" */
    uv_loop_t loop;
    uv_timer_t watchdog;
    struct guardian *guardian;
    struct executor *ex;
    struct testing_end ends[TESTING_JOBS_MAX]; /* by token, from 1 */
    unsigned started, done;
    unsigned lines;
    char line[300]; /* the newest */
    unsigned progresses;
    int percent;
    char progress[300];
    void (*on_done)(struct testing *t, int64_t token); /* NULL for none */
    void (*on_line)(struct testing *t, int64_t token);
};

/* Fixtures: an executor with 64 slots on the rung. */
int testing_in_cgroup(void **state);
int testing_in_group(void **state);
int testing_end(void **state);

/* The fixture of a test; skips it where the machine has no such rung. */
struct testing *testing_of(void **state);

/* A test on both rungs, the second time as NAME_by_group. */
#define TESTING_BOTH(test)                                                                         \
    {#test, test, testing_in_cgroup, testing_end, NULL},                                           \
    {                                                                                              \
#test "_by_group", test, testing_in_group, testing_end, NULL                               \
    }

/* How a job differs from `sh -c SCRIPT`, in the folder, with a grace time of 5 s. */
struct testing_job {
    const char *script;
    const char *const *argv; /* instead */
    const char *const *env;  /* instead of the usual one */
    const char *cwd;
    const char *out_path;
    int64_t timeout_us;
    int64_t grace_us;
    int streams[2]; /* as those of a job */
};

/* Start one; its files are FOLDER/<token>.out and so on. Returns its token. */
int64_t testing_start(struct testing *t, struct testing_job job);

/* Start it and turn the loop until it is done. */
struct testing_end *testing_run(struct testing *t, struct testing_job job);

/* Turn the loop until all are done, or until `*flag`; a test that waits for 60 s fails. */
void testing_wait(struct testing *t);
void testing_wait_for(struct testing *t, const bool *flag);

/* A whole file of the folder, "" where there is none; the caller frees it. */
char *testing_read(struct testing *t, const char *name, size_t *ret_n);
char *testing_path(struct testing *t, const char *name);

/* How many processes bear the mark of an instance. */
unsigned testing_marked(const char *instance);

/* How many descriptors, how many children, and how many of those are
 * dead, this process has. */
unsigned testing_fds(void);
unsigned testing_children(void);
unsigned testing_zombies(void);
int64_t testing_rss_bytes(void);

#endif
