/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi.h"

#include <jansson.h>
#include <stdio.h>

#include "api/codec.h"
#include "base/test.h"
#include "core/code.h"

#define MESSAGE(name) &weft__v1__##name##__descriptor

static const struct method rows[] = {
    {"queues.put",     "weft.v1.Queues/Put",     MESSAGE(put_queue_request),   MESSAGE(queue),           METHOD_UNARY,
     METHOD_WRITE,                                                                                                                    METHOD_ADMIN,   METHOD_PUT,  "/v1/queues/{queue}",       NULL,                          "Make or change a queue"},
    {"queues.get",     "weft.v1.Queues/Get",     MESSAGE(queue_request),       MESSAGE(queue),           METHOD_UNARY,
     METHOD_READ,                                                                                                                     METHOD_VIEW,    METHOD_GET,  "/v1/queues/{queue}",       NULL,                          "Show a queue"          },
    {"queues.list",    "weft.v1.Queues/List",    MESSAGE(list_queues_request),
     MESSAGE(list_queues_response),                                                                      METHOD_UNARY,  METHOD_READ,  METHOD_VIEW,    METHOD_GET,
     "/v1/queues",                                                                                                                                                                             NULL,                          "List queues"           },
    {"queues.enqueue", "weft.v1.Queues/Enqueue", MESSAGE(enqueue_request),
     MESSAGE(enqueue_response),                                                                          METHOD_UNARY,  METHOD_WRITE, METHOD_OPERATE, METHOD_POST,
     "/v1/queues/{queue}:enqueue",                                                                                                                                                             NULL,                          "Add tasks"             },
    {"queues.pause",   "weft.v1.Queues/Pause",   MESSAGE(queue_request),       MESSAGE(queue),           METHOD_UNARY,
     METHOD_WRITE,                                                                                                                    METHOD_OPERATE, METHOD_POST, "/v1/queues/{queue}:pause", NULL,                          "Pause a queue"         },
    {"tasks.get",      "weft.v1.Tasks/Get",      MESSAGE(task_request),        MESSAGE(task),            METHOD_UNARY,
     METHOD_READ,                                                                                                                     METHOD_VIEW,    METHOD_GET,  "/v1/tasks/{id}",           "/v1/runs/{run}/tasks/{name}",
     "Show a task"                                                                                                                                                                                                                                    },
    {"runs.watch",     "weft.v1.Runs/Watch",     MESSAGE(watch_request),       MESSAGE(event),           METHOD_STREAM,
     METHOD_READ,                                                                                                                     METHOD_VIEW,    METHOD_GET,  "/v1/runs/{id}:watch",      "/v1/events:watch",
     "Watch a run"                                                                                                                                                                                                                                    },
    {"admin.status",   "weft.v1.Admin/Status",   MESSAGE(empty),               MESSAGE(status_response), METHOD_UNARY,
     METHOD_READ,                                                                                                                     METHOD_VIEW,    METHOD_GET,  "/v1/status",               NULL,                          "Show the server"       },
};

static struct buf document(void)
{
    const struct method *methods[ROWS_N(rows)];
    struct buf b;

    for (size_t i = 0; i < ROWS_N(rows); i++)
        methods[i] = &rows[i];
    buf_init(&b, 1 << 20);
    openapi_write(methods, ROWS_N(rows), &b);
    assert_false(b.full);
    return b;
}

/* A value by its path, whose keys are parted by blanks. */
static const json_t *at(const json_t *v, const char *path)
{
    char copy[200];
    char *rest = copy;
    char *name;

    assert_true(strlen(path) < sizeof(copy));
    memcpy(copy, path, strlen(path) + 1);
    while (v && (name = strsep(&rest, " ")))
        v = json_is_array(v) ? json_array_get(v, (size_t)(name[0] - '0'))
                             : json_object_get(v, name);
    return v;
}

