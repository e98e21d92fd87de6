/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_tasks: the tasks of queues: adding, taking, ending, and those that failed for good.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/sentence.h"
#include "cli/format.h"
#include "cli/queue.h"
#include "cli/report.h"
#include "cli/table.h"
#include "client/dump.h"

/* ---- add ---- */

struct adding {
    struct cli *c;
    json_t *task;  /* what all have in common */
    json_t *tasks; /* of the next request */
    json_t *ids;   /* for JSON alone */
    int64_t added, there;
};

static int flush(struct adding *a)
{
    json_t *request, *reply, *d;
    size_t i;
    int status;

    if (json_array_size(a->tasks) == 0)
        return 0;
    request = queue_request(a->c);
    json_object_set(request, "tasks", a->tasks);
    status = cli_call(a->c, "queues.enqueue", request, &reply);
    if (status)
        return status;
    a->added += (int64_t)json_array_size(json_object_get(reply, "ids"));
    json_array_foreach(json_object_get(reply, "duplicates"), i, d)
    {
        a->there += json_is_true(d);
    }
    if (!cli_wants_table(a->c))
        json_array_extend(a->ids, json_object_get(reply, "ids"));
    json_array_clear(a->tasks);
    json_decref(reply);
    return 0;
}

static int add_payload(struct adding *a, const char *what, struct str text)
{
    json_t *payload, *task;
    int status = queue_json(a->c, what, text, &payload);

    if (status)
        return status;
    task = json_copy(a->task);
    json_object_set_new(task, "payload", payload);
    json_array_append_new(a->tasks, task);
    return json_array_size(a->tasks) >= QUEUE_BATCH ? flush(a) : 0;
}

static int add_lines(struct adding *a)
{
    char *line = NULL;
    size_t cap = 0;
    int64_t number = 0;
    int status = 0;
    ssize_t n;

    while (!status && (n = getline(&line, &cap, stdin)) >= 0) {
        struct str text = str_trim((struct str){line, (size_t)n});
        char what[64];

        number++;
        if (text.n == 0)
            continue;
        snprintf(what, sizeof(what), "line %" PRId64 " of stdin", number);
        status = text.n > QUEUE_LINES_BYTES
                     ? cli_refuse(a->c, CODE_TOO_LARGE, "%s has more than %u bytes", what,
                                  QUEUE_LINES_BYTES)
                     : add_payload(a, what, text);
    }
    if (!status && ferror(stdin))
        status = cli_refuse(a->c, CODE_INVALID, "stdin cannot be read: %s", strerror(errno));
    free(line);
    return status;
}

static int common_of(struct cli *c, json_t **ret)
{
    const struct options *o = &c->options;
    json_t *task = json_object();
    int64_t priority;

    if (o->priority) {
        if (!str_int64(str_of(o->priority), &priority)) {
            json_decref(task);
            return cli_refuse(c, CODE_INVALID, "--priority is a whole number, not " STR_FMT,
                              STR_ARG(sentence_quote(&c->arena, str_of(o->priority))));
        }
        json_object_set_new(task, "priority", json_integer(priority));
    }
    if (o->delay)
        json_object_set_new(task, "delay", format_json(str_of(o->delay)));
    if (o->key)
        json_object_set_new(task, "key", format_json(str_of(o->key)));
    if (o->unique)
        json_object_set_new(task, "unique_key", format_json(str_of(o->unique)));
    *ret = task;
    return 0;
}

static void tell_added(const struct adding *a)
{
    struct cli *c = a->c;

    if (!cli_wants_table(c))
        cli_json_list(c, "ids", a->ids);
    else if (!c->options.quiet)
        fprintf(
            c->out, STR_FMT " added%s\n", STR_ARG(format_n(&c->arena, a->added - a->there, "task")),
            a->there ? str_printf(&c->arena, ", %" PRId64 " stood there already", a->there).p : "");
}

int queue_add_command(struct cli *c)
{
    struct adding a = {.c = c, .tasks = json_array(), .ids = json_array()};
    int status = common_of(c, &a.task);

    if (!status)
        status = cli_connect(c, CLI_CREATE);
    for (size_t i = 1; i < c->args_n && !status; i++)
        status = strcmp(c->args[i], "-") == 0 ? add_lines(&a)
                                              : add_payload(&a, "the payload", str_of(c->args[i]));
    if (!status)
        status = flush(&a);
    /* What was added before a faulty line stays, and is told. */
    if (!status || a.added)
        tell_added(&a);
    json_decref(a.task);
    json_decref(a.tasks);
    json_decref(a.ids);
    return status;
}

