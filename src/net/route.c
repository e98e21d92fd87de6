/* SPDX-License-Identifier: Apache-2.0 */
#include "net/route.h"

#include <assert.h>
#include <stdlib.h>

#include "api/protojson.h"
#include "base/memory.h"
#include "base/sentence.h"

/* "{queue}:enqueue" is a field with a suffix, "leases:complete" a text. */
struct part {
    const char *field; /* NULL: `text` is the whole part */
    struct str text;   /* ... or the suffix */
};

struct template
{
    const struct method *method;
    struct part parts[ROUTE_PARTS_MAX];
    size_t n;
    bool suffix; /* its last part has one */
};

struct route {
    struct template *templates;
    size_t n;
    struct arena arena;
};

/* The parts of a path between its slashes; false where there are too many or the first is missing.
 */
static bool split(struct str path, struct str parts[static ROUTE_PARTS_MAX], size_t *ret_n)
{
    size_t n = 0, at;

    if (path.n == 0 || path.p[0] != '/')
        return false;
    path = str_sub(path, 1, path.n);
    for (;;) {
        if (n == ROUTE_PARTS_MAX)
            return false;
        if (!str_find(path, '/', &at)) {
            parts[n++] = path;
            break;
        }
        parts[n++] = str_sub(path, 0, at);
        path = str_sub(path, at + 1, path.n);
    }
    *ret_n = n;
    return true;
}

static struct part part_of(struct arena *a, struct str s)
{
    struct part p = {.text = s};
    size_t end;

    if (s.n > 0 && s.p[0] == '{') {
        bool closed = str_find(s, '}', &end);

        assert(closed && end > 1);
        p.field = str_cstr(a, str_sub(s, 1, end - 1));
        p.text = str_sub(s, end + 1, s.n);
    }
    return p;
}

static void add(struct route *r, const struct method *m, const char *path)
{
    struct template *t = &r->templates[r->n++];
    struct str parts[ROUTE_PARTS_MAX];
    bool sound = split(str_of(path), parts, &t->n);

    assert(sound);
    t->method = m;
    for (size_t i = 0; i < t->n; i++) {
        t->parts[i] = part_of(&r->arena, parts[i]);
        assert(!t->parts[i].field || route_has(m, t->parts[i].field));
    }
    t->suffix = t->parts[t->n - 1].field && t->parts[t->n - 1].text.n > 0;
}

struct route *route_new(const struct method *const *methods, size_t n)
{
    struct route *r = memory_new(sizeof(*r));

    r->templates = memory_new(sizeof(*r->templates) * (2 * n + 1));
    for (size_t i = 0; i < n; i++) {
        if (methods[i]->path)
            add(r, methods[i], methods[i]->path);
        if (methods[i]->other_path)
            add(r, methods[i], methods[i]->other_path);
    }
    return r;
}

struct route *route_free(struct route *r)
{
    if (!r)
        return NULL;
    arena_deinit(&r->arena);
    free(r->templates);
    free(r);
    return NULL;
}

static bool fits(const struct part *p, struct str s)
{
    if (!p->field)
        return str_eq(p->text, s);
    return s.n > p->text.n && str_ends(s, p->text);
}

static bool template_fits(const struct template *t, const struct str *parts, size_t n)
{
    if (t->n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!fits(&t->parts[i], parts[i]))
            return false;
    return true;
}

static void keep(const struct template *t, const struct str *parts, size_t n, struct route_match *m)
{
    m->method = t->method;
    m->fields_n = 0;
    for (size_t i = 0; i < n; i++) {
        if (!t->parts[i].field)
            continue;
        m->fields[m->fields_n].field = t->parts[i].field;
        m->fields[m->fields_n++].value = str_sub(parts[i], 0, parts[i].n - t->parts[i].text.n);
    }
}

