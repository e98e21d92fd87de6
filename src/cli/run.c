/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: a workflow file, carried to its end by this program.
 */
#include <inttypes.h>
#include <string.h>

#include "base/sentence.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/tell.h"
#include "cli/workflows.h"

/* {NAME: VALUE} of the -p options; 0, or the exit status after saying what is wrong with them. */
static int read_params(struct cli *c, json_t **ret)
{
    const struct text_list *given = &c->options.params;
    json_t *params = json_object();
    int status = 0;

    for (size_t i = 0; i < given->n && !status; i++) {
        const char *equals = strchr(given->list[i], '=');
        struct str name = {given->list[i], equals ? (size_t)(equals - given->list[i]) : 0};
        struct str value = str_of(equals ? equals + 1 : "");

        if (!equals || name.n == 0)
            status = cli_refuse(c, CODE_INVALID, "--param is NAME=VALUE, not " STR_FMT,
                                STR_ARG(sentence_quote(&c->arena, str_of(given->list[i]))));
        else if (!str_utf8(name, NULL) || !str_utf8(value, NULL))
            status =
                cli_refuse(c, CODE_INVALID, "--param \"" STR_FMT "\" is not UTF-8", STR_ARG(name));
        else if (json_object_getn(params, name.p, name.n))
            status =
                cli_refuse(c, CODE_INVALID, "parameter " STR_FMT " is given twice", STR_ARG(name));
        else
            json_object_setn_new(params, name.p, name.n, json_stringn(value.p, value.n));
    }
    if (status)
        json_decref(params);
    else
        *ret = params;
    return status;
}

static int start(struct cli *c, const struct source *s, const json_t *stored, json_t *params,
                 int64_t *ret_run)
{
    json_t *reply;
    int status =
        cli_call(c, "runs.start",
                 json_pack("{s:O, s:O, s:O, s:o, s:b}", "workflow", json_object_get(stored, "name"),
                           "version", json_object_get(stored, "version"), "params", params, "dir",
                           format_json(str_of(s->dir)), "local", !c->options.server),
                 &reply);

    if (status)
        return status;
    *ret_run = format_id(reply, "id");
    json_decref(reply);
    return 0;
}

int run_command(struct cli *c)
{
    struct source source;
    struct str error;
    json_t *params = NULL, *stored = NULL;
    int64_t run = 0;
    int status = read_params(c, &params);

    if (status)
        return status;
    if (source_read(&c->arena, c->args[0], &source, &error))
        status = cli_refuse(c, CODE_INVALID, "%s: " STR_FMT, source.name, STR_ARG(error));
    if (!status)
        status = cli_connect(c, CLI_CARRY);
    if (!status)
        status = workflows_store(c, &source, &stored);
    if (!status)
        status = start(c, &source, stored, params, &run);
    json_decref(stored);
    json_decref(params);
    return status ? status : tell_run(c, run, CLIENT_CARRY, TELL_ALL);
}
