/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "base/buf.h"
#include "base/pattern.h"
#include "base/sentence.h"
#include "core/definition_reader.h"

#define CHOICES_SHOWN      20u
#define SENTENCE_BYTES_MAX 4096u

/* Bounds are doubles, which hold integers up to here exactly. */
#define BOUND_MAX 9007199254740992.0

static const struct str type_texts[] = {
    [PARAM_STRING] = DEFINITION_KEY("string"), [PARAM_INTEGER] = DEFINITION_KEY("integer"),
    [PARAM_NUMBER] = DEFINITION_KEY("number"), [PARAM_BOOLEAN] = DEFINITION_KEY("boolean"),
    [PARAM_ENUM] = DEFINITION_KEY("enum"),
};
#define TYPES_N (sizeof(type_texts) / sizeof(type_texts[0]))

const struct param *definition_param_find(const struct definition *d, struct str name)
{
    for (size_t i = 0; i < d->params_n; i++)
        if (str_eq(d->params[i].name, name))
            return &d->params[i];
    return NULL;
}

/* " from 1 to 10", " of at least 1", " of at most 10" or nothing. */
static void say_bounds(struct arena *a, struct buf *b, const struct param *p)
{
    struct str least = doc_real_text(a, p->minimum);
    struct str most = doc_real_text(a, p->maximum);

    if (p->has_minimum && p->has_maximum)
        buf_printf(b, " from " STR_FMT " to " STR_FMT, STR_ARG(least), STR_ARG(most));
    else if (p->has_minimum)
        buf_printf(b, " of at least " STR_FMT, STR_ARG(least));
    else if (p->has_maximum)
        buf_printf(b, " of at most " STR_FMT, STR_ARG(most));
}

static void say_string(struct arena *a, struct buf *b, const struct param *p)
{
    struct str pattern = sentence_quote(a, p->pattern);

    buf_add(b, STR("text"));
    say_bounds(a, b, p);
    if (p->has_minimum || p->has_maximum)
        buf_add(b, STR(" characters"));
    if (p->pattern.n)
        buf_printf(b, " that matches the pattern " STR_FMT, STR_ARG(pattern));
}

static void say_choices(struct arena *a, struct buf *b, const struct param *p)
{
    buf_add(b, STR("one of "));
    for (size_t i = 0; i < p->choices_n && i < CHOICES_SHOWN; i++) {
        struct str quoted = sentence_quote(a, p->choices[i]);

        buf_printf(b, "%s" STR_FMT, i ? ", " : "", STR_ARG(quoted));
    }
    if (p->choices_n > CHOICES_SHOWN)
        buf_printf(b, " and %zu more", p->choices_n - CHOICES_SHOWN);
}

/* What values are allowed: "an integer from 1 to 10". */
static void say_allowed(struct arena *a, struct buf *b, const struct param *p)
{
    switch (p->type) {
    case PARAM_STRING:
        say_string(a, b, p);
        break;
    case PARAM_INTEGER:
        buf_add(b, p->has_minimum || p->has_maximum ? STR("an integer")
                                                    : STR("an integer of at most 64 bits"));
        say_bounds(a, b, p);
        break;
    case PARAM_NUMBER:
        buf_add(b, STR("a number"));
        say_bounds(a, b, p);
        break;
    case PARAM_BOOLEAN:
        buf_add(b, STR("true or false"));
        break;
    case PARAM_ENUM:
        say_choices(a, b, p);
        break;
    }
}

