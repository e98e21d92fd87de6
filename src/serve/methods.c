/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/methods.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/buf.h"
#include "base/fault.h"
#include "serve/decode.h"
#include "serve/logs.h"
#include "serve/recover.h"
#include "serve/shape.h"

#define PAGE_DEFAULT   100
#define PAGE_MAX       1000
#define EVENTS_DEFAULT 1000
#define PATH_BYTES     4096
#define TOKEN_BYTES    200
#define NAME_BYTES     DEFINITION_NAME_BYTES_MAX

#define CALL_TRANSACTIONS_MAX 4u

/* One call under way. */
struct call {
    const struct methods *m;
    const struct method *method;
    struct arena arena;
    void *request;
    struct batcher_answer answer; /* not OK: why it is refused */
    struct arena replies[CALL_TRANSACTIONS_MAX];
    size_t replies_n;
};

enum { CALL_E_REFUSED = 1 };

enum method_kind { METHOD_READ, METHOD_WRITE };

struct method {
    const char *name;
    const struct decode_field *fields;
    size_t fields_n;
    size_t request_size;
    /* Finish the request after its keys were read; NULL: there is nothing to do. */
    int (*prepare)(struct call *c);
    /* One transaction … */
    enum method_kind kind;
    batcher_function *function;
    size_t reply_size;
    json_t *(*show)(const struct call *c, const void *reply);
    /* … or, where there is no function, whatever it takes. */
    int (*run)(struct call *c, json_t **ret);
};

static int refuse(struct call *c, enum code code, const char *text)
{
    c->answer = (struct batcher_answer){.code = code, .text = str_of(text)};
    return CALL_E_REFUSED;
}

/* Run a function in a transaction of its own; what the reply points to lives as long as the call.
 */
static int transact(struct call *c, enum method_kind kind, batcher_function *function,
                    const void *request, void *reply, size_t reply_size)
{
    struct batcher_request q = {
        .function = function,
        .request = request,
        .reply = reply,
        .reply_size = reply_size,
        .bytes = c->arena.bytes,
        .patience_us = BATCHER_CALL_US,
    };

    assert(c->replies_n < CALL_TRANSACTIONS_MAX);
    batcher_call(kind == METHOD_READ ? c->m->reader : c->m->writer, &q);
    c->answer = q.answer;
    c->replies[c->replies_n++] = q.arena;
    return q.answer.code == CODE_OK ? 0 : CALL_E_REFUSED;
}

/* Engine functions. */

BATCHER_FUNCTION(call_workflow_put, workflow_put)
BATCHER_FUNCTION(call_workflow_get, workflow_get)
BATCHER_FUNCTION(call_workflow_list, workflow_list)
BATCHER_FUNCTION(call_run_start, run_start)
BATCHER_FUNCTION(call_run_look, run_get)
BATCHER_FUNCTION(call_run_list, run_list)
BATCHER_FUNCTION(call_run_cancel, run_cancel)
BATCHER_FUNCTION(call_run_retry, run_retry)
BATCHER_FUNCTION(call_run_why, run_why)
BATCHER_FUNCTION(call_run_newest_open, run_newest_open)
BATCHER_FUNCTION(call_task_get, task_get)
BATCHER_FUNCTION(call_task_requeue, task_requeue)
BATCHER_FUNCTION(call_event_list, event_list)
BATCHER_FUNCTION(call_doctor_check, doctor_check)

/* Paging. One more than the page is asked for, so that the last page is known to be the last. */

#define PAGE_ROWS(type)                                                                            \
    DECODE_INT_ROW("page_size", type, page.size, 1, PAGE_MAX, PAGE_DEFAULT),                       \
        DECODE_TEXT_ROW(DECODE_OPTIONAL, "page_token", type, page.token, TOKEN_BYTES)

struct page {
    int64_t size;
    struct str token;
};

static int page_id(struct call *c, const struct page *page, int64_t *ret)
{
    if (page->token.n && !str_int64(page->token, ret))
        return refuse(c, CODE_INVALID, "page_token: it is none that weft gave");
    return 0;
}

/* The largest page has no room for one more, so that a full one may be followed by an empty one. */
static int64_t page_ask(const struct page *page)
{
    return page->size < PAGE_MAX ? page->size + 1 : PAGE_MAX;
}

/* How many of `n` to show; *ret_more tells whether there may be another page. */
static size_t page_cut(const struct page *page, size_t n, bool *ret_more)
{
    *ret_more = n == (size_t)page_ask(page);
    return n > (size_t)page->size ? (size_t)page->size : n;
}

