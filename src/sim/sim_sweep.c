/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sim/coverage.h"
#include "sim/minimize.h"
#include "sim/sim_case.h"

#define PROGRESS_MS 500

/* What a process tells of its histories. */
struct job {
    pid_t pid;
    uint64_t histories, steps;
    struct sim_coverage coverage;
    bool failed;
    uint64_t seed;
    size_t profile;
};

/* Shared by all of them. */
struct sweep {
    const struct simulator_flags *f;
    const struct sim_profile *profiles;
    size_t profiles_n;
    int64_t begun_us;
    bool stop; /* by stopped() and stop() */
    size_t jobs_n;
    struct job jobs[SIM_SWEEP_JOBS_MAX];
    uint8_t states[SIM_STATES_BYTES];
};

static void stop(struct sweep *w)
{
    __atomic_store_n(&w->stop, true, __ATOMIC_RELAXED);
}

static bool stopped(const struct sweep *w)
{
    return __atomic_load_n(&w->stop, __ATOMIC_RELAXED);
}

static uint64_t first_seed(const struct simulator_flags *f)
{
    return f->seed ? f->seed : 1;
}

/* Which profile a seed has. */
static size_t profile_of(const struct sweep *w, uint64_t seed)
{
    return (size_t)(seed % w->profiles_n);
}

static struct sim_options options_of(const struct sweep *w, uint64_t seed)
{
    return (struct sim_options){
        .seed = seed,
        .profile = w->profiles[profile_of(w, seed)],
        .steps_max = (uint64_t)w->f->steps,
    };
}

/* One process: every jobs_n-th seed. */
static void work(struct sweep *w, struct job *j)
{
    uint64_t first = first_seed(w->f);

    for (uint64_t i = (uint64_t)(j - w->jobs); i < (uint64_t)w->f->runs && !stopped(w);
         i += w->jobs_n) {
        struct sim_options o = options_of(w, first + i);
        struct sim_result r;

        o.states = w->states;
        sim_run(&o, &r);
        j->histories++;
        j->steps += r.steps;
        coverage_add(&j->coverage, &r.coverage);
        if (r.check) {
            j->seed = o.seed;
            j->failed = true;
            stop(w);
        }
        sim_result_clear(&r);
    }
}

static size_t states_met(const struct sweep *w)
{
    size_t n = 0;

    for (size_t i = 0; i < SIM_STATES_BYTES; i++)
        n += (size_t)__builtin_popcount(w->states[i]);
    return n;
}

static void progress(const struct sweep *w, const char *end)
{
    double s = (double)(clock_monotonic() - w->begun_us) / (double)CLOCK_S;
    uint64_t histories = 0, steps = 0;

    for (size_t i = 0; i < w->jobs_n; i++) {
        histories += w->jobs[i].histories;
        steps += w->jobs[i].steps;
    }
    fprintf(w->f->err,
            "\r%" PRIu64 " histories, %.0f a second; %" PRIu64
            " steps, %.0f a second and core; %zu states%s",
            histories, (double)histories / s, steps, (double)steps / s / (double)w->jobs_n,
            states_met(w), end);
    fflush(w->f->err);
}

/* Until all processes have ended. False: one of them died. */
static bool await(struct sweep *w, const sigset_t *events)
{
    const struct timespec pause = {.tv_nsec = PROGRESS_MS * 1000000L};
    size_t left = w->jobs_n;
    bool good = true;

    while (left) {
        int status;

        /* Ctrl-C: they end what they are at, and what was met is told. */
        if (sigtimedwait(events, NULL, &pause) == SIGINT)
            stop(w);
        while (left && waitpid(-1, &status, WNOHANG) > 0) {
            left--;
            good &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
            if (!good)
                stop(w);
        }
        if (w->f->progress)
            progress(w, "");
    }
    return good;
}

static bool run_jobs(struct sweep *w)
{
    sigset_t events, before;
    bool good;

    sigemptyset(&events);
    sigaddset(&events, SIGCHLD);
    sigaddset(&events, SIGINT);
    sigprocmask(SIG_BLOCK, &events, &before);
    w->begun_us = clock_monotonic();
    fflush(NULL);
    for (size_t i = 0; i < w->jobs_n; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            work(w, &w->jobs[i]);
            _exit(0);
        }
        if (pid < 0) {
            w->jobs_n = i;
            stop(w);
        }
    }
    good = await(w, &events) && w->jobs_n;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (w->f->progress)
        progress(w, "\n");
    return good;
}

/* What a history came to, in words. */
static void tell(const struct simulator_flags *f, const struct sim_options *o,
                 const struct sim_result *r)
{
    if (r->check)
        fprintf(f->out, "seed %" PRIu64 ", profile %s: FAILED after %" PRIu64 " steps: %s: %s\n",
                o->seed, o->profile.name, r->steps, r->check, r->text);
    else
        fprintf(f->out,
                "seed %" PRIu64 ", profile %s: %s after %" PRIu64
                " steps and %.3f simulated seconds; %zu things went wrong, every check held\n",
                o->seed, o->profile.name,
                o->steps_max && r->steps >= o->steps_max ? "cut off" : "at rest", r->steps,
                (double)r->us / (double)CLOCK_S, r->faults_n);
}