static void what_the_document_says(void **state)
{
    static const struct {
        const char *path, *text; /* NULL: there is no such thing */
    } said[] = {
        {"openapi",                                                                                  "3.1.0"                                                     },
        {"tags 0 name",                                                                              "Queues"                                                    },
        {"tags 0 description",                                                                       "Durable queues of tasks, in order of (priority, sequence)."},
        {"tags 1 name",                                                                              "Tasks"                                                     },
        {"paths /v1/queues/{queue} put operationId",                                                 "queues.put"                                                },
        {"paths /v1/queues/{queue} put summary",                                                     "Make or change a queue"                                    },
        {"paths /v1/queues/{queue} put parameters 0 name",                                           "queue"                                                     },
        {"paths /v1/queues/{queue} put parameters 0 in",                                             "path"                                                      },
        {"paths /v1/queues/{queue} put parameters 1 $ref",
         "#/components/parameters/IdempotencyKey"                                                                                                                },
        {"paths /v1/queues/{queue} put parameters 2 $ref",                                           "#/components/parameters/IfMatch"                           },
        {"paths /v1/queues/{queue} get operationId",                                                 "queues.get"                                                },
        {"paths /v1/queues/{queue} get requestBody",                                                 NULL                                                        },
        {"paths /v1/queues get parameters 0 in",                                                     "query"                                                     },
        {"paths /v1/queues get parameters 0 name",                                                   "page_size"                                                 },
        {"paths /v1/queues/{queue}:enqueue post description",
         "All of the tasks or none. A queue that does not exist is made with the defaults."                                                                      },
        {"paths /v1/queues/{queue}:enqueue post requestBody content application/json schema $ref",
         "#/components/schemas/EnqueueRequest"                                                                                                                   },
        {"paths /v1/queues/{queue}:enqueue post responses 200 content application/json schema $ref",
         "#/components/schemas/EnqueueResponse"                                                                                                                  },
        {"paths /v1/queues/{queue}:enqueue post responses default $ref",
         "#/components/responses/Problem"                                                                                                                        },
        {"paths /v1/queues/{queue}:pause post requestBody",                                          NULL                                                        },
        {"paths /v1/tasks/{id} get operationId",                                                     "tasks.get"                                                 },
        {"paths /v1/runs/{run}/tasks/{name} get operationId",                                        "tasks.get.other"                                           },
        {"paths /v1/runs/{run}/tasks/{name} get parameters 1 name",                                  "name"                                                      },
        {"paths /v1/runs/{id}:watch get responses 200 content text/event-stream schema $ref",
         "#/components/schemas/Event"                                                                                                                            },
        {"paths /v1/events:watch get parameters 4 $ref",                                             "#/components/parameters/LastEventId"                       },
        {"components schemas NewTask properties delay type",                                         "string"                                                    },
        {"components schemas NewTask properties payload description",
         "any value, at most 1 MiB; default null"                                                                                                                },
        {"components schemas NewTask properties retry $ref",                                         "#/components/schemas/RetryPolicy"                          },
        {"components schemas NewTask properties not_before format",                                  "date-time"                                                 },
        {"components schemas StatusResponse properties runs additionalProperties format",            "int64"                                                     },
        {"components schemas RunsEntry",                                                             NULL                                                        },
        {"components schemas Problem properties code enum 0",                                        "invalid_argument"                                          },
    };
    struct buf b = document();
    json_t *v = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, NULL);

    (void)state;
    assert_non_null(v);
    for (size_t i = 0; i < ROWS_N(said); i++) {
        const json_t *found = at(v, said[i].path);

        if (!said[i].text)
            CHECK_ROW(said[i].path, !found);
        else
            CHECK_ROW(said[i].path,
                      json_is_string(found) && strcmp(json_string_value(found), said[i].text) == 0);
    }
    assert_int_equal(json_array_size(at(v, "components schemas Problem properties code enum")),
                     CODE_N - 1);
    json_decref(v);
    buf_deinit(&b);
}

/* With an argument: print the document, for test/proto_test.py. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_document_says),
    };

    (void)argv;
    if (argc > 1) {
        struct buf b = document();

        puts(b.p);
        buf_deinit(&b);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
