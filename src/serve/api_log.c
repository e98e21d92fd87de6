/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_log.h"

#include <errno.h>
#include <inttypes.h>

#include "base/fault.h"
#include "core/definition.h"
#include "engine/task.h"
#include "serve/logs.h"

#define READ_BYTES_MIN 4 /* a character */

BATCHER_FUNCTION(call_task, task_get)

int api_log_decode(struct api *api, const void *message, void *request)
{
    static const char *const streams[] = {"stdout", "stderr", NULL};
    const Weft__V1__ReadLogRequest *m = message;
    struct api_log_read *read = request;

    read->attempt = m->attempt;
    read->offset = m->offset;
    read->max = m->has_max ? m->max : LOGS_READ_BYTES;
    return api_id(api, "run", API_NEEDED, m->run, &read->run) ||
           api_text(api, "name", API_NEEDED, m->name, DEFINITION_NAME_BYTES_MAX, &read->name) ||
           api_int(api, "attempt", read->attempt, 0, INT64_MAX) ||
           api_choice(api, "stream", m->stream, streams, &read->stream) ||
           api_int(api, "offset", read->offset, 0, INT64_MAX) ||
           api_int(api, "max", read->max, READ_BYTES_MIN, LOGS_READ_BYTES_MAX);
}

/* The attempt that is meant; NULL where the task has none such. */
static const struct task_attempt *attempt_of(const struct api_log_read *read,
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

static int missing(struct api *api, const struct api_log_read *read)
{
    if (!read->attempt)
        return api_refuse(api, CODE_LOG_NOT_FOUND, "task " STR_FMT " has not been started",
                          STR_ARG(read->name));
    return api_refuse(api, CODE_LOG_NOT_FOUND, "task " STR_FMT " has no attempt %" PRId64,
                      STR_ARG(read->name), read->attempt);
}

int api_log_part(struct api *api, const struct api_log_read *read, Weft__V1__LogPart **ret,
                 const char **ret_path)
{
    enum logs_stream stream = str_eq(read->stream, STR("stderr")) ? LOGS_STDERR : LOGS_STDOUT;
    struct task_which which = {.run = read->run, .name = read->name};
    Weft__V1__LogPart *m = API_NEW(api->arena, Weft__V1__LogPart, log_part);
    const struct task_attempt *attempt;
    struct task_details task;
    struct logs_chunk chunk;
    const char *path;
    int r;

    if (api_transact(api, api->house->reader, call_task, &which, &task, sizeof(task)))
        return API_E_REFUSED;
    attempt = attempt_of(read, &task.task);
    if (!attempt)
        return missing(api, read);
    path = logs_path(api->arena, api->house->data, task.task.run, task.task.id, attempt->number,
                     stream)
               .p;
    r = logs_read(api->arena, path, read->offset, read->max, &chunk);
    if (r) {
        fault_take();
        return api_refuse(api, r == -EACCES ? CODE_PERMISSION_DENIED : CODE_INTERNAL,
                          "the log %s cannot be read: %s", path, strerror(-r));
    }
    API_SET(m, attempt, attempt->number);
    m->text = api_utf8(api->arena, chunk.text);
    API_SET(m, next_offset, chunk.next_offset);
    API_SET(m, end, !attempt->running && chunk.at_end);
    *ret = m;
    *ret_path = path;
    return 0;
}

static int read_log(struct api *api, const void *request, ProtobufCMessage **ret)
{
    Weft__V1__LogPart *part = NULL;
    const char *path;
    int r = api_log_part(api, request, &part, &path);

    if (!r)
        *ret = &part->base;
    return r;
}

const struct api_action api_log_read = {
    .decode = api_log_decode,
    .request_size = sizeof(struct api_log_read),
    .work = read_log,
};
