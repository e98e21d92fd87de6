/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/table.h"

#include <assert.h>
#include <string.h>

#include "serve/api_admin.h"
#include "serve/api_lease.h"
#include "serve/api_log.h"
#include "serve/api_log_watch.h"
#include "serve/api_queue.h"
#include "serve/api_run.h"
#include "serve/api_run_watch.h"
#include "serve/api_task.h"
#include "serve/api_worker.h"
#include "serve/api_workflow.h"

#define OTHER(path) .method.other_path = (path)
#define STREAM      .method.replies = METHOD_STREAM

/* name, rpc; request and reply; what it is; verb and path; what it does; help; and what few have */
#define ROW(name_, rpc_, request_, reply_, kind_, permission_, verb_, path_, action_, help_, ...)  \
    {                                                                                              \
        .method = {.name = (name_),                                                                \
                   .rpc = "weft.v1." rpc_,                                                         \
                   .request = &weft__v1__##request_##__descriptor,                                 \
                   .reply = &weft__v1__##reply_##__descriptor,                                     \
                   .kind = METHOD_##kind_,                                                         \
                   .permission = METHOD_##permission_,                                             \
                   .verb = METHOD_##verb_,                                                         \
                   .path = "/v1/" path_,                                                           \
                   .help = (help_)},                                                               \
        .action = &api_##action_, __VA_ARGS__                                                      \
    }

