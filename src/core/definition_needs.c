/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dependencies: `needs` read into groups, cycles found, and references held against what lies
 * upstream.
 */
#include <inttypes.h>

#include "base/buf.h"
#include "base/sentence.h"
#include "core/definition_reader.h"
#include "core/graph.h"

/* Independent cycles that are named at once, each by another pass over the graph. */
#define CYCLES_NAMED 10

/* A cycle is written out up to so many tasks; of a longer one, the ends. */
#define CYCLE_SHOWN 10u
#define CYCLE_HEAD  6u
#define CYCLE_TAIL  3u

#define SENTENCE_BYTES_MAX 4096u

static const char needs_allowed[] =
    "the name of a task, a list of names and groups, or a group such as {all_done: [a, b]}";

struct needs {
    struct definition_reader *r;
    struct graph_edge *edges;
    size_t edges_n, edges_cap;
    const struct doc **seen; /* where this list named the task before … */
    uint32_t *seen_in;       /* … if it was the list with this number */
    uint32_t list;
};

/* The rules and the word that goes with at_least; a list of names without a rule is all_success. */
static const struct str rules[] = {
#define RULE_TEXT(name, text) [GROUP_##name] = DEFINITION_KEY(text),
    GROUP_RULES(RULE_TEXT)
#undef RULE_TEXT
        [GROUP_RULE_N] = DEFINITION_KEY("of"),
};
#define RULES_N (GROUP_RULE_N + 1)

static void add_edge(struct needs *n, uint32_t from, uint32_t to)
{
    if (n->edges_n == n->edges_cap) {
        size_t cap = n->edges_cap ? n->edges_cap * 2 : 1024;

        n->edges = arena_grow(&n->r->scratch, n->edges, n->edges_cap * sizeof(*n->edges),
                              cap * sizeof(*n->edges));
        n->edges_cap = cap;
    }
    n->edges[n->edges_n++] = (struct graph_edge){from, to};
}

static void bad_name(struct needs *n, const struct doc *d, struct str name)
{
    struct definition_reader *r = n->r;
    struct str quoted, guess;

    if (definition_skips(r, d->line, d->column))
        return;
    quoted = sentence_quote(&r->scratch, name);
    guess = definition_guess(r, name, r->task_names, r->d->tasks_n);
    definition_bad(r, d->line, d->column,
                   "needs the task " STR_FMT ", which is not defined" STR_FMT, STR_ARG(quoted),
                   STR_ARG(guess));
}

/* Add the task that `d` names to the group. */
static void read_name(struct needs *n, const struct doc *d, struct definition_group *g)
{
    struct definition_reader *r = n->r;
    struct str name, quoted;
    uint64_t from;

    if (!definition_spelling(r, d, "needs", needs_allowed, &name))
        return;
    if (!map_get(r->tasks, name, &from)) {
        bad_name(n, d, name);
        return;
    }
    if (from == r->task) {
        definition_bad(r, d->line, d->column, "a task cannot need itself");
        return;
    }
    if (n->seen_in[from] == n->list) {
        quoted = sentence_quote(&r->scratch, name);
        definition_bad(r, d->line, d->column,
                       "the task " STR_FMT
                       " stands in this list twice; the first is at line %u, column %u",
                       STR_ARG(quoted), n->seen[from]->line, n->seen[from]->column);
        return;
    }
    n->seen_in[from] = n->list;
    n->seen[from] = d;
    g->from[g->from_n++] = (uint32_t)from;
    add_edge(n, (uint32_t)from, r->task);
}

/* Begin a list of up to `n` names. */
static struct definition_group *open_group(struct needs *n, enum group_rule rule, size_t names)
{
    struct definition_task *t = &n->r->d->tasks[n->r->task];
    struct definition_group *g = &t->groups[t->groups_n++];

    n->list++;
    g->rule = rule;
    g->from = ARENA_ARRAY(n->r->arena, uint32_t, names);
    return g;
}

/* The tasks of a group, a list or a single name. */
static void read_names(struct needs *n, const struct doc *d, enum group_rule rule, int64_t need)
{
    const char *key = rules[rule == GROUP_AT_LEAST ? GROUP_RULE_N : rule].p;
    struct definition_group *g;

    if (d->kind == DOC_NULL || d->kind == DOC_MAP || (d->kind == DOC_LIST && !d->n)) {
        definition_wrong(n->r, d, key,
                         d->kind == DOC_LIST ? "a list of at least one task" : "a list of tasks");
        return;
    }
    g = open_group(n, rule, d->kind == DOC_LIST ? d->n : 1);
    g->need = need;
    if (d->kind != DOC_LIST)
        read_name(n, d, g);
    else
        for (const struct doc *c = d->first; c; c = c->next)
            read_name(n, c, g);
}

