/* SPDX-License-Identifier: Apache-2.0 */
/* A process of a pool, for sdk_pool_test.py; .py and .mjs do the same, with more in flight. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/weft_pool_worker.h"

static json_t *ended;

static int result(struct weft_pool_call *call, json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    int r = weft_pool_worker_result(call, text, strlen(text));

    free(text);
    json_decref(value);
    return r;
}

static json_t *args_of(const struct weft_pool_call *call)
{
    size_t n;
    const char *text = weft_pool_worker_args(call, &n);

    return json_loadb(text, n, JSON_DECODE_ANY, NULL);
}

static json_int_t number(const struct weft_pool_call *call, const char *key)
{
    json_t *args = args_of(call);
    json_int_t n = json_integer_value(json_object_get(args, key));

    json_decref(args);
    return n;
}

static int echo(struct weft_pool_call *call)
{
    size_t n;
    const char *args = weft_pool_worker_args(call, &n);

    return weft_pool_worker_result(call, args, n);
}

static int sleeps(struct weft_pool_call *call)
{
    int left = weft_pool_worker_left(call, number(call, "ms"));

    return result(call, json_string(left ? "left" : "slept"));
}

static int fails(struct weft_pool_call *call)
{
    json_t *args = args_of(call);
    char *details = json_dumps(json_object_get(args, "details"), JSON_ENCODE_ANY);
    int r = weft_pool_worker_fail(call, json_string_value(json_object_get(args, "kind")),
                                  json_string_value(json_object_get(args, "message")), details);

    free(details);
    json_decref(args);
    return r;
}

static int prints(struct weft_pool_call *call)
{
    (void)call;
    puts("Loading");
    return write(STDOUT_FILENO, "model\n", 6) == 6;
}

static int reads_stdin(struct weft_pool_call *call)
{
    char bytes[100];

    return result(call, json_integer(read(STDIN_FILENO, bytes, sizeof(bytes))));
}

static json_int_t *counted(struct weft_pool_call *call)
{
    void **state = weft_pool_worker_state(call);

    if (!*state)
        *state = calloc(1, sizeof(json_int_t));
    return *state;
}

static int count(struct weft_pool_call *call)
{
    return result(call, json_integer(++*counted(call)));
}

static int tell_ended(struct weft_pool_call *call)
{
    return result(call, json_incref(ended));
}

static void end_session(const char *session, void *state)
{
    const json_int_t *n = state;

    if (session)
        json_array_append_new(ended, json_pack("[sI]", session, n ? *n : 0));
    free(state);
}

static int stream(struct weft_pool_call *call)
{
    json_int_t n = number(call, "n");
    char text[32];

    for (json_int_t i = 0; i < n; i++) {
        if (weft_pool_worker_left(call, 0))
            return weft_pool_worker_fail(call, "cancelled", "it was cancelled", NULL);
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, i);
        if (weft_pool_worker_chunk(call, text, strlen(text)))
            return 1;
    }
    return result(call, json_string("end"));
}

/* `n` times `open`, then as often `close`. */
static int repeated(struct weft_pool_call *call, size_t n, char open, char close)
{
    char *text = malloc(2 * n);
    int r;

    memset(text, open, n);
    memset(text + n, close, n);
    r = weft_pool_worker_result(call, text, 2 * n);
    free(text);
    return r;
}

static int big(struct weft_pool_call *call)
{
    size_t n = (size_t)number(call, "bytes");
    char *text = malloc(n + 2);
    int r;

    memset(text, 'x', n + 2);
    text[0] = text[n + 1] = '"';
    r = weft_pool_worker_result(call, text, n + 2);
    free(text);
    return r;
}

static int deep(struct weft_pool_call *call)
{
    return repeated(call, (size_t)number(call, "levels"), '[', ']');
}

static int no_json(struct weft_pool_call *call)
{
    return repeated(call, 1, '{', ']');
}

static int snapshot(struct weft_pool_call *call)
{
    return result(call, json_pack("{s:I}", "n", *counted(call)));
}

static int restore(struct weft_pool_call *call)
{
    *counted(call) = number(call, "n");
    return 0;
}

int main(void)
{
    static const struct weft_pool_command commands[] = {
        {"echo",       echo       },
        {"sleep",      sleeps     },
        {"fail",       fails      },
        {"print",      prints     },
        {"count",      count      },
        {"ended",      tell_ended },
        {"stream",     stream     },
        {"big",        big        },
        {"deep",       deep       },
        {"no_json",    no_json    },
        {"read_stdin", reads_stdin},
    };
    const char *max = getenv("MESSAGE_MAX");
    int r;

    ended = json_array();
    r = weft_pool_worker_serve(&(struct weft_pool_worker){
        .commands = commands,
        .commands_n = sizeof(commands) / sizeof(*commands),
        .end_session = end_session,
        .snapshot = snapshot,
        .restore = restore,
        .sessions = 1000,
        .message_max = max ? strtoul(max, NULL, 10) : 0,
    });
    json_decref(ended);
    return r;
}