static size_t characters(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool within(const struct param *p, double v)
{
    return !(p->has_minimum && v < p->minimum) && !(p->has_maximum && v > p->maximum);
}

/* Bounds of integers are whole and within 53 bits, so that they are compared exactly. */
static bool integer_within(const struct param *p, int64_t v)
{
    return !(p->has_minimum && v < (int64_t)p->minimum) &&
           !(p->has_maximum && v > (int64_t)p->maximum);
}

static bool take_string(const struct param *p, struct str given, struct str *ret)
{
    *ret = given;
    return within(p, (double)characters(given)) &&
           (!p->pattern.n || pattern_match(p->pattern, given));
}

static bool take_integer(struct arena *a, const struct param *p, struct str given, struct str *ret)
{
    struct doc d = {0};

    doc_scalar(a, given, &d);
    if (d.kind != DOC_INT || !integer_within(p, d.integer))
        return false;
    *ret = str_printf(a, "%" PRId64, d.integer);
    return true;
}

static bool take_number(struct arena *a, const struct param *p, struct str given, struct str *ret)
{
    struct doc d = {0};

    doc_scalar(a, given, &d);
    if (d.kind == DOC_INT && within(p, (double)d.integer)) {
        *ret = str_printf(a, "%" PRId64, d.integer);
        return true;
    }
    if (d.kind != DOC_REAL || !isfinite(d.real) || !within(p, d.real))
        return false;
    *ret = doc_real_text(a, d.real);
    return true;
}

static bool take_boolean(struct arena *a, struct str given, struct str *ret)
{
    struct doc d = {0};

    doc_scalar(a, given, &d);
    *ret = d.kind == DOC_BOOL && d.boolean ? STR("true") : STR("false");
    return d.kind == DOC_BOOL;
}

static bool is_choice(const struct param *p, struct str s)
{
    size_t at;

    return str_index(s, p->choices, p->choices_n, &at);
}

static bool take(struct arena *a, const struct param *p, struct str given, struct str *ret)
{
    switch (p->type) {
    case PARAM_STRING:
        return take_string(p, given, ret);
    case PARAM_INTEGER:
        return take_integer(a, p, given, ret);
    case PARAM_NUMBER:
        return take_number(a, p, given, ret);
    case PARAM_BOOLEAN:
        return take_boolean(a, given, ret);
    case PARAM_ENUM:
        *ret = given;
        return is_choice(p, given);
    }
    return false;
}

static struct str guess_choice(struct arena *a, const struct param *p, struct str given)
{
    struct sentence_nearest nearest;
    struct str quoted;

    sentence_nearest_init(&nearest, given);
    for (size_t i = 0; i < p->choices_n; i++)
        sentence_nearest_try(&nearest, p->choices[i]);
    if (!nearest.best.p)
        return STR("");
    quoted = sentence_quote(a, nearest.best);
    return str_printf(a, "; did you mean " STR_FMT "?", STR_ARG(quoted));
}

int definition_param(struct arena *a, const struct param *p, struct str given,
                     struct str *ret_value, struct str *ret_error)
{
    struct str name = sentence_quote(a, p->name);
    struct str quoted, guess;
    struct buf b;

    if (given.n > DEFINITION_TEXT_BYTES_MAX || str_find(given, '\0', NULL) ||
        !str_utf8(given, NULL)) {
        *ret_error =
            str_printf(a, "the param " STR_FMT " is UTF-8 text of at most %u bytes without NUL",
                       STR_ARG(name), DEFINITION_TEXT_BYTES_MAX);
        return DEFINITION_E_BAD;
    }
    if (take(a, p, given, ret_value))
        return 0;
    quoted = sentence_quote(a, given);
    guess = guess_choice(a, p, given);
    buf_init(&b, SENTENCE_BYTES_MAX);
    buf_printf(&b, "the param " STR_FMT " is ", STR_ARG(name));
    say_allowed(a, &b, p);
    buf_printf(&b, "; found " STR_FMT STR_FMT, STR_ARG(quoted), STR_ARG(guess));
    *ret_error = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return DEFINITION_E_BAD;
}

enum {
    KEY_TYPE,
    KEY_DESCRIPTION,
    KEY_DEFAULT,
    KEY_MINIMUM,
    KEY_MAXIMUM,
    KEY_PATTERN,
    KEY_CHOICES,
    KEY_N
};

static const struct str keys[] = {
    [KEY_TYPE] = DEFINITION_KEY("type"),       [KEY_DESCRIPTION] = DEFINITION_KEY("description"),
    [KEY_DEFAULT] = DEFINITION_KEY("default"), [KEY_MINIMUM] = DEFINITION_KEY("minimum"),
    [KEY_MAXIMUM] = DEFINITION_KEY("maximum"), [KEY_PATTERN] = DEFINITION_KEY("pattern"),
    [KEY_CHOICES] = DEFINITION_KEY("choices"),
};

/* Which keys go with which type. */
static const bool goes_with[TYPES_N][KEY_N] = {
    [PARAM_STRING] = {[KEY_MINIMUM] = true,  [KEY_MAXIMUM] = true, [KEY_PATTERN] = true},
    [PARAM_INTEGER] = {[KEY_MINIMUM] = true, [KEY_MAXIMUM] = true},
    [PARAM_NUMBER] = {[KEY_MINIMUM] = true,  [KEY_MAXIMUM] = true},
    [PARAM_ENUM] = {[KEY_CHOICES] = true                    },
};

static bool read_type(struct definition_reader *r, const struct doc *d, const struct doc *map,
                      enum param_type *ret)
{
    static const char allowed[] = "one of string, integer, number, boolean, enum";
    size_t i;

    if (!d) {
        definition_bad(r, map->key_line, map->key_column, "the key \"type\" is missing; it is %s",
                       allowed);
        return false;
    }
    if (d->kind != DOC_TEXT || !str_index(d->text, type_texts, TYPES_N, &i)) {
        definition_wrong(r, d, "type", allowed);
        return false;
    }
    *ret = (enum param_type)i;
    return true;
}

static void check_keys(struct definition_reader *r, const struct doc *const *slots,
                       enum param_type type)
{
    for (size_t k = KEY_MINIMUM; k < KEY_N; k++)
        if (slots[k] && !goes_with[type][k])
            definition_bad(r, slots[k]->key_line, slots[k]->key_column,
                           "\"" STR_FMT "\" does not go with the type " STR_FMT, STR_ARG(keys[k]),
                           STR_ARG(type_texts[type]));
}

static void read_bound(struct definition_reader *r, const struct doc *d, size_t key,
                       enum param_type type, bool *ret_has, double *ret)
{
    static const char *const allowed[] = {
        [PARAM_STRING] = "a number of characters",
        [PARAM_INTEGER] = "an integer from -9007199254740992 to 9007199254740992",
        [PARAM_NUMBER] = "a number",
    };
    double v;

    if (!d || !goes_with[type][key])
        return;
    v = d->kind == DOC_INT ? (double)d->integer : d->kind == DOC_REAL ? d->real : NAN;
    if (!isfinite(v) || (type != PARAM_NUMBER && (d->kind != DOC_INT || fabs(v) > BOUND_MAX)) ||
        (type == PARAM_STRING && v < 0)) {
        definition_wrong(r, d, keys[key].p, allowed[type]);
        return;
    }
    *ret_has = true;
    *ret = v;
}

static void read_pattern(struct definition_reader *r, const struct doc *d, struct str *ret)
{
    struct str problem, pattern;

    if (!d || !definition_text(r, d, "pattern", &pattern))
        return;
    if (pattern_check(&r->scratch, pattern, &problem))
        definition_bad(r, d->line, d->column, "\"pattern\" " STR_FMT, STR_ARG(problem));
    else
        *ret = pattern;
}

static void read_choices(struct definition_reader *r, const struct doc *d, const struct doc *map,
                         struct param *p)
{
    static const char allowed[] = "a list of the texts that an enum may be";

    if (!d) {
        definition_bad(r, map->key_line, map->key_column,
                       "the key \"choices\" is missing; it is %s", allowed);
        return;
    }
    if (d->kind != DOC_LIST || !d->n || d->n > DEFINITION_PARAMS_MAX) {
        definition_wrong(r, d, "choices",
                         d->kind != DOC_LIST ? allowed : "a list of 1 to 1000 texts");
        return;
    }
    p->choices = ARENA_ARRAY(r->arena, struct str, d->n);
    for (const struct doc *c = d->first; c; c = c->next) {
        struct str text, quoted;

        if (!definition_spelling(r, c, "choices", allowed, &text))
            continue;
        if (is_choice(p, text)) {
            quoted = sentence_quote(&r->scratch, text);
            definition_bad(r, c->line, c->column, "the choice " STR_FMT " stands here twice",
                           STR_ARG(quoted));
            continue;
        }
        p->choices[p->choices_n++] = text;
    }
}

/* The default of an integer is no text in quotes, although one from the command line is. */
static bool default_kind(enum param_type type, enum doc_kind kind)
{
    switch (type) {
    case PARAM_STRING:
        return kind == DOC_TEXT;
    case PARAM_INTEGER:
        return kind == DOC_INT;
    case PARAM_NUMBER:
        return kind == DOC_INT || kind == DOC_REAL;
    case PARAM_BOOLEAN:
        return kind == DOC_BOOL;
    case PARAM_ENUM:
        return kind != DOC_NULL && kind != DOC_LIST && kind != DOC_MAP;
    }
    return false;
}

static void read_default(struct definition_reader *r, const struct doc *d, struct param *p)
{
    struct buf b;

    p->has_default = default_kind(p->type, d->kind) && take(r->arena, p, d->text, &p->fallback);
    if (p->has_default)
        return;
    buf_init(&b, SENTENCE_BYTES_MAX);
    say_allowed(&r->scratch, &b, p);
    if (p->type == PARAM_STRING && d->kind > DOC_NULL && d->kind < DOC_TEXT)
        buf_add(&b, STR(" (in quotes)"));
    definition_wrong(r, d, "default", b.p);
    buf_deinit(&b);
}

static void read_param(struct definition_reader *r, const struct doc *d, struct param *p)
{
    const struct doc *slots[KEY_N];
    size_t errors = r->errors->n_total;

    if (!definition_keys(r, d, NULL, "a map with the key \"type\"", keys, KEY_N, slots))
        return;
    if (slots[KEY_DESCRIPTION])
        definition_text(r, slots[KEY_DESCRIPTION], "description", &p->description);
    if (!read_type(r, slots[KEY_TYPE], d, &p->type))
        return;
    check_keys(r, slots, p->type);
    read_bound(r, slots[KEY_MINIMUM], KEY_MINIMUM, p->type, &p->has_minimum, &p->minimum);
    read_bound(r, slots[KEY_MAXIMUM], KEY_MAXIMUM, p->type, &p->has_maximum, &p->maximum);
    if (p->has_minimum && p->has_maximum && p->minimum > p->maximum)
        definition_bad(r, slots[KEY_MAXIMUM]->line, slots[KEY_MAXIMUM]->column,
                       "\"maximum\" is less than \"minimum\"");
    if (p->type == PARAM_STRING)
        read_pattern(r, slots[KEY_PATTERN], &p->pattern);
    if (p->type == PARAM_ENUM)
        read_choices(r, slots[KEY_CHOICES], d, p);
    /* A default is only held against what was read well. */
    if (slots[KEY_DEFAULT] && r->errors->n_total == errors)
        read_default(r, slots[KEY_DEFAULT], p);
}

static bool good_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '-')))
            return false;
    }
    return s.n > 0 && s.n <= DEFINITION_NAME_BYTES_MAX;
}

