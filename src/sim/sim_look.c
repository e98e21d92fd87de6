/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_look.h"

#include <errno.h>
#include <inttypes.h>
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

/* What a history came to, in words. */
static void tell(FILE *out, const struct sim_options *o, const struct sim_result *r)
{
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
    if (f->save)
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
    fprintf(f->out, "saved as %s\n", f->save);
    return 0;
}

/* The shortest history that fails so, and its transcript. */
static void look_at_shortest(const struct simulator_flags *f, struct sim_options *o,
                             struct sim_result *r, struct arena *a)
{
    struct minimize_told told;

    minimize_history(o, r->check, a, &told);
    fprintf(f->out,
            "%" PRIu64 " runs have left %zu of %zu things that go wrong, %d servers, %d "
            "workers, %d clients and %d tasks:\n",
            told.runs, told.faults_after, told.faults_before, o->profile.servers,
            o->profile.workers, o->profile.clients, o->profile.tasks);
    sim_result_clear(r);
    o->trace = f->out;
    sim_run(o, r);
}

int sim_look(const struct simulator_flags *f, struct sim_options *o,
             struct client_problem *ret_problem)
{
    struct sim_options first = *o;
    struct sim_result r;
    struct arena a = {0};
    int status;

    first.trace = f->trace && !f->minimize ? f->out : NULL;
    sim_run(&first, &r);
    tell(f->out, o, &r);
    if (r.check && f->minimize) {
        fflush(f->out);
        look_at_shortest(f, o, &r, &a);
    }
    status = r.check ? SIMULATOR_E_FAILED : 0;
    if (r.check)
        tell_how_on(f, &first);
    if (f->save && save(f, o, &r, ret_problem))
        status = SIMULATOR_E_REFUSED;
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
