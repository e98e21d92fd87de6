/* SPDX-License-Identifier: Apache-2.0 */
/* The request of Runs.WriteTasks, which is large. */
#include "core/definition.h"
#include "serve/api_plan.h"
#include "serve/api_task.h"

BATCHER_FUNCTION(call_write, plan_write)

static int name_decode(struct api *api, const char *field, const char *text, struct str *ret)
{
    return api_text(api, field, API_NEEDED, text, CHECK_NAME_BYTES_MAX, ret);
}

/* Dependencies. */

static int group_decode(struct api *api, const Weft__V1__DependencyGroup *m, struct plan_group *g)
{
    static const char *const rules[] = {"all_success", "all_done", "one_success",
                                        "one_done",    "at_least", NULL};
    struct str rule, *from;

    if (api_choice(api, "rule", m->rule, rules, &rule) ||
        api_count(api, "from", m->n_from, 1, PLAN_WRITE_TASKS_MAX))
        return API_E_REFUSED;
    group_rule_parse(rule, &g->rule);
    if ((g->rule == GROUP_AT_LEAST) != (m->has_need != 0))
        return api_refuse(api, CODE_INVALID,
                          "need: it belongs to the rule at_least, and only there");
    if (m->has_need && api_int(api, "need", m->need, 1, (int64_t)m->n_from))
        return API_E_REFUSED;
    g->need = m->need;
    g->cancel_rest = m->cancel_rest;
    from = ARENA_ARRAY(api->arena, struct str, m->n_from);
    for (size_t i = 0; i < m->n_from; i++) {
        if (name_decode(api, "from", m->from[i], &from[i]))
            return API_E_REFUSED;
    }
    g->from = from;
    g->from_n = m->n_from;
    return 0;
}

static int groups_decode(struct api *api, Weft__V1__DependencyGroup *const *list, size_t n,
                         const struct plan_group **ret)
{
    struct plan_group *groups;

    if (api_count(api, "dependencies", n, 0, PLAN_GROUPS_MAX))
        return API_E_REFUSED;
    groups = ARENA_ARRAY(api->arena, struct plan_group, n);
    for (size_t i = 0; i < n; i++) {
        if (group_decode(api, list[i], &groups[i]))
            return api_within(api, "dependencies", i);
    }
    *ret = groups;
    return 0;
}

/* Checks. */

static int failure_decode(struct api *api, const Weft__V1__Error *m, struct check_update *u)
{
    u->failed = m != NULL;
    if (!m)
        return 0;
    return api_text(api, "failure.code", API_OPTIONAL, m->code, CHECK_CODE_BYTES_MAX, &u->code) ||
           api_text(api, "failure.message", API_OPTIONAL, m->message, CHECK_TEXT_BYTES_MAX,
                    &u->message);
}

int api_plan_updates(struct api *api, Weft__V1__CheckUpdate *const *list, size_t n,
                     const struct check_update **ret)
{
    struct check_update *updates;

    if (api_count(api, "checks", n, 0, CHECK_UPDATES_MAX))
        return API_E_REFUSED;
    updates = ARENA_ARRAY(api->arena, struct check_update, n);
    for (size_t i = 0; i < n; i++) {
        const Weft__V1__CheckUpdate *m = list[i];

        updates[i].finalize = !m->has_finalize || m->finalize;
        if (name_decode(api, "check", m->check, &updates[i].check) ||
            api_json(api, "data", m->has_data, m->data, CHECK_DATA_BYTES_MAX, &updates[i].data) ||
            failure_decode(api, m->failure, &updates[i]))
            return api_within(api, "checks", i);
    }
    *ret = updates;
    return 0;
}

static int result_decode(struct api *api, const Weft__V1__CheckResult *m, struct plan_check *c)
{
    struct check_update *u;

    if (!m)
        return 0;
    u = ARENA_NEW(api->arena, struct check_update);
    u->finalize = m->finalize;
    c->result = u;
    return api_text(api, "result.owner", API_OPTIONAL, m->owner, CHECK_OWNER_BYTES_MAX,
                    &c->owner) ||
           api_json(api, "result.data", m->has_data, m->data, CHECK_DATA_BYTES_MAX, &u->data) ||
           failure_decode(api, m->failure, u);
}