static void read_at_least(struct needs *n, const struct doc *at_least, const struct doc *of)
{
    struct definition_reader *r = n->r;
    int64_t most = of && of->kind == DOC_LIST && of->n ? of->n : 1;
    int64_t need;

    if (!of) {
        definition_bad(r, at_least->key_line, at_least->key_column,
                       "\"at_least\" needs the key \"of\" beside it, the list of tasks");
        return;
    }
    if (definition_integer(r, at_least, "at_least", 1, most, &need))
        read_names(n, of, GROUP_AT_LEAST, need);
}

/* A map such as {all_done: [a, b]} or {at_least: 2, of: [a, b, c]}. */
static void read_group(struct needs *n, const struct doc *d)
{
    const struct doc *slots[RULES_N];
    struct definition_reader *r = n->r;
    size_t errors = r->errors->n_total;
    enum group_rule rule = GROUP_RULE_N;
    unsigned given = 0;

    definition_keys(r, d, "needs", needs_allowed, rules, RULES_N, slots);
    for (unsigned i = 0; i < GROUP_RULE_N; i++) {
        if (slots[i])
            rule = (enum group_rule)i;
        given += slots[i] != NULL;
    }
    if (r->errors->n_total > errors)
        return;
    if (given != 1) {
        definition_bad(r, d->line, d->column,
                       "a group has one rule, with its tasks; this one has %u (several groups are "
                       "several entries of the list)",
                       given);
        return;
    }
    if (rule == GROUP_AT_LEAST) {
        read_at_least(n, slots[rule], slots[GROUP_RULE_N]);
        return;
    }
    if (slots[GROUP_RULE_N])
        definition_bad(r, slots[GROUP_RULE_N]->key_line, slots[GROUP_RULE_N]->key_column,
                       "\"of\" goes with \"at_least\" only");
    read_names(n, slots[rule], rule, 0);
}

/* The names of a list are one group, which comes first; the groups follow. */
static void read_list(struct needs *n, const struct doc *d)
{
    struct definition_group *g = NULL;
    size_t names = 0;

    for (const struct doc *c = d->first; c; c = c->next)
        names += c->kind != DOC_MAP;
    if (names)
        g = open_group(n, GROUP_ALL_SUCCESS, names);
    for (const struct doc *c = d->first; c; c = c->next)
        if (c->kind != DOC_MAP)
            read_name(n, c, g);
    for (const struct doc *c = d->first; c; c = c->next)
        if (c->kind == DOC_MAP)
            read_group(n, c);
}

static void read_needs(struct needs *n, const struct doc *d)
{
    struct definition_task *t = &n->r->d->tasks[n->r->task];
    size_t groups = 1;

    if (d->kind == DOC_NULL) {
        definition_wrong(n->r, d, "needs", needs_allowed);
        return;
    }
    if (d->kind == DOC_LIST)
        for (const struct doc *c = d->first; c; c = c->next)
            groups += c->kind == DOC_MAP;
    t->groups = ARENA_ARRAY(n->r->arena, struct definition_group, groups);
    if (d->kind == DOC_LIST)
        read_list(n, d);
    else if (d->kind == DOC_MAP)
        read_group(n, d);
    else
        read_name(n, d, open_group(n, GROUP_ALL_SUCCESS, 1));
}

static void say_name(struct definition_reader *r, struct buf *b, uint32_t task)
{
    struct str name = r->d->tasks[task].name;

    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];

        /* A name that could be taken for an arrow, or moves the cursor. */
        if (c <= ' ' || c == '"' || c == '>' || c == '\\' || c == 0x7f) {
            name = sentence_quote(&r->scratch, name);
            break;
        }
    }
    buf_add(b, name);
    buf_add(b, STR(" -> "));
}