/* ---- claim ---- */

static void show_leases(struct cli *c, const json_t *leases)
{
    static const char *const titles[] = {"TOKEN", "TASK", "ATTEMPT", "EXPIRES (UTC)", "PAYLOAD"};
    const json_t *l;
    struct table t;
    size_t i;

    table_init(&t, &c->arena, titles, 5);
    json_array_foreach(leases, i, l)
    {
        const json_t *task = json_object_get(l, "task"),
                     *payload = json_object_get(task, "payload");
        char *text = payload ? dump_text(payload, DUMP_COMPACT) : NULL;

        table_add(&t, format_text(l, "token"));
        table_add(&t, format_text(task, "id"));
        table_number(&t, format_number(task, "attempt", 0));
        table_add(&t, format_time(&c->arena, format_text(l, "expires_at")));
        table_add(&t, str_copy(&c->arena, str_of(text)));
        free(text);
    }
    report_table(c, &t);
}

/* What the request calls `wait` was typed as --patience. */
static int claim(struct cli *c, json_t *request, json_t **ret_reply)
{
    const struct str wait = STR("wait: ");
    struct client_problem problem = {.code = CODE_OK};

    if (!client_call(&c->client, "queues.claim", request, ret_reply, &problem))
        return 0;
    if (!str_starts(str_of(problem.text), wait))
        return cli_problem(c, &problem, NULL);
    client_problem_clear(&problem);
    return cli_refuse(c, CODE_INVALID, "--patience is a duration of at most 60s, as 1.5s, not %s",
                      c->options.patience);
}

int queue_claim_command(struct cli *c)
{
    const struct options *o = &c->options;
    json_t *request = queue_request(c), *reply;
    const json_t *leases;
    int status = cli_connect(c, CLI_EXISTING);

    json_object_set_new(request, "worker", format_json(str_of(o->worker ? o->worker : "weft-cli")));
    json_object_set_new(request, "max", json_integer(o->limit ? o->limit : 1));
    if (o->patience)
        json_object_set_new(request, "wait", format_json(str_of(o->patience)));
    if (o->ttl)
        json_object_set_new(request, "ttl", format_json(str_of(o->ttl)));
    if (status)
        json_decref(request);
    else
        status = claim(c, request, &reply);
    if (status)
        return status;
    leases = json_object_get(reply, "leases");
    if (!cli_wants_table(c))
        cli_json_list(c, "leases", leases);
    else if (json_array_size(leases))
        show_leases(c, leases);
    else if (!c->options.quiet)
        fprintf(c->err, "weft: there is nothing to take\n");
    json_decref(reply);
    return 0;
}

/* ---- the end of a lease ---- */

/* Which of the tokens was not taken, and why; the others were. */
static int tell_results(struct cli *c, const json_t *results, const char *done)
{
    const json_t *r;
    size_t i;
    int64_t good = 0;
    int status = 0;

    if (!cli_wants_table(c))
        cli_json_list(c, "results", results);
    json_array_foreach(results, i, r)
    {
        struct str code = format_text(r, "code"), message = format_text(r, "message");

        if (str_eq(code, STR("OK"))) {
            good++;
            continue;
        }
        status = code_exit(CODE_LEASE_LOST);
        if (cli_wants_table(c))
            fprintf(c->err, "weft: %s: " STR_FMT " [" STR_FMT "]\n", c->args[i], STR_ARG(message),
                    STR_ARG(code));
    }
    if (cli_wants_table(c) && !c->options.quiet)
        fprintf(c->out, STR_FMT " %s\n", STR_ARG(format_n(&c->arena, good, "task")), done);
    return status;
}

static int end_leases(struct cli *c, const char *method, json_t *request, const char *done)
{
    json_t *reply;
    int status = 0;

    for (size_t i = 0; i < c->args_n && !status; i++)
        status = cli_token(c, c->args[i]);
    if (!status)
        status = cli_connect(c, CLI_EXISTING);
    if (status) {
        json_decref(request);
        return status;
    }
    status = cli_call(c, method, request, &reply);
    if (status)
        return status;
    status = tell_results(c, json_object_get(reply, "results"), done);
    json_decref(reply);
    return status;
}

/* {"results": …} of the tokens, each with this content. */
static json_t *completion(struct cli *c, const json_t *content)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->args_n; i++) {
        json_t *item = json_copy((json_t *)(uintptr_t)content);

        json_object_set_new(item, "token", format_json(str_of(c->args[i])));
        json_array_append_new(list, item);
    }
    return json_pack("{s:o}", "results", list);
}

