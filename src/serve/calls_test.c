/* SPDX-License-Identifier: Apache-2.0 */
/* The methods, as transports call them, on both stores. */
#include <inttypes.h>

#include "base/clock.h"
#include "engine/task.h"
#include "serve/calls_testing.h"

/* C-07: many at once, any JSON as a payload. */
static void a_task_lives(void **state)
{
    struct calls_testing c;
    const char *r, *token;

    calls_testing_init(&c, state);
    PUT(&c, "");
    r = ENQUEUE(&c,
                "{\"payload\": {\"b\": 1.50, \"a\": [1, 2]}, \"key\": \"k\", \"priority\": 3}, {}");
    HAS(r, "{\"ids\":[\"");
    r = calls_testing_ok(&c, "queues.get", "{\"queue\": \"mail\"}");
    HAS(r, "\"name\":\"mail\",\"counts\":{\"blocked\":0,\"ready\":2,");
    HAS(r, "\"claim_ttl\":\"3600s\"");
    r = CLAIM(&c, ", \"max\": 5");
    HAS(r, "\"queue\":\"mail\",\"payload\":{\"b\":1.5,\"a\":[1,2]},\"attempt\":1,\"key\":\"k\","
           "\"priority\":3");
    HAS(r, "\"payload\":null,\"attempt\":1");
    HAS(r, "\"expires_at\":\"20");
    token = calls_testing_field(&c, r, "token");
    r = calls_testing_ok(&c, "leases.renew",
                         REQUEST(&c,
                                 "{\"ttl\": \"7200s\", \"leases\": [{\"token\": \"%s\", "
                                 "\"percent\": 40}, {\"token\": \"9.9\"}, {\"token\": \"x\"}]}",
                                 token));
    HAS(r, "{\"results\":[{\"code\":\"OK\",\"expires_at\":\"");
    HAS(r, "\"stop\":false},{\"code\":\"lease_lost\",");
    HAS(calls_testing_complete(&c, token,
                               "\"outcome\": \"succeeded\", \"result\": {\"sent\": true}"),
        "{\"results\":[{\"code\":\"OK\"}]}");
    HAS(calls_testing_complete(&c, token,
                               "\"outcome\": \"succeeded\", \"result\": {\"sent\": true}"),
        "{\"results\":[{\"code\":\"OK\"}]}");
    HAS(calls_testing_complete(&c, token, "\"outcome\": \"failed\""),
        "\"code\":\"completion_conflict\"");
    HAS(calls_testing_complete(&c, "77.88", "\"outcome\": \"failed\""), "\"code\":\"lease_lost\"");
    HAS(calls_testing_complete(&c, "none", "\"outcome\": \"failed\""), "\"code\":\"lease_lost\"");
    r = calls_testing_ok(&c, "queues.get", "{\"queue\": \"mail\"}");
    HAS(r, "\"running\":1,\"awaiting\":0,\"succeeded\":1,");
    calls_testing_deinit(&c);
}

static void dead_letters_come_back(void **state)
{
    struct calls_testing c;
    const char *r, *id;

    calls_testing_init(&c, state);
    PUT(&c, "");
    ENQUEUE(&c, "{\"payload\": 1, \"key\": \"k\", \"retry\": {\"max_attempts\": 1}}");
    calls_testing_complete(
        &c, calls_testing_field(&c, CLAIM(&c, ""), "token"),
        "\"outcome\": \"failed\", \"error\": {\"code\": \"E_X\", \"message\": \"no\"}");
    r = calls_testing_ok(&c, "queues.tasks", "{\"queue\": \"mail\"}");
    HAS(r, "\"state\":\"FAILED\",\"payload\":1,");
    HAS(r, "\"reason\":\"worker_reported_error\",\"message\":\"E_X: no\"");
    HAS(r, "\"next_page_token\":\"\"");
    id = calls_testing_field(&c, r, "id");
    r = calls_testing_ok(&c, "tasks.get", REQUEST(&c, "{\"id\": \"%s\"}", id));
    HAS(r, "\"message\":\"E_X: no\"");
    HAS(r, "\"key\":\"k\",\"payload\":1,");
    r = calls_testing_ok(&c, "queues.requeue",
                         REQUEST(&c,
                                 "{\"queue\": \"mail\", \"tasks\": [{\"id\": \"%s\", "
                                 "\"payload\": {\"fixed\": 1}}, {\"id\": \"999\"}]}",
                                 id));
    HAS(r, "{\"results\":[{\"code\":\"OK\"},{\"code\":\"task_not_found\",\"message\":\"");
    HAS(r, "\"requeued\":1}");
    HAS(calls_testing_ok(&c, "queues.tasks", "{\"queue\": \"mail\", \"state\": \"READY\"}"),
        "\"payload\":{\"fixed\":1}");
    HAS(calls_testing_ok(&c, "queues.purge", "{\"queue\": \"mail\"}"),
        "{\"purged\":1,\"more\":false}");
    ENQUEUE(&c, "{}");
    r = calls_testing_ok(&c, "queues.tasks", "{\"queue\": \"mail\", \"state\": \"READY\"}");
    HAS(calls_testing_ok(&c, "tasks.cancel",
                         REQUEST(&c, "{\"id\": \"%s\"}", calls_testing_field(&c, r, "id"))),
        "\"state\":\"CANCELLED\"");
    calls_testing_deinit(&c);
}