/* Workflows. */

static const char *const formats[] = {"yaml", "json", NULL};

static const struct decode_field workflow_put_fields[] = {
    DECODE_TEXT_ROW(DECODE_NEEDED, "source", struct workflow_put, source, DOC_BYTES_MAX),
    DECODE_CHOICE_ROW(DECODE_OPTIONAL, "format", struct workflow_put, format, formats),
    DECODE_TEXT_ROW(DECODE_OPTIONAL, "path", struct workflow_put, path, PATH_BYTES),
    DECODE_TEXT_ROW(DECODE_OPTIONAL, "fallback_name", struct workflow_put, fallback_name,
                    NAME_BYTES),
};

static int workflow_put_prepare(struct call *c)
{
    struct workflow_put *put = c->request;

    if (!put->format.p)
        put->format = STR("yaml");
    return 0;
}

static json_t *workflow_put_show(const struct call *c, const void *reply)
{
    const struct workflow_row *w = reply;
    json_t *o = shape_workflow_line(w);

    (void)c;
    json_object_del(o, "path");
    json_object_del(o, "created_at");
    json_object_set_new(o, "created", json_boolean(w->created));
    return o;
}

static const struct decode_field workflow_get_fields[] = {
    DECODE_TEXT_ROW(DECODE_NEEDED, "name", struct workflow_which, name, NAME_BYTES),
    DECODE_INT_ROW("version", struct workflow_which, version, 0, INT64_MAX, 0),
};

static json_t *workflow_get_show(const struct call *c, const void *reply)
{
    (void)c;
    return shape_workflow(reply);
}

struct workflows_page {
    struct workflow_list list;
    struct page page;
};

static const struct decode_field workflow_list_fields[] = {PAGE_ROWS(struct workflows_page)};

static int workflow_list_prepare(struct call *c)
{
    struct workflows_page *p = c->request;

    p->list.after = p->page.token;
    p->list.max = page_ask(&p->page);
    return 0;
}

static json_t *workflow_list_show(const struct call *c, const void *reply)
{
    const struct workflows_page *p = c->request;
    const struct workflow_rows *rows = reply;
    bool more;
    size_t n = page_cut(&p->page, rows->n, &more);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, shape_workflow_line(&rows->list[i]));
    return json_pack("{s:o, s:o}", "workflows", list, "next_page_token",
                     more ? shape_text(rows->list[n - 1].name) : json_string(""));
}

/* Runs. */

struct start {
    struct run_start start;
    struct decode_texts params;
};

static const struct decode_field run_start_fields[] = {
    DECODE_TEXT_ROW(DECODE_NEEDED, "workflow", struct start, start.workflow, NAME_BYTES),
    DECODE_INT_ROW("version", struct start, start.version, 0, INT64_MAX, 0),
    DECODE_TEXTS_ROW("params", struct start, params, DEFINITION_TEXT_BYTES_MAX),
    DECODE_TEXT_ROW(DECODE_OPTIONAL, "dir", struct start, start.dir, PATH_BYTES),
    DECODE_INT_ROW("max_parallel", struct start, start.max_parallel, 0, DEFINITION_PARALLEL_MAX, 0),
};

static int run_start_prepare(struct call *c)
{
    struct start *s = c->request;

    s->start.params = s->params.list;
    s->start.params_n = s->params.n;
    return 0;
}

static json_t *run_start_show(const struct call *c, const void *reply)
{
    const struct run_row *run = reply;

    (void)c;
    return json_pack("{s:o, s:o, s:I, s:o}", "id", shape_id(run->id), "workflow",
                     shape_text(run->workflow), "version", (json_int_t)run->version, "state",
                     shape_text(run_state_text(run->state)));
}

/* A request that is nothing but an id, as the engine takes it. */
struct which_id {
    int64_t id;
};

static const struct decode_field id_fields[] = {
    DECODE_ID_ROW(DECODE_NEEDED, "id", struct which_id, id),
};

struct get {
    struct run_get get;
    struct page page; /* `token` is NULL where pages were not asked for */
};

static const struct decode_field run_get_fields[] = {
    DECODE_ID_ROW(DECODE_NEEDED, "id", struct get, get.id),
    DECODE_BOOL_ROW("tasks", struct get, get.tasks, true),
    DECODE_TEXT_ROW(DECODE_OPTIONAL, "page_token", struct get, page.token, TOKEN_BYTES),
};

