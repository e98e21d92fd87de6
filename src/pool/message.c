/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/message.h"

#include <inttypes.h>
#include <stdbool.h>

#include "base/json_members.h"
#include "pool/frame.h"

void message_call(struct buf *out, const struct message_call *c)
{
    size_t begun = frame_begin(out);

    buf_printf(out, "{\"id\":%" PRId64 ",\"command\":", c->id);
    buf_json(out, c->command);
    if (c->session.n) {
        buf_add(out, STR(",\"session\":"));
        buf_json(out, c->session);
    }
    if (c->deadline_ms)
        buf_printf(out, ",\"deadline\":%" PRId64, c->deadline_ms);
    if (c->args.n) {
        buf_add(out, STR(",\"args\":"));
        buf_add(out, c->args);
    }
    buf_byte(out, '}');
    frame_end(out, begun);
}

void message_cancel(struct buf *out, int64_t id)
{
    size_t begun = frame_begin(out);

    buf_printf(out, "{\"cancel\":%" PRId64 "}", id);
    frame_end(out, begun);
}

void message_shutdown(struct buf *out)
{
    size_t begun = frame_begin(out);

    buf_add(out, STR("{\"command\":\"" MESSAGE_SHUTDOWN "\"}"));
    frame_end(out, begun);
}

/* What a reply says, key by key; a value of no bytes was not said. */
struct said {
    struct str id, success, result, error, chunk;
};

static struct str *said_of(struct said *s, struct str key)
{
    const struct {
        struct str key;
        struct str *at;
    } keys[] = {
        {STR("id"),      &s->id     },
        {STR("success"), &s->success},
        {STR("result"),  &s->result },
        {STR("error"),   &s->error  },
        {STR("chunk"),   &s->chunk  },
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (str_eq(keys[i].key, key))
            return keys[i].at;
    return NULL;
}

/* NULL, or what is wrong with it. */
static const char *read_members(struct str text, struct said *said)
{
    struct json_members m;
    struct json_member one;
    enum json_members_found found;

    if (!json_members_begin(&m, text, MESSAGE_DEPTH_MAX))
        return "is no JSON object";
    while ((found = json_members_next(&m, &one)) == JSON_MEMBERS_ONE) {
        struct str *at = said_of(said, one.key);

        if (at && at->n)
            return "has a key twice";
        if (at)
            *at = one.value;
    }
    if (found == JSON_MEMBERS_DEEP)
        return "is nested more than 64 deep";
    return found == JSON_MEMBERS_BAD ? "is not JSON" : NULL;
}

static struct str or_null(struct str value)
{
    return value.n ? value : STR("null");
}

/* NULL, or what is wrong with it. */
static const char *judge(const struct said *said, struct message_reply *ret)
{
    if (!str_int64(said->id, &ret->id))
        return "has no id, or one that is no whole number";
    if (said->chunk.n) {
        if (said->success.n)
            return "has both a chunk and success";
        ret->kind = MESSAGE_CHUNK;
        ret->value = said->chunk;
    } else if (str_eq(said->success, STR("true"))) {
        ret->kind = MESSAGE_RESULT;
        ret->value = or_null(said->result);
    } else if (str_eq(said->success, STR("false"))) {
        ret->kind = MESSAGE_ERROR;
        ret->value = or_null(said->error);
    } else {
        return "has neither a chunk nor success as true or false";
    }
    return NULL;
}

int message_read(struct str text, struct message_reply *ret, const char **ret_why)
{
    struct said said = {0};

    *ret_why = read_members(text, &said);
    if (!*ret_why)
        *ret_why = judge(&said, ret);
    return *ret_why ? MESSAGE_E_BAD : 0;
}

static int64_t count_of(struct str value)
{
    int64_t n;

    return str_int64(value, &n) && n > 0 ? n : 0;
}

void message_able(struct str result, struct message_able *ret)
{
    struct json_members m;
    struct json_member one;

    *ret = (struct message_able){0};
    if (!json_members_begin(&m, result, MESSAGE_DEPTH_MAX))
        return;
    while (json_members_next(&m, &one) == JSON_MEMBERS_ONE) {
        if (str_eq(one.key, STR("in_flight")))
            ret->in_flight = count_of(one.value);
        else if (str_eq(one.key, STR("sessions")))
            ret->sessions = count_of(one.value);
        else if (str_eq(one.key, STR("snapshots")))
            ret->snapshots = str_eq(one.value, STR("true"));
    }
}

/* A JSON text without its quotes, cut where a character begins. */
static void add_cut(struct str text, size_t max, struct buf *out)
{
    struct str inner = str_sub(text, 1, text.n - 2);
    size_t bad;

    if (inner.n > max) {
        inner.n = max;
        while (inner.n && !str_utf8(inner, &bad))
            inner.n = bad;
    }
    buf_add(out, inner);
}

void message_error_text(struct str error, size_t max, struct buf *out)
{
    struct json_members m;
    struct json_member one;

    if (error.n >= 2 && error.p[0] == '"') {
        add_cut(error, max, out);
        return;
    }
    if (!json_members_begin(&m, error, MESSAGE_DEPTH_MAX))
        return;
    while (json_members_next(&m, &one) == JSON_MEMBERS_ONE)
        if (str_eq(one.key, STR("message")) && one.value.n >= 2 && one.value.p[0] == '"') {
            add_cut(one.value, max, out);
            return;
        }
}