/* D-48: who has read older settings is refused, and nothing is written. */
static void settings_change_under_an_etag(void **state)
{
    struct calls_testing c;
    const char *r, *etag;

    calls_testing_init(&c, state);
    r = PUT(&c, ", \"rate\": 2.5, \"fair\": true, \"retry\": {\"max_attempts\": 7}, "
                "\"task_timeout\": \"90s\"");
    HAS(r, "\"rate\":2.5,");
    HAS(r, "\"retry\":{\"max_attempts\":7,\"backoff_base\":\"1s\",");
    HAS(r, "\"task_timeout\":\"90s\"");
    etag = calls_testing_field(&c, r, "etag");
    r = PUT(&c, ", \"paused\": true");
    HAS(r, "\"fair\":true");
    HAS(r, "\"paused\":true");
    assert_int_equal(calls_testing_refused(&c, "queues.put",
                                           REQUEST(&c,
                                                   "{\"queue\": \"mail\", \"paused\": false, "
                                                   "\"etag\": \"%s\"}",
                                                   etag)),
                     CODE_QUEUE_CHANGED);
    etag = calls_testing_field(&c, r, "etag");
    calls_testing_ok(&c, "queues.put",
                     REQUEST(&c,
                             "{\"queue\": \"mail\", \"paused\": false, "
                             "\"etag\": \"\\\"%s\\\"\"}",
                             etag));
    HAS(calls_testing_ok(&c, "queues.pause", "{\"queue\": \"mail\"}"), "\"paused\":true");
    ENQUEUE(&c, "{}");
    HAS(CLAIM(&c, ""), "{\"leases\":[]}");
    HAS(calls_testing_ok(&c, "queues.resume", "{\"queue\": \"mail\"}"), "\"paused\":false");
    HAS(calls_testing_ok(&c, "queues.list", "{\"page_size\": 1}"),
        "\"queues\":[{\"name\":\"mail\"");
    calls_testing_deinit(&c);
}

/* D-06, D-11. */
static void a_runner_registers(void **state)
{
    struct calls_testing c;
    const char *r;

    calls_testing_init(&c, state);
    r = calls_testing_ok(&c, "workers.register",
                         "{\"name\": \"r1\", \"slots\": 0, \"type\": \"build\", \"address\": "
                         "\"https://h:7\", \"modes\": [\"async\"], \"version\": \"1.2\"}");
    HAS(r, "\"slots\":0,");
    HAS(r,
        "\"type\":\"build\",\"address\":\"https://h:7\",\"modes\":[\"async\"],\"version\":\"1.2\"");
    r = calls_testing_ok(&c, "workers.register",
                         "{\"name\": \"r2\", \"type\": \"test\", \"address\": \"[::1]:7\"}");
    HAS(r, "\"modes\":[\"sync\",\"async\"]");
    HAS(calls_testing_ok(&c, "workers.register",
                         "{\"name\": \"r2\", \"type\": \"test\", \"address\": \"[::1]:7\"}"),
        "\"reregistered\":true");
    assert_int_equal(
        calls_testing_refused(&c, "workers.register",
                              "{\"name\": \"r2\", \"type\": \"test\", \"address\": \"[::1]:8\"}"),
        CODE_WORKER_ALIVE);
    r = calls_testing_ok(&c, "workers.list", "{\"type\": \"test\"}");
    HAS(r, "\"name\":\"r2\"");
    assert_null(strstr(r, "\"name\":\"r1\""));
    calls_testing_deinit(&c);
}

