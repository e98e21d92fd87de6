/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: a line for each of two params, and the text that refers to them as ${params.a} and
 * ${params.b}. Two passes give what one gives, and any text can be quoted.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/template.h"

enum { BYTES_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct values {
    struct str a, b;
    bool late; /* what only an attempt knows stays */
};

static bool value_of(void *context, struct arena *a, const struct template_ref *ref,
                     struct str *ret_text, bool *ret_keep, struct str *ret_error)
{
    const struct values *v = context;

    (void)a;
    *ret_keep = ref->kind != TEMPLATE_PARAM && v->late;
    *ret_text = str_eq(ref->name, STR("a")) ? v->a : v->b;
    *ret_error = STR("there are no others");
    return ref->kind != TEMPLATE_PARAM || str_eq(ref->name, STR("a")) ||
           str_eq(ref->name, STR("b"));
}

static void count(void *context, const struct template_ref *ref)
{
    assert(ref->kind == TEMPLATE_RUN_ID || ref->kind == TEMPLATE_TASK_ATTEMPT || ref->name.n > 0);
    ++*(size_t *)context;
}

static struct str take_line(struct str *s)
{
    size_t end = s->n;
    struct str line;

    str_find(*s, '\n', &end);
    line = str_sub(*s, 0, end);
    *s = str_sub(*s, end + 1, s->n);
    return line;
}

static void check_passes(struct arena *a, struct str text, struct values *v)
{
    struct str one, first, two, error = {0};
    int r;

    v->late = false;
    r = template_fill(a, text, BYTES_MAX, TEMPLATE_LAST, value_of, v, &one, &error);
    assert(r == 0 || error.n > 0);
    v->late = true;
    if (template_fill(a, text, BYTES_MAX, TEMPLATE_FIRST, value_of, v, &first, &error)) {
        assert(r);
        return;
    }
    v->late = false;
    if (r == 0) {
        assert(template_fill(a, first, BYTES_MAX, TEMPLATE_LAST, value_of, v, &two, &error) == 0);
        assert(str_eq(one, two));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct values v = {.a = take_line(&text), .b = take_line(&text)};
    struct str error = {0}, back;
    struct arena a = {0};
    size_t refs = 0;

    if (template_scan(&a, text, count, &refs, &error) == 0)
        check_passes(&a, text, &v);
    else
        assert(error.n > 0);
    assert(template_fill(&a, template_quote(&a, text), 4 * size + 1, TEMPLATE_LAST, value_of, &v,
                         &back, &error) == 0);
    assert(str_eq(back, text));
    arena_deinit(&a);
    return 0;
}
