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
#include "sim/sim_look.h"

#define PROGRESS_MS 500

/* What a process tells of its histories. */
struct job {
    pid_t pid;
    uint64_t histories, cut, steps;
    struct sim_coverage coverage;
    uint64_t seed; /* of the history that it is at, or that failed */
    bool failed;
    bool over; /* the process has ended, so: */
    int status;
};

/* Shared by all of them. */
struct sweep {
    const struct simulator_flags *f;
    const struct sim_profile *profiles;
    size_t profiles_n;
    int64_t begun_us;
    bool stop; /* by stopped() and stop() */
    bool interrupted;
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
        j->seed = o.seed;
        sim_run(&o, &r);
        j->histories++;
        j->cut += sim_look_cut(&o, &r);
        j->steps += r.steps;
        coverage_add(&j->coverage, &r.coverage);
        if (r.check) {
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
    /* Within 80 columns, and with blanks over what a longer line has left. */
    fprintf(w->f->err,
            "\r%" PRIu64 " seeds, %.0f/s; %" PRIu64 " steps, %.0f/s a core; %zu states   %s",
            histories, (double)histories / s, steps, (double)steps / s / (double)w->jobs_n,
            states_met(w), end);
    fflush(w->f->err);
}

static bool well(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A process has ended. */
static void reaped(struct sweep *w, pid_t pid, int status)
{
    for (size_t i = 0; i < w->jobs_n; i++)
        if (w->jobs[i].pid == pid) {
            w->jobs[i].over = true;
            w->jobs[i].status = status;
        }
    if (!well(status))
        stop(w);
}

/* Until all processes have ended. */
static void await(struct sweep *w, const sigset_t *events)
{
    const struct timespec pause = {.tv_nsec = PROGRESS_MS * 1000000L};
    size_t left = w->jobs_n;

    while (left) {
        int status;
        pid_t pid;

        /* Ctrl-C: they end what they are at, and what was met is told. */
        if (sigtimedwait(events, NULL, &pause) == SIGINT) {
            w->interrupted = true;
            stop(w);
        }
        while (left && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
            left--;
            reaped(w, pid, status);
        }
        if (w->f->progress)
            progress(w, "");
    }
}

/* Returns 0, or the errno of a process that could not be started; then it is stopped. */
static int start_jobs(struct sweep *w)
{
    pid_t parent = getpid();

    for (size_t i = 0; i < w->jobs_n; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() == parent)
                work(w, &w->jobs[i]);
            _exit(0);
        }
        if (pid < 0) {
            int e = errno;

            w->jobs_n = i;
            stop(w);
            return e;
        }
        w->jobs[i].pid = pid;
    }
    return 0;
}