/* clang-format off */
static const struct table_row rows[] = {
    ROW("queues.put", "Queues/Put", put_queue_request, queue,
        WRITE, ADMIN, PUT, "queues/{queue}", queue_put,
        "Make a queue, or change the settings that are given"),
    ROW("queues.get", "Queues/Get", queue_request, queue,
        READ, VIEW, GET, "queues/{queue}", queue_get,
        "A queue's settings and counts"),
    ROW("queues.list", "Queues/List", list_queues_request, list_queues_response,
        READ, VIEW, GET, "queues", queue_list,
        "The queues, by name"),
    ROW("queues.enqueue", "Queues/Enqueue", enqueue_request, enqueue_response,
        WRITE, OPERATE, POST, "queues/{queue}:enqueue", queue_enqueue,
        "Add tasks, all or none"),
    ROW("queues.claim", "Queues/Claim", claim_request, claim_response,
        WRITE, WORK, POST, "queues/{queue}:claim", queue_claim,
        "Lease the first tasks to a worker; where there is none, wait for one"),
    ROW("queues.pause", "Queues/Pause", queue_request, queue,
        WRITE, OPERATE, POST, "queues/{queue}:pause", queue_pause,
        "Nothing is claimed any more; what is leased goes on"),
    ROW("queues.resume", "Queues/Resume", queue_request, queue,
        WRITE, OPERATE, POST, "queues/{queue}:resume", queue_resume,
        "Tasks are claimed again"),
    ROW("queues.tasks", "Queues/ListTasks", list_queue_tasks_request, list_queue_tasks_response,
        READ, VIEW, GET, "queues/{queue}/tasks", queue_tasks,
        "Tasks of a queue in one state; its dead letters by default"),
    ROW("queues.requeue", "Queues/Requeue", requeue_request, requeue_response,
        WRITE, OPERATE, POST, "queues/{queue}:requeue", queue_requeue,
        "Give dead letters a new budget of attempts, with an edited payload where one is given"),
    ROW("queues.purge", "Queues/Purge", purge_request, purge_response,
        WRITE, OPERATE, POST, "queues/{queue}:purge", queue_purge,
        "Cancel what waits, or forget dead letters"),

    ROW("leases.renew", "Leases/Renew", renew_request, renew_response,
        WRITE, WORK, POST, "leases:renew", lease_renew,
        "Tell progress, and lengthen leases that no heartbeat keeps"),
    ROW("leases.complete", "Leases/Complete", complete_request, complete_response,
        WRITE, WORK, POST, "leases:complete", lease_complete,
        "End attempts with their outcomes"),
    ROW("leases.release", "Leases/Release", release_request, release_response,
        WRITE, WORK, POST, "leases:release", lease_release,
        "Give tasks back unworked"),

    ROW("workers.register", "Workers/Register", register_worker_request, register_worker_response,
        WRITE, WORK, POST, "workers:register", worker_register,
        "A new incarnation of a worker"),
    ROW("workers.heartbeat", "Workers/Heartbeat", heartbeat_request, heartbeat_response,
        WRITE, WORK, POST, "workers/{worker}:heartbeat", worker_heartbeat,
        "Keep every lease of a worker"),
    ROW("workers.drain", "Workers/Drain", worker_request, worker,
        WRITE, OPERATE, POST, "workers/{worker}:drain", worker_drain,
        "A worker keeps what it holds and is given nothing more"),
    ROW("workers.deregister", "Workers/Deregister", worker_request, worker,
        WRITE, WORK, POST, "workers/{worker}:deregister", worker_deregister,
        "The ordinary end of a worker"),
    ROW("workers.get", "Workers/Get", worker_request, worker,
        READ, VIEW, GET, "workers/{worker}", worker_get,
        "A worker"),
    ROW("workers.list", "Workers/List", list_workers_request, list_workers_response,
        READ, VIEW, GET, "workers", worker_list,
        "The workers that live, or all"),

    ROW("tasks.get", "Tasks/Get", task_request, task,
        READ, VIEW, GET, "tasks/{id}", task_get,
        "A task with its attempts", OTHER("/v1/runs/{run}/tasks/{name}")),
    ROW("tasks.why", "Tasks/Why", task_request, task_why,
        READ, VIEW, GET, "tasks/{id}:why", task_why,
        "Why a task is where it is", OTHER("/v1/runs/{run}/tasks/{name}:why")),
    ROW("tasks.requeue", "Tasks/Requeue", task_request, task_state,
        WRITE, OPERATE, POST, "tasks/{id}:requeue", task_requeue,
        "Give a task that ended without success a new budget of attempts",
        OTHER("/v1/runs/{run}/tasks/{name}:requeue")),
    ROW("tasks.cancel", "Tasks/Cancel", task_request, task_state,
        WRITE, OPERATE, POST, "tasks/{id}:cancel", task_cancel,
        "Cancel a task of a queue"),

    ROW("workflows.put", "Workflows/Put", put_workflow_request, workflow,
        WRITE, ADMIN, PUT, "workflows", workflow_put,
        "A version of a workflow"),
    ROW("workflows.get", "Workflows/Get", workflow_request, workflow,
        READ, VIEW, GET, "workflows/{name}", workflow_get,
        "A workflow with its source"),
    ROW("workflows.list", "Workflows/List", list_workflows_request, list_workflows_response,
        READ, VIEW, GET, "workflows", workflow_list,
        "The newest version of each workflow"),

    ROW("runs.start", "Runs/Start", start_run_request, run,
        WRITE, OPERATE, POST, "runs", run_start,
        "Start a run of a workflow"),
    ROW("runs.get", "Runs/Get", get_run_request, run,
        READ, VIEW, GET, "runs/{id}", run_get,
        "A run, with its tasks"),
    ROW("runs.list", "Runs/List", list_runs_request, list_runs_response,
        READ, VIEW, GET, "runs", run_list,
        "The runs, the newest first"),
    ROW("runs.cancel", "Runs/Cancel", run_request, run,
        WRITE, OPERATE, POST, "runs/{id}:cancel", run_cancel,
        "Cancel a run"),
    ROW("runs.resume", "Runs/Resume", run_request, resume_run_response,
        WRITE, OPERATE, POST, "runs:resume", run_resume,
        "Take back what dead programs of the server's machine held of a run"),
    ROW("runs.retry", "Runs/Retry", run_request, retry_run_response,
        WRITE, OPERATE, POST, "runs/{id}:retry", run_retry,
        "Give failed, skipped and cancelled tasks of a run back"),
    ROW("runs.why", "Runs/Why", run_request, run_why,
        READ, VIEW, GET, "runs/{id}:why", run_why,
        "Why a run is where it is"),
    ROW("runs.watch", "Runs/Watch", watch_request, event,
        READ, VIEW, GET, "runs/{id}:watch", run_watch,
        "The events of a run, or of all, as they come", OTHER("/v1/events:watch"), STREAM),
    ROW("events.list", "Runs/Events", list_events_request, list_events_response,
        READ, VIEW, GET, "events", run_events,
        "Events, in their order"),
    ROW("logs.read", "Runs/ReadLog", read_log_request, log_part,
        READ, VIEW, GET, "runs/{run}/tasks/{name}/logs", log_read,
        "What an attempt wrote"),
    ROW("logs.watch", "Runs/WatchLog", read_log_request, log_part,
        READ, VIEW, GET, "runs/{run}/tasks/{name}/logs:watch", log_watch,
        "What an attempt writes, as it comes", STREAM),

    ROW("status.get", "Admin/Status", empty, status_response,
        READ, VIEW, GET, "status", admin_status,
        "Counts of everything"),
    ROW("health.get", "Admin/Health", empty, health_response,
        READ, VIEW, GET, "health", admin_health,
        "Whether the store answers"),
    ROW("doctor.check", "Admin/Doctor", doctor_request, doctor_response,
        WRITE, OPERATE, POST, "doctor:check", admin_doctor,
        "Check the invariants that the store can show"),
};
/* clang-format on */
#define ROWS_N (sizeof(rows) / sizeof(rows[0]))

const struct method *const *table_methods(size_t *ret_n)
{
    static const struct method *list[ROWS_N];

    for (size_t i = 0; i < ROWS_N; i++)
        list[i] = &rows[i].method;
    *ret_n = ROWS_N;
    return list;
}

const struct method *table_find(const char *name)
{
    for (size_t i = 0; i < ROWS_N; i++) {
        if (strcmp(rows[i].method.name, name) == 0)
            return &rows[i].method;
    }
    return NULL;
}

const struct table_row *table_row(const struct method *m)
{
    const struct table_row *row = (const struct table_row *)m;

    assert(row >= rows && row < rows + ROWS_N);
    return row;
}

size_t table_index(const struct method *m)
{
    return (size_t)(table_row(m) - rows);
}
