/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph: a workflow as a drawing.
 *
 * Nodes are numbered, so that names are nothing but labels. A dependency group other than "all
 * succeed" says its rule: on the edge where it has one, else on a node of its own that its edges
 * run into.
 */
#include <inttypes.h>

#include "base/buf.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/source.h"
#include "cli/text.h"

#define GRAPH_BYTES_MAX (1u << 30)

/* Mermaid shows labels as HTML and has its own entities; whatever could mean something to either is
 * written as one. */
static void mermaid_label(struct buf *out, struct str name)
{
    struct buf safe;

    buf_init(&safe, 16 * DEFINITION_NAME_BYTES_MAX);
    text_safe(&safe, name);
    buf_byte(out, '"');
    for (size_t i = 0; i < safe.n; i++) {
        unsigned char c = (unsigned char)safe.p[i];
        bool plain = c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                     (c >= 'a' && c <= 'z') || c == ' ' || c == '_' || c == '.' || c == ',';

        /* A dash is plain but where Markdown would make a list of it. */
        if (plain || (c == '-' && i > 0))
            buf_byte(out, (char)c);
        else
            buf_printf(out, "#%u;", c);
    }
    buf_byte(out, '"');
    buf_deinit(&safe);
}

static void dot_label(struct buf *out, struct str name)
{
    struct buf safe;

    buf_init(&safe, 16 * DEFINITION_NAME_BYTES_MAX);
    text_safe(&safe, name);
    buf_byte(out, '"');
    for (size_t i = 0; i < safe.n; i++) {
        if (safe.p[i] == '"' || safe.p[i] == '\\')
            buf_byte(out, '\\');
        buf_byte(out, safe.p[i]);
    }
    buf_byte(out, '"');
    buf_deinit(&safe);
}

/* The front matter is YAML, in which a text of JSON is one too. */
static void mermaid_title(struct buf *out, struct str name)
{
    buf_json(out, name);
}

/* How one notation writes what a graph consists of. */
struct notation {
    const char *begin; /* the workflow's name follows */
    const char *named; /* then this */
    const char *end;
    void (*title)(struct buf *out, struct str name);
    void (*task)(struct buf *out, size_t id, struct str name);
    void (*group)(struct buf *out, size_t id, struct str rule);
    void (*edge)(struct buf *out, size_t from, char kind, size_t to, struct str rule);
};

static void mermaid_task(struct buf *out, size_t id, struct str name)
{
    buf_printf(out, "    t%zu[", id);
    mermaid_label(out, name);
    buf_add(out, STR("]\n"));
}

static void mermaid_group(struct buf *out, size_t id, struct str rule)
{
    buf_printf(out, "    g%zu{{", id);
    mermaid_label(out, rule);
    buf_add(out, STR("}}\n"));
}

static void mermaid_edge(struct buf *out, size_t from, char kind, size_t to, struct str rule)
{
    buf_printf(out, "    %c%zu -->", kind == 'g' ? 'g' : 't', from);
    if (rule.n) {
        buf_byte(out, '|');
        mermaid_label(out, rule);
        buf_byte(out, '|');
    }
    buf_printf(out, " %c%zu\n", kind == 'i' ? 'g' : 't', to);
}

static void dot_task(struct buf *out, size_t id, struct str name)
{
    buf_printf(out, "    t%zu [label=", id);
    dot_label(out, name);
    buf_add(out, STR("];\n"));
}

static void dot_group(struct buf *out, size_t id, struct str rule)
{
    buf_printf(out, "    g%zu [shape=hexagon, label=", id);
    dot_label(out, rule);
    buf_add(out, STR("];\n"));
}

static void dot_edge(struct buf *out, size_t from, char kind, size_t to, struct str rule)
{
    buf_printf(out, "    %c%zu -> %c%zu", kind == 'g' ? 'g' : 't', from, kind == 'i' ? 'g' : 't',
               to);
    if (rule.n) {
        buf_add(out, STR(" [label="));
        dot_label(out, rule);
        buf_byte(out, ']');
    }
    buf_add(out, STR(";\n"));
}

static const struct notation notations[] = {
    [GRAPH_MERMAID] = {"---\ntitle: ", "\n---\nflowchart LR\n",                        "",    mermaid_title, mermaid_task,
                       mermaid_group,                                                                                                 mermaid_edge},
    [GRAPH_DOT] = {"digraph ",     " {\n    rankdir=LR;\n    node [shape=box];\n", "}\n", dot_label,
                       dot_task,                                                                                           dot_group, dot_edge    },
};

static struct str rule_text(struct arena *a, const struct definition_group *g)
{
    if (g->rule == GROUP_AT_LEAST)
        return str_printf(a, "at least %" PRId64 " of %zu", g->need, g->from_n);
    return group_rule_text(g->rule);
}

static void draw_group(struct arena *a, const struct notation *n, const struct definition_group *g,
                       size_t task, size_t *groups, struct buf *out)
{
    struct str rule = g->rule == GROUP_ALL_SUCCESS ? STR("") : rule_text(a, g);
    size_t id;

    if (!rule.n || g->from_n == 1) {
        for (size_t i = 0; i < g->from_n; i++)
            n->edge(out, g->from[i], 't', task, rule);
        return;
    }
    id = (*groups)++;
    n->group(out, id, rule);
    for (size_t i = 0; i < g->from_n; i++)
        n->edge(out, g->from[i], 'i', id, STR(""));
    n->edge(out, id, 'g', task, STR(""));
}

static void draw(struct arena *a, const struct notation *n, const struct definition *d,
                 struct buf *out)
{
    size_t groups = 0;

    buf_add(out, str_of(n->begin));
    n->title(out, d->name);
    buf_add(out, str_of(n->named));
    for (size_t t = 0; t < d->tasks_n; t++)
        n->task(out, t, d->tasks[t].name);
    for (size_t t = 0; t < d->tasks_n; t++)
        for (size_t g = 0; g < d->tasks[t].groups_n; g++)
            draw_group(a, n, &d->tasks[t].groups[g], t, &groups, out);
    buf_add(out, str_of(n->end));
}

int graph_command(struct cli *c)
{
    struct source source;
    struct definition *definition;
    struct definition_errors errors;
    struct str error;
    struct buf b;

    if (source_read(&c->arena, c->args[0], &source, &error))
        return cli_refuse(c, CODE_INVALID, "%s: " STR_FMT, source.name, STR_ARG(error));
    if (source_definition(&c->arena, &source, &definition, &errors))
        return source_refuse(c, &source, &errors);
    buf_init(&b, GRAPH_BYTES_MAX);
    draw(&c->arena, &notations[c->options.format], definition, &b);
    if (cli_wants_table(c)) {
        fwrite(b.p, 1, b.n, c->out);
    } else {
        json_t *graph = json_pack("{s:o, s:s, s:o}", "workflow", format_json(definition->name),
                                  "format", c->options.format == GRAPH_DOT ? "dot" : "mermaid",
                                  "text", format_json(buf_str(&b)));

        cli_json(c, graph);
        json_decref(graph);
    }
    buf_deinit(&b);
    return 0;
}