static int check_decode(struct api *api, const Weft__V1__CheckWrite *m, struct plan_check *c)
{
    static const char *const states[] = {"", "PLANNING", "PLANNED", NULL};
    struct str state;

    c->has_kind = m->kind;
    c->has_groups = m->n_dependencies > 0;
    c->groups_n = m->n_dependencies;
    if (name_decode(api, "name", m->name, &c->name) ||
        api_choice(api, "state", m->state, states, &state) ||
        api_text(api, "kind", API_OPTIONAL, m->kind, CHECK_KIND_BYTES_MAX, &c->kind) ||
        api_json(api, "options", m->has_options, m->options, PLAN_ARGS_BYTES_MAX, &c->options) ||
        groups_decode(api, m->dependencies, m->n_dependencies, &c->groups) ||
        result_decode(api, m->result, c))
        return API_E_REFUSED;
    c->planning = str_eq(state, STR("PLANNING"));
    c->planned = str_eq(state, STR("PLANNED"));
    return 0;
}

/* Stages. */

static int labels_decode(struct api *api, const Weft__V1__StageWrite *m, struct worker_labels *ret)
{
    struct worker_label *list;

    if (api_count(api, "labels", m->n_labels, 0, PLAN_LABELS_MAX))
        return API_E_REFUSED;
    list = ARENA_ARRAY(api->arena, struct worker_label, m->n_labels);
    for (size_t i = 0; i < m->n_labels; i++) {
        if (api_text(api, "labels", API_NEEDED, m->labels[i]->key, WORKER_LABEL_BYTES_MAX,
                     &list[i].name) ||
            api_text(api, "labels", API_OPTIONAL, m->labels[i]->value, WORKER_LABEL_BYTES_MAX,
                     &list[i].value))
            return API_E_REFUSED;
    }
    *ret = (struct worker_labels){list, m->n_labels};
    return 0;
}

static int assignments_decode(struct api *api, const Weft__V1__StageWrite *m, struct plan_stage *s)
{
    static const char *const goals[] = {"FINAL", "PLANNED", NULL};
    struct plan_assignment *list;
    struct str goal;

    if (api_count(api, "assignments", m->n_assignments, 0, PLAN_ASSIGNMENTS_MAX))
        return API_E_REFUSED;
    list = ARENA_ARRAY(api->arena, struct plan_assignment, m->n_assignments);
    for (size_t i = 0; i < m->n_assignments; i++) {
        if (name_decode(api, "check", m->assignments[i]->check, &list[i].check) ||
            api_choice(api, "goal", m->assignments[i]->goal, goals, &goal))
            return api_within(api, "assignments", i);
        list[i].planned = str_eq(goal, STR("PLANNED"));
    }
    s->has_assignments = m->n_assignments > 0;
    s->assignments = list;
    s->assignments_n = m->n_assignments;
    return 0;
}

static int times_decode(struct api *api, const Weft__V1__StageWrite *m, struct plan_stage *s)
{
    if (api_duration(api, "timeout", m->timeout, DEFINITION_TIMEOUT_US_MAX, 0, &s->timeout_us) ||
        api_duration(api, "accept_timeout", m->accept_timeout, PLAN_ACCEPT_US_MAX, 0,
                     &s->accept_us) ||
        api_duration(api, "progress_every", m->progress_every, DEFINITION_TIMEOUT_US_MAX, 0,
                     &s->progress_us))
        return API_E_REFUSED;
    if ((m->timeout && !s->timeout_us) || (m->accept_timeout && !s->accept_us))
        return api_refuse(api, CODE_INVALID, "%s: it is longer than 0s",
                          m->timeout && !s->timeout_us ? "timeout" : "accept_timeout");
    if (m->progress_every && s->progress_us < PLAN_PROGRESS_US_MIN)
        return api_refuse(api, CODE_INVALID, "progress_every: it is 0.1s at least");
    return 0;
}

