/* SPDX-License-Identifier: Apache-2.0 */
#include "base/doc.h"

#include <assert.h>
#include <yaml.h>

#include "base/doc_tree.h"

/* YAML's rule for keys that stand in one line. */
#define KEY_CHARACTERS_MAX 1024

static struct doc_place place_of(yaml_mark_t mark)
{
    return (struct doc_place){(unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

/* What libyaml says, and what a person is told. */
static const struct problem {
    const char *problem;
    const char *words;
} problems[] = {
#define SAYS(problem, words)                                                                       \
    {                                                                                              \
        (problem), (words)                                                                         \
    }
    SAYS("mapping values are not allowed in this context",
         "a ':' cannot stand here; a text that holds ': ' needs quotes, and the keys of a map "
         "begin in the same column"),
    SAYS("could not find expected ':'",
         "a ':' is missing after this key; keys of a map begin in the same column, and a text of "
         "several lines needs quotes or '|'"),
    SAYS("did not find expected key", "a key of the map was expected here; look at the indentation "
                                      "and the quotes of this line and the one before"),
    SAYS("did not find expected '-' indicator",
         "a '-' of the list was expected here; look at the indentation of this line"),
    SAYS("did not find expected ',' or ']'", "a ',' or ']' was expected here; a text that holds "
                                             "any of { } [ ] , needs quotes within [ ]"),
    SAYS("did not find expected ',' or '}'", "a ',' or '}' was expected here; a text that holds "
                                             "any of { } [ ] , needs quotes within { }"),
    SAYS("did not find expected node content",
         "a value was expected here; a text that begins with one of { } [ ] , needs quotes"),
    SAYS("did not find expected <document start>",
         "the document ended before this; look at the indentation of this line"),
    SAYS("block sequence entries are not allowed in this context",
         "a '-' cannot stand here; begin the list on a line of its own, or put the text in quotes"),
    SAYS("mapping keys are not allowed in this context", "a '?' cannot stand here; use quotes"),
    SAYS("found unexpected end of stream", "the quote that opens here is not closed"),
    SAYS("found unexpected document indicator", "the quote that opens here is not closed"),
    SAYS("found unknown escape character",
         "this escape is not known; in double quotes, write a backslash twice"),
    SAYS("found invalid Unicode character escape code", "this escape is no Unicode character"),
    SAYS("found a tab character where an indentation space is expected",
         "a tab cannot indent; use spaces"),
    SAYS("found a tab character that violates indentation", "a tab cannot indent; use spaces"),
    SAYS("found undefined tag handle",
         "tags (a value that begins with '!') are not read; put a text that begins so in quotes"),
    SAYS("found incompatible YAML document", "only YAML 1.1 and 1.2 are read"),
#undef SAYS
};

/* The character with this index, as libyaml counts; 0 where the text ends before. */
static char char_at(struct str text, size_t index)
{
    for (size_t i = 0; i < text.n; i++) {
        if (((unsigned char)text.p[i] & 0xc0) == 0x80)
            continue;
        if (index-- == 0)
            return text.p[i];
    }
    return 0;
}

/* The thing that libyaml was in the middle of, for "… in the list that begins at line 3". */
static const char *context_of(const yaml_parser_t *p)
{
    static const struct {
        const char *context;
        const char *words;
    } contexts[] = {
        {"flow sequence",  "list"       },
        {"flow mapping",   "map"        },
        {"block sequence", "list"       },
        {"block mapping",  "map"        },
        {"collection",     "list"       },
        {"quoted scalar",  "quoted text"},
    };

    for (size_t i = 0; p->context && i < sizeof(contexts) / sizeof(contexts[0]); i++)
        if (strstr(p->context, contexts[i].context))
            return contexts[i].words;
    return NULL;
}

static int bad_syntax(struct doc_tree *t, const yaml_parser_t *p, struct str text)
{
    const char *words = p->problem ? p->problem : "the file is too large for the YAML reader";
    const char *context = context_of(p);
    struct doc_place at = place_of(p->problem_mark);

    if (!strcmp(words, "found character that cannot start any token"))
        words = char_at(text, p->problem_mark.index) == '\t'
                    ? "a tab cannot indent; use spaces"
                    : "a value cannot begin with this character; put it in quotes";
    else if (!strcmp(words, "mapping values are not allowed in this context") &&
             p->problem_mark.column > KEY_CHARACTERS_MAX)
        words = "a ':' cannot stand here; a key of a map has at most 1024 characters, and a text "
                "that holds ': ' needs quotes";
    for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++)
        if (!strcmp(words, problems[i].problem))
            words = problems[i].words;
    /* What was begun and not ended is found out far behind it. */
    if (p->context && (!strcmp(p->context, "while scanning a simple key") ||
                       (!strcmp(p->context, "while scanning a quoted scalar") &&
                        strstr(p->problem, "unexpected"))))
        return doc_tree_bad(t, place_of(p->context_mark), "%s", words);
    if (context && p->context_mark.line != p->problem_mark.line)
        return doc_tree_bad(t, at, "%s (in the %s that begins at line %zu, column %zu)", words,
                            context, p->context_mark.line + 1, p->context_mark.column + 1);
    return doc_tree_bad(t, at, "%s", words);
}

static int bad_decoration(struct doc_tree *t, struct doc_place at, const yaml_char_t *anchor,
                          const yaml_char_t *tag)
{
    if (anchor)
        return doc_tree_bad(t, at,
                            "anchors (&%.40s) are not read; write the value out where it is needed",
                            (const char *)anchor);
    if (tag)
        return doc_tree_bad(t, at,
                            "tags (a value that begins with '!') are not read; put a text that "
                            "begins so in quotes");
    return 0;
}

static int read_scalar(struct doc_tree *t, const yaml_event_t *e)
{
    struct str text = {(const char *)e->data.scalar.value, e->data.scalar.length};
    struct doc_place at = place_of(e->start_mark);
    int r = bad_decoration(t, at, e->data.scalar.anchor, e->data.scalar.tag);
    struct doc *d;

    if (r)
        return r;
    if (str_find(text, '\0', NULL))
        return doc_tree_bad(t, at, "this text holds a NUL byte (\"\\0\"), which nothing can take");
    if (doc_tree_wants_key(t)) {
        doc_tree_key(t, at, str_copy(t->arena, text));
        return 0;
    }
    d = doc_tree_add(t, at, DOC_TEXT);
    if (!d)
        return DOC_E_BAD;
    if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        doc_scalar(t->arena, text, d);
    else
        d->text = str_copy(t->arena, text);
    return 0;
}

static int read_open(struct doc_tree *t, const yaml_event_t *e)
{
    bool list = e->type == YAML_SEQUENCE_START_EVENT;
    struct doc_place at = place_of(e->start_mark);
    int r = list ? bad_decoration(t, at, e->data.sequence_start.anchor, e->data.sequence_start.tag)
                 : bad_decoration(t, at, e->data.mapping_start.anchor, e->data.mapping_start.tag);

    if (r)
        return r;
    if (doc_tree_wants_key(t))
        return doc_tree_bad(
            t, at, "a key of a map is text; found %s (a text that begins with { or [ needs quotes)",
            list ? "a list" : "a map");
    return doc_tree_open(t, at, list ? DOC_LIST : DOC_MAP);
}

static int read_event(struct doc_tree *t, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(t, e);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return read_open(t, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        doc_tree_close(t);
        return 0;
    case YAML_ALIAS_EVENT:
        return doc_tree_bad(t, place_of(e->start_mark),
                            "aliases (*%.40s) are not read; write the value out",
                            (const char *)e->data.alias.anchor);
    case YAML_DOCUMENT_START_EVENT:
        if (t->root)
            return doc_tree_bad(t, place_of(e->start_mark),
                                "a second document begins here; a file holds one");
        return 0;
    default:
        return 0;
    }
}

static int read_events(struct doc_tree *t, yaml_parser_t *p, struct str text)
{
    bool more = true;

    while (more) {
        yaml_event_t e;
        int r;

        if (!yaml_parser_parse(p, &e))
            return bad_syntax(t, p, text);
        more = e.type != YAML_STREAM_END_EVENT;
        r = read_event(t, &e);
        yaml_event_delete(&e);
        if (r)
            return r;
    }
    if (!t->root)
        return doc_tree_bad(t, (struct doc_place){1, 1},
                            "the file is empty: it holds nothing but comments");
    return 0;
}

/* libyaml compares each %TAG directive with all those before it, so that a file of nothing else
 * would take hours. Since tags are not read, neither are they. */
static int check_directives(struct doc_tree *t, struct str text)
{
    static const struct str directive = {"%TAG", 4};
    size_t at = 0;

    while (at < text.n) {
        struct str rest = str_sub(text, at, text.n);
        size_t end;

        if (str_starts(rest, directive)) {
            struct doc_place place = {1, 1};

            doc_tree_walk(text, 0, at, &place);
            return doc_tree_bad(t, place, "%%TAG directives are not read");
        }
        at += str_find(rest, '\n', &end) ? end + 1 : rest.n;
    }
    return 0;
}

int doc_yaml(struct arena *a, struct str text, struct doc **ret, struct doc_error *ret_error)
{
    struct doc_tree t = {.arena = a, .error = ret_error};
    int r = doc_tree_check(&t, DOC_TREE_YAML, &text);
    yaml_parser_t p;

    if (!r)
        r = check_directives(&t, text);
    if (r)
        return r;
    r = yaml_parser_initialize(&p);
    assert(r == 1);
    yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p, (const unsigned char *)text.p, text.n);
    r = read_events(&t, &p, text);
    yaml_parser_delete(&p);
    if (r)
        return r;
    *ret = t.root;
    return 0;
}
