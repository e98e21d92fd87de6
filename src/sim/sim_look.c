/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_look.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "sim/minimize.h"
#include "sim/sim_case.h"

int sim_look_refuse(struct client_problem *p, enum code code, const char *format, ...)
{
    va_list args;

    p->code = code;
    va_start(args, format);
    vsnprintf(p->text, sizeof(p->text), format, args);
    va_end(args);
    return SIMULATOR_E_REFUSED;
}

bool sim_look_cut(const struct sim_options *o, const struct sim_result *r)
{
    return !r->check && o->steps_max && r->steps >= o->steps_max;
}

json_t *sim_look_count(uint64_t n)
{
    return json_sprintf("%" PRIu64, n);
}

static const char *outcome_of(const struct sim_options *o, const struct sim_result *r)
{
    return r->check ? "failed" : sim_look_cut(o, r) ? "cut_off" : "at_rest";
}

/* What a history came to. */
static json_t *report_of(const struct sim_options *o, const struct sim_result *r)
{
    return json_pack("{s:o, s:s, s:s, s:s*, s:s*, s:o, s:o, s:o}", "seed", sim_look_count(o->seed),
                     "profile", o->profile.name, "outcome", outcome_of(o, r), "check", r->check,
                     "detail", r->check ? r->text : NULL, "steps", sim_look_count(r->steps),
                     "duration",
                     json_sprintf("%" PRId64 ".%06" PRId64 "s", (int64_t)(r->us / CLOCK_S),
                                  (int64_t)(r->us % CLOCK_S)),
                     "faults", sim_look_count(r->faults_n));
}

/* The same in words. */
static void tell(FILE *out, const struct sim_options *o, const struct sim_result *r)
{
    if (!out)
        return;
    if (r->check)
        fprintf(out, "seed %" PRIu64 ", profile %s: FAILED after %" PRIu64 " steps: %s: %s\n",
                o->seed, o->profile.name, r->steps, r->check, r->text);
    else
        fprintf(out,
                "seed %" PRIu64 ", profile %s: %s after %" PRIu64
                " steps and %.3f simulated seconds; %zu things went wrong, every check held\n",
                o->seed, o->profile.name, sim_look_cut(o, r) ? "cut off" : "at rest", r->steps,
                (double)r->us / (double)CLOCK_S, r->faults_n);
}

/* What to do about a failure. */
static void tell_how_on(const struct simulator_flags *f, const struct sim_options *o)
{
    if (f->save || !f->out)
        return;
    fprintf(f->out, "a test of it: weft sim ");
    if (f->file)
        fprintf(f->out, "%s ", f->file);
    else
        fprintf(f->out, "--seed %" PRIu64 " --profile %s ", o->seed, o->profile.name);
    if (!f->file && o->steps_max)
        fprintf(f->out, "--steps %" PRIu64 " ", o->steps_max);
    fprintf(f->out, "--minimize --save test/sim/NAME.txt\n");
}

static int refuse_file(struct client_problem *p, const char *path)
{
    return sim_look_refuse(p, CODE_INVALID, "%s cannot be written: %s", path, strerror(errno));
}

int sim_look_save(const struct simulator_flags *f, struct client_problem *ret_problem)
{
    bool is_new;
    FILE *file;

    if (!f->save)
        return 0;
    is_new = access(f->save, F_OK) != 0;
    file = fopen(f->save, "a");
    if (!file)
        return refuse_file(ret_problem, f->save);
    fclose(file);
    if (is_new)
        unlink(f->save);
    return 0;
}

static int save(const struct simulator_flags *f, const struct sim_options *o,
                const struct sim_result *r, struct client_problem *ret_problem)
{
    FILE *file = fopen(f->save, "w");
    char text[SIM_FAILURE_BYTES + 64];
    bool bad;

    if (!file)
        return refuse_file(ret_problem, f->save);
    snprintf(text, sizeof(text), "%s%s%s", r->check ? r->check : "every check held",
             r->check ? ": " : "", r->text);
    sim_case_write(file, o, text);
    bad = fflush(file) != 0;
    /* A full disk may show at the end only. */
    if (fclose(file) || bad)
        return refuse_file(ret_problem, f->save);
    if (f->out)
        fprintf(f->out, "saved as %s\n", f->save);
    return 0;
}

