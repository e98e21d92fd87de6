/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/parse.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/sentence.h"

static struct str quote(struct parse *l, const char *text)
{
    return sentence_quote(&l->c->arena, str_of(text));
}

/* ---- options ---- */

/* Errors in the line must know how to be told before all of it is read. */
static void find_output(struct cli *c, int argc, char **argv)
{
    for (int i = 1; i < argc && argv[i] && strcmp(argv[i], "--"); i++) {
        const char *v = NULL;

        if ((!strcmp(argv[i], "-o") || !strcmp(argv[i], "--output")) && i + 1 < argc)
            v = argv[i + 1];
        else if (!strncmp(argv[i], "--output=", 9))
            v = argv[i] + 9;
        else if (!strncmp(argv[i], "-o", 2))
            v = argv[i] + 2;
        if (v && !strncmp(v, "json", 4))
            c->options.output = OUTPUT_JSON;
    }
}

static int refuse_option(struct parse *l, const char *typed)
{
    size_t used;
    /* "weft runs list", as far as the command is known; then only its own are meant. */
    const struct command *found = command_find(l->words, l->words_n, &used);
    struct str path = found ? str_printf(&l->c->arena, "weft %s", found->path) : STR("weft");
    uint64_t options = found ? found->options | OPTION_BITS_ALL : UINT64_MAX;
    struct str name = str_of(typed);
    struct sentence_nearest near;

    str_find(name, '=', &name.n);
    sentence_nearest_init(&near, str_sub(name, 2, name.n));
    for (int i = 0; i < OPTION_N && typed[1] == '-'; i++)
        if (options & 1ull << i)
            sentence_nearest_try(&near, str_of(command_options[i].name));
    if (near.best.p)
        return cli_refuse(l->c, CODE_INVALID,
                          "there is no option %.*s; did you mean --" STR_FMT "? (" STR_FMT
                          " --help)",
                          (int)str_sub(name, 0, SENTENCE_QUOTE_BYTES_MAX).n, typed,
                          STR_ARG(near.best), STR_ARG(path));
    return cli_refuse(l->c, CODE_INVALID, "there is no option %.*s (" STR_FMT " --help)",
                      (int)str_sub(name, 0, SENTENCE_QUOTE_BYTES_MAX).n, typed, STR_ARG(path));
}

static int set_choice(struct parse *l, const struct option *o, const char *value, int *field)
{
    struct buf b;
    int status;

    for (int i = 0; o->choices[i]; i++)
        if (!strcmp(o->choices[i], value)) {
            *field = i;
            return 0;
        }
    buf_init(&b, 256);
    for (int i = 0; o->choices[i]; i++)
        buf_printf(&b, "%s%s", !i ? "" : o->choices[i + 1] ? ", " : " or ", o->choices[i]);
    status = cli_refuse(l->c, CODE_INVALID, "--%s is %s, not " STR_FMT, o->name, b.p,
                        STR_ARG(quote(l, value)));
    buf_deinit(&b);
    return status;
}

static int set_count(struct parse *l, const struct option *o, const char *value, int64_t *field)
{
    struct str most = STR("on");

    if (str_int64(str_of(value), field) && *field >= 1 && *field <= o->max)
        return 0;
    if (o->max < INT64_MAX)
        most = str_printf(&l->c->arena, "to %" PRId64, o->max);
    return cli_refuse(l->c, CODE_INVALID, "--%s is a whole number from 1 " STR_FMT ", not " STR_FMT,
                      o->name, STR_ARG(most), STR_ARG(quote(l, value)));
}

static void list_add(struct arena *a, struct text_list *list, const char *value)
{
    list->list = arena_grow(a, list->list, list->n * sizeof(*list->list),
                            (list->n + 1) * sizeof(*list->list));
    list->list[list->n++] = value;
}

static int set_option(struct parse *l, int at, const char *value)
{
    const struct option *o = &command_options[at];
    void *field = (char *)&l->c->options + o->offset;

    if (l->given & 1ull << at && o->kind != KIND_LIST && o->kind != KIND_FLAG)
        return cli_refuse(l->c, CODE_INVALID, "--%s is given twice", o->name);
    l->given |= 1ull << at;
    switch (o->kind) {
    case KIND_FLAG:
        *(bool *)field = true;
        return 0;
    case KIND_TEXT:
        if (!*value)
            return cli_refuse(l->c, CODE_INVALID, "--%s is empty", o->name);
        *(const char **)field = value;
        return 0;
    case KIND_COUNT:
        return set_count(l, o, value, field);
    case KIND_CHOICE:
        return set_choice(l, o, value, field);
    case KIND_LIST:
        list_add(&l->c->arena, field, value);
        return 0;
    }
    return 0;
}

/* An option with a value: it stands behind it in the same word, or is the next word. */
static int set_valued(struct parse *l, int at, const char *behind)
{
    const struct option *o = &command_options[at];

    if (behind)
        return set_option(l, at, behind);
    if (l->at + 1 >= l->argc)
        return cli_refuse(l->c, CODE_INVALID, "--%s needs a value: --%s %s", o->name, o->name,
                          o->value);
    return set_option(l, at, l->argv[++l->at]);
}

static int read_long(struct parse *l, const char *word)
{
    struct str name = str_of(word + 2);
    const char *value = strchr(word, '=');

    str_find(name, '=', &name.n);
    for (int i = 0; i < OPTION_N; i++) {
        const struct option *o = &command_options[i];

        if (!str_eq(name, str_of(o->name)))
            continue;
        if (o->kind != KIND_FLAG)
            return set_valued(l, i, value ? value + 1 : NULL);
        return value ? cli_refuse(l->c, CODE_INVALID, "--%s takes no value", o->name)
                     : set_option(l, i, NULL);
    }
    return refuse_option(l, word);
}

