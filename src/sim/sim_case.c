/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_case.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* The world's numbers, by their names. */
static const struct number {
    const char *name;
    size_t offset;
    bool wide; /* an int64_t, else an int */
} numbers[] = {
    {"servers",  offsetof(struct sim_profile, servers),  false},
    {"workers",  offsetof(struct sim_profile, workers),  false},
    {"clients",  offsetof(struct sim_profile, clients),  false},
    {"queues",   offsetof(struct sim_profile, queues),   false},
    {"tasks",    offsetof(struct sim_profile, tasks),    false},
    {"runs",     offsetof(struct sim_profile, runs),     false},
    {"storm_us", offsetof(struct sim_profile, storm_us), true },
};
#define NUMBERS_N (sizeof(numbers) / sizeof(*numbers))

static int64_t get(const struct sim_profile *p, const struct number *n)
{
    const void *at = (const char *)p + n->offset;

    return n->wide ? *(const int64_t *)at : *(const int *)at;
}

static void set(struct sim_profile *p, const struct number *n, int64_t v)
{
    void *at = (char *)p + n->offset;

    if (n->wide)
        *(int64_t *)at = v;
    else
        *(int *)at = (int)v;
}

void sim_case_write(FILE *out, const struct sim_options *o, const char *text)
{
    fprintf(out, "# %s\nseed %" PRIu64 "\nprofile %s\n", text, o->seed, o->profile.name);
    for (size_t i = 0; i < NUMBERS_N; i++)
        fprintf(out, "%s %" PRId64 "\n", numbers[i].name, get(&o->profile, &numbers[i]));
    if (o->steps_max)
        fprintf(out, "steps %" PRIu64 "\n", o->steps_max);
    if (!o->only)
        return;
    fprintf(out, "only\n");
    for (size_t i = 0; i < o->left_n; i++)
        fprintf(out, "occasion %" PRIu32 " %" PRIu32 "\n", o->left[i].whose, o->left[i].number);
}

struct reader {
    struct arena *arena;
    struct sim_options *o;
    struct sim_occasion *left;
    size_t cap;
};

static bool read_occasion(struct reader *r, const char *rest)
{
    struct sim_occasion x;

    if (sscanf(rest, "%" SCNu32 " %" SCNu32, &x.whose, &x.number) != 2)
        return false;
    ARENA_ROOM(r->arena, r->left, r->o->left_n, r->cap, 16);
    assert(r->left);
    r->left[r->o->left_n++] = x;
    r->o->left = r->left;
    return true;
}

static bool read_number(struct reader *r, const char *name, const char *rest)
{
    int64_t v;

    if (sscanf(rest, "%" SCNd64, &v) != 1)
        return false;
    if (strcmp(name, "seed") == 0)
        r->o->seed = (uint64_t)v;
    else if (strcmp(name, "steps") == 0)
        r->o->steps_max = (uint64_t)v;
    else
        for (size_t i = 0;; i++) {
            if (i == NUMBERS_N)
                return false;
            if (strcmp(numbers[i].name, name) == 0) {
                set(&r->o->profile, &numbers[i], v);
                break;
            }
        }
    return true;
}

static bool read_profile(struct reader *r, const char *rest)
{
    char name[64];
    const struct sim_profile *p;

    if (sscanf(rest, "%63s", name) != 1)
        return false;
    p = sim_profile(name);
    if (p)
        r->o->profile = *p;
    return p;
}

static bool read_line(struct reader *r, const char *line)
{
    char name[64];
    int at = 0;

    if (line[0] == '#' || sscanf(line, "%63s%n", name, &at) != 1)
        return true;
    if (strcmp(name, "profile") == 0)
        return read_profile(r, line + at);
    if (strcmp(name, "occasion") == 0)
        return read_occasion(r, line + at);
    if (strcmp(name, "only") != 0)
        return read_number(r, name, line + at);
    r->o->only = true;
    return true;
}

bool sim_case_read(FILE *in, struct arena *a, struct sim_options *ret)
{
    struct reader r = {.arena = a, .o = ret};
    char line[SIM_FAILURE_BYTES + 100];

    *ret = (struct sim_options){0};
    while (fgets(line, sizeof(line), in))
        if (!read_line(&r, line))
            return false;
    return ret->profile.name;
}
