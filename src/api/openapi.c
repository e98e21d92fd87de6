/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi.h"

#include <assert.h>
#include <stdlib.h>

#include "api/codec.h"
#include "core/code.h"

#define MESSAGES_MAX   256u
#define NAME_BYTES_MAX 128u

/* Comments of the .proto files, sorted by name (scripts/proto-docs). */
static const struct doc_row {
    const char *name, *text;
} docs[] = {
#include "api/proto_docs.inc"
};

/* JSON being written: a comma is owed before the next key or item. */
struct writer {
    struct buf *out;
    bool comma;
    /* Messages that were named so far; each gets a schema. */
    const ProtobufCMessageDescriptor *messages[MESSAGES_MAX];
    size_t messages_n;
};

static void owed(struct writer *w)
{
    if (w->comma)
        buf_byte(w->out, ',');
    w->comma = false;
}

static void open(struct writer *w, char bracket)
{
    owed(w);
    buf_byte(w->out, bracket);
}

static void close(struct writer *w, char bracket)
{
    buf_byte(w->out, bracket);
    w->comma = true;
}

static void key(struct writer *w, struct str name)
{
    owed(w);
    buf_json(w->out, name);
    buf_byte(w->out, ':');
}

static void text(struct writer *w, struct str s)
{
    owed(w);
    buf_json(w->out, s);
    w->comma = true;
}

/* JSON as it stands. */
static void raw(struct writer *w, const char *json)
{
    owed(w);
    buf_add(w->out, str_of(json));
    w->comma = true;
}

static void member(struct writer *w, const char *name, const char *value)
{
    key(w, str_of(name));
    text(w, str_of(value));
}

static int by_name(const void *name, const void *row)
{
    return strcmp(name, ((const struct doc_row *)row)->name);
}

/* "description", where the .proto file says something about NAME or OWNER.NAME. */
static void description(struct writer *w, const char *owner, const char *name)
{
    char path[NAME_BYTES_MAX];
    const struct doc_row *row;
    struct buf b;

    buf_fixed(&b, path, sizeof(path));
    buf_printf(&b, "%s%s%s", owner, name ? "." : "", name ? name : "");
    assert(!b.full);
    row = bsearch(path, docs, sizeof(docs) / sizeof(docs[0]), sizeof(docs[0]), by_name);
    if (row)
        member(w, "description", row->text);
}

static void reference(struct writer *w, const ProtobufCMessageDescriptor *d)
{
    size_t i = 0;

    while (i < w->messages_n && w->messages[i] != d)
        i++;
    if (i == w->messages_n) {
        assert(i < MESSAGES_MAX);
        w->messages[w->messages_n++] = d;
    }
    key(w, STR("$ref"));
    owed(w);
    buf_printf(w->out, "\"#/components/schemas/%s\"", d->short_name);
    w->comma = true;
}

/* The keys of a schema for one value. Of embedded JSON there is nothing to say. */
static void value_keys(struct writer *w, const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        member(w, "type", "string");
        break;
    case PROTOBUF_C_TYPE_BYTES:
        break;
    case PROTOBUF_C_TYPE_BOOL:
        member(w, "type", "boolean");
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        member(w, "type", "number");
        break;
    case PROTOBUF_C_TYPE_INT64:
        member(w, "type", "integer");
        member(w, "format", "int64");
        break;
    case PROTOBUF_C_TYPE_INT32:
        member(w, "type", "integer");
        member(w, "format", "int32");
        break;
    default:
        assert(f->type == PROTOBUF_C_TYPE_MESSAGE); /* the API has no other types */
        if (f->descriptor == &weft__v1__timestamp__descriptor) {
            member(w, "type", "string");
            member(w, "format", "date-time");
        } else if (f->descriptor == &weft__v1__duration__descriptor) {
            member(w, "type", "string");
            key(w, STR("examples"));
            raw(w, "[\"1.5s\"]");
        } else {
            reference(w, f->descriptor);
        }
    }
}

static void field_keys(struct writer *w, const ProtobufCFieldDescriptor *f)
{
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        value_keys(w, f);
        return;
    }
    if (codec_map_entry(f)) {
        member(w, "type", "object");
        key(w, STR("additionalProperties"));
        f = &((const ProtobufCMessageDescriptor *)f->descriptor)->fields[1];
    } else {
        member(w, "type", "array");
        key(w, STR("items"));
    }
    open(w, '{');
    value_keys(w, f);
    close(w, '}');
}

static void schema(struct writer *w, const ProtobufCMessageDescriptor *d)
{
    key(w, str_of(d->short_name));
    open(w, '{');
    member(w, "type", "object");
    description(w, d->short_name, NULL);
    key(w, STR("properties"));
    open(w, '{');
    for (unsigned i = 0; i < d->n_fields; i++) {
        key(w, str_of(d->fields[i].name));
        open(w, '{');
        field_keys(w, &d->fields[i]);
        description(w, d->short_name, d->fields[i].name);
        close(w, '}');
    }
    close(w, '}');
    close(w, '}');
}

