/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matcher of the C library takes a time that is exponential in patterns such as (a?a?a?…)*,
 * even to compile them. This one reads the pattern into a tree, writes the tree out as steps, and
 * follows all ways through the steps at once, character by character.
 */
#include "base/pattern.h"

#include <assert.h>

#define REPEAT_FOREVER UINT32_MAX
#define REPEAT_MAX     1000u
#define VISITS_MAX     (20 * PATTERN_STEPS_MAX)

struct range {
    uint32_t low, high;
};

struct set {
    struct range *ranges;
    size_t n;
    bool negated;
};

enum node_kind {
    NODE_CHAR,
    NODE_ANY,
    NODE_SET,
    NODE_BEGIN,
    NODE_END,
    NODE_CAT,    /* its children, one after the other */
    NODE_ALT,    /* one of its children */
    NODE_REPEAT, /* its child, least … most times */
};

struct node {
    enum node_kind kind;
    uint32_t code;
    struct set *set;
    uint32_t least, most;
    struct node *first, *last; /* children */
    struct node *next;
};

struct parser {
    struct arena *arena;
    struct str text;
    size_t at;
    unsigned depth;
    struct str error; /* p is set once something is wrong */
};

static struct node *parse_alternatives(struct parser *p);

static struct node *bad(struct parser *p, struct str error)
{
    if (!p->error.p)
        p->error = error;
    return NULL;
}

static struct node *node_new(struct parser *p, enum node_kind kind)
{
    struct node *n = ARENA_NEW(p->arena, struct node);

    n->kind = kind;
    return n;
}