static void a_worker_lives(void **state)
{
    struct calls_testing c;
    const char *r, *id, *token;

    calls_testing_init(&c, state);
    r = calls_testing_ok(
        &c, "workers.register",
        "{\"name\": \"w1\", \"slots\": 2, \"ttl\": \"30s\", \"labels\": {\"zone\": "
        "\"a\"}, \"metadata\": {\"x\": \"\"}, \"host\": \"h\", \"pid\": 7}");
    HAS(r, "\"kind\":\"remote\",\"state\":\"READY\"");
    HAS(r, "\"labels\":{\"zone\":\"a\"},\"metadata\":{\"x\":\"\"}");
    HAS(r, "\"reregistered\":false");
    HAS(r, "\"heartbeat_every\":\"6s\"");
    id = calls_testing_field(&c, r, "id");
    PUT(&c, "");
    ENQUEUE(&c, "{}, {}, {}");
    r = calls_testing_ok(&c, "queues.claim",
                         REQUEST(&c, "{\"queue\": \"mail\", \"worker\": \"%s\", \"max\": 9}", id));
    token = calls_testing_field(&c, r, "token");
    HAS(calls_testing_ok(&c, "workers.heartbeat",
                         REQUEST(&c, "{\"worker\": \"%s\", \"metrics\": {\"load\": 0.5}}", id)),
        "{\"state\":\"READY\",\"stop\":[]}");
    r = calls_testing_ok(&c, "workers.get", REQUEST(&c, "{\"worker\": \"%s\"}", id));
    HAS(r, "\"slots\":2,\"busy\":2");
    HAS(r, "\"metrics\":{\"load\":0.5}");
    assert_int_equal(calls_testing_refused(&c, "workers.register", "{\"name\": \"w1\"}"),
                     CODE_WORKER_ALIVE);
    r = calls_testing_ok(
        &c, "workers.register",
        REQUEST(&c, "{\"name\": \"w1\", \"takeover\": true, \"tokens\": [\"%s\"]}", token));
    HAS(r, "\"reregistered\":true");
    HAS(r, REQUEST(&c, "\"kept\":[\"%s\"],\"lost\":[]", token));
    assert_int_equal(
        calls_testing_refused(&c, "workers.heartbeat", REQUEST(&c, "{\"worker\": \"%s\"}", id)),
        CODE_WORKER_LOST);
    id = calls_testing_field(&c, r, "id");
    HAS(calls_testing_ok(&c, "leases.release", REQUEST(&c, "{\"tokens\": [\"%s\"]}", token)),
        "{\"results\":[{\"code\":\"OK\"}]}");
    HAS(calls_testing_ok(&c, "workers.drain", REQUEST(&c, "{\"worker\": \"%s\"}", id)),
        "\"state\":\"DRAINING\"");
    HAS(calls_testing_ok(&c, "workers.deregister", REQUEST(&c, "{\"worker\": \"%s\"}", id)),
        "\"state\":\"GONE\"");
    HAS(calls_testing_ok(&c, "workers.list", NULL), "{\"workers\":[]");
    HAS(calls_testing_ok(&c, "workers.list", "{\"all\": true, \"name\": \"w1\"}"),
        "\"state\":\"GONE\"");
    assert_int_equal(calls_testing_refused(&c, "workers.get", "{\"worker\": \"12345\"}"),
                     CODE_WORKER_NOT_FOUND);
    calls_testing_deinit(&c);
}