/* Letters may stand together (-qf), and the last one's value may follow at once (-j4). */
static int read_letters(struct parse *l, const char *word)
{
    int status = 0;

    for (const char *p = word + 1; *p && !status; p++) {
        int i = 0;

        while (i < OPTION_N && command_options[i].letter != *p)
            i++;
        if (i == OPTION_N)
            return refuse_option(l, word);
        if (command_options[i].kind != KIND_FLAG)
            return set_valued(l, i, p[1] ? p + 1 : NULL);
        status = set_option(l, i, NULL);
    }
    return status;
}

int parse_line(struct parse *l, struct cli *c, int argc, char **argv)
{
    bool options_over = false;

    *l = (struct parse){.c = c, .argc = argc, .argv = argv};
    l->words = ARENA_ARRAY(&c->arena, const char *, (size_t)argc + 1);
    find_output(c, argc, argv);
    for (l->at = 1; l->at < argc; l->at++) {
        const char *word = argv[l->at];
        int status = 0;

        if (options_over || word[0] != '-' || !word[1])
            l->words[l->words_n++] = word;
        else if (!strcmp(word, "--"))
            options_over = true;
        else
            status = word[1] == '-' ? read_long(l, word) : read_letters(l, word);
        if (status)
            return status;
    }
    if (!(l->given & OPTION_BIT(OUTPUT)))
        c->options.output = OUTPUT_TABLE;
    return 0;
}

/* ---- the command ---- */

static int refuse_family(struct parse *l, const char *word)
{
    struct str begin = str_printf(&l->c->arena, "%s ", word);
    struct buf b;
    int status;

    buf_init(&b, 1024);
    for (size_t i = 0; i < command_rows_n; i++)
        if (str_starts(str_of(command_rows[i].path), begin))
            buf_printf(&b, "%s%s", b.n ? ", " : "", command_rows[i].path + begin.n);
    status = cli_refuse(l->c, CODE_INVALID, "weft %s needs one of: %s", word, b.p);
    buf_deinit(&b);
    return status;
}

static int refuse_command(struct parse *l)
{
    const char *first = l->words[0];
    bool family = command_is_family(first);
    struct str both = str_of(first), typed;
    struct sentence_nearest near, near_both;

    if (family && l->words_n == 1)
        return refuse_family(l, first);
    if (l->words_n > 1)
        both = str_printf(&l->c->arena, "%s %s", first, l->words[1]);
    typed = family ? both : str_of(first);
    sentence_nearest_init(&near, typed);
    sentence_nearest_init(&near_both, both); /* "rusn list" */
    for (size_t i = 0; i < command_rows_n; i++) {
        sentence_nearest_try(&near, str_of(command_rows[i].path));
        sentence_nearest_try(&near_both, str_of(command_rows[i].path));
    }
    if (near_both.best.p)
        near.best = near_both.best;
    typed = sentence_quote(&l->c->arena, typed);
    if (near.best.p)
        return cli_refuse(l->c, CODE_INVALID,
                          "there is no command " STR_FMT "; did you mean \"weft " STR_FMT "\"?",
                          STR_ARG(typed), STR_ARG(near.best));
    return cli_refuse(l->c, CODE_INVALID, "there is no command " STR_FMT " (weft --help)",
                      STR_ARG(typed));
}

/* "QUEUE" of "QUEUE [SETTING=VALUE…]"; the last one repeats. */
static struct str argument_name(const struct command *command, size_t at)
{
    struct str rest = str_of(command->arguments), name = rest;

    for (size_t i = 0; i <= at && rest.n; i++) {
        size_t end = rest.n;

        str_find(rest, ' ', &end);
        name = str_sub(rest, 0, end);
        rest = str_sub(rest, end + 1, rest.n);
    }
    if (str_starts(name, STR("[")) && str_ends(name, STR("]")))
        name = str_sub(name, 1, name.n - 2);
    if (str_ends(name, STR("…")))
        name.n -= STR("…").n;
    return name;
}

/* No command has a meaning for an empty one: it is a variable of a script that was not set. */
static int check_arguments(struct cli *c)
{
    for (size_t i = 0; i < c->args_n; i++)
        if (!*c->args[i])
            return cli_refuse(c, CODE_INVALID, STR_FMT " of weft %s is empty (weft %s --help)",
                              STR_ARG(argument_name(c->command, i)), c->command->path,
                              c->command->path);
    return 0;
}

int parse_command(struct parse *l)
{
    struct cli *c = l->c;
    size_t used = 0;
    const struct command *command = command_find(l->words, l->words_n, &used);
    uint64_t extra;

    if (!command)
        return refuse_command(l);
    extra = l->given & ~(command->options | OPTION_BITS_ALL);
    if (extra)
        return cli_refuse(c, CODE_INVALID, "weft %s takes no option --%s (weft %s --help)",
                          command->path, command_options[__builtin_ctzll(extra)].name,
                          command->path);
    c->command = command;
    c->args = l->words + used;
    c->args_n = l->words_n - used;
    if (c->args_n < command->least)
        return cli_refuse(c, CODE_INVALID, "weft %s needs %s (weft %s --help)", command->path,
                          command->arguments, command->path);
    if (c->args_n > command->most)
        return cli_refuse(c, CODE_INVALID, "weft %s takes no argument " STR_FMT " (weft %s --help)",
                          command->path, STR_ARG(quote(l, c->args[command->most])), command->path);
    return check_arguments(c);
}
