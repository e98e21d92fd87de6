/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "client/raw.h"
#include "runner/weft_going.h"

#define DETAILS_BYTES_MAX (64u << 10)
#define CHECK_BYTES       512u /* of a result of a check, beside what was said */

/* ---- what it is given ---- */

/* A JSON value of the request, with a NUL behind it. */
static struct str json_of(struct arena *a, bool has, ProtobufCBinaryData value)
{
    struct str s = has ? (struct str){(char *)value.data, value.len} : STR("null");

    return (struct str){str_cstr(a, s), s.n};
}

static const char *text_of(const char *text)
{
    return text ? text : "";
}

static struct weft_check *checks_of(struct arena *a, const Weft__V1__RunStageRequest *m)
{
    struct weft_check *checks = ARENA_ARRAY(a, struct weft_check, m->n_checks);

    for (size_t i = 0; i < m->n_checks; i++) {
        const Weft__V1__AssignedCheck *c = m->checks[i];
        struct str options = json_of(a, c->has_options, c->options);

        checks[i] = (struct weft_check){.name = text_of(c->name),
                                        .kind = text_of(c->kind),
                                        .options = options.p,
                                        .options_n = options.n,
                                        .goal = c->goal && *c->goal ? c->goal : "FINAL"};
    }
    return checks;
}

static const Weft__V1__RunStageRequest *copy(struct arena *a, const Weft__V1__RunStageRequest *m)
{
    size_t n = codec_size(&m->base);
    ProtobufCMessage *ret = NULL;
    struct str error;
    struct buf bytes;
    int r;

    buf_fixed(&bytes, arena_alloc(a, n + 1), n + 1);
    codec_encode(&m->base, &bytes);
    r = codec_decode(a, m->base.descriptor, buf_str(&bytes), &ret, &error);
    assert(r == 0); /* it was decoded before */
    return (const Weft__V1__RunStageRequest *)ret;
}

struct weft_stage *weft_stage_new(struct weft_offer *offer,
                                  const Weft__V1__RunStageRequest *request, bool async)
{
    struct weft_stage *s = memory_new(sizeof(*s));
    const Weft__V1__RunStageRequest *m = copy(&s->arena, request);

    s->offer = offer;
    s->lease = weft_lease_of_token(m->token, text_of(m->task));
    s->async = async;
    s->request = m;
    s->args = json_of(&s->arena, m->has_args, m->args);
    s->checks = checks_of(&s->arena, m);
    if (!m->deadline || !codec_time_us(m->deadline, &s->deadline_us))
        s->deadline_us = INT64_MAX;
    s->said = CODEC_NEW(&s->arena, Weft__V1__StageReport, weft__v1__stage_report);
    list_init(&s->job.link);
    list_init(&s->link);
    list_init(&s->waiting);
    return s;
}

struct weft_stage *weft_stage_free(struct weft_stage *stage)
{
    if (!stage)
        return NULL;
    weft_lease_drop(stage->lease);
    free(atomic_load(&stage->cancelled));
    arena_deinit(&stage->arena);
    free(stage);
    return NULL;
}

const char *weft_stage_token(const struct weft_stage *stage)
{
    return stage->request->token;
}

const char *weft_stage_run(const struct weft_stage *stage)
{
    return text_of(stage->request->run);
}

const char *weft_stage_task(const struct weft_stage *stage)
{
    return text_of(stage->request->task);
}

const char *weft_stage_name(const struct weft_stage *stage)
{
    return text_of(stage->request->name);
}

const char *weft_stage_type(const struct weft_stage *stage)
{
    return stage->offer->type;
}

const char *weft_stage_callback(const struct weft_stage *stage)
{
    return text_of(stage->request->callback);
}

int64_t weft_stage_attempt(const struct weft_stage *stage)
{
    return stage->request->attempt ? stage->request->attempt : 1;
}

int weft_stage_is_async(const struct weft_stage *stage)
{
    return stage->async;
}

const char *weft_stage_args(const struct weft_stage *stage, size_t *ret_n)
{
    if (ret_n)
        *ret_n = stage->args.n;
    return stage->args.p;
}

int64_t weft_stage_deadline_ms(const struct weft_stage *stage)
{
    return stage->deadline_us == INT64_MAX ? 0 : stage->deadline_us / CLOCK_MS;
}

int64_t weft_stage_left_ms(const struct weft_stage *stage)
{
    int64_t now = clock_utc();

    if (stage->deadline_us == INT64_MAX)
        return -1;
    return now < stage->deadline_us ? (stage->deadline_us - now + CLOCK_MS - 1) / CLOCK_MS : 0;
}

int64_t weft_stage_progress_every_ms(const struct weft_stage *stage)
{
    int64_t us;

    if (!stage->request->progress_every || !codec_duration_us(stage->request->progress_every, &us))
        return 0;
    return us / CLOCK_MS;
}