static int stage_decode(struct api *api, const Weft__V1__StageWrite *m, struct plan_stage *s)
{
    static const char *const modes[] = {"sync", "async", NULL};
    struct str mode;

    s->priority = m->priority;
    s->has_groups = m->n_dependencies > 0;
    s->groups_n = m->n_dependencies;
    if (name_decode(api, "name", m->name, &s->name) ||
        api_json(api, "args", m->has_args, m->args, PLAN_ARGS_BYTES_MAX, &s->args) ||
        api_text(api, "type", API_OPTIONAL, m->type, WORKER_TYPE_BYTES_MAX, &s->type) ||
        api_choice(api, "mode", m->mode, modes, &mode) || labels_decode(api, m, &s->labels) ||
        times_decode(api, m, s) || api_retry(api, m->retry, &s->retry) ||
        api_int(api, "priority", s->priority, -TASK_PRIORITY_MAX, TASK_PRIORITY_MAX) ||
        groups_decode(api, m->dependencies, m->n_dependencies, &s->groups) ||
        assignments_decode(api, m, s))
        return API_E_REFUSED;
    s->async = str_eq(mode, STR("async"));
    if (!s->type.n && (s->async || s->labels.n))
        return api_refuse(api, CODE_INVALID,
                          "type: without one no runner is called, and mode and labels say nothing");
    if (!s->async && (s->accept_us || s->progress_us))
        return api_refuse(api, CODE_INVALID,
                          "mode: accept_timeout and progress_every belong to async stages");
    return 0;
}

/* The whole. */

static int expect_decode(struct api *api, const Weft__V1__WriteTasksRequest *m,
                         struct plan_write *w)
{
    struct plan_expect *list;

    if (api_count(api, "expect", m->n_expect, 0, PLAN_EXPECT_MAX))
        return API_E_REFUSED;
    list = ARENA_ARRAY(api->arena, struct plan_expect, m->n_expect);
    for (size_t i = 0; i < m->n_expect; i++) {
        list[i].version = m->expect[i]->version;
        if (name_decode(api, "name", m->expect[i]->name, &list[i].name) ||
            api_int(api, "version", list[i].version, 0, INT64_MAX))
            return api_within(api, "expect", i);
    }
    w->expect = list;
    w->expect_n = m->n_expect;
    return 0;
}

static int write_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__WriteTasksRequest *m = message;
    struct plan_write *w = request;
    struct plan_check *checks;
    struct plan_stage *stages;

    if (api_id(api, "id", API_NEEDED, m->id, &w->run) ||
        api_count(api, "checks and stages", m->n_checks + m->n_stages, 0, PLAN_WRITE_TASKS_MAX))
        return API_E_REFUSED;
    if (m->n_checks + m->n_stages == 0)
        return api_refuse(api, CODE_INVALID, "a write has one check or stage at least");
    checks = ARENA_ARRAY(api->arena, struct plan_check, m->n_checks);
    stages = ARENA_ARRAY(api->arena, struct plan_stage, m->n_stages);
    for (size_t i = 0; i < m->n_checks; i++) {
        if (check_decode(api, m->checks[i], &checks[i]))
            return api_within(api, "checks", i);
    }
    for (size_t i = 0; i < m->n_stages; i++) {
        if (stage_decode(api, m->stages[i], &stages[i]))
            return api_within(api, "stages", i);
    }
    w->checks = checks;
    w->checks_n = m->n_checks;
    w->stages = stages;
    w->stages_n = m->n_stages;
    if (m->token && !api_token(m->token, &w->writer))
        return api_refuse(api, CODE_INVALID, "token: it is none that weft gave");
    return expect_decode(api, m, w);
}

static ProtobufCMessage *write_encode(struct arena *a, const void *request, const void *reply)
{
    const struct plan_write *w = request;
    const struct plan_written *written = reply;
    Weft__V1__WriteTasksResponse *m =
        API_NEW(a, Weft__V1__WriteTasksResponse, write_tasks_response);

    API_LIST(a, m, checks, w->checks_n, api_task_show(a, &written->checks[i]));
    API_LIST(a, m, stages, w->stages_n, api_task_show(a, &written->stages[i]));
    return &m->base;
}

const struct api_action api_plan_write = {
    .decode = write_decode,
    .request_size = sizeof(struct plan_write),
    .function = call_write,
    .reply_size = sizeof(struct plan_written),
    .encode = write_encode,
};