static bool in_path(const char *path, const char *field)
{
    size_t n = strlen(field);

    for (const char *p = strchr(path, '{'); p; p = strchr(p + 1, '{'))
        if (strncmp(p + 1, field, n) == 0 && p[n + 1] == '}')
            return true;
    return false;
}

static bool has_field(const ProtobufCMessageDescriptor *d, const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(d, name) != NULL;
}

static void parameter(struct writer *w, const ProtobufCMessageDescriptor *d,
                      const ProtobufCFieldDescriptor *f, struct str name, bool of_path)
{
    open(w, '{');
    key(w, STR("name"));
    text(w, name);
    member(w, "in", of_path ? "path" : "query");
    description(w, d->short_name, f->name);
    if (of_path) {
        key(w, STR("required"));
        raw(w, "true");
    }
    key(w, STR("schema"));
    open(w, '{');
    field_keys(w, f);
    close(w, '}');
    close(w, '}');
}

/* A query tells what is not in the path, and the fields of a message behind a dot. */
static void query_parameters(struct writer *w, const struct method *m, const char *path,
                             const ProtobufCMessageDescriptor *d, struct str prefix)
{
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        bool message = f->type == PROTOBUF_C_TYPE_MESSAGE &&
                       f->descriptor != &weft__v1__timestamp__descriptor &&
                       f->descriptor != &weft__v1__duration__descriptor;
        char full[NAME_BYTES_MAX];
        struct buf b;

        if (!prefix.n && in_path(path, f->name))
            continue;
        buf_fixed(&b, full, sizeof(full));
        buf_printf(&b, STR_FMT "%s", STR_ARG(prefix), f->name);
        if (!message) {
            parameter(w, d, f, buf_str(&b), false);
        } else if (f->label != PROTOBUF_C_LABEL_REPEATED) {
            buf_byte(&b, '.');
            query_parameters(w, m, path, f->descriptor, buf_str(&b));
        }
        assert(!b.full);
    }
}

static void shared_parameter(struct writer *w, const char *name)
{
    open(w, '{');
    key(w, STR("$ref"));
    owed(w);
    buf_printf(w->out, "\"#/components/parameters/%s\"", name);
    w->comma = true;
    close(w, '}');
}

static bool has_body(const struct method *m, const char *path)
{
    if (m->verb != METHOD_POST && m->verb != METHOD_PUT)
        return false;
    for (unsigned i = 0; i < m->request->n_fields; i++)
        if (!in_path(path, m->request->fields[i].name))
            return true;
    return false;
}

static void parameters(struct writer *w, const struct method *m, const char *path)
{
    key(w, STR("parameters"));
    open(w, '[');
    for (unsigned i = 0; i < m->request->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->request->fields[i];

        if (in_path(path, f->name))
            parameter(w, m->request, f, str_of(f->name), true);
    }
    if (m->verb == METHOD_GET || m->verb == METHOD_DELETE)
        query_parameters(w, m, path, m->request, STR(""));
    if (m->kind == METHOD_WRITE)
        shared_parameter(w, "IdempotencyKey");
    if (m->kind == METHOD_WRITE && has_field(m->request, "etag"))
        shared_parameter(w, "IfMatch");
    if (m->replies == METHOD_STREAM && has_field(m->request, "after"))
        shared_parameter(w, "LastEventId");
    close(w, ']');
}

static void content(struct writer *w, const char *type, const ProtobufCMessageDescriptor *d)
{
    key(w, STR("content"));
    open(w, '{');
    key(w, str_of(type));
    open(w, '{');
    key(w, STR("schema"));
    open(w, '{');
    reference(w, d);
    close(w, '}');
    close(w, '}');
    close(w, '}');
}

static void responses(struct writer *w, const struct method *m)
{
    bool stream = m->replies == METHOD_STREAM;

    key(w, STR("responses"));
    open(w, '{');
    key(w, STR("200"));
    open(w, '{');
    member(w, "description",
           stream ? "Server-sent events; the data of each is one object." : "Done.");
    content(w, stream ? "text/event-stream" : "application/json", m->reply);
    close(w, '}');
    key(w, STR("default"));
    raw(w, "{\"$ref\":\"#/components/responses/Problem\"}");
    close(w, '}');
}

/* "Queues" of "weft.v1.Queues/Enqueue". */
static struct str service_of(const struct method *m)
{
    const char *slash = strchr(m->rpc, '/');
    const char *p = slash;

    assert(slash);
    while (p > m->rpc && p[-1] != '.')
        p--;
    return (struct str){p, (size_t)(slash - p)};
}

static void operation(struct writer *w, const struct method *m, const char *path)
{
    static const char *const verbs[] = {
        [METHOD_GET] = "get",
        [METHOD_POST] = "post",
        [METHOD_PUT] = "put",
        [METHOD_DELETE] = "delete",
    };
    char service[NAME_BYTES_MAX];
    struct buf b;

    buf_fixed(&b, service, sizeof(service));
    buf_add(&b, service_of(m));
    key(w, str_of(verbs[m->verb]));
    open(w, '{');
    key(w, STR("operationId"));
    owed(w);
    buf_printf(w->out, "\"%s%s\"", m->name, path == m->path ? "" : ".other");
    w->comma = true;
    key(w, STR("tags"));
    open(w, '[');
    text(w, buf_str(&b));
    close(w, ']');
    member(w, "summary", m->help);
    description(w, service, strchr(m->rpc, '/') + 1);
    parameters(w, m, path);
    if (has_body(m, path)) {
        key(w, STR("requestBody"));
        open(w, '{');
        content(w, "application/json", m->request);
        close(w, '}');
    }
    responses(w, m);
    close(w, '}');
}