const struct weft_check *weft_stage_checks(const struct weft_stage *stage, size_t *ret_n)
{
    *ret_n = stage->request->n_checks;
    return stage->checks;
}

/* ---- whether it goes on ---- */

/* Its reason, which is this one where there was none. */
static const char *set_reason(struct weft_stage *s, const char *reason)
{
    char *given = memory_text(reason), *before = NULL;

    if (atomic_compare_exchange_strong(&s->cancelled, &before, given))
        return given;
    free(given);
    return before;
}

void weft_stage_cancel(struct weft_stage *stage, const char *reason)
{
    struct weft_worker *k = stage->offer->worker;

    set_reason(stage, reason);
    weft_held_lock(k);
    pthread_cond_broadcast(&k->changed);
    weft_held_unlock(k);
}

const char *weft_stage_cancelled(struct weft_stage *stage)
{
    const char *reason = atomic_load(&stage->cancelled);

    if (reason)
        return reason;
    if (weft_lease_lost(stage->lease))
        return set_reason(stage, "it was given to another runner");
    if (weft_lease_stop_asked(stage->lease))
        return set_reason(stage, "the stage is cancelled");
    if (weft_stage_left_ms(stage) == 0)
        return set_reason(stage, "its deadline has passed");
    return NULL;
}

const char *weft_stage_wait(struct weft_stage *stage, int64_t ms)
{
    struct weft_worker *k = stage->offer->worker;
    int64_t left = weft_stage_left_ms(stage), at = weft_held_in_ms(ms);
    int64_t due = left >= 0 && left < ms ? weft_held_in_ms(left) : at;
    const char *reason;

    weft_held_lock(k);
    while (!(reason = weft_stage_cancelled(stage)) && clock_monotonic() < at)
        weft_held_wait(k, clock_monotonic() < due ? due : at);
    weft_held_unlock(k);
    return reason;
}

/* ---- what it says ---- */

/* What a program says may be any bytes, the messages of the API are UTF-8. */
static char *words(struct arena *a, const char *text, size_t max)
{
    char *copy = codec_text(a, weft_cut(text, max));
    size_t at;

    while (!str_utf8(str_of(copy), &at))
        copy[at] = '?';
    return copy;
}

static Weft__V1__Error *error_of(struct arena *a, const char *code, const char *text)
{
    Weft__V1__Error *m = CODEC_NEW(a, Weft__V1__Error, weft__v1__error);

    m->code = words(a, code && *code ? code : "error", WEFT_CLASS_BYTES_MAX);
    m->message = words(a, text_of(text), WEFT_MESSAGE_BYTES_MAX);
    return m;
}

static int fail(struct weft_stage *s, bool final, const char *code, const char *text)
{
    if (s->said->error)
        return -1;
    s->said->error = error_of(&s->arena, code, text);
    s->said->has_final = s->said->final = final;
    return -1;
}

__attribute__((format(printf, 4, 0))) static int
fail_by(struct weft_stage *s, bool final, const char *code, const char *format, va_list args)
{
    char text[WEFT_MESSAGE_BYTES_MAX + 2]; /* one byte more than is taken: it is seen to be cut */

    vsnprintf(text, sizeof(text), format, args);
    return fail(s, final, code, text);
}

int weft_stage_fail(struct weft_stage *stage, const char *code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fail_by(stage, false, code, format, args);
    va_end(args);
    return -1;
}

int weft_stage_fail_final(struct weft_stage *stage, const char *code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fail_by(stage, true, code, format, args);
    va_end(args);
    return -1;
}

/* What was said and is wrong fails the stage, so that nobody takes it for good who did not look. */
static int refuse(struct weft_stage *s, const char *code, const char *text,
                  struct weft_error *ret_error)
{
    fail(s, false, code, text);
    return asker_refuse(ret_error, WEFT_INVALID, code, "%s", text);
}

static int refuse_json(struct weft_stage *s, const char *what, size_t at, size_t n,
                       struct weft_error *ret_error)
{
    char text[256];

    snprintf(text, sizeof(text), "%s is no JSON: byte %zu of %zu is wrong", what, at + 1, n);
    return refuse(s, "invalid_argument", text, ret_error);
}

static int refuse_large(struct weft_stage *s, const char *what, struct weft_error *ret_error)
{
    char text[256];

    snprintf(text, sizeof(text), "%s is larger than is taken", what);
    return refuse(s, "too_large", text, ret_error);
}

/* So much more of what it says. */
static int count(struct weft_stage *s, const char *what, size_t n, struct weft_error *ret_error)
{
    if (n > WEFT_STAGE_SAYS_BYTES_MAX - s->said_bytes)
        return refuse_large(s, what, ret_error);
    s->said_bytes += n;
    return WEFT_OK;
}

