/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workers: who holds leases.
 */
#include <inttypes.h>

#include "base/buf.h"
#include "cli/format.h"
#include "cli/queue.h"
#include "cli/report.h"
#include "cli/table.h"

static void show(struct cli *c, const json_t *workers)
{
    static const char *const titles[] = {"WORKER", "NAME",   "KIND",  "TYPE",
                                         "STATE",  "BUSY",   "SLOTS", "LAST HEARD (UTC)",
                                         "HOST",   "ADDRESS"};
    const json_t *w;
    struct table t;
    size_t i;

    table_init(&t, &c->arena, titles, 10);
    json_array_foreach(workers, i, w)
    {
        table_add(&t, format_text(w, "id"));
        table_add(&t, format_text(w, "name"));
        table_add(&t, format_text(w, "kind"));
        table_add(&t, format_text(w, "type"));
        table_add(&t, format_text(w, "state"));
        table_number(&t, format_number(w, "busy", 0));
        if (format_slots(w))
            table_number(&t, format_slots(w));
        else
            table_add(&t, STR("no limit"));
        table_add(&t, format_time(&c->arena, format_text(w, "beat_at")));
        table_add(&t, format_text(w, "host"));
        table_add(&t, format_text(w, "address"));
    }
    report_table(c, &t);
}

int workers_list_command(struct cli *c)
{
    json_t *request = json_object(), *all;
    int status = cli_connect(c, CLI_EXISTING);

    if (c->options.all)
        json_object_set_new(request, "all", json_true());
    if (c->options.type)
        json_object_set_new(request, "type", json_string(c->options.type));
    if (status)
        json_decref(request);
    else
        status = queue_pages(c, "workers.list", request, "workers", 0, &all);
    if (status)
        return status;
    if (cli_wants_table(c))
        show(c, all);
    else
        cli_json_list(c, "workers", all);
    json_decref(all);
    return 0;
}

int workers_drain_command(struct cli *c)
{
    json_t *worker;
    int64_t id;
    int status = cli_id(c, "worker", c->args[0], &id);

    if (!status)
        status = cli_connect(c, CLI_EXISTING);
    if (!status)
        status = cli_call(c, "workers.drain",
                          json_pack("{s:o}", "worker", json_sprintf("%" PRId64, id)), &worker);
    if (status)
        return status;
    if (!cli_wants_table(c))
        cli_json(c, worker);
    else if (!c->options.quiet)
        fprintf(c->out, "worker " STR_FMT " is " STR_FMT "\n", STR_ARG(format_text(worker, "id")),
                STR_ARG(format_text(worker, "state")));
    json_decref(worker);
    return 0;
}
