/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim: the simulator, by the options of a line.
 */
#include <unistd.h>

#include "cli/command.h"

/* What a saved history says itself. */
static int refuse_beside_file(struct cli *c)
{
    const struct options *o = &c->options;
    const char *given = o->seed      ? "seed"
                        : o->runs    ? "runs"
                        : o->steps   ? "steps"
                        : o->profile ? "profile"
                                     : NULL;

    return given ? cli_refuse(c, CODE_INVALID, "--%s cannot be given with a file, which says it",
                              given)
                 : 0;
}

int sim_command(struct cli *c)
{
    const struct options *o = &c->options;
    struct client_problem problem = {.code = CODE_OK};
    const struct simulator_flags flags = {
        .seed = (uint64_t)o->seed,
        .runs = o->runs,
        .steps = o->steps,
        .jobs = o->jobs,
        .profile = o->profile,
        .file = c->args_n ? c->args[0] : NULL,
        .save = o->save,
        .trace = o->trace,
        .minimize = o->minimize,
        .progress = !o->quiet && isatty(fileno(c->err)),
        .out = cli_wants_table(c) ? c->out : NULL,
        .err = c->err,
    };
    json_t *report = NULL;
    int status = flags.file ? refuse_beside_file(c) : 0;

    if (status)
        return status;
    if (o->trace && !flags.out)
        return cli_refuse(c, CODE_INVALID, "--trace prints a text, which is no JSON");
    if (!c->simulate)
        return cli_refuse(c, CODE_UNAVAILABLE, "this program has no simulator");
    status = c->simulate(&flags, &report, &problem);
    if (status == SIMULATOR_E_REFUSED)
        return cli_problem(c, &problem, NULL);
    if (!flags.out)
        cli_json(c, report);
    json_decref(report);
    return status;
}
