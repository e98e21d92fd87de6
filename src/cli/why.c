/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/command.h"
#include "cli/task.h"

/* A number may be a run's or a task's. Ids are drawn from one sequence, so that it is never both.
 */
static const struct {
    const char *method;
    enum code missing;
    void (*print)(struct cli *c, const json_t *why);
} kinds[] = {
    {"runs.why",  CODE_RUN_NOT_FOUND,  task_print_run_why},
    {"tasks.why", CODE_TASK_NOT_FOUND, task_print_why    },
};
#define KINDS_N (sizeof(kinds) / sizeof(kinds[0]))

static int why_number(struct cli *c, json_t *request)
{
    struct client_problem problem = {.code = CODE_OK};
    json_t *why;

    for (size_t i = 0; i < KINDS_N; i++) {
        if (!client_call(&c->client, kinds[i].method, json_incref(request), &why, &problem)) {
            kinds[i].print(c, why);
            json_decref(why);
            return 0;
        }
        if (problem.code != kinds[i].missing)
            return cli_problem(c, &problem, NULL);
        client_problem_clear(&problem);
    }
    return cli_refuse(c, CODE_RUN_NOT_FOUND, "there is no run and no task %s", c->args[0]);
}

int why_command(struct cli *c)
{
    json_t *request = NULL;
    int status;

    if (strchr(c->args[0], '/'))
        return task_why_command(c);
    status = task_request(c, c->args[0], &request);
    if (!status)
        status = cli_connect(c, CLI_EXISTING);
    if (!status)
        status = why_number(c, request);
    json_decref(request);
    return status;
}
