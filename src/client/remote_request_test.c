/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of methods as verb, path and body. */
#include "client/remote_request.h"

#include "base/test.h"

static const struct method get_task = {
    .name = "tasks.get",
    .verb = METHOD_GET,
    .path = "/v1/tasks/{id}",
    .other_path = "/v1/runs/{run}/tasks/{name}",
};
static const struct method claim = {
    .name = "queues.claim", .verb = METHOD_POST, .path = "/v1/queues/{queue}:claim"};
static const struct method list = {.name = "runs.list", .verb = METHOD_GET, .path = "/v1/runs"};

static const struct {
    const char *name;
    const struct method *method;
    const char *request;
    const char *wanted; /* "VERB PATH BODY", or the sentence */
} rows[] = {
    {"a field of the path",  &get_task, "{\"id\": \"7\"}",                                                   "GET /v1/tasks/7 "          },
    {"the other path",       &get_task, "{\"run\": \"7\", \"name\": \"a/b c\"}",
     "GET /v1/runs/7/tasks/a%2Fb%20c "                                                                                                   },
    {"none of both",         &get_task, "{\"run\": \"7\"}",
     "tasks.get: what /v1/runs/{run}/tasks/{name} names is missing"                                                                      },
    {"an empty one",         &get_task, "{\"id\": \"\"}",
     "tasks.get: what /v1/runs/{run}/tasks/{name} names is missing"                                                                      },
    {"a body without them",  &claim,    "{\"queue\": \"q:x\", \"max\": 3}",
     "POST /v1/queues/q%3Ax:claim {\"max\":3}"                                                                                           },
    {"an empty body",        &claim,    "{\"queue\": \"q\"}",                                                "POST /v1/queues/q:claim {}"},
    {"a query",              &list,     "{\"page_size\": 10, \"page_token\": \"a&b=\\u00fc\", \"x\": null}",
     "GET /v1/runs?page_size=10&page_token=a%26b%3D%C3%BC "                                                                              },
    {"a message in a query", &list,     "{\"a\": {\"b\": true, \"c\": {\"d\": 1}}}",
     "GET /v1/runs?a.b=true&a.c.d=1 "                                                                                                    },
    {"no query",             &list,     "{}",                                                                "GET /v1/runs "             },
    {"a list in a query",    &list,     "{\"a\": [1]}",                                                      "a cannot stand in a query" },
};

static void requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        json_t *request = json_loads(rows[i].request, 0, NULL);
        struct remote_request r;
        struct arena a = {0};
        struct str error, found;

        CHECK_ROW(rows[i].name, request);
        if (remote_request_init(&r, &a, rows[i].method, request, &error)) {
            found = str_printf(&a, "%s %s %s", r.verb, r.path.p, r.body ? r.body : "");
            remote_request_deinit(&r);
        } else {
            found = error;
        }
        assert_string_equal(str_cstr(&a, found), rows[i].wanted);
        json_decref(request);
        arena_deinit(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
