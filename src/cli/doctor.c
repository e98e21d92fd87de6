/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "base/buf.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/text.h"

#define DOCTOR_BYTES_MAX (1u << 30)

static void add_check(struct cli *c, struct buf *b, const json_t *check)
{
    bool ok = json_is_true(json_object_get(check, "ok"));
    struct str text = format_text(check, "text"), advice = format_text(check, "advice");
    int64_t found = format_number(check, "found", 0);

    if (c->color)
        buf_add(b, ok ? STR("\x1b[32m") : STR("\x1b[31m"));
    buf_add(b, ok ? STR("ok    ") : STR("WRONG "));
    if (c->color)
        buf_add(b, STR("\x1b[0m"));
    text_safe(b, format_text(check, "name"));
    buf_byte(b, '\n');
    if (ok && !text.n)
        return;
    if (text.n) {
        buf_add(b, STR("      "));
        text_safe(b, text);
        if (!ok && found)
            buf_printf(b, " (%" PRId64 " found)", found);
        buf_byte(b, '\n');
    }
    if (!ok && advice.n) {
        buf_add(b, STR("      "));
        text_safe(b, advice);
        buf_byte(b, '\n');
    }
}

int doctor_command(struct cli *c)
{
    const json_t *check;
    json_t *reply;
    struct buf b;
    size_t i;
    bool ok;
    int status = cli_connect(c, CLI_EXISTING);

    if (status)
        return status;
    status = cli_call(c, "doctor.check", json_pack("{s:b}", "repair", c->options.repair), &reply);
    if (status)
        return status;
    ok = json_is_true(json_object_get(reply, "ok"));
    if (cli_wants_table(c)) {
        buf_init(&b, DOCTOR_BYTES_MAX);
        json_array_foreach(json_object_get(reply, "checks"), i,
                           check) if (!c->options.quiet ||
                                      !json_is_true(json_object_get(check, "ok")))
            add_check(c, &b, check);
        fwrite(b.p, 1, b.n, c->out);
        buf_deinit(&b);
    } else {
        cli_json(c, reply);
    }
    json_decref(reply);
    return ok ? 0 : 1;
}
