/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/labels.h"

#include "base/buf.h"

static bool sound(struct str s)
{
    return s.n <= WORKER_LABEL_BYTES_MAX && str_utf8(s, NULL) && !str_find(s, '\0', NULL);
}

int labels_check(struct tx *tx, const struct worker_labels *labels, const char *what)
{
    if (labels->n > WORKER_LABELS_MAX)
        return tx_refuse(tx, CODE_INVALID, "a worker has at most %u %s, not %zu", WORKER_LABELS_MAX,
                         what, labels->n);
    for (size_t i = 0; i < labels->n; i++) {
        const struct worker_label *l = &labels->list[i];

        if (l->name.n == 0 || !sound(l->name) || !sound(l->value))
            return tx_refuse(tx, CODE_INVALID,
                             "names and values of %s are at most %u bytes of UTF-8 without NUL, "
                             "and a name is not empty",
                             what, WORKER_LABEL_BYTES_MAX);
        for (size_t j = 0; j < i; j++)
            if (str_eq(l->name, labels->list[j].name))
                return tx_refuse(tx, CODE_INVALID, "\"" STR_FMT "\" stands twice in the %s",
                                 STR_ARG(l->name), what);
    }
    return 0;
}

struct str labels_json(struct arena *a, const struct worker_labels *labels)
{
    struct buf b;
    struct str s;

    /* A control character takes six bytes in JSON. */
    buf_init(&b, labels->n * (12 * WORKER_LABEL_BYTES_MAX + 6) + 2);
    buf_byte(&b, '{');
    for (size_t i = 0; i < labels->n; i++) {
        if (i)
            buf_byte(&b, ',');
        buf_json(&b, labels->list[i].name);
        buf_byte(&b, ':');
        buf_json(&b, labels->list[i].value);
    }
    buf_byte(&b, '}');
    s = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return s;
}

bool labels_parse(struct arena *a, struct str json, struct worker_labels *ret)
{
    struct worker_label *list;
    struct doc_error error;
    struct doc *d;

    if (doc_json(a, json, &d, &error) || d->kind != DOC_MAP)
        return false;
    list = ARENA_ARRAY(a, struct worker_label, d->n);
    *ret = (struct worker_labels){.list = list};
    for (const struct doc *v = d->first; v; v = v->next) {
        if (v->kind != DOC_TEXT)
            return false;
        list[ret->n++] = (struct worker_label){v->key, v->text};
    }
    return true;
}
