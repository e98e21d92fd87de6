/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runner that sdk_runner_test.py plays with, in C: its stages do what their args say.
 *
 *     sdk_runner [THREADS [PATIENCE_MS [CERTIFICATE KEY]]]
 */
#include <err.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/weft.h"
#include "runner/weft_runner.h"

static const char *text(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* JSON of a value, or NULL where there is none; for free(). */
static char *dump(json_t *value)
{
    return value && !json_is_null(value) ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
}

static void tell_progress(struct weft_stage *stage, json_t *steps)
{
    json_t *step;
    size_t i;

    json_array_foreach(steps, i, step)
    {
        char *details = dump(json_array_get(step, 2));

        weft_stage_progress(stage, (int)json_integer_value(json_array_get(step, 0)),
                            json_string_value(json_array_get(step, 1)), details,
                            details ? strlen(details) : 0, NULL);
        free(details);
    }
}

static void tell_checks(struct weft_stage *stage, json_t *checks)
{
    json_t *check;
    size_t i;

    json_array_foreach(checks, i, check)
    {
        const char *failure = text(check, "failure");
        char *data = dump(json_object_get(check, "data"));

        weft_stage_check(stage,
                         &(struct weft_check_result){.check = text(check, "name"),
                                                     .data = data,
                                                     .data_n = data ? strlen(data) : 0,
                                                     .code = failure ? "failed" : NULL,
                                                     .text = failure},
                         NULL);
        free(data);
    }
}

static int wait_for(struct weft_stage *stage, const char *path)
{
    const char *reason;

    while (access(path, F_OK))
        if ((reason = weft_stage_wait(stage, 5)))
            return weft_stage_fail(stage, "stopped", "stopped: %s", reason);
    return 0;
}

static void count(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    if (fd < 0 || write(fd, "x", 1) != 1)
        err(1, "%s", path);
    close(fd);
}

static json_t *checks_of(const struct weft_stage *stage)
{
    size_t n;
    const struct weft_check *checks = weft_stage_checks(stage, &n);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("[sso?s]", checks[i].name, checks[i].kind,
                                              json_loadb(checks[i].options, checks[i].options_n,
                                                         JSON_DECODE_ANY, NULL),
                                              checks[i].goal));
    return list;
}

static int give_result(struct weft_stage *stage, json_t *args)
{
    json_t *told = json_pack("{s:O,s:o,s:I,s:I,s:s,s:s}", "args", args, "checks", checks_of(stage),
                             "attempt", (json_int_t)weft_stage_attempt(stage), "deadline",
                             (json_int_t)weft_stage_deadline_ms(stage) / 1000, "token",
                             weft_stage_token(stage), "run", weft_stage_run(stage));
    char *out = dump(told);
    int r = weft_stage_result(stage, out, strlen(out), NULL);

    free(out);
    json_decref(told);
    return r;
}

static int act(struct weft_stage *stage, json_t *args)
{
    tell_progress(stage, json_object_get(args, "progress"));
    tell_checks(stage, json_object_get(args, "checks"));
    if (text(args, "until") && wait_for(stage, text(args, "until")))
        return -1;
    if (text(args, "failed") && json_is_true(json_object_get(args, "final")))
        return weft_stage_fail_final(stage, "odd", "%s", text(args, "failed"));
    if (text(args, "raise"))
        return weft_stage_fail(stage, "Error", "%s", text(args, "raise"));
    if (text(args, "count"))
        count(text(args, "count"));
    if (json_is_true(json_object_get(args, "no_json")))
        return weft_stage_result(stage, "NaN", 3, NULL);
    return give_result(stage, args);
}

static int work(void *context, struct weft_stage *stage)
{
    size_t n;
    const char *given = weft_stage_args(stage, &n);
    json_t *args = json_loadb(given, n, JSON_DECODE_ANY, NULL);
    int r = act(stage, args);

    (void)context;
    json_decref(args);
    return r;
}

static void say(void *context, const char *what)
{
    (void)context;
    warnx("%s", what);
}

int main(int argc, char **argv)
{
    static const struct weft_stage_type types[] = {
        {.type = "do",         .work = work            },
        {            .type = "sync_only",        .work = work, .modes = WEFT_STAGE_SYNC, .slots = -1},
        { .type = "async_only", .work = work,             .modes = WEFT_STAGE_ASYNC},
    };
    struct weft_runner_options options = {
        .name = "doer",
        .slots = 2,
        .threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0,
        .labels = "{\"os\":\"linux\"}",
        .labels_n = 14,
        .metadata = "{\"rack\":\"7\"}",
        .metadata_n = 12,
        .version = "1.2",
        .patience_ms = argc > 2 ? (int64_t)strtoul(argv[2], NULL, 10) : 0,
        .cert_file = argc > 4 ? argv[3] : NULL,
        .key_file = argc > 4 ? argv[4] : NULL,
        .log = say,
    };
    struct weft_error error;
    struct weft *w;

    if (weft_open(NULL, NULL, &w, &error) || weft_runner_serve(w, &options, types, 3, &error))
        errx(1, "%s: %s", error.code, error.text);
    weft_close(w);
    return 0;
}