/* A value of the caller's, on one line. */
static int take_json(struct weft_stage *s, const char *what, const char *json, size_t n,
                     ProtobufCBinaryData *ret, struct weft_error *ret_error)
{
    struct str value;
    struct buf line;
    size_t at = n;

    if (n > WEFT_PAYLOAD_BYTES_MAX)
        return refuse_large(s, what, ret_error);
    if (!raw_check((struct str){json, n}, &value, &at))
        return refuse_json(s, what, at, n, ret_error);
    if (count(s, what, n, ret_error))
        return WEFT_INVALID;
    buf_fixed(&line, arena_alloc(&s->arena, value.n + 1), value.n + 1);
    raw_line(value, &line);
    *ret = (ProtobufCBinaryData){line.n, (uint8_t *)line.p};
    return WEFT_OK;
}

int weft_stage_result(struct weft_stage *stage, const char *result, size_t result_n,
                      struct weft_error *ret_error)
{
    asker_clear(ret_error);
    if (take_json(stage, "the result", result, result ? result_n : 0, &stage->said->result,
                  ret_error))
        return WEFT_INVALID;
    stage->said->has_result = true;
    return WEFT_OK;
}

/* Where the update of this check stands, or shall stand. */
static Weft__V1__CheckUpdate **place_of(struct weft_stage *s, const char *check)
{
    Weft__V1__StageReport *m = s->said;

    for (size_t i = 0; i < m->n_checks; i++)
        if (strcmp(m->checks[i]->check, check) == 0)
            return &m->checks[i];
    if (m->n_checks == WEFT_STAGE_CHECKS_MAX)
        return NULL;
    ARENA_ROOM(&s->arena, m->checks, m->n_checks, s->said_checks_cap, 4);
    return &m->checks[m->n_checks++];
}

int weft_stage_check(struct weft_stage *stage, const struct weft_check_result *result,
                     struct weft_error *ret_error)
{
    Weft__V1__CheckUpdate *m, **place;
    struct str name = str_of(result->check);

    asker_clear(ret_error);
    if (!name.n || name.n > WEFT_NAME_BYTES_MAX || !str_utf8(name, NULL))
        return refuse(stage, "invalid_argument", "the name of a check has 1 to 200 bytes",
                      ret_error);
    if (count(stage, "what the stage says", CHECK_BYTES + name.n + str_of(result->text).n,
              ret_error))
        return WEFT_INVALID;
    m = CODEC_NEW(&stage->arena, Weft__V1__CheckUpdate, weft__v1__check_update);
    if (result->data &&
        take_json(stage, "the data of a check", result->data, result->data_n, &m->data, ret_error))
        return WEFT_INVALID;
    m->has_data = result->data != NULL;
    m->check = codec_text(&stage->arena, name);
    m->has_finalize = true;
    m->finalize = !result->open;
    if (result->code)
        m->failure = error_of(&stage->arena, result->code, result->text);
    place = place_of(stage, m->check);
    if (!place)
        return refuse_large(stage, "the number of checks", ret_error);
    *place = m;
    return WEFT_OK;
}

int weft_stage_progress(struct weft_stage *stage, int percent, const char *text,
                        const char *details, size_t details_n, struct weft_error *ret_error)
{
    struct str value = {0};
    struct buf line;
    size_t at;
    int r;

    asker_clear(ret_error);
    if (details && details_n > DETAILS_BYTES_MAX)
        return asker_refuse(ret_error, WEFT_INVALID, "too_large",
                            "the details have %zu bytes, and at most %u are taken", details_n,
                            DETAILS_BYTES_MAX);
    if (details && !raw_check((struct str){details, details_n}, &value, &at))
        return asker_refuse(ret_error, WEFT_INVALID, "invalid_argument",
                            "the details are no JSON: byte %zu of %zu is wrong", at + 1, details_n);
    buf_init(&line, DETAILS_BYTES_MAX);
    raw_line(value, &line);
    r = weft_lease_tell(stage->lease, percent, text, buf_str(&line), ret_error);
    buf_deinit(&line);
    return r;
}

/* ---- its end ---- */

static void set_outcome(struct weft_stage *s, int r)
{
    const char *reason = weft_stage_cancelled(s);
    char text[64];

    if (r == 0 && !s->said->error) {
        s->said->outcome = codec_text(&s->arena, STR("succeeded"));
        return;
    }
    snprintf(text, sizeof(text), "the function returned %d", r);
    fail(s, false, reason ? "cancelled" : "error", reason ? reason : text);
    s->said->has_result = false;
    s->said->outcome = codec_text(&s->arena, reason ? STR("cancelled") : STR("failed"));
    if (reason)
        s->said->has_final = s->said->final = false;
}

void weft_stage_perform(struct weft_job *job)
{
    struct weft_stage *s = LIST_OF(job, struct weft_stage, job);

    set_outcome(s, s->offer->work(s->offer->context, s));
}