/* Returns as start_jobs() does. */
static int run_jobs(struct sweep *w)
{
    sigset_t events, before;
    int e;

    sigemptyset(&events);
    sigaddset(&events, SIGCHLD);
    sigaddset(&events, SIGINT);
    sigprocmask(SIG_BLOCK, &events, &before);
    w->begun_us = clock_monotonic();
    fflush(NULL);
    e = start_jobs(w);
    await(w, &events);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (w->f->progress)
        progress(w, "\n");
    return e;
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

/* A process that did not come to its end; NULL: there is none. */
static const struct job *dead(const struct sweep *w)
{
    for (size_t i = 0; i < w->jobs_n; i++)
        if (!well(w->jobs[i].status))
            return &w->jobs[i];
    return NULL;
}

/* An assertion that fails, or worse. */
static int refuse_dead(const struct sweep *w, const struct job *j, struct client_problem *p)
{
    const struct sim_options o = options_of(w, j->seed);
    char how[100];

    if (WIFSIGNALED(j->status))
        snprintf(how, sizeof(how), "by signal %d (%s)", WTERMSIG(j->status),
                 strsignal(WTERMSIG(j->status)));
    else
        snprintf(how, sizeof(how), "with status %d", WEXITSTATUS(j->status));
    return sim_look_refuse(p, CODE_INTERNAL,
                           "the process that simulated seed %" PRIu64
                           ", profile %s, ended %s; weft sim --seed %" PRIu64
                           " --profile %s --trace shows what came before",
                           o.seed, o.profile.name, how, o.seed, o.profile.name);
}

/* What a sweep without a failure came to. */
struct sum {
    struct sim_coverage coverage;
    uint64_t histories, cut;
    size_t missed; /* rows that could have been met, and were not */
    bool incomplete;
};

static json_t *report_of(const struct sweep *w, const struct sum *sum, json_t *rows)
{
    return json_pack("{s:o, s:o, s:o, s:b, s:s, s:o, s:o}", "seed",
                     sim_look_count(first_seed(w->f)), "histories", sim_look_count(sum->histories),
                     "cut_off", sim_look_count(sum->cut), "interrupted", w->interrupted, "outcome",
                     sum->incomplete ? "rows_missed" : "every_check_held", "rows_missed",
                     sim_look_count(sum->missed), "rows", rows);
}

static void tell(const struct sweep *w, const struct sum *sum)
{
    fprintf(w->f->out, "%s%" PRIu64 " histories from seed %" PRIu64 " on",
            w->interrupted ? "interrupted: " : "", sum->histories, first_seed(w->f));
    if (sum->cut)
        fprintf(w->f->out, ", %" PRIu64 " of them cut off", sum->cut);
    fprintf(w->f->out, ": every check held\n");
    if (sum->incomplete)
        fprintf(w->f->out, "%zu rows above were never met, which so long a sweep has to\n",
                sum->missed);
}

static int conclude(struct sweep *w, json_t **ret_report)
{
    struct sum *sum = calloc(1, sizeof(*sum));
    json_t *rows = json_array();
    bool incomplete;

    for (size_t i = 0; i < w->jobs_n; i++) {
        coverage_add(&sum->coverage, &w->jobs[i].coverage);
        sum->histories += w->jobs[i].histories;
        sum->cut += w->jobs[i].cut;
    }
    sum->missed = coverage_tell(&sum->coverage, w->f->out, rows);
    sum->incomplete = incomplete =
        sum->missed && sum->histories >= SIM_SWEEP_LONG && w->profiles_n > 1;
    if (w->f->out)
        tell(w, sum);
    *ret_report = report_of(w, sum, rows);
    free(sum);
    return incomplete ? SIMULATOR_E_FAILED : 0;
}

static int run_many(struct sweep *w, json_t **ret_report, struct client_problem *ret_problem)
{
    int e = run_jobs(w);
    const struct job *j = failure(w);

    if (j) {
        struct sim_options o = options_of(w, j->seed);

        return sim_look(w->f, &o, ret_report, ret_problem);
    }
    j = dead(w);
    if (j)
        return refuse_dead(w, j, ret_problem);
    if (e)
        return sim_look_refuse(ret_problem, CODE_UNAVAILABLE,
                               "process %zu of the sweep cannot be started: %s", w->jobs_n + 1,
                               strerror(e));
    return conclude(w, ret_report);
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

static int refuse_profile(const struct simulator_flags *f, struct client_problem *ret_problem)
{
    char names[200];
    size_t n = 0;

    for (const struct sim_profile *p = sim_profiles; p->name && n < sizeof(names); p++)
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s, ", p->name);
    return sim_look_refuse(ret_problem, CODE_INVALID,
                           "there is no profile \"%s\": there are %sand all, which is all of them "
                           "in turns",
                           f->profile, names);
}

/* As many as are asked for, or as there are processors; and none without a seed. */
static size_t count_jobs(const struct simulator_flags *f)
{
    int64_t n = f->jobs ? f->jobs : sysconf(_SC_NPROCESSORS_ONLN);

    n = n < 1 ? 1 : n > SIM_SWEEP_JOBS_MAX ? SIM_SWEEP_JOBS_MAX : n;
    return (size_t)(n < f->runs ? n : f->runs);
}

static int check_flags(const struct simulator_flags *f, struct client_problem *ret_problem)
{
    uint64_t first = first_seed(f);

    if (f->jobs > SIM_SWEEP_JOBS_MAX)
        return sim_look_refuse(ret_problem, CODE_INVALID,
                               "--jobs of weft sim is at most %d, not %" PRId64, SIM_SWEEP_JOBS_MAX,
                               f->jobs);
    if (f->runs > 1 && (uint64_t)f->runs - 1 > INT64_MAX - first)
        return sim_look_refuse(ret_problem, CODE_INVALID,
                               "from seed %" PRIu64 " on there are not %" PRId64
                               " histories: the last seed is %" PRId64,
                               first, f->runs, INT64_MAX);
    return sim_look_save(f, ret_problem);
}

static int run_file(const struct simulator_flags *f, json_t **ret_report,
                    struct client_problem *ret_problem)
{
    struct arena a = {0};
    struct sim_options o;
    int status = sim_look_read(f, &a, &o, ret_problem);

    if (!status)
        status = sim_look(f, &o, ret_report, ret_problem);
    arena_deinit(&a);
    return status;
}

static int run_seeds(struct sweep *w, json_t **ret_report, struct client_problem *ret_problem)
{
    struct sim_options o;

    if (!choose(w, w->f->profile))
        return refuse_profile(w->f, ret_problem);
    if (w->f->runs > 1)
        return run_many(w, ret_report, ret_problem);
    o = options_of(w, first_seed(w->f));
    return sim_look(w->f, &o, ret_report, ret_problem);
}

int sim_sweep(const struct simulator_flags *flags, json_t **ret_report,
              struct client_problem *ret_problem)
{
    struct simulator_flags f = *flags;
    struct sweep *w;
    int status;

    *ret_report = NULL;
    f.runs = f.runs ? f.runs : 1;
    status = check_flags(&f, ret_problem);
    if (status)
        return status;
    /* What goes wrong is meant to. */
    log_setup(LOG_ERROR + 1, LOG_PLAIN);
    if (f.file)
        return run_file(&f, ret_report, ret_problem);
    /* cppcheck-suppress invalidFunctionArg */
    w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (w == MAP_FAILED)
        return sim_look_refuse(ret_problem, CODE_UNAVAILABLE, "no memory to share: %s",
                               strerror(errno));
    w->f = &f;
    w->jobs_n = count_jobs(&f);
    status = run_seeds(w, ret_report, ret_problem);
    munmap(w, sizeof(*w));
    return status;
}
