/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/fault.h"
#include "core/template.h"

/* All arguments and values of one task together, after references were replaced. */
#define PAYLOAD_BYTES_MAX (16u << 20)

static const struct env_entry *find(const struct env_entry *list, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i].name, name))
            return &list[i];
    return NULL;
}

static int check_known(struct tx *tx, const struct definition *d, const struct env_entry *given,
                       size_t given_n)
{
    for (size_t i = 0; i < given_n; i++) {
        struct str known = STR("none");

        if (definition_param_find(d, given[i].name)) {
            if (find(given, i, given[i].name))
                return tx_refuse(tx, CODE_PARAM_INVALID, "param \"%.*s\" is given twice",
                                 STR_ARG(given[i].name));
            continue;
        }
        for (size_t j = 0; j < d->params_n; j++)
            known = j == 0 ? d->params[0].name
                           : str_printf(tx->arena, "%.*s, %.*s", STR_ARG(known),
                                        STR_ARG(d->params[j].name));
        return tx_refuse(tx, CODE_PARAM_INVALID,
                         "workflow \"%.*s\" has no param \"%.*s\" (it has: %.*s)", STR_ARG(d->name),
                         STR_ARG(given[i].name), STR_ARG(known));
    }
    return 0;
}

static int read_param(struct tx *tx, const struct param *p, const struct env_entry *given,
                      struct env_entry *ret)
{
    struct str error;

    ret->name = p->name;
    if (!given && !p->has_default)
        return tx_refuse(tx, CODE_PARAM_INVALID, "param \"%.*s\" is needed: give it with -p %.*s=…",
                         STR_ARG(p->name), STR_ARG(p->name));
    if (!given) {
        ret->value = p->fallback;
        return 0;
    }
    if (definition_param(tx->arena, p, given->value, &ret->value, &error))
        return tx_refuse(tx, CODE_PARAM_INVALID, "param \"%.*s\": %.*s", STR_ARG(p->name),
                         STR_ARG(error));
    return 0;
}

int spec_init(struct tx *tx, struct spec *ret, const struct definition *d, int64_t run,
              const struct env_entry *given, size_t given_n)
{
    struct buf json;
    int r = check_known(tx, d, given, given_n);

    *ret = (struct spec){.definition = d, .run = run};
    ret->params = ARENA_ARRAY(tx->arena, struct env_entry, d->params_n);
    for (size_t i = 0; !r && i < d->params_n; i++)
        r = read_param(tx, &d->params[i], find(given, given_n, d->params[i].name), &ret->params[i]);
    if (r)
        return r;
    buf_init(&json, PAYLOAD_BYTES_MAX);
    buf_byte(&json, '{');
    for (size_t i = 0; i < d->params_n; i++) {
        buf_add(&json, i ? STR(",") : STR(""));
        buf_json(&json, ret->params[i].name);
        buf_byte(&json, ':');
        buf_json(&json, ret->params[i].value);
    }
    buf_byte(&json, '}');
    ret->params_json = str_copy(tx->arena, buf_str(&json));
    if (json.full)
        r = tx_refuse(tx, CODE_TOO_LARGE, "the params have more than %u bytes", PAYLOAD_BYTES_MAX);
    buf_deinit(&json);
    return r;
}

static bool value_of(void *context, struct arena *a, const struct template_ref *ref,
                     struct str *ret_text, bool *ret_keep, struct str *ret_error)
{
    const struct spec *spec = context;

    *ret_error = STR("");
    if (ref->kind == TEMPLATE_RUN_ID) {
        *ret_text = str_printf(a, "%" PRId64, spec->run);
        return true;
    }
    if (ref->kind == TEMPLATE_PARAM) {
        const struct env_entry *e = find(spec->params, spec->definition->params_n, ref->name);

        *ret_text = e ? e->value : STR("");
        return e != NULL;
    }
    *ret_keep = true;
    return true;
}

struct writing {
    struct tx *tx;
    const struct spec *spec;
    bool refers;
    struct buf out;
};

static int write_text(struct writing *w, struct str text)
{
    struct spec spec = *w->spec;
    struct str filled = text, error;

    if (str_find(text, '$', NULL) &&
        template_fill(w->tx->arena, text, DEFINITION_TEXT_BYTES_MAX,
                      w->refers ? TEMPLATE_FIRST : TEMPLATE_LAST, value_of, &spec, &filled, &error))
        return tx_refuse(w->tx, CODE_TOO_LARGE, "%.*s", STR_ARG(error));
    buf_json(&w->out, filled);
    return 0;
}

static int write_env(struct writing *w, const struct definition_task *t)
{
    int r = 0;

    for (size_t i = 0; !r && i < t->env_n; i++) {
        buf_add(&w->out, i ? STR(",[") : STR("["));
        buf_json(&w->out, t->env[i].name);
        buf_byte(&w->out, ',');
        r = write_text(w, t->env[i].value);
        buf_byte(&w->out, ']');
    }
    return r;
}

static int write_all(struct writing *w, const struct definition_task *t)
{
    int r = 0;

    buf_add(&w->out, STR("{\"argv\":["));
    for (size_t i = 0; !r && i < t->argv_n; i++) {
        buf_add(&w->out, i ? STR(",") : STR(""));
        r = write_text(w, t->argv[i]);
    }
    buf_add(&w->out, STR("],\"cwd\":"));
    if (!r)
        r = write_text(w, t->cwd);
    buf_add(&w->out, STR(",\"env\":["));
    if (!r)
        r = write_env(w, t);
    buf_printf(&w->out, "],\"grace_us\":%" PRId64, t->grace_us);
    if (w->refers)
        buf_add(&w->out, STR(",\"refers\":true"));
    buf_byte(&w->out, '}');
    return r;
}

int spec_payload(struct tx *tx, const struct spec *spec, const struct definition_task *t,
                 struct str *ret)
{
    struct writing w = {.tx = tx, .spec = spec, .refers = t->refers};
    int r;

    buf_init(&w.out, PAYLOAD_BYTES_MAX);
    r = write_all(&w, t);
    *ret = str_copy(tx->arena, buf_str(&w.out));
    if (!r && w.out.full)
        r = tx_refuse(tx, CODE_TOO_LARGE,
                      "the command and environment of task \"%.*s\" have more than %u bytes",
                      STR_ARG(t->name), PAYLOAD_BYTES_MAX);
    buf_deinit(&w.out);
    return r;
}
