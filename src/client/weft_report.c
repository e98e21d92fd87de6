/* SPDX-License-Identifier: Apache-2.0 */
#include "client/weft_held.h"

#include "client/raw.h"

#define REPORT_ITEMS_MAX 1000
#define REPORT_BYTES_MAX (4u << 20)
#define REFUSED          "result_refused"

struct report {
    size_t n; /* the oldest items of the outbox */
    size_t results_n, tokens_n;
    struct buf results, tokens;
    struct buf again; /* lines of ends that were not taken, as failures */
};

/* Whether the line goes into the report. The lock is held. */
static bool add_to(struct report *p, struct str line)
{
    if (p->n && p->results.n + line.n > REPORT_BYTES_MAX)
        return false;
    p->n++;
    if (raw_get(line, STR("release")).n) {
        buf_add(&p->tokens, p->tokens_n++ ? STR(",") : STR("{\"tokens\":["));
        buf_add(&p->tokens, raw_get(line, STR("token")));
    } else {
        buf_add(&p->results, p->results_n++ ? STR(",") : STR("{\"results\":["));
        buf_add(&p->results, line);
    }
    return true;
}

/* Up to `max` of the oldest. The lock is held. */
static void gather(struct weft_worker *k, size_t max, struct report *ret)
{
    size_t n = outbox_count(k->outbox);

    *ret = (struct report){0};
    buf_init(&ret->results, WEFT_BODY_BYTES_MAX);
    buf_init(&ret->tokens, WEFT_BODY_BYTES_MAX);
    buf_init(&ret->again, WEFT_BODY_BYTES_MAX);
    for (size_t i = 0; i < n && i < max; i++)
        if (!add_to(ret, outbox_at(k->outbox, i)))
            break;
    buf_add(&ret->results, STR("]}"));
    buf_add(&ret->tokens, STR("]}"));
}

static void report_deinit(struct report *p)
{
    buf_deinit(&p->results);
    buf_deinit(&p->tokens);
    buf_deinit(&p->again);
}

/* The end of this line, as a failure. */
static void put_refused(struct str line, const char *why, struct buf *out)
{
    struct weft_id token;

    weft_get_text(line, "token", token.text, sizeof(token.text));
    weft_end_line(
        &(struct weft_end){
            .token = token.text, .outcome = "failed", .error_code = REFUSED, .error_text = why},
        out, NULL);
}

/* Whether no more is to be said of this end. */
static bool is_over(struct str line, struct str code)
{
    return str_eq(code, STR("\"OK\"")) || str_eq(code, STR("\"lease_lost\"")) ||
           str_eq(code, STR("\"completion_conflict\"")) ||
           str_eq(raw_get(raw_get(line, STR("error")), STR("code")), STR("\"" REFUSED "\""));
}

/* What was answered to each of `lines`; what is to be told otherwise goes to `again`. */
static void read_answers(struct weft_worker *k, struct str reply, struct str lines,
                         struct buf *again)
{
    struct str list = raw_get(reply, STR("results")), item, line;

    while (raw_next(&list, &item) && raw_next(&lines, &line)) {
        struct str code = raw_get(item, STR("code"));
        char why[WEFT_TEXT_BYTES];

        if (!str_eq(code, STR("\"OK\"")))
            weft_held_say(k, "the end of a lease was not taken: " STR_FMT, STR_ARG(item));
        if (!again || is_over(line, code))
            continue;
        weft_get_text(item, raw_get(item, STR("message")).n ? "message" : "code", why, sizeof(why));
        put_refused(line, why, again);
        buf_byte(again, '\n');
    }
}

static int tell(struct weft_worker *k, const char *path, const struct buf *body, const char *of,
                struct buf *again, struct weft_error *ret_error)
{
    struct buf reply;
    int r = weft_worker_ask(
        k, &(struct asker_call){.verb = "POST", .path = path, .body = body->p, .tries = 1}, &reply,
        ret_error);

    if (r)
        return r;
    read_answers(k, buf_str(&reply), raw_get(buf_str(body), str_of(of)), again);
    buf_deinit(&reply);
    return WEFT_OK;
}

static int tell_all(struct weft_worker *k, struct report *p, struct weft_error *ret_error)
{
    int r = WEFT_OK;

    if (p->results_n)
        r = tell(k, "/v1/leases:complete", &p->results, "results", &p->again, ret_error);
    if (!r && p->tokens_n)
        r = tell(k, "/v1/leases:release", &p->tokens, "tokens", NULL, ret_error);
    return r;
}

