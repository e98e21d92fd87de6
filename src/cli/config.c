/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the settings that a server would have.
 */
#include "base/buf.h"
#include "cli/format.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/up.h"

static int read(struct cli *c, json_t **ret)
{
    struct client_problem problem = {.code = CODE_OK};
    struct server_flags flags;
    int status = up_flags(c, c->args_n ? c->args[0] : NULL, &flags);

    if (!status && c->server->config(&flags, ret, &problem))
        status = cli_problem(c, &problem, flags.file);
    return status;
}

int config_check_command(struct cli *c)
{
    json_t *config;
    struct str file;
    int status = read(c, &config);

    if (status)
        return status;
    file = format_text(config, "file");
    if (!cli_wants_table(c))
        cli_json(c, config);
    else if (!c->options.quiet)
        fprintf(c->out, STR_FMT ": ok\n", STR_ARG(file.n ? file : STR("the settings")));
    json_decref(config);
    return 0;
}

int config_show_command(struct cli *c)
{
    static const char *const titles[] = {"SETTING", "VALUE", "FROM", "WHAT IT IS"};
    json_t *config;
    const json_t *s;
    struct table t;
    size_t i;
    int status = read(c, &config);

    if (status)
        return status;
    if (!cli_wants_table(c)) {
        cli_json(c, config);
        json_decref(config);
        return 0;
    }
    table_init(&t, &c->arena, titles, 4);
    json_array_foreach(json_object_get(config, "settings"), i, s)
    {
        struct str where = format_text(s, "where");

        table_add(&t, format_text(s, "key"));
        table_add(&t, format_text(s, "value"));
        table_add(&t, where.n ? where : format_text(s, "from"));
        table_add(&t, format_text(s, "help"));
    }
    report_table(c, &t);
    json_decref(config);
    return 0;
}