static void add_child(struct node *parent, struct node *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

static bool at_end(const struct parser *p)
{
    return p->at >= p->text.n;
}

static bool looking_at(const struct parser *p, const char *what)
{
    return str_starts(str_sub(p->text, p->at, p->text.n), str_of(what));
}

/* Take the next character of well-formed text. */
static uint32_t take_code(struct str s, size_t *at)
{
    unsigned char c = (unsigned char)s.p[*at];
    size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    uint32_t code = length == 1 ? c : c & (0x7fu >> length);

    for (size_t i = 1; i < length; i++)
        code = code << 6 | ((unsigned char)s.p[*at + i] & 0x3f);
    *at += length;
    return code;
}

static void add_range(struct parser *p, struct set *s, uint32_t low, uint32_t high)
{
    s->ranges =
        arena_grow(p->arena, s->ranges, s->n * sizeof(*s->ranges), (s->n + 1) * sizeof(*s->ranges));
    s->ranges[s->n++] = (struct range){low, high};
}

/* "[:digit:]" within a set. */
static bool parse_class(struct parser *p, struct set *s)
{
    static const struct {
        const char *name;
        struct range ranges[4]; /* up to the first that is all zeros */
    } classes[] = {
        {"[:alnum:]",  {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}            },
        {"[:alpha:]",  {{'A', 'Z'}, {'a', 'z'}}                        },
        {"[:blank:]",  {{' ', ' '}, {'\t', '\t'}}                      },
        {"[:cntrl:]",  {{1, 31}, {127, 127}}                           },
        {"[:digit:]",  {{'0', '9'}}                                    },
        {"[:graph:]",  {{'!', '~'}}                                    },
        {"[:lower:]",  {{'a', 'z'}}                                    },
        {"[:print:]",  {{' ', '~'}}                                    },
        {"[:punct:]",  {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
        {"[:space:]",  {{' ', ' '}, {'\t', '\r'}}                      },
        {"[:upper:]",  {{'A', 'Z'}}                                    },
        {"[:xdigit:]", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}            },
    };

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (!looking_at(p, classes[i].name))
            continue;
        p->at += strlen(classes[i].name);
        for (size_t k = 0; k < 4 && classes[i].ranges[k].high; k++)
            add_range(p, s, classes[i].ranges[k].low, classes[i].ranges[k].high);
        return true;
    }
    return false;
}

/* One end of a range. A backslash is itself in a set of POSIX and an escape elsewhere, so that only
 * two of them, which are one in either, are taken. */
static bool parse_set_code(struct parser *p, uint32_t *ret)
{
    if (looking_at(p, "[:") || looking_at(p, "[=") || looking_at(p, "[.")) {
        bad(p, STR("has a class that is not known; there are [:alpha:], [:digit:], [:alnum:], "
                   "[:upper:], [:lower:], [:space:], [:blank:], [:punct:], [:print:], [:graph:], "
                   "[:cntrl:] and [:xdigit:]"));
        return false;
    }
    if (looking_at(p, "\\")) {
        p->at++;
        if (!looking_at(p, "\\")) {
            bad(p, STR("has a backslash within [ ]; write two for one, ] as the first and - as the "
                       "last character, and classes as [:digit:]"));
            return false;
        }
    }
    *ret = take_code(p->text, &p->at);
    return true;
}

static bool parse_set_part(struct parser *p, struct set *s)
{
    uint32_t low, high;

    if (parse_class(p, s))
        return true;
    if (!parse_set_code(p, &low))
        return false;
    high = low;
    if (looking_at(p, "-") && p->at + 1 < p->text.n && p->text.p[p->at + 1] != ']') {
        p->at++;
        if (!parse_set_code(p, &high))
            return false;
    }
    if (low > high) {
        bad(p, STR("has a range within [ ] that ends before it begins"));
        return false;
    }
    add_range(p, s, low, high);
    return true;
}

/* What follows a '['. */
static struct node *parse_set(struct parser *p)
{
    struct node *n = node_new(p, NODE_SET);
    bool first = true;

    n->set = ARENA_NEW(p->arena, struct set);
    if (looking_at(p, "^")) {
        n->set->negated = true;
        p->at++;
    }
    for (; !at_end(p); first = false) {
        if (looking_at(p, "]") && !first) {
            p->at++;
            return n;
        }
        if (!parse_set_part(p, n->set))
            return NULL;
    }
    return bad(p, STR("has a [ without a ]"));
}

static struct node *parse_group(struct parser *p)
{
    struct node *n;

    if (++p->depth > PATTERN_DEPTH_MAX)
        return bad(p, STR("has groups that are nested too deep"));
    n = parse_alternatives(p);
    p->depth--;
    if (!n)
        return NULL;
    if (!looking_at(p, ")"))
        return bad(p, STR("has a ( without a )"));
    p->at++;
    return n;
}

static struct node *parse_escape(struct parser *p)
{
    struct node *n = node_new(p, NODE_CHAR);

    if (at_end(p))
        return bad(p, STR("ends in a backslash"));
    n->code = take_code(p->text, &p->at);
    if (n->code >= '1' && n->code <= '9')
        return bad(p, STR("refers back to a group (\\1), which is not allowed"));
    if (n->code > 0x7f || !strchr("\\|*+?{}()[].^$/-", (int)n->code))
        return bad(p, str_printf(p->arena,
                                 "has a backslash before a character that means nothing else; "
                                 "classes are written [0-9] or [[:space:]]"));
    return n;
}

static struct node *bad_repetition(struct parser *p)
{
    char c = p->text.p[p->at];

    return bad(p, str_printf(p->arena,
                             "has a %c that repeats nothing; as a character it is written \\%c", c,
                             c));
}

static struct node *parse_atom(struct parser *p)
{
    struct node *n;

    switch (p->text.p[p->at]) {
    case '(':
        p->at++;
        return parse_group(p);
    case '[':
        p->at++;
        return parse_set(p);
    case '\\':
        p->at++;
        return parse_escape(p);
    case '.':
        p->at++;
        return node_new(p, NODE_ANY);
    case '^':
        p->at++;
        return node_new(p, NODE_BEGIN);
    case '$':
        p->at++;
        return node_new(p, NODE_END);
    case '*':
    case '+':
    case '?':
    case '{':
        return bad_repetition(p);
    default:
        n = node_new(p, NODE_CHAR);
        n->code = take_code(p->text, &p->at);
        return n;
    }
}

/* A number up to REPEAT_MAX; false where there is none. */
static bool parse_number(struct parser *p, uint32_t *ret)
{
    size_t begin = p->at;

    *ret = 0;
    while (!at_end(p) && p->text.p[p->at] >= '0' && p->text.p[p->at] <= '9') {
        *ret = *ret * 10 + (uint32_t)(p->text.p[p->at++] - '0');
        if (*ret > REPEAT_MAX)
            return false;
    }
    return p->at > begin;
}

/* "{2}", "{2,}" or "{2,5}". */
static bool parse_bounds(struct parser *p, struct node *n)
{
    p->at++;
    if (!parse_number(p, &n->least))
        return false;
    n->most = n->least;
    if (looking_at(p, ",")) {
        p->at++;
        n->most = REPEAT_FOREVER;
        if (!looking_at(p, "}") && !parse_number(p, &n->most))
            return false;
    }
    if (!looking_at(p, "}") || n->most < n->least)
        return false;
    p->at++;
    return true;
}

/* What is repeated, wrapped in the repetition that follows it. */
static struct node *parse_repetitions(struct parser *p, struct node *atom)
{
    bool repeated = false;

    if (!atom)
        return NULL;
    while (!at_end(p) && strchr("*+?{", p->text.p[p->at])) {
        struct node *n = node_new(p, NODE_REPEAT);
        char c = p->text.p[p->at];

        if (atom->kind == NODE_BEGIN || atom->kind == NODE_END)
            return bad_repetition(p);
        if (repeated)
            return bad(p, STR("repeats what is a repetition already"));
        repeated = true;
        add_child(n, atom);
        n->least = c == '+';
        n->most = c == '?' ? 1 : REPEAT_FOREVER;
        if (c == '{' && !parse_bounds(p, n))
            return bad(p, STR("has a { } that is no repetition of at most 1000 times, such as {2}, "
                              "{2,} or {2,5}"));
        if (c != '{')
            p->at++;
        atom = n;
    }
    return atom;
}

static struct node *parse_sequence(struct parser *p)
{
    struct node *n = node_new(p, NODE_CAT);

    while (!at_end(p) && p->text.p[p->at] != '|' && p->text.p[p->at] != ')') {
        struct node *part = parse_atom(p);

        part = parse_repetitions(p, part);
        if (!part)
            return NULL;
        add_child(n, part);
    }
    return n;
}

static struct node *parse_alternatives(struct parser *p)
{
    struct node *n = node_new(p, NODE_ALT);

    for (;;) {
        struct node *part = parse_sequence(p);

        if (!part)
            return NULL;
        add_child(n, part);
        if (!looking_at(p, "|"))
            return n;
        p->at++;
    }
}

enum step_kind {
    STEP_CHAR,
    STEP_ANY,
    STEP_SET,
    STEP_BEGIN,
    STEP_END,
    STEP_SPLIT, /* go on at both `to` and `other` */
    STEP_MATCH,
};

struct step {
    enum step_kind kind;
    uint32_t code;
    const struct set *set;
    uint32_t to;    /* the step that follows */
    uint32_t other; /* of a split */
};

struct program {
    struct arena *arena;
    struct step *steps;
    uint32_t n, cap;
    uint32_t visits; /* of nodes, which write nothing where they are empty */
    bool full;       /* there would be more than PATTERN_STEPS_MAX */
};

static void write_node(struct program *g, const struct node *n);

/* A step that leads to the one after it; the index of it. */
static uint32_t write_step(struct program *g, enum step_kind kind)
{
    if (g->n == PATTERN_STEPS_MAX) {
        g->full = true;
        return 0;
    }
    if (g->n == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : 32;

        g->steps =
            arena_grow(g->arena, g->steps, g->cap * sizeof(*g->steps), cap * sizeof(*g->steps));
        g->cap = cap;
    }
    g->steps[g->n] = (struct step){.kind = kind, .to = g->n + 1};
    return g->n++;
}

/* Each alternative but the last begins with a split, and ends with one whose ways both lead behind
 * them all. */
static void write_alternatives(struct program *g, const struct node *n)
{
    uint32_t ends = UINT32_MAX; /* the newest of these, which are chained until the end is known */

    for (const struct node *c = n->first; c && !g->full; c = c->next) {
        uint32_t split = c->next ? write_step(g, STEP_SPLIT) : 0;
        uint32_t end;

        write_node(g, c);
        if (!c->next)
            break;
        end = write_step(g, STEP_SPLIT);
        g->steps[split].other = g->n;
        g->steps[end].other = ends;
        ends = end;
    }
    while (!g->full && ends != UINT32_MAX) {
        uint32_t before = g->steps[ends].other;

        g->steps[ends].to = g->steps[ends].other = g->n;
        ends = before;
    }
}

/* x* is a split around x, and x{3,} is xxx with a way back to the last one. */
static void write_endless(struct program *g, const struct node *n)
{
    uint32_t begin = g->n, split = 0, back;

    if (n->least == 0)
        split = write_step(g, STEP_SPLIT);
    for (uint32_t i = 0; i < n->least || i == 0; i++) {
        begin = i ? g->n : begin;
        write_node(g, n->first);
        if (g->full)
            return;
    }
    back = write_step(g, STEP_SPLIT); /* which may move the steps */
    g->steps[back].other = begin;
    if (n->least == 0)
        g->steps[split].other = g->n;
}

static void write_repetition(struct program *g, const struct node *n)
{
    if (n->most == REPEAT_FOREVER) {
        write_endless(g, n);
        return;
    }
    for (uint32_t i = 0; i < n->most && !g->full; i++) {
        uint32_t split = i >= n->least ? write_step(g, STEP_SPLIT) : 0;

        write_node(g, n->first);
        if (i >= n->least)
            g->steps[split].other = g->n;
    }
}

static void write_node(struct program *g, const struct node *n)
{
    static const enum step_kind kinds[] = {
        [NODE_CHAR] = STEP_CHAR,   [NODE_ANY] = STEP_ANY, [NODE_SET] = STEP_SET,
        [NODE_BEGIN] = STEP_BEGIN, [NODE_END] = STEP_END,
    };
    uint32_t step;

    if (++g->visits > VISITS_MAX)
        g->full = true;
    if (g->full)
        return;
    switch (n->kind) {
    case NODE_CAT:
        for (const struct node *c = n->first; c; c = c->next)
            write_node(g, c);
        break;
    case NODE_ALT:
        write_alternatives(g, n);
        break;
    case NODE_REPEAT:
        write_repetition(g, n);
        break;
    default:
        step = write_step(g, kinds[n->kind]);
        g->steps[step].code = n->code;
        g->steps[step].set = n->set;
    }
}

static bool compile(struct arena *a, struct str pattern, struct program *ret, struct str *ret_error)
{
    struct parser p = {.arena = a, .text = pattern};
    struct node *tree = parse_alternatives(&p);

    if (tree && !at_end(&p))
        bad(&p, STR("has a ) without a (; as a character it is written \\)"));
    if (p.error.p) {
        *ret_error = p.error;
        return false;
    }
    *ret = (struct program){.arena = a};
    write_node(ret, tree);
    write_step(ret, STEP_MATCH);
    if (ret->full)
        *ret_error = str_printf(a, "repeats too much: written out it has more than %u steps",
                                PATTERN_STEPS_MAX);
    return !ret->full;
}

int pattern_check(struct arena *a, struct str pattern, struct str *ret_error)
{
    struct arena scratch = {0};
    struct program g;
    size_t at;
    int r = 0;

    if (pattern.n > PATTERN_BYTES_MAX) {
        *ret_error = str_printf(a, "is longer than %u bytes", PATTERN_BYTES_MAX);
        return PATTERN_E_BAD;
    }
    if (!str_utf8(pattern, &at) || str_find(pattern, '\0', NULL)) {
        *ret_error = STR("is no UTF-8 text without NUL");
        return PATTERN_E_BAD;
    }
    if (!compile(&scratch, pattern, &g, ret_error)) {
        *ret_error = str_copy(a, *ret_error);
        r = PATTERN_E_BAD;
    }
    arena_deinit(&scratch);
    return r;
}

/* The steps that wait for the next character, each once. */
struct front {
    uint32_t *steps;
    uint32_t n;
};

struct matching {
    struct program program;
    struct str value;
    uint32_t *reached_at; /* the place in the value, from 1, at which a step was reached last */
    uint32_t *stack;
};

/* Reach a step, and with it all that follow without a character. */
static void reach(struct matching *m, struct front *f, uint32_t step, size_t at)
{
    uint32_t n = 0;

    m->stack[n++] = step;
    while (n) {
        const struct step *s = &m->program.steps[m->stack[--n]];
        uint32_t index = (uint32_t)(s - m->program.steps);

        if (m->reached_at[index] == at + 1)
            continue;
        m->reached_at[index] = (uint32_t)at + 1;
        if (s->kind == STEP_SPLIT) {
            /* Both are pushed at most once for each step, so that the stack holds two a step. */
            m->stack[n++] = s->to;
            m->stack[n++] = s->other;
        } else if (s->kind == STEP_BEGIN || s->kind == STEP_END) {
            if (s->kind == STEP_BEGIN ? at == 0 : at == m->value.n)
                m->stack[n++] = s->to;
        } else {
            f->steps[f->n++] = index;
        }
    }
}

static bool takes(const struct step *s, uint32_t code)
{
    if (s->kind == STEP_ANY)
        return true;
    if (s->kind == STEP_CHAR)
        return s->code == code;
    if (s->kind != STEP_SET)
        return false;
    for (size_t i = 0; i < s->set->n; i++)
        if (code >= s->set->ranges[i].low && code <= s->set->ranges[i].high)
            return !s->set->negated;
    return s->set->negated;
}

static bool run(struct arena *a, struct matching *m)
{
    uint32_t steps = m->program.n;
    struct front now = {.steps = ARENA_ARRAY(a, uint32_t, steps)};
    struct front next = {.steps = ARENA_ARRAY(a, uint32_t, steps)};
    size_t at = 0;

    m->reached_at = ARENA_ARRAY(a, uint32_t, steps);
    m->stack = ARENA_ARRAY(a, uint32_t, 2 * (size_t)steps + 1);
    reach(m, &now, 0, 0);
    while (at < m->value.n && now.n) {
        uint32_t code = take_code(m->value, &at);
        struct front spare = now;

        next.n = 0;
        for (uint32_t i = 0; i < now.n; i++)
            if (takes(&m->program.steps[now.steps[i]], code))
                reach(m, &next, m->program.steps[now.steps[i]].to, at);
        now = next;
        next = spare;
    }
    for (uint32_t i = 0; at == m->value.n && i < now.n; i++)
        if (m->program.steps[now.steps[i]].kind == STEP_MATCH)
            return true;
    return false;
}

bool pattern_match(struct str pattern, struct str value)
{
    struct matching m = {.value = value};
    struct arena a = {0};
    struct str error;
    bool good, matches;
    size_t at;

    if (value.n > PATTERN_VALUE_BYTES_MAX || !str_utf8(value, &at))
        return false;
    good = compile(&a, pattern, &m.program, &error);
    assert(good);
    matches = run(&a, &m);
    arena_deinit(&a);
    return matches;
}