/* "a -> b -> a", at the first of its tasks. */
static void bad_cycle(struct definition_reader *r, const uint32_t *ring, uint32_t n)
{
    const struct definition_task *t = &r->d->tasks[ring[0]];
    struct buf b;

    if (definition_skips(r, t->line, t->column))
        return;
    buf_init(&b, SENTENCE_BYTES_MAX);
    for (uint32_t i = 0; i < n; i++) {
        if (n > CYCLE_SHOWN && i == CYCLE_HEAD) {
            buf_printf(&b, "… %u more … -> ", n - CYCLE_HEAD - CYCLE_TAIL);
            i = n - CYCLE_TAIL;
        }
        say_name(r, &b, ring[i]);
    }
    say_name(r, &b, ring[0]);
    definition_bad(r, t->line, t->column, "tasks wait for each other in a circle: %.*s",
                   (int)(b.n - 4), b.p);
    buf_deinit(&b);
}

/* Name some of the cycles, or return an order. */
static uint32_t *order_or_cycles(struct needs *n)
{
    struct definition_reader *r = n->r;
    uint32_t tasks = (uint32_t)r->d->tasks_n, count;
    bool *on_cycle = ARENA_ARRAY(&r->scratch, bool, tasks);
    struct graph_edge *edges = n->edges;
    size_t edges_n = n->edges_n;
    uint32_t *order;

    for (int i = 0; i < CYCLES_NAMED; i++) {
        size_t kept = 0;

        if (graph_order(&r->scratch, tasks, edges, edges_n, &order, &count) == 0)
            return i ? NULL : order;
        bad_cycle(r, order, count);
        /* Another cycle is one that has no task of this one. */
        for (uint32_t k = 0; k < count; k++)
            on_cycle[order[k]] = true;
        for (size_t k = 0; k < edges_n; k++)
            if (!on_cycle[edges[k].to])
                edges[kept++] = edges[k];
        edges_n = kept;
    }
    return NULL;
}

static void bad_ref(struct definition_reader *r, const struct definition_ref *ref)
{
    struct str quoted;

    if (definition_skips(r, ref->at->line, ref->at->column))
        return;
    r->thing = "task";
    r->thing_name = r->d->tasks[ref->task].name;
    quoted = sentence_quote(&r->scratch, r->d->tasks[ref->target].name);
    if (ref->task == ref->target)
        definition_bad(r, ref->at->line, ref->at->column, "\"%s\" refers to the task's own output",
                       ref->key);
    else
        definition_bad(r, ref->at->line, ref->at->column,
                       "\"%s\" refers to the output of " STR_FMT
                       ", which is not upstream; add it to \"needs\"",
                       ref->key, STR_ARG(quoted));
    r->thing = NULL;
}

/* Keep the references that do not go to the task itself or to one that it needs directly. They are
 * in the order of the referring tasks. */
static void drop_near_refs(struct definition_reader *r)
{
    uint32_t *needed_by = ARENA_ARRAY(&r->scratch, uint32_t, r->d->tasks_n);
    size_t kept = 0;

    for (size_t i = 0; i < r->refs_n; i++) {
        struct definition_ref ref = r->refs[i];
        const struct definition_task *t = &r->d->tasks[ref.task];

        if (!i || r->refs[i - 1].task != ref.task)
            for (size_t g = 0; g < t->groups_n; g++)
                for (size_t k = 0; k < t->groups[g].from_n; k++)
                    needed_by[t->groups[g].from[k]] = ref.task + 1;
        if (ref.task == ref.target)
            bad_ref(r, &ref);
        else if (needed_by[ref.target] != ref.task + 1)
            r->refs[kept++] = ref;
    }
    r->refs_n = kept;
}

/* So many targets are followed through the graph at a time, a bit each. */
#define BATCH 512u
struct reached {
    uint64_t bits[BATCH / 64];
};

/* What is needed to follow references through the graph. */
struct upstream {
    const struct definition *d;
    const uint32_t *order;
    uint32_t *place;         /* of a task in the order */
    uint32_t *number;        /* of a target, in the order, from 1; 0: nobody refers to it */
    struct reached *reached; /* which targets of the batch a task has upstream */
};

/* Work out which of the targets numbered from `first` on lie upstream of this task, whose
 * dependencies from place `from` on are worked out. */
static void reach(const struct upstream *u, uint32_t task, uint32_t first, uint32_t from)
{
    const struct definition_task *t = &u->d->tasks[task];
    struct reached all = {0};

    for (size_t g = 0; g < t->groups_n; g++) {
        for (size_t k = 0; k < t->groups[g].from_n; k++) {
            uint32_t v = t->groups[g].from[k];
            uint32_t bit = u->number[v] - first;

            if (u->place[v] < from)
                continue;
            for (size_t w = 0; w < BATCH / 64; w++)
                all.bits[w] |= u->reached[v].bits[w];
            if (u->number[v] >= first && bit < BATCH)
                all.bits[bit / 64] |= UINT64_C(1) << bit % 64;
        }
    }
    u->reached[task] = all;
}