static void a_key_makes_a_request_count_once(void **state)
{
    struct calls_testing_call one, again, other;
    struct calls_testing c;
    const char *request = "{\"queue\": \"mail\", \"tasks\": [{\"payload\": 1}]}";

    calls_testing_init(&c, state);
    one = again = other = (struct calls_testing_call){
        .call = {.deadline_us = INT64_MAX, .idempotency_key = STR("order 66")}
    };
    PUT(&c, "");
    calls_testing_begin(&c, &one, "queues.enqueue", request);
    calls_testing_begin(&c, &again, "queues.enqueue", request);
    calls_testing_begin(&c, &other, "queues.enqueue",
                        "{\"queue\": \"mail\", \"tasks\": [{\"payload\": 2}]}");
    calls_testing_wait(&one);
    calls_testing_wait(&again);
    calls_testing_wait(&other);
    assert_int_equal(one.call.code, CODE_OK);
    assert_int_equal(again.call.code, CODE_OK);
    assert_string_equal(one.reply, again.reply);
    assert_int_equal(other.call.code, CODE_IDEMPOTENCY_CONFLICT);
    HAS(calls_testing_ok(&c, "queues.get", "{\"queue\": \"mail\"}"), "\"ready\":1,");
    calls_testing_end(&one);
    calls_testing_end(&again);
    calls_testing_end(&other);
    calls_testing_deinit(&c);
}

static void a_deadline_that_has_passed_leaves_it_undone(void **state)
{
    struct calls_testing_call call = {.call.deadline_us = 1};
    struct calls_testing c;

    calls_testing_init(&c, state);
    PUT(&c, "");
    calls_testing_begin(&c, &call, "queues.enqueue", "{\"queue\": \"mail\", \"tasks\": [{}]}");
    assert_false(call.done);
    calls_testing_wait(&call);
    assert_int_equal(call.call.code, CODE_DEADLINE_EXCEEDED);
    HAS(calls_testing_ok(&c, "queues.get", "{\"queue\": \"mail\"}"), "\"ready\":0,");
    calls_testing_end(&call);
    calls_testing_deinit(&c);
}