int route_find(const struct route *r, enum method_verb verb, struct str path,
               struct route_match *ret)
{
    struct str parts[ROUTE_PARTS_MAX];
    bool suffix = false;
    size_t n;

    ret->method = NULL;
    ret->fields_n = 0;
    ret->verbs = 0;
    if (!split(path, parts, &n))
        return ROUTE_E_PATH;
    for (const struct template *t = r->templates; t < r->templates + r->n; t++) {
        if (!template_fits(t, parts, n) || (suffix && !t->suffix))
            continue;
        if (t->suffix && !suffix) {
            suffix = true;
            ret->method = NULL;
            ret->verbs = 0;
        }
        ret->verbs |= 1u << t->method->verb;
        if (t->method->verb == verb && !ret->method)
            keep(t, parts, n, ret);
    }
    return ret->method ? 0 : ret->verbs ? ROUTE_E_VERB : ROUTE_E_PATH;
}

bool route_has(const struct method *m, const char *field)
{
    return protobuf_c_message_descriptor_get_field_by_name(m->request, field);
}

void route_clear(ProtobufCMessage *request, const char *field)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, field);
    const char *none = NULL;

    assert(f && f->type == PROTOBUF_C_TYPE_STRING && f->label != PROTOBUF_C_LABEL_REPEATED);
    memcpy((char *)request + f->offset, &none, sizeof(none));
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Undo percent-encoding, which the parser of the head has checked. False for what is no text then.
 */
static bool decode(struct arena *a, struct str s, bool query, struct str *ret)
{
    char *p = arena_alloc(a, s.n + 1);
    size_t n = 0, at;

    for (size_t i = 0; i < s.n; i++, n++) {
        if (s.p[i] == '%' && i + 2 < s.n) {
            p[n] = (char)(digit(s.p[i + 1]) << 4 | digit(s.p[i + 2]));
            i += 2;
        } else {
            p[n] = query && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    *ret = (struct str){p, n};
    return str_utf8(*ret, &at) && !str_find(*ret, '\0', &at);
}

static int set(struct arena *a, ProtobufCMessage *request, struct str name, struct str value,
               struct str *ret_error)
{
    struct str why;

    if (!protojson_set(a, request, name, value, &why))
        return 0;
    *ret_error = why;
    return ROUTE_E_BAD;
}

/* "name=value&name=value". */
static int fill_query(struct str query, struct arena *a, ProtobufCMessage *request,
                      struct str *ret_error)
{
    struct str pair, name, value;
    size_t at, pairs = 0;

    for (; query.n > 0; query = str_sub(query, pair.n + 1, query.n)) {
        pair = str_find(query, '&', &at) ? str_sub(query, 0, at) : query;
        if (pair.n == 0)
            continue;
        if (pairs++ == ROUTE_QUERY_MAX) {
            *ret_error = str_printf(a, "a query has at most %u pairs", ROUTE_QUERY_MAX);
            return ROUTE_E_BAD;
        }
        if (!str_find(pair, '=', &at))
            at = pair.n;
        if (!decode(a, str_sub(pair, 0, at), true, &name) ||
            !decode(a, str_sub(pair, at + 1, pair.n), true, &value)) {
            *ret_error = STR("the query is no UTF-8 text");
            return ROUTE_E_BAD;
        }
        if (set(a, request, name, value, ret_error))
            return ROUTE_E_BAD;
    }
    return 0;
}

int route_fill(const struct route_match *m, struct str query, struct arena *a,
               ProtobufCMessage *request, struct str *ret_error)
{
    struct str value;
    int r = fill_query(query, a, request, ret_error);

    for (size_t i = 0; i < m->fields_n && !r; i++) {
        if (!decode(a, m->fields[i].value, false, &value)) {
            *ret_error = str_printf(a, "%s in the path is no UTF-8 text", m->fields[i].field);
            return ROUTE_E_BAD;
        }
        r = set(a, request, str_of(m->fields[i].field), value, ret_error);
    }
    return r;
}
