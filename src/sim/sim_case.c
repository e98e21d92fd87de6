/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_case.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

#define TASKS_MAX    1000000
#define RUNS_MAX     1000000
#define PLANS_MAX    1000000
#define STORM_US_MAX (366 * 86400 * CLOCK_S)

/* The world's numbers, by their names. */
static const struct number {
    const char *name;
    size_t offset;
    int64_t least, most;
    bool wide; /* an int64_t, else an int */
} numbers[] = {
    {"servers",  offsetof(struct sim_profile, servers),  1, SIM_SERVERS_MAX, false},
    {"workers",  offsetof(struct sim_profile, workers),  1, SIM_WORKERS_MAX, false},
    {"clients",  offsetof(struct sim_profile, clients),  1, SIM_CLIENTS_MAX, false},
    {"queues",   offsetof(struct sim_profile, queues),   1, SIM_QUEUES_MAX,  false},
    {"tasks",    offsetof(struct sim_profile, tasks),    0, TASKS_MAX,       false},
    {"runs",     offsetof(struct sim_profile, runs),     0, RUNS_MAX,        false},
    {"runners",  offsetof(struct sim_profile, runners),  0, SIM_RUNNERS_MAX, false},
    {"plans",    offsetof(struct sim_profile, plans),    0, PLANS_MAX,       false},
    {"storm_us", offsetof(struct sim_profile, storm_us), 0, STORM_US_MAX,    true },
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

/* A line is a line. */
static void write_text(FILE *out, const char *text)
{
    fputs("# ", out);
    for (; *text; text++)
        fputc(*text == '\n' ? ' ' : *text, out);
    fputc('\n', out);
}

void sim_case_write(FILE *out, const struct sim_options *o, const char *text)
{
    write_text(out, text);
    fprintf(out, "seed %" PRIu64 "\nprofile %s\n", o->seed, o->profile.name);
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

/* The word before the next blank, which is taken from the line. */
static struct str word(struct str *line)
{
    struct str w;
    size_t end;

    *line = str_trim(*line);
    end = line->n;
    str_find(*line, ' ', &end);
    w = str_sub(*line, 0, end);
    *line = str_sub(*line, end, line->n);
    return w;
}

static bool read_in(struct str text, int64_t least, int64_t most, int64_t *ret)
{
    return str_int64(text, ret) && *ret >= least && *ret <= most;
}

static bool read_occasion(struct reader *r, struct str *rest)
{
    int64_t whose, number;

    if (!read_in(word(rest), 0, UINT32_MAX, &whose) || !read_in(word(rest), 0, UINT32_MAX, &number))
        return false;
    ARENA_ROOM(r->arena, r->left, r->o->left_n, r->cap, 16);
    assert(r->left);
    r->left[r->o->left_n++] =
        (struct sim_occasion){.whose = (uint32_t)whose, .number = (uint32_t)number};
    r->o->left = r->left;
    return true;
}

static bool read_number(struct reader *r, struct str name, struct str value)
{
    int64_t v;

    if (str_eq(name, STR("seed")) || str_eq(name, STR("steps"))) {
        if (!read_in(value, 1, INT64_MAX, &v))
            return false;
        *(str_eq(name, STR("seed")) ? &r->o->seed : &r->o->steps_max) = (uint64_t)v;
        return true;
    }
    /* The profile has numbers of its own, and stands before those that differ. */
    for (size_t i = 0; r->o->profile.name && i < NUMBERS_N; i++)
        if (str_eq(name, str_of(numbers[i].name))) {
            if (!read_in(value, numbers[i].least, numbers[i].most, &v))
                return false;
            set(&r->o->profile, &numbers[i], v);
            return true;
        }
    return false;
}

static bool read_profile(struct reader *r, struct str name)
{
    const struct sim_profile *p = sim_profile(str_cstr(r->arena, name));

    if (p)
        r->o->profile = *p;
    return p;
}

static bool read_line(struct reader *r, struct str line)
{
    struct str name = word(&line);
    bool good;

    if (!name.n || name.p[0] == '#')
        return true;
    if (str_eq(name, STR("only")))
        good = r->o->only = true;
    else if (str_eq(name, STR("occasion")))
        good = read_occasion(r, &line);
    else if (str_eq(name, STR("profile")))
        good = read_profile(r, word(&line));
    else
        good = read_number(r, name, word(&line));
    return good && !str_trim(line).n;
}

size_t sim_case_read(FILE *in, struct arena *a, struct sim_options *ret)
{
    struct reader r = {.arena = a, .o = ret};
    char line[SIM_FAILURE_BYTES + 100];

    *ret = (struct sim_options){0};
    for (size_t n = 1; fgets(line, sizeof(line), in); n++)
        if (!*line || !read_line(&r, str_of(line)))
            return n;
    return 0;
}