int queue_complete_command(struct cli *c)
{
    json_t *content = json_pack("{s:s}", "outcome", "succeeded"), *result, *request;
    int status = 0;

    if (c->options.result) {
        status = queue_json(c, "--result", str_of(c->options.result), &result);
        if (!status)
            json_object_set_new(content, "result", result);
    }
    request = status ? NULL : completion(c, content);
    json_decref(content);
    return status ? status : end_leases(c, "leases.complete", request, "completed");
}

int queue_fail_command(struct cli *c)
{
    struct str message = str_of(c->options.message ? c->options.message : "failed by hand");
    json_t *content =
        json_pack("{s:s, s:{s:o}}", "outcome", "failed", "error", "message", format_json(message));
    json_t *request = completion(c, content);

    json_decref(content);
    return end_leases(c, "leases.complete", request, "failed");
}

int queue_release_command(struct cli *c)
{
    json_t *tokens = json_array();

    for (size_t i = 0; i < c->args_n; i++)
        json_array_append_new(tokens, format_json(str_of(c->args[i])));
    return end_leases(c, "leases.release", json_pack("{s:o}", "tokens", tokens), "released");
}

/* ---- dead letters ---- */

static void show_dead(struct cli *c, const json_t *tasks)
{
    static const char *const titles[] = {"TASK", "FAILED (UTC)", "ATTEMPTS", "REASON", "MESSAGE"};
    const json_t *d;
    struct table t;
    size_t i;

    table_init(&t, &c->arena, titles, 5);
    json_array_foreach(tasks, i, d)
    {
        table_add(&t, format_text(d, "id"));
        table_add(&t, format_time(&c->arena, format_text(d, "ended_at")));
        table_number(&t, format_number(d, "attempts", 0));
        table_add(&t, format_text(d, "reason"));
        table_add(&t, format_text(d, "message"));
    }
    report_table(c, &t);
}

int queue_dead_command(struct cli *c)
{
    json_t *request = queue_request(c), *all;
    int status = cli_connect(c, CLI_EXISTING);

    json_object_set_new(request, "state", json_string("FAILED"));
    if (status)
        json_decref(request);
    else
        status = queue_pages(c, "queues.tasks", request, "tasks",
                             c->options.limit ? c->options.limit : 50, &all);
    if (status)
        return status;
    if (cli_wants_table(c))
        show_dead(c, all);
    else
        cli_json_list(c, "tasks", all);
    json_decref(all);
    return 0;
}

static int requeue_request(struct cli *c, json_t **ret)
{
    json_t *tasks = json_array(), *request = queue_request(c), *payload = NULL;
    int status = 0;

    if (c->options.payload && c->args_n != 2)
        status = cli_refuse(c, CODE_INVALID, "--payload is for one TASK");
    else if (c->options.payload)
        status = queue_json(c, "--payload", str_of(c->options.payload), &payload);
    for (size_t i = 1; i < c->args_n; i++) {
        json_t *task = json_pack("{s:o}", "id", format_json(str_of(c->args[i])));

        if (payload)
            json_object_set(task, "payload", payload);
        json_array_append_new(tasks, task);
    }
    json_decref(payload);
    if (json_array_size(tasks))
        json_object_set(request, "tasks", tasks);
    if (c->options.limit)
        json_object_set_new(request, "max", json_integer(c->options.limit));
    json_decref(tasks);
    if (status)
        json_decref(request);
    else
        *ret = request;
    return status;
}

int queue_requeue_command(struct cli *c)
{
    json_t *request, *reply;
    const json_t *r;
    size_t i;
    int status = requeue_request(c, &request);

    if (status)
        return status;
    status = cli_connect(c, CLI_EXISTING);
    if (status)
        json_decref(request);
    else
        status = cli_call(c, "queues.requeue", request, &reply);
    if (status)
        return status;
    json_array_foreach(json_object_get(reply, "results"), i, r)
    {
        if (str_eq(format_text(r, "code"), STR("OK")))
            continue;
        status = code_exit(CODE_TASK_STATE);
        if (cli_wants_table(c))
            fprintf(c->err, "weft: task %s: " STR_FMT " [" STR_FMT "]\n", c->args[i + 1],
                    STR_ARG(format_text(r, "message")), STR_ARG(format_text(r, "code")));
    }
    if (!cli_wants_table(c))
        cli_json(c, reply);
    else if (!c->options.quiet)
        fprintf(c->out, STR_FMT " requeued\n",
                STR_ARG(format_n(&c->arena, format_number(reply, "requeued", 0), "task")));
    json_decref(reply);
    return status;
}
