/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "base/buf.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"

#define STATUS_BYTES_MAX (1u << 30)

static void add_counts(struct cli *c, struct buf *b, const char *noun, const json_t *counts)
{
    struct str text = format_counts(&c->arena, counts);

    buf_printf(b, "%-9s " STR_FMT "\n", noun, STR_ARG(text.n ? text : STR("none")));
}

static void add_workers(struct cli *c, struct buf *b, const json_t *workers)
{
    static const char *const titles[] = {
        "WORKER", "NAME", "KIND", "STATE", "BUSY", "SLOTS", "PID", "LAST HEARD (UTC)", "HOST"};
    const json_t *w;
    struct table t;
    size_t i;

    if (json_array_size(workers) == 0)
        return;
    table_init(&t, &c->arena, titles, 9);
    json_array_foreach(workers, i, w)
    {
        table_add(&t, format_text(w, "id"));
        table_add(&t, format_text(w, "name"));
        table_add(&t, format_text(w, "kind"));
        table_add(&t, format_text(w, "state"));
        table_number(&t, format_number(w, "busy", 0));
        table_number(&t, format_slots(w));
        table_number(&t, format_number(w, "pid", 0));
        table_add(&t, format_time(&c->arena, format_text(w, "beat_at")));
        table_add(&t, format_text(w, "host"));
    }
    buf_byte(b, '\n');
    table_render(&t, b, report_columns(c), c->color, c->utf8);
}

int status_command(struct cli *c)
{
    const json_t *store;
    json_t *s;
    struct buf b;
    int status = cli_connect(c, CLI_EXISTING);

    if (status)
        return status;
    status = cli_call(c, "status.get", NULL, &s);
    if (status)
        return status;
    if (!cli_wants_table(c)) {
        cli_json(c, s);
        json_decref(s);
        return 0;
    }
    store = json_object_get(s, "store");
    buf_init(&b, STATUS_BYTES_MAX);
    buf_printf(&b, "%-9s ", "weft");
    text_safe(&b, format_text(s, "version"));
    buf_printf(&b, "\n%-9s ", "health");
    text_safe(&b, format_text(s, "health"));
    buf_printf(&b, "\n%-9s ", "store");
    text_safe(&b, format_text(store, "url"));
    buf_printf(&b, " (" STR_FMT ", schema %" PRId64 ")\n", STR_ARG(format_text(store, "backend")),
               format_number(store, "schema_version", 0));
    add_counts(c, &b, "runs", json_object_get(s, "runs"));
    add_counts(c, &b, "tasks", json_object_get(s, "tasks"));
    add_workers(c, &b, json_object_get(s, "workers"));
    fwrite(b.p, 1, b.n, c->out);
    buf_deinit(&b);
    json_decref(s);
    return 0;
}
