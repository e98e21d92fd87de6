/* SPDX-License-Identifier: Apache-2.0 */
#include "core/placement.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/doc.h"

/* A demand as text: names and values have at most 200 bytes each, of which a control character
 * takes six in JSON. */
#define DEMAND_BYTES_MAX (1u << 16)

static const struct str verdict_texts[] = {
#define VERDICT_TEXT(name, text, sentence) [PLACEMENT_##name] = {text, sizeof(text) - 1},
    PLACEMENT_VERDICTS(VERDICT_TEXT)
#undef VERDICT_TEXT
};

static const struct str verdict_sentences[] = {
#define VERDICT_SENTENCE(name, text, sentence)                                                     \
    [PLACEMENT_##name] = {sentence, sizeof(sentence) - 1},
    PLACEMENT_VERDICTS(VERDICT_SENTENCE)
#undef VERDICT_SENTENCE
};

static const struct str mode_texts[] = {
    [PLACEMENT_SYNC] = {"sync",       4 },
    [PLACEMENT_ASYNC] = {"async",      5 },
    [PLACEMENT_MODES_ALL] = {"sync,async", 10},
};
#define MODE_TEXTS_N (sizeof(mode_texts) / sizeof(mode_texts[0]))

static bool has_label(const struct placement_labels *labels, const struct placement_label *l)
{
    for (size_t i = 0; i < labels->n; i++)
        if (str_eq(labels->list[i].name, l->name))
            return str_eq(labels->list[i].value, l->value);
    return false;
}

static bool has_labels(const struct placement_labels *labels, const struct placement_labels *wanted)
{
    for (size_t i = 0; i < wanted->n; i++)
        if (!has_label(labels, &wanted->list[i]))
            return false;
    return true;
}

/* What stands in the way of a runner, whatever the others are; CHOSEN: nothing. */
static enum placement_verdict judge(const struct placement_runner *r,
                                    const struct placement_demand *d)
{
    if (!str_eq(r->type, d->type))
        return PLACEMENT_OTHER_TYPE;
    if (!(r->modes & d->mode))
        return PLACEMENT_MODE_UNSUPPORTED;
    if (!has_labels(&r->labels, &d->labels))
        return PLACEMENT_LABEL_MISSING;
    if (r->health == PLACEMENT_LEAVING)
        return PLACEMENT_DRAINING;
    if (r->health == PLACEMENT_LATE)
        return PLACEMENT_SUSPECT;
    if (r->breaker_open)
        return PLACEMENT_BREAKER_OPEN;
    if (r->slots > 0 && r->load >= r->slots)
        return PLACEMENT_FULL;
    return PLACEMENT_CHOSEN;
}

bool placement_serves(const struct placement_runner *r, const struct placement_demand *d)
{
    return str_eq(r->type, d->type) && (r->modes & d->mode) && has_labels(&r->labels, &d->labels);
}

/* The share of its slots that is taken, compared without division; one without a limit has none. */
static int by_share(const struct placement_runner *a, const struct placement_runner *b)
{
    __int128 x = a->slots > 0 ? (__int128)a->load * (b->slots > 0 ? b->slots : 1) : 0;
    __int128 y = b->slots > 0 ? (__int128)b->load * (a->slots > 0 ? a->slots : 1) : 0;

    return (x > y) - (x < y);
}

/* Below 0 where `a` is to get the stage rather than `b`. */
static int compare(const struct placement_runner *a, const struct placement_runner *b)
{
    int share;

    if (a->refused != b->refused)
        return a->refused ? 1 : -1;
    if (a->load != b->load)
        return a->load < b->load ? -1 : 1;
    share = by_share(a, b);
    if (share)
        return share;
    if (a->granted != b->granted)
        return a->granted < b->granted ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

size_t placement_choose(const struct placement_demand *d, const struct placement_runner *runners,
                        size_t n, enum placement_verdict *verdicts)
{
    size_t best = PLACEMENT_NOBODY;

    for (size_t i = 0; i < n; i++) {
        verdicts[i] = judge(&runners[i], d);
        if (verdicts[i] == PLACEMENT_CHOSEN &&
            (best == PLACEMENT_NOBODY || compare(&runners[i], &runners[best]) < 0))
            best = i;
    }
    for (size_t i = 0; i < n; i++)
        if (verdicts[i] == PLACEMENT_CHOSEN && i != best)
            verdicts[i] = runners[i].refused && !runners[best].refused ? PLACEMENT_REFUSED_LAST
                                                                       : PLACEMENT_BUSIER;
    return best;
}

struct str placement_verdict_text(enum placement_verdict v)
{
    assert(v < PLACEMENT_VERDICT_N);
    return verdict_texts[v];
}

struct str placement_verdict_sentence(enum placement_verdict v)
{
    assert(v < PLACEMENT_VERDICT_N);
    return verdict_sentences[v];
}

bool placement_verdict_parse(struct str s, enum placement_verdict *ret)
{
    size_t i;

    if (!str_index(s, verdict_texts, PLACEMENT_VERDICT_N, &i))
        return false;
    *ret = (enum placement_verdict)i;
    return true;
}

struct str placement_mode_text(enum placement_mode m)
{
    assert(m == PLACEMENT_SYNC || m == PLACEMENT_ASYNC);
    return mode_texts[m];
}

bool placement_mode_parse(struct str s, enum placement_mode *ret)
{
    unsigned modes;

    if (!placement_modes_parse(s, &modes) || modes == PLACEMENT_MODES_ALL)
        return false;
    *ret = (enum placement_mode)modes;
    return true;
}

struct str placement_modes_text(unsigned modes)
{
    assert(modes > 0 && modes < MODE_TEXTS_N);
    return mode_texts[modes];
}

bool placement_modes_parse(struct str s, unsigned *ret)
{
    size_t i;

    if (s.n == 0 || !str_index(s, mode_texts, MODE_TEXTS_N, &i))
        return false;
    *ret = (unsigned)i;
    return true;
}

/* Places of the labels in the order of their names. */
static void sort_labels(const struct placement_labels *labels, size_t *order)
{
    for (size_t i = 0; i < labels->n; i++) {
        size_t j = i;

        for (; j > 0 && str_cmp(labels->list[order[j - 1]].name, labels->list[i].name) > 0; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
}

struct str placement_demand_text(struct arena *a, const struct placement_demand *d)
{
    size_t order[PLACEMENT_LABELS_MAX];
    struct str ret;
    struct buf b;

    assert(d->labels.n <= PLACEMENT_LABELS_MAX);
    sort_labels(&d->labels, order);
    buf_init(&b, DEMAND_BYTES_MAX);
    buf_add(&b, STR("{\"labels\":{"));
    for (size_t i = 0; i < d->labels.n; i++) {
        const struct placement_label *l = &d->labels.list[order[i]];

        if (i)
            buf_byte(&b, ',');
        buf_json(&b, l->name);
        buf_byte(&b, ':');
        buf_json(&b, l->value);
    }
    buf_printf(&b, "},\"mode\":\"%s\",\"type\":", placement_mode_text(d->mode).p);
    buf_json(&b, d->type);
    buf_byte(&b, '}');
    assert(!b.full);
    ret = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return ret;
}

static bool parse_labels(struct arena *a, const struct doc *d, struct placement_labels *ret)
{
    struct placement_label *list;

    if (d->kind != DOC_MAP || d->n > PLACEMENT_LABELS_MAX)
        return false;
    list = ARENA_ARRAY(a, struct placement_label, d->n);
    *ret = (struct placement_labels){.list = list};
    for (const struct doc *v = d->first; v; v = v->next) {
        if (v->kind != DOC_TEXT)
            return false;
        list[ret->n++] = (struct placement_label){v->key, v->text};
    }
    return true;
}

bool placement_demand_parse(struct arena *a, struct str text, struct placement_demand *ret)
{
    const struct doc *labels, *mode, *type;
    struct doc_error error;
    struct doc *d;

    *ret = (struct placement_demand){0};
    if (text.n > DEMAND_BYTES_MAX || doc_json(a, text, &d, &error) || d->kind != DOC_MAP)
        return false;
    labels = doc_get(d, STR("labels"));
    mode = doc_get(d, STR("mode"));
    type = doc_get(d, STR("type"));
    if (!labels || !mode || !type || mode->kind != DOC_TEXT || type->kind != DOC_TEXT)
        return false;
    ret->type = type->text;
    return type->text.n && placement_mode_parse(mode->text, &ret->mode) &&
           parse_labels(a, labels, &ret->labels);
}