static void check_name(struct definition_reader *r, const struct doc *d)
{
    struct str quoted;

    if (good_name(d->key))
        return;
    quoted = sentence_quote(&r->scratch, d->key);
    definition_bad(r, d->key_line, d->key_column,
                   "a param's name is a letter or \"_\", then letters, digits, \"_\" and \"-\", at "
                   "most %u; found " STR_FMT,
                   DEFINITION_NAME_BYTES_MAX, STR_ARG(quoted));
}

void definition_params(struct definition_reader *r, const struct doc *d)
{
    if (d->kind != DOC_MAP) {
        definition_wrong(r, d, "params", "a map of params by name");
        return;
    }
    if (d->n > DEFINITION_PARAMS_MAX) {
        definition_bad(r, d->line, d->column, "\"params\" has %u params; at most %u are allowed",
                       d->n, DEFINITION_PARAMS_MAX);
        return;
    }
    r->d->params = ARENA_ARRAY(r->arena, struct param, d->n);
    r->param_names = ARENA_ARRAY(&r->scratch, struct str, d->n);
    for (const struct doc *c = d->first; c; c = c->next) {
        struct param *p = &r->d->params[r->d->params_n];

        if (c->again) {
            definition_again(r, d, c);
            continue;
        }
        check_name(r, c);
        map_add(r->params, c->key, r->d->params_n);
        r->param_names[r->d->params_n++] = p->name = c->key;
        r->thing = "param";
        r->thing_name = c->key;
        read_param(r, c, p);
        r->thing = NULL;
    }
}
