/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/decode.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/sentence.h"
#include "core/definition.h"

#define SENTENCE_BYTES_MAX 2000u

struct decoder {
    struct arena *a;
    const char *method;
    struct str *error;
};

static const char *const type_names[] = {
    [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",  [JSON_STRING] = "text",
    [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
    [JSON_FALSE] = "false",      [JSON_NULL] = "null",
};

static bool wrong(struct decoder *d, const char *key, const char *what)
{
    *d->error = str_printf(d->a, "%s: %s: %s", d->method, key, what);
    return false;
}

static bool wrong_type(struct decoder *d, const char *key, const json_t *value, const char *wanted)
{
    *d->error = str_printf(d->a, "%s: %s: %s was found where %s is allowed", d->method, key,
                           type_names[json_typeof(value)], wanted);
    return false;
}

static bool decode_text(struct decoder *d, const char *key, const json_t *value, int64_t max,
                        struct str *ret)
{
    struct str s;

    if (!json_is_string(value))
        return wrong_type(d, key, value, "text");
    s = (struct str){json_string_value(value), json_string_length(value)};
    if (s.n > (size_t)max)
        return wrong(
            d, key,
            str_printf(d->a, "%zu bytes are more than the %" PRId64 " allowed", s.n, max).p);
    if (str_find(s, '\0', NULL))
        return wrong(d, key, "it holds a NUL character");
    /* An empty text is there all the same; an absent one has no p. */
    *ret = s.n ? str_copy(d->a, s) : STR("");
    return true;
}

static bool check_choice(struct decoder *d, const struct decode_field *f, struct str s)
{
    struct buf b;

    if (!f->choices)
        return true;
    buf_init(&b, SENTENCE_BYTES_MAX);
    for (const char *const *c = f->choices; *c; c++) {
        if (str_eq(s, str_of(*c))) {
            buf_deinit(&b);
            return true;
        }
        buf_printf(&b, "%s%s", c == f->choices ? "" : c[1] ? ", " : " and ", *c);
    }
    *d->error = str_printf(d->a, "%s: %s: " STR_FMT " is none of " STR_FMT, d->method, f->name,
                           STR_ARG(sentence_quote(d->a, s)), STR_ARG(buf_str(&b)));
    buf_deinit(&b);
    return false;
}

static bool decode_id(struct decoder *d, const struct decode_field *f, const json_t *value,
                      int64_t *ret)
{
    struct str s;

    if (json_is_integer(value) && json_integer_value(value) >= f->min) {
        *ret = json_integer_value(value);
        return true;
    }
    if (!json_is_string(value))
        return wrong_type(d, f->name, value, "a string of digits");
    s = (struct str){json_string_value(value), json_string_length(value)};
    if (str_int64(s, ret) && *ret >= f->min)
        return true;
    return wrong(d, f->name,
                 str_printf(d->a, STR_FMT " is no id, which is a string of digits",
                            STR_ARG(sentence_quote(d->a, s)))
                     .p);
}

static bool decode_int(struct decoder *d, const struct decode_field *f, const json_t *value,
                       int64_t *ret)
{
    if (!json_is_integer(value))
        return wrong_type(d, f->name, value, "a whole number");
    *ret = json_integer_value(value);
    if (*ret >= f->min && *ret <= f->max)
        return true;
    return wrong(
        d, f->name,
        str_printf(d->a, "%" PRId64 " is not within %" PRId64 " … %" PRId64, *ret, f->min, f->max)
            .p);
}

static bool decode_texts(struct decoder *d, const struct decode_field *f, const json_t *value,
                         struct decode_texts *ret)
{
    const char *key;
    json_t *item;

    if (!json_is_object(value))
        return wrong_type(d, f->name, value, "an object of texts");
    ret->list = ARENA_ARRAY(d->a, struct env_entry, json_object_size(value));
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        struct env_entry *e = &ret->list[ret->n++];
        struct str place = str_printf(d->a, "%s.%s", f->name, key);

        e->name = str_copy(d->a, str_of(key));
        if (!decode_text(d, place.p, item, f->max, &e->value))
            return false;
    }
    return true;
}

static bool decode_value(struct decoder *d, const struct decode_field *f, const json_t *value,
                         void *to)
{
    struct str *text = to;

    switch (f->kind) {
    case DECODE_TEXT:
        return decode_text(d, f->name, value, f->max, text) && check_choice(d, f, *text);
    case DECODE_ID:
        return decode_id(d, f, value, to);
    case DECODE_INT:
        return decode_int(d, f, value, to);
    case DECODE_BOOL:
        if (!json_is_boolean(value))
            return wrong_type(d, f->name, value, "true or false");
        *(bool *)to = json_is_true(value);
        return true;
    case DECODE_TEXTS:
        return decode_texts(d, f, value, to);
    }
    return false;
}

/* A key is absent, or null: its default. */
static bool decode_absent(struct decoder *d, const struct decode_field *f, void *to)
{
    if (f->required)
        return wrong(d, f->name, "it is required");
    if (f->kind == DECODE_INT)
        *(int64_t *)to = f->fallback;
    if (f->kind == DECODE_BOOL)
        *(bool *)to = f->fallback != 0;
    return true;
}

static bool refuse_unknown(struct decoder *d, const json_t *request,
                           const struct decode_field *fields, size_t n)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)request, key, value)
    {
        struct sentence_nearest nearest;
        size_t i = 0;

        sentence_nearest_init(&nearest, str_of(key));
        while (i < n && strcmp(fields[i].name, key) != 0)
            sentence_nearest_try(&nearest, str_of(fields[i++].name));
        if (i < n)
            continue;
        *d->error =
            str_printf(d->a, "%s takes no " STR_FMT "%s" STR_FMT "%s", d->method,
                       STR_ARG(sentence_quote(d->a, str_of(key))), nearest.best.p ? "; is " : "",
                       STR_ARG(nearest.best), nearest.best.p ? " meant?" : "");
        return false;
    }
    return true;
}

bool decode_request(struct arena *a, const char *method, const json_t *request,
                    const struct decode_field *fields, size_t n, void *ret, struct str *ret_error)
{
    struct decoder d = {a, method, ret_error};

    if (request && !json_is_object(request)) {
        *ret_error = str_printf(a, "%s: %s was found where an object is allowed", method,
                                type_names[json_typeof(request)]);
        return false;
    }
    if (request && !refuse_unknown(&d, request, fields, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct decode_field *f = &fields[i];
        const json_t *value = request ? json_object_get(request, f->name) : NULL;
        void *to = (char *)ret + f->offset;

        if (!value || json_is_null(value)) {
            if (!decode_absent(&d, f, to))
                return false;
        } else if (!decode_value(&d, f, value, to)) {
            return false;
        }
    }
    return true;
}