static int run_get_prepare(struct call *c)
{
    struct get *g = c->request;

    if (!g->page.token.p)
        return 0;
    g->page.size = PAGE_MAX;
    g->get.max = PAGE_MAX;
    return page_id(c, &g->page, &g->get.after);
}

/* A run, and the newest event that the view knows of: both are of one snapshot. */
struct got {
    struct run_view view;
    int64_t seq;
};

static int call_run_get(struct tx *tx, const void *request, void *reply)
{
    const struct get *g = request;
    struct got *got = reply;
    int r = run_get(tx, &g->get, &got->view);

    return r ? r : event_newest(tx, &g->get.id, &got->seq);
}

static json_t *run_get_show(const struct call *c, const void *reply)
{
    const struct get *g = c->request;
    const struct got *got = reply;
    const struct run_view *view = &got->view;
    bool more = false;
    json_t *o = g->get.tasks ? shape_run_view(view) : shape_run(&view->run);

    json_object_set_new(o, "seq", shape_id(got->seq));
    if (g->page.size) {
        page_cut(&g->page, view->tasks_n, &more);
        json_object_set_new(o, "next_page_token",
                            more ? shape_id(view->tasks[view->tasks_n - 1].id) : json_string(""));
    }
    return o;
}

struct runs_page {
    struct run_list list;
    struct page page;
};

static const struct decode_field run_list_fields[] = {
    DECODE_TEXT_ROW(DECODE_OPTIONAL, "state", struct runs_page, list.state, TOKEN_BYTES),
    DECODE_TEXT_ROW(DECODE_OPTIONAL, "workflow", struct runs_page, list.workflow, NAME_BYTES),
    PAGE_ROWS(struct runs_page),
};

static int run_list_prepare(struct call *c)
{
    struct runs_page *p = c->request;
    enum run_state state;

    if (p->list.state.n && !run_state_parse(p->list.state, &state))
        return refuse(c, CODE_INVALID,
                      "runs.list: state: it is none of RUNNING, CANCELLING, SUCCEEDED, FAILED and "
                      "CANCELLED");
    p->list.max = page_ask(&p->page);
    return page_id(c, &p->page, &p->list.before);
}

static json_t *run_list_show(const struct call *c, const void *reply)
{
    const struct runs_page *p = c->request;
    const struct run_rows *rows = reply;
    bool more;
    size_t n = page_cut(&p->page, rows->n, &more);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, shape_run_line(&rows->list[i]));
    return json_pack("{s:o, s:o}", "runs", list, "next_page_token",
                     more ? shape_id(rows->list[n - 1].id) : json_string(""));
}

static json_t *run_cancel_show(const struct call *c, const void *reply)
{
    const struct run_row *run = reply;

    (void)c;
    return json_pack("{s:o, s:o}", "id", shape_id(run->id), "state",
                     shape_text(run_state_text(run->state)));
}

static json_t *run_retry_show(const struct call *c, const void *reply)
{
    const struct run_retry_reply *r = reply;
    json_t *o = run_cancel_show(c, &r->run);

    json_object_set_new(o, "tasks", json_integer(r->tasks));
    return o;
}

static json_t *run_why_show(const struct call *c, const void *reply)
{
    (void)c;
    return shape_run_why(reply);
}

static const struct decode_field resume_fields[] = {
    DECODE_ID_ROW(DECODE_OPTIONAL, "id", struct which_id, id),
};

/* The run that is to be resumed: the one that was named, or the newest that has not ended. */
static int resume_which(struct call *c, struct run_row *ret)
{
    struct run_get get = {.id = *(const int64_t *)c->request};
    struct run_view view;
    int r;

    if (!get.id)
        return transact(c, METHOD_WRITE, call_run_newest_open, NULL, ret, sizeof(*ret));
    r = transact(c, METHOD_WRITE, call_run_look, &get, &view, sizeof(view));
    if (!r)
        *ret = view.run;
    return r;
}

