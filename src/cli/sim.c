/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim: the simulator, by the options of a line.
 */
#include "cli/command.h"

int sim_command(struct cli *c)
{
    const struct options *o = &c->options;
    const struct simulator_flags flags = {
        .seed = (uint64_t)o->seed,
        .runs = o->runs,
        .steps = o->steps,
        .jobs = o->jobs,
        .profile = o->profile,
        .save = o->save,
        .trace = o->trace,
        .minimize = o->minimize,
        .progress = !o->quiet && c->terminal,
        .out = c->out,
        .err = c->err,
    };

    if (!c->simulate)
        return cli_refuse(c, CODE_UNAVAILABLE, "this program has no simulator");
    return c->simulate(&flags);
}
