/* SPDX-License-Identifier: Apache-2.0 */
#include "client/dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

#define DIGITS_MIN 15 /* always read back as they were written */
#define DIGITS_MAX 17 /* enough for every double */

struct dump {
    struct buf out;
    enum dump_shape shape;
    unsigned depth;
};

static void add_real(struct buf *out, double v)
{
    char text[40];

    for (int digits = DIGITS_MIN; digits <= DIGITS_MAX; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_add(out, str_of(text));
    if (!strpbrk(text, ".e"))
        buf_add(out, STR(".0"));
}

static void add_value(struct dump *d, const json_t *v);

static void begin_line(struct dump *d)
{
    if (d->shape == DUMP_COMPACT)
        return;
    buf_byte(&d->out, '\n');
    for (unsigned i = 0; i < d->depth; i++)
        buf_add(&d->out, STR("  "));
}

static void add_list(struct dump *d, const json_t *list)
{
    const json_t *v;
    size_t i;

    buf_byte(&d->out, '[');
    d->depth++;
    json_array_foreach(list, i, v)
    {
        if (i)
            buf_byte(&d->out, ',');
        begin_line(d);
        add_value(d, v);
    }
    d->depth--;
    if (json_array_size(list))
        begin_line(d);
    buf_byte(&d->out, ']');
}

static void add_object(struct dump *d, const json_t *object)
{
    json_t *mutable = (json_t *)(uintptr_t)object; /* only for the iterator's type */
    bool first = true;

    buf_byte(&d->out, '{');
    d->depth++;
    for (void *it = json_object_iter(mutable); it; it = json_object_iter_next(mutable, it)) {
        if (!first)
            buf_byte(&d->out, ',');
        first = false;
        begin_line(d);
        buf_json(&d->out, (struct str){json_object_iter_key(it), json_object_iter_key_len(it)});
        buf_add(&d->out, d->shape == DUMP_COMPACT ? STR(":") : STR(": "));
        add_value(d, json_object_iter_value(it));
    }
    d->depth--;
    if (!first)
        begin_line(d);
    buf_byte(&d->out, '}');
}

static void add_value(struct dump *d, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        add_object(d, v);
        break;
    case JSON_ARRAY:
        add_list(d, v);
        break;
    case JSON_STRING:
        buf_json(&d->out, (struct str){json_string_value(v), json_string_length(v)});
        break;
    case JSON_INTEGER:
        buf_printf(&d->out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        break;
    case JSON_REAL:
        add_real(&d->out, json_real_value(v));
        break;
    case JSON_TRUE:
        buf_add(&d->out, STR("true"));
        break;
    case JSON_FALSE:
        buf_add(&d->out, STR("false"));
        break;
    case JSON_NULL:
        buf_add(&d->out, STR("null"));
        break;
    }
}

char *dump_text(const json_t *value, enum dump_shape shape)
{
    struct dump d = {.shape = shape};

    buf_init(&d.out, SIZE_MAX / 8); /* what is in memory fits */
    add_value(&d, value);
    return d.out.p;
}
