/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/jsoncall.h"

#include <assert.h>
#include <stdlib.h>

#include "api/protojson.h"
#include "serve/table.h"

json_t *jsoncall_tree(const ProtobufCMessage *m)
{
    struct buf text;
    json_t *tree;

    buf_init(&text, API_BYTES_MAX);
    protojson_encode(m, &text);
    tree = json_loadb(text.p, text.n, JSON_ALLOW_NUL, NULL);
    buf_deinit(&text);
    assert(tree);
    return tree;
}

int jsoncall_refused(const struct batcher_answer *answer, struct client_problem *ret_problem)
{
    struct buf text;

    *ret_problem = (struct client_problem){.code = answer->code};
    buf_fixed(&text, ret_problem->text, sizeof(ret_problem->text));
    buf_add(&text, str_sub(answer->text, 0, sizeof(ret_problem->text) - 1));
    if (!answer->details_n)
        return CLIENT_E_REFUSED;
    ret_problem->details = json_array();
    for (size_t i = 0; i < answer->details_n; i++) {
        const struct doc_error *e = &answer->details[i];

        json_array_append_new(ret_problem->details,
                              json_pack("{s:I, s:I, s:s%}", "line", (json_int_t)e->line, "column",
                                        (json_int_t)e->column, "text", e->text.p, e->text.n));
    }
    return CLIENT_E_REFUSED;
}

/* The request's text as a message, or why it is none. */
static int decode(struct arena *a, const struct method *method, const json_t *request,
                  ProtobufCMessage **ret, struct batcher_answer *ret_answer)
{
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    struct doc_error error = {0};
    int r = protojson_decode(a, method->request, text ? str_of(text) : STR("{}"), ret, &error);

    free(text);
    if (r)
        *ret_answer = (struct batcher_answer){.code = CODE_INVALID, .text = error.text};
    return r;
}

static void done(struct call *c)
{
    *(bool *)c->transport = true;
}

int jsoncall(struct methods *m, uv_loop_t *loop, const char *method, const json_t *request,
             json_t **ret_reply, struct client_problem *ret_problem)
{
    bool over = false;
    struct call c = {
        .method = table_find(method), .deadline_us = INT64_MAX, .done = done, .transport = &over};
    struct batcher_answer answer = {.code = CODE_METHOD_NOT_FOUND};
    ProtobufCMessage *message;
    int r = 0;

    *ret_problem = (struct client_problem){.code = CODE_OK};
    if (!c.method) {
        answer.text = str_printf(&c.arena, "there is no method \"%s\"", method);
        r = jsoncall_refused(&answer, ret_problem);
    } else if (decode(&c.arena, c.method, request, &message, &answer)) {
        r = jsoncall_refused(&answer, ret_problem);
    }
    if (!r) {
        c.request = message;
        methods_start(m, &c);
        while (!over)
            uv_run(loop, UV_RUN_ONCE);
        answer = (struct batcher_answer){c.code, c.text, c.details, c.details_n, c.retry_after_us};
        r = c.code == CODE_OK ? 0 : jsoncall_refused(&answer, ret_problem);
    }
    if (!r)
        *ret_reply = jsoncall_tree(c.reply);
    arena_deinit(&c.arena);
    return r;
}