static volatile sig_atomic_t interrupted;

static void tell_shortest(FILE *out, const struct sim_profile *p, const struct minimize_told *told)
{
    if (!out)
        return;
    fprintf(out,
            "%s%" PRIu64 " runs have left %zu of %zu things that go wrong, %d servers, %d workers, "
            "%d clients, %d runners, %d tasks, %d runs and %d plans:\n",
            interrupted ? "interrupted: " : "", told->runs, told->faults_after, told->faults_before,
            p->servers, p->workers, p->clients, p->runners, p->tasks, p->runs, p->plans);
    fflush(out);
}

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* A line that says how far it is, and whether Ctrl-C was not pressed. */
static bool minimizes_on(void *context, const struct minimize_told *so_far)
{
    const struct simulator_flags *f = context;

    if (f->progress) {
        fprintf(f->err, "\r%" PRIu64 " runs, %zu of %zu things that go wrong   ", so_far->runs,
                so_far->faults_after, so_far->faults_before);
        fflush(f->err);
    }
    return !interrupted;
}

/* The shortest history that fails so, and its transcript. Ctrl-C takes the shortest so far, a
 * second one ends the program. */
static void look_at_shortest(const struct simulator_flags *f, struct sim_options *o,
                             struct sim_result *r, struct arena *a)
{
    const struct sigaction on_interrupt = {.sa_handler = interrupt,
                                           .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    const struct minimize_watch watch = {minimizes_on, (void *)(uintptr_t)f};
    struct minimize_told told;
    struct sigaction before;

    sigaction(SIGINT, &on_interrupt, &before);
    minimize_history(o, r->check, a, &watch, &told);
    sigaction(SIGINT, &before, NULL);
    if (f->progress)
        fputc('\n', f->err);
    tell_shortest(f->out, &o->profile, &told);
    sim_result_clear(r);
    o->trace = f->out;
    sim_run(o, r);
}

int sim_look(const struct simulator_flags *f, struct sim_options *o, json_t **ret_report,
             struct client_problem *ret_problem)
{
    struct sim_options first = *o;
    struct sim_result r;
    struct arena a = {0};
    int status;

    first.trace = f->trace && !f->minimize ? f->out : NULL;
    sim_run(&first, &r);
    tell(f->out, o, &r);
    *ret_report = report_of(&first, &r);
    if (r.check && f->minimize) {
        if (f->out)
            fflush(f->out);
        look_at_shortest(f, o, &r, &a);
        json_object_set_new(*ret_report, "shortest", report_of(o, &r));
    }
    status = r.check ? SIMULATOR_E_FAILED : 0;
    if (r.check)
        tell_how_on(f, &first);
    if (f->save && save(f, o, &r, ret_problem)) {
        status = SIMULATOR_E_REFUSED;
        json_decref(*ret_report);
        *ret_report = NULL;
    }
    sim_result_clear(&r);
    arena_deinit(&a);
    return status;
}

int sim_look_read(const struct simulator_flags *f, struct arena *a, struct sim_options *ret,
                  struct client_problem *ret_problem)
{
    bool is_stdin = strcmp(f->file, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(f->file, "r");
    int status = 0;
    size_t line;

    if (!file)
        return sim_look_refuse(ret_problem, CODE_INVALID, "%s cannot be read: %s", f->file,
                               strerror(errno));
    line = sim_case_read(file, a, ret);
    if (ferror(file))
        status = sim_look_refuse(ret_problem, CODE_INVALID, "%s cannot be read: %s", f->file,
                                 strerror(errno));
    else if (line)
        status = sim_look_refuse(ret_problem, CODE_INVALID,
                                 "%s, line %zu: no line of a history that weft sim --save wrote",
                                 f->file, line);
    else if (!ret->profile.name)
        status = sim_look_refuse(ret_problem, CODE_INVALID,
                                 "%s is no history that weft sim --save wrote: it has no profile",
                                 f->file);
    if (!is_stdin)
        fclose(file);
    return status;
}