/* Check the references refs[0 … n), which go to the targets numbered from `first` on: one walk over
 * the order, from the first of these targets to the last of the tasks that refer to them. */
static void check_batch(struct definition_reader *r, const struct upstream *u, uint32_t first,
                        const struct definition_ref *refs, size_t n)
{
    uint32_t from = UINT32_MAX, to = 0;

    for (size_t i = 0; i < n; i++) {
        if (u->place[refs[i].target] < from)
            from = u->place[refs[i].target];
        if (u->place[refs[i].task] > to)
            to = u->place[refs[i].task];
    }
    for (uint32_t i = from; i <= to; i++)
        reach(u, u->order[i], first, from);
    for (size_t i = 0; i < n; i++) {
        uint32_t bit = u->number[refs[i].target] - first;

        /* A task that comes before the target in the order was not walked over. */
        if (u->place[refs[i].task] < from ||
            !(u->reached[refs[i].task].bits[bit / 64] >> bit % 64 & 1))
            bad_ref(r, &refs[i]);
    }
}

/*
 * Whether each reference goes to a task upstream. A batch of targets at a time is carried along the
 * order, so that 200 000 tasks of which each refers to one far above it cost 400 walks, and not
 * 200 000.
 */
static void check_far_refs(struct definition_reader *r, const uint32_t *order)
{
    uint32_t tasks = (uint32_t)r->d->tasks_n, targets = 0;
    struct upstream u = {.d = r->d, .order = order};
    struct definition_ref *sorted = ARENA_ARRAY(&r->scratch, struct definition_ref, r->refs_n);
    size_t *first;

    u.place = ARENA_ARRAY(&r->scratch, uint32_t, tasks);
    u.number = ARENA_ARRAY(&r->scratch, uint32_t, tasks);
    u.reached = ARENA_ARRAY(&r->scratch, struct reached, tasks);
    for (size_t i = 0; i < r->refs_n; i++)
        u.number[r->refs[i].target] = 1;
    for (uint32_t i = 0; i < tasks; i++) {
        u.place[order[i]] = i;
        if (u.number[order[i]])
            u.number[order[i]] = ++targets;
    }
    /* Sort the references by the batch of their target. */
    first = ARENA_ARRAY(&r->scratch, size_t, targets / BATCH + 3);
    for (size_t i = 0; i < r->refs_n; i++)
        first[(u.number[r->refs[i].target] - 1) / BATCH + 2]++;
    for (size_t b = 2; b < targets / BATCH + 3; b++)
        first[b] += first[b - 1];
    for (size_t i = 0; i < r->refs_n; i++)
        sorted[first[(u.number[r->refs[i].target] - 1) / BATCH + 1]++] = r->refs[i];
    for (uint32_t b = 0; b * BATCH < targets; b++)
        check_batch(r, &u, b * BATCH + 1, sorted + first[b], first[b + 1] - first[b]);
}

void definition_needs(struct definition_reader *r, const struct doc *const *needs)
{
    struct needs n = {.r = r};
    uint32_t *order;

    n.seen = ARENA_ARRAY(&r->scratch, const struct doc *, r->d->tasks_n);
    n.seen_in = ARENA_ARRAY(&r->scratch, uint32_t, r->d->tasks_n);
    for (uint32_t i = 0; i < r->d->tasks_n; i++) {
        if (!needs[i])
            continue;
        r->task = i;
        r->thing = "task";
        r->thing_name = r->d->tasks[i].name;
        read_needs(&n, needs[i]);
    }
    r->thing = NULL;
    r->d->edges_n = n.edges_n;
    if (n.edges_n > DEFINITION_EDGES_MAX) {
        definition_bad(r, r->d->tasks[0].line, r->d->tasks[0].column,
                       "the tasks have %zu dependencies; at most %u are allowed", n.edges_n,
                       DEFINITION_EDGES_MAX);
        return;
    }
    order = order_or_cycles(&n);
    drop_near_refs(r);
    if (order && r->refs_n)
        check_far_refs(r, order);
}
