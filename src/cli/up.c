/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/up.h"

#include <inttypes.h>
#include <string.h>

#include "base/sentence.h"

static void add(struct server_flags *flags, const char *key, const char *value, const char *flag)
{
    struct server_flag *list = (struct server_flag *)(uintptr_t)flags->list;

    if (value)
        list[flags->n++] = (struct server_flag){key, value, flag};
}

int up_flags(struct cli *c, const char *file, struct server_flags *ret)
{
    const struct text_list *set = &c->options.settings;
    const struct options *o = &c->options;

    *ret = (struct server_flags){
        .file = file        ? file
                : o->config ? o->config
                            : cli_setting("WEFT_CONFIG"),
        .list = ARENA_ARRAY(&c->arena, struct server_flag, set->n + 5),
    };
    for (size_t i = 0; i < set->n; i++) {
        const char *equals = strchr(set->list[i], '=');

        if (!equals)
            return cli_refuse(c, CODE_INVALID, "--set is KEY=VALUE, not " STR_FMT,
                              STR_ARG(sentence_quote(&c->arena, str_of(set->list[i]))));
        add(ret, str_cstr(&c->arena, (struct str){set->list[i], (size_t)(equals - set->list[i])}),
            equals + 1, "--set");
    }
    add(ret, "listen", o->listen, "--listen");
    add(ret, "grpc", o->grpc, "--grpc");
    add(ret, "store", c->store_given ? o->store : NULL, "--store");
    add(ret, "data", c->data_given ? o->data : NULL, "--data");
    if (o->jobs)
        add(ret, "slots", str_printf(&c->arena, "%" PRId64, o->jobs).p, "--jobs");
    return 0;
}

int up_command(struct cli *c)
{
    struct client_problem problem = {.code = CODE_OK};
    enum server_say say = c->options.quiet     ? SERVER_SAY_NOTHING
                          : cli_wants_table(c) ? SERVER_SAY_TEXT
                                               : SERVER_SAY_JSON;
    struct server_flags flags;
    int status = up_flags(c, NULL, &flags);

    if (!status && c->server_given)
        status = cli_refuse(c, CODE_INVALID, "weft up is a server, and asks none (--server)");
    if (status)
        return status;
    if (c->server->up(&flags, say, &problem))
        return cli_problem(c, &problem, flags.file);
    return 0;
}