/* The n-th of two paths of a row, or NULL. */
static const char *path_of(const struct method *m, size_t n)
{
    return n ? m->other_path : m->path;
}

/* Whether the path stands in a row before this one. */
static bool told(const struct method *const *methods, size_t at, const char *path)
{
    for (size_t i = 0; i < 2 * at; i++) {
        const char *before = path_of(methods[i / 2], i % 2);

        if (before && strcmp(before, path) == 0)
            return true;
    }
    return false;
}

static void path_item(struct writer *w, const struct method *const *methods, size_t n,
                      const char *path)
{
    key(w, str_of(path));
    open(w, '{');
    for (size_t i = 0; i < 2 * n; i++) {
        const char *its = path_of(methods[i / 2], i % 2);

        if (its && strcmp(its, path) == 0)
            operation(w, methods[i / 2], its);
    }
    close(w, '}');
}

static void paths(struct writer *w, const struct method *const *methods, size_t n)
{
    key(w, STR("paths"));
    open(w, '{');
    for (size_t i = 0; i < 2 * n; i++) {
        const char *path = path_of(methods[i / 2], i % 2);

        if (path && !told(methods, i / 2, path))
            path_item(w, methods, n, path);
    }
    close(w, '}');
}

static void tags(struct writer *w, const struct method *const *methods, size_t n)
{
    key(w, STR("tags"));
    open(w, '[');
    for (size_t i = 0; i < n; i++) {
        struct str service = service_of(methods[i]);
        char name[NAME_BYTES_MAX];
        struct buf b;
        size_t before = 0;

        while (before < i && !str_eq(service_of(methods[before]), service))
            before++;
        if (before < i)
            continue;
        buf_fixed(&b, name, sizeof(name));
        buf_add(&b, service);
        open(w, '{');
        member(w, "name", name);
        description(w, name, NULL);
        close(w, '}');
    }
    close(w, ']');
}

/* RFC 9457, with the stable code and the places of a faulty text. */
static void problem(struct writer *w)
{
    key(w, STR("Problem"));
    open(w, '{');
    member(w, "type", "object");
    key(w, STR("required"));
    raw(w, "[\"type\",\"title\",\"status\",\"code\",\"detail\"]");
    key(w, STR("properties"));
    raw(w, "{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
           "\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},"
           "\"details\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
           "\"line\":{\"type\":\"integer\"},\"column\":{\"type\":\"integer\"},"
           "\"text\":{\"type\":\"string\"}}}},\"code\":{\"type\":\"string\",\"enum\":[");
    w->comma = false;
    for (int i = CODE_OK + 1; i < CODE_N; i++)
        text(w, code_text((enum code)i));
    buf_add(w->out, STR("]}}"));
    close(w, '}');
}

static void components(struct writer *w)
{
    key(w, STR("components"));
    open(w, '{');
    key(w, STR("parameters"));
    raw(w, "{\"IdempotencyKey\":{\"name\":\"Idempotency-Key\",\"in\":\"header\",\"description\":"
           "\"The same key again gets the same reply, and nothing is done twice.\","
           "\"schema\":{\"type\":\"string\"}},"
           "\"IfMatch\":{\"name\":\"If-Match\",\"in\":\"header\",\"description\":"
           "\"Refused where what is changed has another ETag.\",\"schema\":{\"type\":\"string\"}},"
           "\"LastEventId\":{\"name\":\"Last-Event-ID\",\"in\":\"header\",\"description\":"
           "\"Go on behind this event.\",\"schema\":{\"type\":\"string\"}}}");
    key(w, STR("responses"));
    raw(w,
        "{\"Problem\":{\"description\":\"It was refused, or went wrong.\",\"content\":{"
        "\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}}");
    key(w, STR("schemas"));
    open(w, '{');
    problem(w);
    /* Writing a schema may name further messages, which are appended. */
    for (size_t i = 0; i < w->messages_n; i++)
        schema(w, w->messages[i]);
    close(w, '}');
    close(w, '}');
}

void openapi_write(const struct method *const *methods, size_t n, struct buf *out)
{
    struct writer w = {.out = out};

    open(&w, '{');
    member(&w, "openapi", "3.1.0");
    key(&w, STR("info"));
    raw(&w, "{\"title\":\"weft\",\"version\":\"" WEFT_VERSION "\",\"summary\":"
            "\"Hands out work and never loses track of it\",\"license\":{\"name\":"
            "\"Apache License 2.0\",\"identifier\":\"Apache-2.0\"}}");
    tags(&w, methods, n);
    paths(&w, methods, n);
    components(&w);
    close(&w, '}');
}