/* C-04, C-36: every request is checked, and the sentence begins with the field. */
static void what_is_wrong_is_refused(void **state)
{
    static const struct {
        const char *method, *request;
        enum code code;
        const char *text; /* its beginning */
    } rows[] = {
        {"queues.put",        "{}",                                                                         CODE_INVALID,          "queue: it is required"                                                             },
        {"queues.put",        "{\"queue\": \"q\", \"rate\": -1}",                                           CODE_INVALID,          "rate: -1 is not within"                                                            },
        {"queues.put",        "{\"queue\": \"q\", \"claim_ttl\": \"0s\"}",                                  CODE_INVALID,
         "claim_ttl: 0s is not within 1s … 604800s"                                                                                                                                                                  },
        {"queues.put",        "{\"queue\": \"q\", \"tasks_max\": -1}",                                      CODE_INVALID,
         "tasks_max: -1 is not within 0 … 1000000000"                                                                                                                                                                },
        {"queues.put",        "{\"queue\": \"q\", \"etag\": \"x\"}",                                        CODE_QUEUE_CHANGED,    "etag: "                                                                            },
        {"queues.put",        "{\"queue\": \"q\", \"retry\": {\"retry_on\": [\"lost\", \"x\"]}}",
         CODE_INVALID,                                                                                                             "retry.retry_on: \"x\" is none of failed, timed_out and lost"                       },
        {"queues.put",        "{\"queue\": \" \\t\"}",                                                      CODE_INVALID,          "queue: the name is blank"                                                          },
        {"queues.get",        "{\"queue\": \" \"}",                                                         CODE_INVALID,          "queue: the name is blank"                                                          },
        {"queues.pause",      "{\"queue\": \" \"}",                                                         CODE_INVALID,          "queue: the name is blank"                                                          },
        {"queues.tasks",      "{\"queue\": \" \"}",                                                         CODE_INVALID,          "queue: the name is blank"                                                          },
        {"queues.requeue",    "{\"queue\": \" \"}",                                                         CODE_INVALID,          "queue: the name is blank"                                                          },
        {"queues.purge",      "{\"queue\": \" \"}",                                                         CODE_INVALID,          "queue: the name is blank"                                                          },
        {"queues.enqueue",    "{\"queue\": \" \", \"tasks\": [{}]}",                                        CODE_INVALID,
         "queue: the name is blank"                                                                                                                                                                                    },
        {"queues.claim",      "{\"queue\": \" \", \"worker\": \"me\"}",                                     CODE_INVALID,
         "queue: the name is blank"                                                                                                                                                                                    },
        {"queues.put",        "{\"queue\": \"q\", \"rate\": 1e10}",                                         CODE_INVALID,
         "rate: 10000000000 is not within 0 … 1000000000"                                                                                                                                                            },
        {"runs.list",         "{\"state\": \"foo\"}",                                                       CODE_INVALID,
         "state: \"foo\" is none of RUNNING, CANCELLING,"                                                                                                                                                              },
        {"queues.get",        "{\"queue\": \"q\"}",                                                         CODE_QUEUE_NOT_FOUND,  ""                                                                                  },
        {"queues.list",       "{\"page_size\": 0}",                                                         CODE_INVALID,          "page_size: 0 is not within 1 … 1000"                                             },
        {"queues.enqueue",    "{\"queue\": \"q\"}",                                                         CODE_INVALID,          "tasks: it is required"                                                             },
        {"queues.enqueue",    "{\"queue\": \"q\", \"tasks\": [{}, {\"priority\": 1001}]}",
         CODE_INVALID,                                                                                                             "tasks[1].priority: 1001 is not within -1000 … 1000"                              },
        {"queues.enqueue",    "{\"queue\": \"q\", \"tasks\": [{\"delay\": \"-1s\"}]}",                      CODE_INVALID,
         "tasks[0].delay: "                                                                                                                                                                                            },
        {"queues.enqueue",    "{\"queue\": \"q\", \"tasks\": [{\"retry\": {\"max_attempts\": 0}}]}",
         CODE_INVALID,                                                                                                             "tasks[0].retry.max_attempts: 0 is not within 1 … 1000"                           },
        {"queues.claim",      "{\"queue\": \"q\"}",                                                         CODE_INVALID,          "worker: it is required"                                                            },
        {"queues.claim",      "{\"queue\": \"q\", \"worker\": \"me\", \"max\": 0}",                         CODE_INVALID,
         "max: 0 "                                                                                                                                                                                                     },
        {"queues.claim",      "{\"queue\": \"q\", \"worker\": \"0\"}",                                      CODE_INVALID,
         "worker: 0 is no id"                                                                                                                                                                                          },
        {"queues.claim",      "{\"queue\": \"q\", \"worker\": \"99999999999999999999\"}",                   CODE_INVALID,
         "worker: 99999999999999999999 is no id"                                                                                                                                                                       },
        {"queues.claim",      "{\"queue\": \"q\", \"worker\": \"me\", \"wait\": \"61s\"}",                  CODE_INVALID,
         "wait: it is not within 0s … 60s"                                                                                                                                                                           },
        {"queues.claim",      "{\"queue\": \"q\", \"worker\": \"me\", \"ttl\": \"0.5s\"}",                  CODE_INVALID,
         "ttl: it is 1s at least"                                                                                                                                                                                      },
        {"queues.tasks",      "{\"queue\": \"q\", \"state\": \"LOST\"}",                                    CODE_INVALID,
         "state: \"LOST\" is none of FAILED, READY, DELAYED and RUNNING"                                                                                                                                               },
        {"queues.requeue",    "{\"queue\": \"q\", \"tasks\": [{}]}",                                        CODE_INVALID,
         "tasks[0].id: it is required"                                                                                                                                                                                 },
        {"queues.purge",      "{\"queue\": \"q\", \"states\": [\"RUNNING\"]}",                              CODE_INVALID,
         "states: \"RUNNING\" is none of READY, DELAYED and FAILED"                                                                                                                                                    },
        {"leases.renew",      "{}",                                                                         CODE_INVALID,          "leases: it is required"                                                            },
        {"leases.renew",      "{\"leases\": [{\"token\": \"1.1\", \"percent\": 101}]}",                     CODE_INVALID,
         "leases[0].percent: 101 is not within 0 … 100"                                                                                                                                                              },
        {"leases.complete",   "{}",                                                                         CODE_INVALID,          "results: it is required"                                                           },
        {"leases.complete",   "{\"results\": [{\"token\": \"1.1\"}]}",                                      CODE_INVALID,
         "results[0].outcome: it is required"                                                                                                                                                                          },
        {"leases.complete",   "{\"results\": [{\"token\": \"1.1\", \"outcome\": \"lost\"}]}",
         CODE_INVALID,                                                                                                             "results[0].outcome: \"lost\" is none of succeeded, failed, timed_out and cancelled"},
        {"leases.complete",
         "{\"results\": [{\"token\": \"1.1\", \"outcome\": \"failed\", \"result\": 1}]}",                   CODE_INVALID,          "results[0].result: an attempt that did not succeed has none"                       },
        {"leases.complete",
         "{\"results\": [{\"token\": \"1.1\", \"outcome\": \"succeeded\", \"error\": {}}]}",                CODE_INVALID,          "results[0].error: an attempt that succeeded has none"                              },
        {"queues.enqueue",
         "{\"queue\": \"q\", \"tasks\": [{\"not_before\": \"1969-12-31T23:59:59.5Z\"}]}",                   CODE_INVALID,          "tasks[0].not_before: no task waits for a time before 1970"                         },
        {"leases.release",    "{}",                                                                         CODE_INVALID,          "tokens: it is required"                                                            },
        {"workers.register",  "{}",                                                                         CODE_INVALID,          "name: it is required"                                                              },
        {"workers.register",  "{\"name\": \"w\", \"ttl\": \"0.1s\"}",                                       CODE_INVALID,
         "ttl: it is 1s at least"                                                                                                                                                                                      },
        {"workers.register",  "{\"name\": \"w\", \"slots\": 0}",                                            CODE_INVALID,
         "slots: 0 is not within"                                                                                                                                                                                      },
 /* D-50 */
        {"workers.register",  "{\"name\": \"\", \"type\": \"b\", \"address\": \"h:1\"}",
         CODE_INVALID,                                                                                                             "name: it is required"                                                              },
        {"workers.register",  "{\"name\": \"w\", \"type\": \"\", \"address\": \"h:1\"}",
         CODE_INVALID,                                                                                                             "type: it is required"                                                              },
        {"workers.register",  "{\"name\": \"w\", \"address\": \"h:1\"}",                                    CODE_INVALID,
         "type: it is required"                                                                                                                                                                                        },
        {"workers.register",  "{\"name\": \"w\", \"modes\": [\"sync\"]}",                                   CODE_INVALID,
         "type: it is required"                                                                                                                                                                                        },
        {"workers.register",  "{\"name\": \"w\", \"type\": \"b\"}",                                         CODE_INVALID,
         "address: it is required"                                                                                                                                                                                     },
        {"workers.register",  "{\"name\": \"w\", \"type\": \"b\", \"address\": \"h\"}",                     CODE_INVALID,
         "address: it is like"                                                                                                                                                                                         },
        {"workers.register",
         "{\"name\": \"w\", \"type\": \"b\", \"address\": \"h:1\", \"modes\": [\"sync\", "
         "\"push\"]}",                                                                                      CODE_INVALID,          "modes[1]: it is \"sync\" or \"async\", not \"push\""                               },
        {"workers.register",  "{\"name\": \"w\", \"tokens\": [\"x\"]}",                                     CODE_INVALID,
         "tokens[0]: it is none that weft gave"                                                                                                                                                                        },
        {"workers.heartbeat", "{}",                                                                         CODE_INVALID,          "worker: it is required"                                                            },
        {"workers.heartbeat", "{\"worker\": \"5\"}",                                                        CODE_WORKER_NOT_FOUND, ""                                                                                  },
        {"workers.drain",     "{\"worker\": \"x\"}",                                                        CODE_INVALID,          "worker: \"x\" is no id"                                                            },
        {"tasks.cancel",      "{\"id\": \"5\"}",                                                            CODE_TASK_NOT_FOUND,   ""                                                                                  },
        {"runs.list",         "{\"filter\": \"colour=red\"}",                                               CODE_INVALID,          "filter: it is state=STATE"                                                         },
        {"runs.create",       "{\"metadata\": []}",                                                         CODE_INVALID,          "metadata: it is an object"                                                         },
        {"runs.create",       "{\"metadata\": \"x\"}",                                                      CODE_INVALID,          "metadata: it is an object"                                                         },
        {"runs.write",        "{\"id\": \"1\"}",                                                            CODE_INVALID,          "a write has one check or stage at least"                                           },
        {"runs.write",        "{\"id\": \"1\", \"checks\": [{\"name\": \"c\", \"state\": \"FINAL\"}]}",
         CODE_INVALID,                                                                                                             "checks[0].state: \"FINAL\" is none of PLANNING and PLANNED"                        },
        {"runs.write",
         "{\"id\": \"1\", \"stages\": [{\"name\": \"s\", \"accept_timeout\": \"0s\"}]}",                    CODE_INVALID,          "stages[0].accept_timeout: it is longer than 0s"                                    },
        {"runs.write",        "{\"id\": \"1\", \"stages\": [{\"name\": \"s\", \"timeout\": \"900000h\"}]}",
         CODE_INVALID,                                                                                                             "stages[0].timeout: it is not within 0s … 31622400s"                              },
        {"runs.query",        "{\"id\": \"1\", \"only\": \"x\"}",                                           CODE_INVALID,
         "only: \"x\" is none of checks and stages"                                                                                                                                                                    },
        {"logs.read",         "{\"run\": \"1\"}",                                                           CODE_INVALID,          "name: it is required"                                                              },
    };
    struct calls_testing c;

    calls_testing_init(&c, state);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        enum code code = calls_testing_refused(&c, rows[i].method, rows[i].request);

        if (code != rows[i].code || !str_starts(str_of(c.problem.text), str_of(rows[i].text)))
            fail_msg("%s %s: " STR_FMT ", %s", rows[i].method, rows[i].request,
                     STR_ARG(code_text(code)), c.problem.text);
    }
    calls_testing_deinit(&c);
}