static int resume(struct call *c, json_t **ret)
{
    struct recover recover = {.batcher = c->m->writer, .data = c->m->data, .self = c->m->self};
    struct recover_reply recovered;
    struct run_row run;
    json_t *list;
    int r = resume_which(c, &run);

    if (r)
        return r;
    if (run_final(run.state))
        return refuse(c, CODE_RUN_ENDED,
                      str_printf(&c->arena,
                                 "run %" PRId64 " has ended (" STR_FMT
                                 "); `weft runs retry %" PRId64
                                 "` gives its failed tasks another try",
                                 run.id, STR_ARG(run_state_text(run.state)), run.id)
                          .p);
    if (recover_all(&recover, &c->arena, run.id, &recovered, &c->answer))
        return CALL_E_REFUSED;
    list = json_array();
    for (size_t i = 0; i < recovered.n; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:o}", "task", shape_id(recovered.tasks[i].task),
                                        "name", shape_text(recovered.tasks[i].name)));
    *ret = json_pack("{s:o, s:o, s:o}", "id", shape_id(run.id), "state",
                     shape_text(run_state_text(run.state)), "recovered", list);
    return 0;
}

/* Tasks. */

static const struct decode_field task_fields[] = {
    DECODE_ID_ROW(DECODE_OPTIONAL, "id", struct task_which, id),
    DECODE_ID_ROW(DECODE_OPTIONAL, "run", struct task_which, run),
    DECODE_TEXT_ROW(DECODE_OPTIONAL, "name", struct task_which, name, NAME_BYTES),
};

static int task_prepare(struct call *c)
{
    const struct task_which *w = c->request;
    bool named = w->run && w->name.n;

    if (w->id ? !w->run && !w->name.n : named)
        return 0;
    return refuse(c, CODE_INVALID,
                  str_printf(&c->arena, "%s takes either id, or run and name", c->method->name).p);
}

static json_t *task_get_show(const struct call *c, const void *reply)
{
    (void)c;
    return shape_task_details(reply);
}

static json_t *task_why_show(const struct call *c, const void *reply)
{
    (void)c;
    return shape_task_why(reply);
}

static json_t *task_requeue_show(const struct call *c, const void *reply)
{
    const struct task_details *d = reply;

    (void)c;
    return json_pack("{s:o, s:o}", "id", shape_id(d->task.id), "state",
                     shape_text(task_state_text(d->task.state)));
}

/* Events. */

static const struct decode_field event_fields[] = {
    DECODE_ID_ROW(DECODE_OPTIONAL, "run", struct event_list, run),
    DECODE_SEQ_ROW("after", struct event_list, after),
    DECODE_INT_ROW("max", struct event_list, max, 1, EVENT_LIST_MAX, EVENTS_DEFAULT),
};

static json_t *event_list_show(const struct call *c, const void *reply)
{
    const struct event_rows *rows = reply;
    json_t *list = json_array();

    (void)c;
    for (size_t i = 0; i < rows->n; i++)
        json_array_append_new(list, shape_event(&rows->list[i]));
    return json_pack("{s:o}", "events", list);
}

/* Logs. */

struct read {
    struct task_which which;
    int64_t attempt; /* 0: the newest */
    struct str stream;
    int64_t offset, max;
};

static const char *const streams[] = {"stdout", "stderr", NULL};

static const struct decode_field log_fields[] = {
    DECODE_ID_ROW(DECODE_NEEDED, "run", struct read, which.run),
    DECODE_TEXT_ROW(DECODE_NEEDED, "name", struct read, which.name, NAME_BYTES),
    DECODE_INT_ROW("attempt", struct read, attempt, 0, INT64_MAX, 0),
    DECODE_CHOICE_ROW(DECODE_OPTIONAL, "stream", struct read, stream, streams),
    DECODE_INT_ROW("offset", struct read, offset, 0, INT64_MAX, 0),
    DECODE_INT_ROW("max", struct read, max, 4, LOGS_READ_BYTES_MAX, LOGS_READ_BYTES),
};

/* The attempt that is meant; NULL where the task has none such. */
static const struct task_attempt *read_attempt(const struct read *read,
                                               const struct task_view *task)
{
    const struct task_attempt *found = NULL;

    for (size_t i = 0; i < task->attempts_n; i++) {
        const struct task_attempt *a = &task->attempts[i];

        if (read->attempt ? a->number == read->attempt : !found || a->number > found->number)
            found = a;
    }
    return found;
}

static int log_missing(struct call *c, const struct read *read)
{
    const char *text = read->attempt
                           ? str_printf(&c->arena, "task " STR_FMT " has no attempt %" PRId64,
                                        STR_ARG(read->which.name), read->attempt)
                                 .p
                           : str_printf(&c->arena, "task " STR_FMT " has not been started",
                                        STR_ARG(read->which.name))
                                 .p;

    return refuse(c, CODE_LOG_NOT_FOUND, text);
}

