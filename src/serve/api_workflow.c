/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_workflow.h"

#include "engine/workflow.h"

#define PATH_BYTES_MAX 4096u

BATCHER_FUNCTION(call_put, workflow_put)
BATCHER_FUNCTION(call_get, workflow_get)
BATCHER_FUNCTION(call_list, workflow_list)

/* What put, get and list have in common. */
static Weft__V1__Workflow *line(struct arena *a, const struct workflow_row *w)
{
    Weft__V1__Workflow *m = API_NEW(a, Weft__V1__Workflow, workflow);

    m->name = codec_text(a, w->name);
    API_SET(m, version, w->version);
    m->kind = codec_text(a, w->kind);
    API_SET(m, tasks, w->tasks);
    return m;
}

static Weft__V1__Workflow *line_of_list(struct arena *a, const struct workflow_row *w)
{
    Weft__V1__Workflow *m = line(a, w);

    m->path = codec_text(a, w->path);
    m->created_at = codec_time(a, w->created_at);
    return m;
}

static int put_decode(struct api *api, const void *message, void *request)
{
    static const char *const formats[] = {"yaml", "json", NULL};
    const Weft__V1__PutWorkflowRequest *m = message;
    struct workflow_put *put = request;

    return api_text(api, "source", API_NEEDED, m->source, DOC_BYTES_MAX, &put->source) ||
           api_choice(api, "format", m->format, formats, &put->format) ||
           api_text(api, "path", API_OPTIONAL, m->path, PATH_BYTES_MAX, &put->path) ||
           api_text(api, "fallback_name", API_OPTIONAL, m->fallback_name, DEFINITION_NAME_BYTES_MAX,
                    &put->fallback_name);
}

static ProtobufCMessage *put_encode(struct arena *a, const void *request, const void *reply)
{
    const struct workflow_row *w = reply;
    Weft__V1__Workflow *m = line(a, w);

    (void)request;
    API_SET(m, created, w->created);
    return &m->base;
}

const struct api_action api_workflow_put = {
    .decode = put_decode,
    .request_size = sizeof(struct workflow_put),
    .function = call_put,
    .reply_size = sizeof(struct workflow_row),
    .encode = put_encode,
};

static int get_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__WorkflowRequest *m = message;
    struct workflow_which *which = request;

    which->version = m->version;
    return api_text(api, "name", API_NEEDED, m->name, DEFINITION_NAME_BYTES_MAX, &which->name) ||
           api_int(api, "version", which->version, 0, INT64_MAX);
}

static Weft__V1__Param *param_show(struct arena *a, const struct param *p)
{
    static const char *const types[] = {
        [PARAM_STRING] = "string",   [PARAM_INTEGER] = "integer", [PARAM_NUMBER] = "number",
        [PARAM_BOOLEAN] = "boolean", [PARAM_ENUM] = "enum",
    };
    Weft__V1__Param *m = API_NEW(a, Weft__V1__Param, param);

    m->name = codec_text(a, p->name);
    m->type = codec_text(a, str_of(types[p->type]));
    m->description = codec_text(a, p->description);
    API_SET(m, required, !p->has_default);
    if (p->has_default)
        m->default_ = codec_text(a, p->fallback);
    return m;
}

static ProtobufCMessage *get_encode(struct arena *a, const void *request, const void *reply)
{
    const struct workflow_row *w = reply;
    const struct definition *d = w->definition;
    Weft__V1__Workflow *m = line_of_list(a, w);

    (void)request;
    m->format = codec_text(a, w->format);
    m->source = codec_text(a, w->source);
    m->description = codec_text(a, d ? d->description : STR(""));
    API_LIST(a, m, params, d ? d->params_n : 0, param_show(a, &d->params[i]));
    API_LIST(a, m, task_names, d ? d->tasks_n : 0, codec_text(a, d->tasks[i].name));
    return &m->base;
}

const struct api_action api_workflow_get = {
    .decode = get_decode,
    .request_size = sizeof(struct workflow_which),
    .function = call_get,
    .reply_size = sizeof(struct workflow_row),
    .encode = get_encode,
};

struct listing {
    struct workflow_list list;
    struct api_page page;
};

static int list_decode(struct api *api, const void *message, void *request)
{
    const Weft__V1__ListWorkflowsRequest *m = message;
    struct listing *l = request;

    if (api_page(api, m->has_page_size, m->page_size, m->page_token, &l->page))
        return API_E_REFUSED;
    l->list.after = l->page.token;
    l->list.max = api_page_ask(&l->page);
    return 0;
}

static ProtobufCMessage *list_encode(struct arena *a, const void *request, const void *reply)
{
    const struct listing *l = request;
    const struct workflow_rows *rows = reply;
    Weft__V1__ListWorkflowsResponse *m =
        API_NEW(a, Weft__V1__ListWorkflowsResponse, list_workflows_response);
    bool more;
    size_t n = api_page_cut(&l->page, rows->n, &more);

    API_LIST(a, m, workflows, n, line_of_list(a, &rows->list[i]));
    m->next_page_token = codec_text(a, more ? rows->list[n - 1].name : STR(""));
    return &m->base;
}

const struct api_action api_workflow_list = {
    .decode = list_decode,
    .request_size = sizeof(struct listing),
    .function = call_list,
    .reply_size = sizeof(struct workflow_rows),
    .encode = list_encode,
};