#define POOL_THREADS 4 /* libuv's own number */

static void work_long(uv_work_t *w)
{
    sem_wait(w->data);
}

static void worked(uv_work_t *w, int status)
{
    assert_int_equal(status, 0);
    w->data = NULL;
}

/* C-72: whatever keeps the threads that slow calls share. */
static void health_needs_no_thread_of_the_pool(void **state)
{
    uv_work_t slow[POOL_THREADS];
    struct calls_testing c;
    sem_t go_on;

    calls_testing_init(&c, state);
    PUT(&c, "");
    sem_init(&go_on, 0, 0);
    for (int i = 0; i < POOL_THREADS; i++) {
        slow[i].data = &go_on;
        uv_queue_work(&c.loop, &slow[i], work_long, worked);
    }
    HAS(calls_testing_ok(&c, "health.get", NULL), "\"health\":\"healthy\"");
    for (int i = 0; i < POOL_THREADS; i++)
        sem_post(&go_on);
    for (int i = 0; i < POOL_THREADS; i++)
        while (slow[i].data)
            uv_run(&c.loop, UV_RUN_ONCE);
    calls_testing_deinit(&c);
    sem_destroy(&go_on);
}

static void calls_are_counted(void **state)
{
    struct calls_testing c;
    struct buf out;

    calls_testing_init(&c, state);
    PUT(&c, "");
    calls_testing_refused(&c, "queues.get", "{}");
    HAS(calls_testing_ok(&c, "health.get", NULL), "\"health\":\"healthy\"");
    HAS(calls_testing_ok(&c, "status.get", NULL), "\"tasks\":{\"blocked\":0,");
    HAS(calls_testing_ok(&c, "runs.list", "{\"filter\": \"state=FAILED and workflow=x\"}"),
        "\"runs\":[]");
    buf_init(&out, 1 << 20);
    methods_metrics(c.m, &out);
    HAS(out.p, "weft_calls_total{method=\"queues.put\",code=\"OK\"} 1\n");
    HAS(out.p, "weft_calls_total{method=\"queues.get\",code=\"invalid_argument\"} 1\n");
    HAS(out.p, "weft_call_seconds_bucket{method=\"queues.put\",le=\"+Inf\"} 1\n");
    HAS(out.p, "weft_call_seconds_count{method=\"queues.put\"} 1\n");
    HAS(out.p, "weft_calls_running 0\n");
    buf_deinit(&out);
    calls_testing_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TESTS(a_task_lives),
        STORE_TESTS(dead_letters_come_back),
        STORE_TESTS(settings_change_under_an_etag),
        STORE_TESTS(a_runner_registers),
        STORE_TESTS(a_worker_lives),
        STORE_TESTS(a_key_makes_a_request_count_once),
        STORE_TESTS(a_deadline_that_has_passed_leaves_it_undone),
        STORE_TESTS(what_is_wrong_is_refused),
        STORE_TESTS(health_needs_no_thread_of_the_pool),
        STORE_TESTS(calls_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
