/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_look: one history, looked at closely: told, made short, written down and read again.
 */
#ifndef SIM_SIM_LOOK_H
#define SIM_SIM_LOOK_H

#include "base/arena.h"
#include "client/simulator.h"
#include "sim/sim.h"

/* The history of `o`, as the flags have it; `o` may be changed to a shorter one. Returns as
 * simulate() does. */
int sim_look(const struct simulator_flags *f, struct sim_options *o, json_t **ret_report,
             struct client_problem *ret_problem);

/* Whether a history was ended by the number of its steps. */
bool sim_look_cut(const struct sim_options *o, const struct sim_result *r);

/* Whether what is to be saved can be; asked before the work. 0 or SIMULATOR_E_REFUSED. */
int sim_look_save(const struct simulator_flags *f, struct client_problem *ret_problem);

/* The history of `f->file`, whose occasions live in the arena. 0 or SIMULATOR_E_REFUSED. */
int sim_look_read(const struct simulator_flags *f, struct arena *a, struct sim_options *ret,
                  struct client_problem *ret_problem);

/* A count, as texts of JSON have it. */
json_t *sim_look_count(uint64_t n);

/* Fills the problem; returns SIMULATOR_E_REFUSED. */
int sim_look_refuse(struct client_problem *p, enum code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