static int save(const struct simulator_flags *f, const struct sim_options *o,
                const struct sim_result *r)
{
    FILE *file = fopen(f->save, "w");
    char text[SIM_FAILURE_BYTES + 64];

    if (!file) {
        fprintf(f->err, "%s cannot be written: %s\n", f->save, strerror(errno));
        return 2;
    }
    snprintf(text, sizeof(text), "%s: %s", r->check ? r->check : "nothing", r->text);
    sim_case_write(file, o, text);
    fclose(file);
    fprintf(f->out, "saved as %s\n", f->save);
    return 0;
}

/* One history, looked at closely. */
static int run_one(const struct simulator_flags *f, struct sim_options *o)
{
    struct minimize_told told;
    struct sim_result r;
    struct arena a = {0};
    int status;

    sim_run(&(struct sim_options){.seed = o->seed,
                                  .profile = o->profile,
                                  .steps_max = o->steps_max,
                                  .trace = f->trace && !f->minimize ? f->out : NULL},
            &r);
    tell(f, o, &r);
    if (r.check && f->minimize) {
        minimize_history(o, r.check, &a, &told);
        fprintf(f->out,
                "%" PRIu64 " runs have left %zu of %zu things that go wrong, %d servers, %d "
                "workers, %d clients and %d tasks:\n",
                told.runs, told.faults_after, told.faults_before, o->profile.servers,
                o->profile.workers, o->profile.clients, o->profile.tasks);
        sim_result_clear(&r);
        o->trace = f->out;
        sim_run(o, &r);
    }
    status = r.check ? 1 : 0;
    if (f->save && save(f, o, &r))
        status = 2;
    sim_result_clear(&r);
    arena_deinit(&a);
    return status;
}

/* The failure of the lowest seed that was met. */
static const struct job *failure(const struct sweep *w)
{
    const struct job *first = NULL;

    for (size_t i = 0; i < w->jobs_n; i++)
        if (w->jobs[i].failed && (!first || w->jobs[i].seed < first->seed))
            first = &w->jobs[i];
    return first;
}

static int conclude(struct sweep *w)
{
    struct sim_coverage *sum = calloc(1, sizeof(*sum));
    uint64_t histories = 0;
    size_t missed;

    for (size_t i = 0; i < w->jobs_n; i++) {
        coverage_add(sum, &w->jobs[i].coverage);
        histories += w->jobs[i].histories;
    }
    missed = coverage_print(sum, w->f->out);
    free(sum);
    fprintf(w->f->out, "%" PRIu64 " histories from seed %" PRIu64 " on: every check held\n",
            histories, first_seed(w->f));
    if (!missed || histories < SIM_SWEEP_LONG || w->profiles_n == 1)
        return 0;
    fprintf(w->f->out, "%zu rows above were never met, which so long a sweep has to\n", missed);
    return 1;
}

static int run_many(struct sweep *w)
{
    const struct job *failed;

    if (!run_jobs(w) && !failure(w)) {
        fprintf(w->f->err, "a process of the sweep died\n");
        return 1;
    }
    failed = failure(w);
    if (failed) {
        struct sim_options o = options_of(w, failed->seed);

        return run_one(w->f, &o);
    }
    return conclude(w);
}

/* There is one at least. */
static size_t count_profiles(void)
{
    size_t n = 1;

    while (sim_profiles[n].name)
        n++;
    return n;
}

/* The profiles that are asked for; false: there is none of that name. */
static bool choose(struct sweep *w, const char *name)
{
    w->profiles = sim_profiles;
    w->profiles_n = count_profiles();
    if (name && strcmp(name, "all") == 0)
        return true;
    w->profiles = sim_profile(name ? name : "storm");
    w->profiles_n = 1;
    return w->profiles;
}

static int no_profile(const struct simulator_flags *f)
{
    fprintf(f->err, "there is no profile \"%s\"; there are:\n", f->profile);
    for (const struct sim_profile *p = sim_profiles; p->name; p++)
        fprintf(f->err, "  %-11s %s\n", p->name, p->help);
    fprintf(f->err, "  %-11s %s\n", "all", "all of them in turns");
    return 2;
}

int sim_sweep(const struct simulator_flags *flags)
{
    struct simulator_flags f = *flags;
    struct sweep *w;
    int status;

    /* cppcheck-suppress invalidFunctionArg */
    w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (w == MAP_FAILED) {
        fprintf(f.err, "no memory to share: %s\n", strerror(errno));
        return 2;
    }
    /* What goes wrong is meant to. */
    log_setup(LOG_ERROR + 1, LOG_PLAIN);
    f.runs = f.runs ? f.runs : 1;
    w->f = &f;
    w->jobs_n = (size_t)(f.jobs < 1                    ? 1
                         : f.jobs > SIM_SWEEP_JOBS_MAX ? SIM_SWEEP_JOBS_MAX
                                                       : f.jobs);
    if (!choose(w, f.profile)) {
        status = no_profile(&f);
    } else if (f.runs == 1) {
        struct sim_options o = options_of(w, first_seed(&f));

        status = run_one(&f, &o);
    } else {
        status = run_many(w);
    }
    munmap(w, sizeof(*w));
    return status;
}
