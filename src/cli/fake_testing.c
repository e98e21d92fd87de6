/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fake_testing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/test.h"

static const struct fake_step *script;

static const struct fake_step *next_step(enum fake_kind kind, const char *what)
{
    if (!script || !script->name)
        fail_msg("the script is at its end, and there comes %s", what);
    assert(script);
    if (script->kind != kind && !(kind == FAKE_CALL && script->kind == FAKE_REFUSE))
        fail_msg("the script is at %s, and there comes %s", script->name, what);
    return script++;
}

static json_t *json_of(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, 0, &error);

    if (!value)
        fail_msg("%s: %s", error.text, text);
    return value;
}

static int fake_call(void *context, const char *method, const json_t *request, json_t **ret_reply,
                     struct client_problem *ret_problem)
{
    const struct fake_step *step = next_step(FAKE_CALL, method);
    struct buf text;

    (void)context;
    assert_string_equal(method, step->name);
    if (step->request) {
        json_t *expected = json_of(step->request);

        if (!json_equal((json_t *)(uintptr_t)request, expected))
            fail_msg("%s was called with %s, not with %s", method, json_dumps(request, 0),
                     step->request);
        json_decref(expected);
    }
    if (step->kind == FAKE_CALL) {
        *ret_reply = json_of(step->text);
        return 0;
    }
    ret_problem->code = step->code;
    buf_fixed(&text, ret_problem->text, sizeof(ret_problem->text));
    buf_add(&text, str_of(step->text));
    return CLIENT_E_REFUSED;
}

static int fake_follow(void *context, int64_t run, enum client_follow how, int64_t after,
                       const struct client_listener *listener, struct client_problem *ret_problem)
{
    const struct fake_step *step = next_step(FAKE_FOLLOW, "follow");

    (void)context;
    (void)run;
    (void)ret_problem;
    assert_string_equal(step->name, how == CLIENT_CARRY ? "carry" : "watch");
    assert_int_equal(after, step->number);
    for (; script->kind != FAKE_ENDED; script++) {
        json_t *event;

        switch (script->kind) {
        case FAKE_EVENT:
            event = json_of(script->text);
            listener->event(listener->context, event);
            json_decref(event);
            break;
        case FAKE_LINE:
            listener->line(listener->context, script->number, script->text);
            break;
        case FAKE_PROGRESS:
            listener->progress(listener->context, script->number, script->percent, script->text);
            break;
        case FAKE_TICK:
            listener->tick(listener->context);
            break;
        case FAKE_TEXT:
            listener->text(listener->context,
                           listener->log(listener->context, (size_t)script->number),
                           str_of(script->text));
            break;
        case FAKE_NOTICE:
            listener->notice(listener->context, script->text);
            break;
        default:
            fail_msg("the script has %s while a run is followed", script->name);
        }
    }
    script++;
    return 0;
}

static void fake_close(void *context)
{
    (void)context;
}

static int fake_connect(const struct client_settings *settings, struct client *ret,
                        struct client_problem *ret_problem)
{
    (void)settings;
    (void)ret_problem;
    *ret = (struct client){
        {NULL, fake_call, fake_follow, fake_close}
    };
    return 0;
}

struct fake_result fake_run(const struct fake_step *steps, const char *const *args)
{
    struct fake_result r = {.status = 0};
    size_t out_n, err_n;
    struct cli_world world = {
        .connect = fake_connect,
        .out = open_memstream(&r.out, &out_n),
        .err = open_memstream(&r.err, &err_n),
    };
    char *argv[32];
    int argc = 0;

    for (; args[argc]; argc++)
        argv[argc] = strdup(args[argc]);
    argv[argc] = NULL;
    script = steps;
    r.status = cli_main(&world, argc, argv);
    fclose(world.out);
    fclose(world.err);
    if (script && script->name)
        fail_msg("the script is not at its end but at %s; stderr: %s", script->name, r.err);
    while (argc > 0)
        free(argv[--argc]);
    return r;
}

void fake_result_deinit(struct fake_result *r)
{
    free(r->out);
    free(r->err);
}

void fake_check(const char *name, const struct fake_step *steps, const char *const *args,
                int status, const char *out, const char *err)
{
    struct fake_result r = fake_run(steps, args);

    if (r.status != status || strcmp(r.out, out) || strcmp(r.err, err))
        fail_msg("%s: status %d\n--- stdout\n%s--- stderr\n%s", name, r.status, r.out, r.err);
    fake_result_deinit(&r);
}
