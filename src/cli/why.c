/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/command.h"
#include "cli/task.h"

/* A number may be a run's or a task's: ids are drawn from one sequence, so that it is never both.
 */
int why_command(struct cli *c)
{
    struct client_problem problem = {.code = CODE_OK};
    json_t *request, *why;
    int status;

    if (strchr(c->args[0], '/'))
        return task_why_command(c);
    status = task_request(c, c->args[0], &request);
    if (status)
        return status;
    status = cli_connect(c, CLI_EXISTING);
    if (status) {
        json_decref(request);
        return status;
    }
    if (!client_call(&c->client, "runs.why", json_incref(request), &why, &problem)) {
        task_print_run_why(c, why);
    } else if (problem.code != CODE_RUN_NOT_FOUND) {
        status = cli_problem(c, &problem, NULL);
        why = NULL;
    } else {
        client_problem_clear(&problem);
        if (!client_call(&c->client, "tasks.why", json_incref(request), &why, &problem)) {
            task_print_why(c, why);
        } else if (problem.code == CODE_TASK_NOT_FOUND) {
            client_problem_clear(&problem);
            status =
                cli_refuse(c, CODE_RUN_NOT_FOUND, "there is no run and no task %s", c->args[0]);
            why = NULL;
        } else {
            status = cli_problem(c, &problem, NULL);
            why = NULL;
        }
    }
    json_decref(request);
    json_decref(why);
    return status;
}
