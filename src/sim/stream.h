/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: chance of one of the actors.
 *
 * Its numbers are drawn by the seed, by whose it is, and by how many were drawn before; so what is
 * left out of a history changes little of what others do.
 */
#ifndef SIM_STREAM_H
#define SIM_STREAM_H

#include "sim/sim.h"

struct sim;

struct stream {
    uint32_t whose;
    uint32_t number;
};
uint64_t stream_draw(struct sim *s, struct stream *r);
/* 0 … n-1. */
int64_t stream_below(struct sim *s, struct stream *r, int64_t n);
/* from … to. */
int64_t stream_between(struct sim *s, struct stream *r, int64_t from, int64_t to);
bool stream_chance(struct sim *s, struct stream *r, uint32_t per_million);
/* Whether this goes wrong now, by the profile; never in the calm. */
bool stream_fault(struct sim *s, struct stream *r, enum sim_fault f);

#endif