/* The oldest `n` are told. Lines of an earlier process have no lease. The lock is held. */
static void delivered(struct weft_worker *k, size_t n)
{
    int r;

    for (size_t i = 0; i < n && !list_empty(&k->ended); i++) {
        struct weft_lease *lease = LIST_OF(k->ended.next, struct weft_lease, link);
        struct str token = raw_get(outbox_at(k->outbox, i), STR("token"));

        if (str_eq(str_of(lease->token.text), str_sub(token, 1, token.n - 2)))
            weft_held_let_go(k, lease);
    }
    r = outbox_drop(k->outbox, n);
    pthread_cond_broadcast(&k->changed);
    if (r)
        weft_held_say(k, "the outbox cannot be written: %s", strerror(-r));
}

/* What the server will never take is told as a failure, so that the task does not run for ever in
 * its eyes. The lock is held. */
static void tell_otherwise(struct weft_worker *k, const struct weft_error *why)
{
    struct buf fresh;

    buf_init(&fresh, OUTBOX_LINE_BYTES_MAX);
    put_refused(outbox_at(k->outbox, 0), why->text, &fresh);
    outbox_replace(k->outbox, buf_str(&fresh));
    buf_deinit(&fresh);
}

/* What was not taken is told once more, behind all others. The lock is held. */
static void add_again(struct weft_worker *k, struct str lines)
{
    size_t at;

    while (str_find(lines, '\n', &at)) {
        if (outbox_add(k->outbox, str_sub(lines, 0, at)))
            weft_held_say(k, "the outbox cannot be written");
        lines = str_sub(lines, at + 1, lines.n);
    }
}

/* Whether it is the report's own fault; else it may be told later: who is locked out today may have
 * a right tomorrow. */
static bool is_bad(const struct weft_error *e)
{
    return strcmp(e->code, "invalid_argument") == 0 || strcmp(e->code, "too_large") == 0;
}

struct reporter {
    unsigned failures;
    size_t alone;   /* so many are told one by one: one of them was refused */
    bool otherwise; /* the oldest was refused once, and is told as a failure */
    int64_t at;     /* not before */
};

/* How a report came out. The lock is held. */
static void reported(struct weft_worker *k, struct reporter *p, const struct report *report, int r,
                     const struct weft_error *error)
{
    if (r == WEFT_OK) {
        add_again(k, buf_str(&report->again));
        delivered(k, report->n);
        p->alone -= p->alone > 0;
        p->failures = 0;
        p->otherwise = false;
        return;
    }
    if (r == WEFT_UNAVAILABLE || !is_bad(error)) {
        if (p->failures++ == 0)
            weft_held_say(k, "ends are kept and told later: %s", error->text);
        k->news = false;
        p->at =
            weft_held_in_ms(asker_pause_ms(k->client->asker, p->failures, error->retry_after_ms));
        return;
    }
    weft_held_say(k, "the server refused a report: %s", error->text);
    if (report->n > 1) {
        p->alone = report->n;
    } else if (!p->otherwise) {
        tell_otherwise(k, error);
        p->otherwise = true;
    } else {
        delivered(k, 1);
        p->alone -= p->alone > 0;
        p->otherwise = false;
    }
}

static void report_once(struct weft_worker *k, struct reporter *p)
{
    struct weft_error error;
    struct report report;
    int r;

    gather(k, p->alone ? 1 : REPORT_ITEMS_MAX, &report);
    weft_held_unlock(k);
    r = tell_all(k, &report, &error);
    weft_held_lock(k);
    reported(k, p, &report, r, &error);
    report_deinit(&report);
}

void *weft_report_for_ever(void *context)
{
    struct weft_worker *k = context;
    struct reporter p = {0};

    weft_held_lock(k);
    for (;;) {
        bool waits = clock_monotonic() < p.at && !k->news;

        if (k->closed && (waits || p.failures || !outbox_count(k->outbox)))
            break; /* what is left stays in the outbox's file, where there is one */
        if (waits)
            weft_held_wait(k, p.at);
        else if (outbox_count(k->outbox))
            report_once(k, &p);
        else
            pthread_cond_wait(&k->changed, &k->lock);
    }
    weft_held_unlock(k);
    return NULL;
}