static int read_log(struct call *c, json_t **ret)
{
    const struct read *read = c->request;
    enum logs_stream stream = str_eq(read->stream, STR("stderr")) ? LOGS_STDERR : LOGS_STDOUT;
    const struct task_attempt *attempt;
    struct task_details task;
    struct logs_chunk chunk;
    const char *path;
    int r = transact(c, METHOD_READ, call_task_get, &read->which, &task, sizeof(task));

    if (r)
        return r;
    attempt = read_attempt(read, &task.task);
    if (!attempt)
        return log_missing(c, read);
    path = logs_path(&c->arena, c->m->data, task.task.run, task.task.id, attempt->number, stream).p;
    r = logs_read(&c->arena, path, read->offset, read->max, &chunk);
    if (r) {
        fault_take();
        return refuse(c, r == -EACCES ? CODE_PERMISSION_DENIED : CODE_INTERNAL,
                      str_printf(&c->arena, "the log %s cannot be read: %s", path, strerror(-r)).p);
    }
    *ret = json_pack("{s:I, s:o, s:I, s:b}", "attempt", (json_int_t)attempt->number, "text",
                     shape_text(chunk.text), "next_offset", (json_int_t)chunk.next_offset, "end",
                     !attempt->running && chunk.at_end);
    return 0;
}

/* The whole. */

struct repair {
    bool repair;
};

static const struct decode_field doctor_fields[] = {
    DECODE_BOOL_ROW("repair", struct repair, repair, false),
};

/* What can be put right without a person's judgement is what dead programs hold. */
static int check(struct call *c, json_t **ret)
{
    struct recover recover = {.batcher = c->m->writer, .data = c->m->data, .self = c->m->self};
    struct recover_reply recovered;
    struct doctor_report report;
    json_t *checks;
    bool ok = true;
    int r = 0;

    if (*(const bool *)c->request && recover_all(&recover, &c->arena, 0, &recovered, &c->answer))
        return CALL_E_REFUSED;
    r = transact(c, METHOD_READ, call_doctor_check, NULL, &report, sizeof(report));
    if (r)
        return r;
    checks = json_array();
    for (size_t i = 0; i < report.n; i++) {
        ok = ok && report.checks[i].found == 0;
        json_array_append_new(checks, shape_check(&report.checks[i]));
    }
    *ret = json_pack("{s:b, s:o}", "ok", ok, "checks", checks);
    return 0;
}

struct status {
    struct doctor_status all;
    enum store_backend backend;
    int schema;
};

static int call_status(struct tx *tx, const void *request, void *reply)
{
    struct status *s = reply;

    s->backend = store_backend(tx->store);
    s->schema = store_schema_version(tx->store);
    return doctor_status(tx, request, &s->all);
}

static json_t *status_show(const struct call *c, const void *reply)
{
    const struct status *s = reply;
    struct arena a = {0};
    json_t *o = json_pack("{s:s, s:{s:s, s:o, s:i}}", "version", WEFT_VERSION, "store", "backend",
                          s->backend == STORE_SQLITE ? "sqlite" : "postgres", "url",
                          shape_text(methods_url(&a, c->m->url)), "schema_version", s->schema);

    json_object_update_new(o, shape_status(&s->all));
    arena_deinit(&a);
    return o;
}

static const struct decode_field status_fields[] = {};

struct str methods_url(struct arena *a, struct str url)
{
    size_t scheme, colon, end, at = 0;
    struct str user;

    if (!str_starts(url, STR("postgres")) || !str_find(url, ':', &scheme))
        return url;
    /* postgres://USER:PASSWORD@HOST…; what stands behind "?" may hold a password, too. */
    if (str_find(url, '?', &end))
        url = str_sub(url, 0, end);
    for (size_t i = scheme; i < url.n; i++)
        at = url.p[i] == '@' ? i : at;
    scheme += STR("://").n;
    if (at < scheme)
        return url;
    user = str_sub(url, scheme, at - scheme);
    if (!str_find(user, ':', &colon))
        return url;
    return str_printf(a, STR_FMT STR_FMT, STR_ARG(str_sub(url, 0, scheme + colon)),
                      STR_ARG(str_sub(url, at, url.n)));
}

#define FIELDS(f) .fields = (f), .fields_n = sizeof(f) / sizeof((f)[0])

/* One transaction: the request's keys and type, what completes it, the engine's function, its
 * reply, the JSON. */
