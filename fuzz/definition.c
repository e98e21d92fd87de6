/* SPDX-License-Identifier: Apache-2.0 */
/* Workflow files: any document gives a sound definition, or errors in the order of their places. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/definition.h"
#include "core/graph.h"
#include "core/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_errors(const struct definition_errors *errors)
{
    assert(errors->n > 0 && errors->n <= DEFINITION_ERRORS_MAX && errors->n <= errors->n_total);
    for (size_t i = 0; i < errors->n; i++) {
        const struct doc_error *e = &errors->list[i];

        assert(e->line > 0 && e->column > 0 && e->text.n > 0);
        assert(str_utf8(e->text, &(size_t){0}));
        assert(!memchr(e->text.p, '\n', e->text.n));
        assert(!i || e[-1].line < e->line || (e[-1].line == e->line && e[-1].column <= e->column));
    }
}

static void seen(void *context, const struct template_ref *ref)
{
    const struct definition *d = context;

    if (ref->kind == TEMPLATE_PARAM)
        assert(definition_param_find(d, ref->name));
}

static void check_text(struct arena *a, const struct definition *d, struct str s)
{
    struct str error;

    assert(template_scan(a, s, seen, (void *)(uintptr_t)d, &error) == 0);
    assert(!s.n || !memchr(s.p, '\0', s.n));
}

/* A default is a value, and a value that was read is read as itself. */
static void check_param(struct arena *a, const struct param *p)
{
    struct str value, error;

    assert(p->name.n > 0);
    if (!p->has_default)
        return;
    assert(definition_param(a, p, p->fallback, &value, &error) == 0);
    assert(str_eq(value, p->fallback));
}

static size_t check_task(struct arena *a, const struct definition *d,
                         const struct definition_task *t, struct graph_edge *edges)
{
    char text[RETRY_TEXT_BYTES];
    struct retry_policy again;
    size_t n = 0;

    assert(t->name.n > 0 && t->name.n <= DEFINITION_NAME_BYTES_MAX && t->line > 0);
    assert(t->argv_n > 0 && t->argv_n <= DEFINITION_ARGS_MAX);
    assert(t->timeout_us >= 0 && t->timeout_us <= DEFINITION_TIMEOUT_US_MAX);
    assert(t->grace_us >= 0 && t->grace_us <= DEFINITION_TIMEOUT_US_MAX);
    assert(t->priority >= -1000 && t->priority <= 1000);
    assert(retry_parse(retry_format(&t->retry, text), &again));
    check_text(a, d, t->cwd);
    for (size_t i = 0; i < t->argv_n; i++)
        check_text(a, d, t->argv[i]);
    for (size_t i = 0; i < t->env_n; i++) {
        assert(t->env[i].name.n > 0);
        check_text(a, d, t->env[i].value);
    }
    for (size_t g = 0; g < t->groups_n; g++) {
        const struct definition_group *group = &t->groups[g];

        assert(group->from_n > 0);
        assert(group->rule != GROUP_AT_LEAST ||
               (group->need >= 1 && (size_t)group->need <= group->from_n));
        for (size_t i = 0; i < group->from_n; i++)
            edges[n++] = (struct graph_edge){group->from[i], (uint32_t)(t - d->tasks)};
    }
    return n;
}

static void check_definition(struct arena *a, const struct definition *d)
{
    struct graph_edge *edges = ARENA_ARRAY(a, struct graph_edge, d->edges_n);
    uint32_t *order, n;
    size_t edges_n = 0;

    assert(d->tasks_n > 0 && d->tasks_n <= DEFINITION_TASKS_MAX);
    assert(d->name.n > 0);
    for (size_t i = 0; i < d->params_n; i++)
        check_param(a, &d->params[i]);
    for (size_t i = 0; i < d->tasks_n; i++)
        edges_n += check_task(a, d, &d->tasks[i], edges + edges_n);
    assert(edges_n == d->edges_n);
    assert(graph_order(a, (uint32_t)d->tasks_n, edges, edges_n, &order, &n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct arena a = {0};
    struct definition_errors errors;
    struct definition *d;
    struct doc_error e;
    struct doc *doc;

    if (doc_yaml(&a, text, &doc, &e) == 0) {
        if (definition_read(&a, doc, STR("fuzz"), &d, &errors))
            check_errors(&errors);
        else
            check_definition(&a, d);
    }
    arena_deinit(&a);
    return 0;
}
