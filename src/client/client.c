/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <assert.h>
#include <string.h>

void client_problem_clear(struct client_problem *p)
{
    json_decref(p->details);
    *p = (struct client_problem){.code = CODE_OK};
}

int client_call(struct client *c, const char *method, json_t *request, json_t **ret_reply,
                struct client_problem *ret_problem)
{
    json_t *given = request ? request : json_object();
    json_t *reply = NULL;
    int r;

    assert(json_is_object(given));
    r = c->transport.call(c->transport.context, method, given, &reply, ret_problem);
    json_decref(given);
    if (r) {
        assert(r == CLIENT_E_REFUSED && !reply && ret_problem->code != CODE_OK);
        return r;
    }
    assert(json_is_object(reply));
    *ret_reply = reply;
    return 0;
}

int client_follow(struct client *c, int64_t run, enum client_follow how, int64_t after,
                  const struct client_listener *listener, struct client_problem *ret_problem)
{
    return c->transport.follow(c->transport.context, run, how, after, listener, ret_problem);
}

void client_close(struct client *c)
{
    if (c->transport.close)
        c->transport.close(c->transport.context);
    *c = (struct client){.transport = {.context = NULL}};
}