#define ONE(kind_, name_, fields_, request_, prepare_, function_, reply_, show_)                   \
    {                                                                                              \
        .name = (name_), .kind = METHOD_##kind_, FIELDS(fields_),                                  \
        .request_size = sizeof(request_), .prepare = (prepare_), .function = (function_),          \
        .reply_size = sizeof(reply_), .show = (show_)                                              \
    }

/* As many as it takes. */
#define MORE(name_, fields_, request_, run_)                                                       \
    {                                                                                              \
        .name = (name_), FIELDS(fields_), .request_size = sizeof(request_), .run = (run_)          \
    }

static const struct method methods[] = {
    ONE(WRITE, "workflows.put", workflow_put_fields, struct workflow_put, workflow_put_prepare,
        call_workflow_put, struct workflow_row, workflow_put_show),
    ONE(READ, "workflows.get", workflow_get_fields, struct workflow_which, NULL, call_workflow_get,
        struct workflow_row, workflow_get_show),
    ONE(READ, "workflows.list", workflow_list_fields, struct workflows_page, workflow_list_prepare,
        call_workflow_list, struct workflow_rows, workflow_list_show),
    ONE(WRITE, "runs.start", run_start_fields, struct start, run_start_prepare, call_run_start,
        struct run_row, run_start_show),
    ONE(READ, "runs.get", run_get_fields, struct get, run_get_prepare, call_run_get, struct got,
        run_get_show),
    ONE(READ, "runs.list", run_list_fields, struct runs_page, run_list_prepare, call_run_list,
        struct run_rows, run_list_show),
    ONE(WRITE, "runs.cancel", id_fields, struct which_id, NULL, call_run_cancel, struct run_row,
        run_cancel_show),
    MORE("runs.resume", resume_fields, struct which_id, resume),
    ONE(WRITE, "runs.retry", id_fields, struct which_id, NULL, call_run_retry,
        struct run_retry_reply, run_retry_show),
    ONE(READ, "runs.why", id_fields, struct which_id, NULL, call_run_why, struct run_why,
        run_why_show),
    ONE(READ, "tasks.get", task_fields, struct task_which, task_prepare, call_task_get,
        struct task_details, task_get_show),
    ONE(READ, "tasks.why", task_fields, struct task_which, task_prepare, call_task_get,
        struct task_details, task_why_show),
    ONE(WRITE, "tasks.requeue", task_fields, struct task_which, task_prepare, call_task_requeue,
        struct task_details, task_requeue_show),
    ONE(READ, "events.list", event_fields, struct event_list, NULL, call_event_list,
        struct event_rows, event_list_show),
    MORE("logs.read", log_fields, struct read, read_log),
    MORE("doctor.check", doctor_fields, struct repair, check),
    ONE(READ, "status.get", status_fields, char, NULL, call_status, struct status, status_show),
};

int methods_refused(const struct batcher_answer *answer, struct client_problem *ret_problem)
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
                              json_pack("{s:I, s:I, s:o}", "line", (json_int_t)e->line, "column",
                                        (json_int_t)e->column, "text", shape_text(e->text)));
    }
    return CLIENT_E_REFUSED;
}

static const struct method *method_find(const char *name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    }
    return NULL;
}

static int call_run(struct call *c, const json_t *request, json_t **ret)
{
    const struct method *method = c->method;
    struct str error = {0};
    void *reply;
    int r = 0;

    c->request = arena_alloc(&c->arena, method->request_size);
    if (!decode_request(&c->arena, method->name, request, method->fields, method->fields_n,
                        c->request, &error))
        return refuse(c, CODE_INVALID, error.p);
    if (method->prepare)
        r = method->prepare(c);
    if (r)
        return r;
    if (!method->function)
        return method->run(c, ret);
    reply = arena_alloc(&c->arena, method->reply_size);
    r = transact(c, method->kind, method->function, c->request, reply, method->reply_size);
    if (!r)
        *ret = method->show(c, reply);
    return r;
}

int methods_call(const struct methods *m, const char *method, const json_t *request,
                 json_t **ret_reply, struct client_problem *ret_problem)
{
    struct call c = {.m = m, .method = method_find(method)};
    int r;

    if (c.method)
        r = call_run(&c, request, ret_reply);
    else
        r = refuse(&c, CODE_INVALID, str_printf(&c.arena, "there is no method \"%s\"", method).p);
    if (r)
        r = methods_refused(&c.answer, ret_problem);
    for (size_t i = 0; i < c.replies_n; i++)
        arena_deinit(&c.replies[i]);
    arena_deinit(&c.arena);
    return r;
}
