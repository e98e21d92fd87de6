/* SPDX-License-Identifier: Apache-2.0 */
#include "client/remote_request.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/dump.h"

static const char *const verbs[] = {
    [METHOD_GET] = "GET",
    [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT",
    [METHOD_DELETE] = "DELETE",
};

static void add_encoded(struct buf *out, struct str s)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] && strchr(safe, s.p[i]))
            buf_byte(out, s.p[i]);
        else
            buf_printf(out, "%%%02X", (unsigned char)s.p[i]);
    }
}

/* A value as it stands in a path or query. False for a list or null. */
static bool scalar(struct arena *a, const json_t *v, struct str *ret)
{
    char *text;

    if (json_is_string(v)) {
        *ret = (struct str){json_string_value(v), json_string_length(v)};
        return true;
    }
    if (!json_is_number(v) && !json_is_boolean(v))
        return false;
    text = dump_text(v, DUMP_COMPACT);
    *ret = str_copy(a, str_of(text));
    free(text);
    return true;
}

/* Whether the request has all fields of the template. */
static bool fits(const char *path, const json_t *request)
{
    for (const char *p = strchr(path, '{'); p; p = strchr(p + 1, '{')) {
        const char *end = strchr(p, '}');
        const json_t *v = json_object_getn(request, p + 1, (size_t)(end - p - 1));

        if (!v || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0))
            return false;
    }
    return true;
}

/* The path, whose fields leave the request. */
static void add_path(struct buf *out, struct arena *a, const char *path, json_t *rest)
{
    while (*path) {
        const char *end = strchr(path, '}');
        struct str value = {0}, name;

        if (*path != '{') {
            buf_byte(out, *path++);
            continue;
        }
        name = (struct str){path + 1, (size_t)(end - path - 1)};
        scalar(a, json_object_getn(rest, name.p, name.n), &value);
        add_encoded(out, value);
        json_object_deln(rest, name.p, name.n);
        path = end + 1;
    }
}

/* What is left, as a query; within an object its keys stand behind a point. */
static bool add_query(struct buf *out, struct arena *a, const json_t *rest, struct str prefix,
                      char *mark, struct str *ret_error)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)rest, key, v)
    {
        struct str name = str_printf(a, STR_FMT "%s", STR_ARG(prefix), key), value;

        if (json_is_null(v))
            continue;
        if (json_is_object(v)) {
            if (!add_query(out, a, v, str_printf(a, STR_FMT ".", STR_ARG(name)), mark, ret_error))
                return false;
            continue;
        }
        if (!scalar(a, v, &value)) {
            *ret_error = str_printf(a, STR_FMT " cannot stand in a query", STR_ARG(name));
            return false;
        }
        buf_byte(out, *mark);
        *mark = '&';
        add_encoded(out, name);
        buf_byte(out, '=');
        add_encoded(out, value);
    }
    return true;
}

bool remote_request_init(struct remote_request *r, struct arena *a, const struct method *m,
                         const json_t *request, struct str *ret_error)
{
    const char *path = fits(m->path, request) || !m->other_path ? m->path : m->other_path;
    json_t *rest = json_copy((json_t *)(uintptr_t)request);
    char mark = '?';
    bool good = fits(path, request);

    *r = (struct remote_request){.verb = verbs[m->verb]};
    buf_init(&r->path, REMOTE_PATH_BYTES_MAX);
    if (good) {
        add_path(&r->path, a, path, rest);
        if (m->verb == METHOD_POST || m->verb == METHOD_PUT)
            r->body = dump_text(rest, DUMP_COMPACT);
        else
            good = add_query(&r->path, a, rest, STR(""), &mark, ret_error);
    } else {
        *ret_error = str_printf(a, "%s: what %s names is missing", m->name, path);
    }
    if (good && r->path.full) {
        *ret_error = STR("the request's fields are too long for an address");
        good = false;
    }
    json_decref(rest);
    if (!good)
        remote_request_deinit(r);
    return good;
}

void remote_request_deinit(struct remote_request *r)
{
    buf_deinit(&r->path);
    free(r->body);
    *r = (struct remote_request){0};
}
