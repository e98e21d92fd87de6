/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <string.h>

#include "cli/text.h"

#define HELP_COLUMNS   90
#define HELP_INDENT    2
#define HELP_BYTES_MAX (256u << 10)

void help_option(struct buf *out, const struct option *o)
{
    if (o->letter)
        buf_printf(out, "-%c, ", o->letter);
    buf_printf(out, "--%s", o->name);
    if (o->value)
        buf_printf(out, " %s", o->value);
}

/* `left` and then `right` from a fixed column on. */
static void two_columns(struct buf *out, struct str left, size_t column, const char *right)
{
    size_t width = HELP_INDENT + text_width(left);

    buf_printf(out, "%*s", HELP_INDENT, "");
    buf_add(out, left);
    buf_printf(out, "%*s%s\n", width + 2 > column ? 2 : (int)(column - width), "", right);
}

static void add_options(struct buf *out, uint64_t options)
{
    for (int i = 0; i < OPTION_N; i++) {
        struct buf left;

        if (!(options & 1ull << i))
            continue;
        buf_init(&left, 256);
        if (!command_options[i].letter)
            buf_add(&left, STR("    "));
        help_option(&left, &command_options[i]);
        two_columns(out, buf_str(&left), 30, command_options[i].help);
        buf_deinit(&left);
    }
}

static void overview(struct buf *out)
{
    buf_add(out, STR("weft runs workflows, and never loses track of them.\n\n"
                     "Usage: weft COMMAND [OPTION]… [ARGUMENT]…\n\n"
                     "    weft check etl.yaml                    is the file right?\n"
                     "    weft run etl.yaml -p day=2026-03-08    run it here, to its end\n"
                     "    weft runs list                         what ran\n"
                     "    weft why 12                            why a run waits or failed\n"));
    for (int g = 0; g < COMMANDS_N; g++) {
        buf_printf(out, "\n%s:\n", command_groups[g]);
        for (size_t i = 0; i < command_rows_n; i++) {
            const struct command *row = &command_rows[i];
            struct buf left;

            if (row->group != (enum command_group)g)
                continue;
            buf_init(&left, 256);
            buf_printf(&left, "%s%s%s", row->path, *row->arguments ? " " : "", row->arguments);
            two_columns(out, buf_str(&left), 26, row->help);
            buf_deinit(&left);
        }
    }
    buf_add(out, STR("\nOptions of every command:\n"));
    add_options(out, OPTION_BITS_ALL);
    buf_add(out, STR("\nExit status: 0 ok, 1 the run failed or was cancelled, 2 wrong usage or a"
                     " faulty file,\n3 not found, 4 conflict, 5 timeout, 6 denied,"
                     " 7 unavailable.\n"
                     "weft help COMMAND tells more. NO_COLOR turns colours off.\n"));
}

void help_overview(FILE *out)
{
    struct buf b;

    buf_init(&b, HELP_BYTES_MAX);
    overview(&b);
    fwrite(b.p, 1, b.n, out);
    buf_deinit(&b);
}

static void add_usage(struct buf *out, const struct command *row)
{
    buf_printf(out, "weft %s [OPTION]…%s%s", row->path, *row->arguments ? " " : "", row->arguments);
}

static void explain(struct buf *out, const struct command *row)
{
    buf_add(out, STR("Usage: "));
    add_usage(out, row);
    buf_printf(out, "\n\n%c%s.\n", row->help[0] - 'a' + 'A', row->help + 1);
    if (row->text) {
        buf_byte(out, '\n');
        text_wrap(out, str_of(row->text), HELP_COLUMNS, 0);
    }
    if (row->options) {
        buf_add(out, STR("\nOptions:\n"));
        add_options(out, row->options);
    }
    buf_add(out, STR("\nOptions of every command:\n"));
    add_options(out, OPTION_BITS_ALL);
    if (row->example) {
        buf_add(out, STR("\nExamples:\n"));
        text_wrap(out, str_of(row->example), SIZE_MAX, 4);
    }
}

static void family(struct buf *out, const char *word)
{
    size_t len = strlen(word);

    buf_printf(out, "Usage: weft %s COMMAND [OPTION]… [ARGUMENT]…\n\n", word);
    for (size_t i = 0; i < command_rows_n; i++) {
        const struct command *row = &command_rows[i];
        struct buf left;

        if (strncmp(row->path, word, len) || row->path[len] != ' ')
            continue;
        buf_init(&left, 256);
        buf_printf(&left, "%s%s%s", row->path, *row->arguments ? " " : "", row->arguments);
        two_columns(out, buf_str(&left), 26, row->help);
        buf_deinit(&left);
    }
    buf_printf(out, "\nweft help %s COMMAND tells more.\n", word);
}

/* ---- the manual page ---- */

/* Text for roff: dashes that may be copied, nothing that begins a request. */
static void roff(struct buf *out, struct str s)
{
    bool begin = true;

    for (size_t i = 0; i < s.n; i++) {
        if (begin && (s.p[i] == '.' || s.p[i] == '\''))
            buf_add(out, STR("\\&"));
        if (s.p[i] == '-')
            buf_add(out, STR("\\-"));
        else if (s.p[i] == '\\')
            buf_add(out, STR("\\e"));
        else
            buf_byte(out, s.p[i]);
        begin = s.p[i] == '\n';
    }
}

static void roff_options(struct buf *out, uint64_t options)
{
    for (int i = 0; i < OPTION_N; i++) {
        struct buf left;

        if (!(options & 1ull << i))
            continue;
        buf_init(&left, 256);
        help_option(&left, &command_options[i]);
        buf_add(out, STR(".TP\n\\fB"));
        roff(out, buf_str(&left));
        buf_add(out, STR("\\fR\n"));
        roff(out, str_of(command_options[i].help));
        buf_add(out, STR(".\n"));
        buf_deinit(&left);
    }
}

/* Paragraphs, parted by empty lines. */
static void roff_text(struct buf *out, struct str s)
{
    while (s.n) {
        const char *end = memmem(s.p, s.n, "\n\n", 2);
        size_t n = end ? (size_t)(end - s.p) : s.n;

        buf_add(out, STR(".PP\n"));
        roff(out, str_sub(s, 0, n));
        buf_byte(out, '\n');
        s = str_sub(s, end ? n + 2 : n, s.n);
    }
}

static void roff_command(struct buf *out, const struct command *row)
{
    struct buf usage;

    buf_init(&usage, 512);
    add_usage(&usage, row);
    buf_add(out, STR(".SS \""));
    roff(out, buf_str(&usage));
    buf_add(out, STR("\"\n"));
    buf_deinit(&usage);
    buf_printf(out, "%c", row->help[0] - 'a' + 'A');
    roff(out, str_of(row->help + 1));
    buf_add(out, STR(".\n"));
    if (row->text)
        roff_text(out, str_of(row->text));
    roff_options(out, row->options);
    if (row->example) {
        buf_add(out, STR(".PP\n.nf\n.RS\n"));
        roff(out, str_of(row->example));
        buf_add(out, STR("\n.RE\n.fi\n"));
    }
}

void help_man(struct buf *out)
{
    buf_add(out,
            STR(".TH WEFT 1 \"\" \"weft " WEFT_VERSION "\" \"User Commands\"\n"
                ".SH NAME\nweft \\- run workflows, and never lose track of them\n"
                ".SH SYNOPSIS\n\\fBweft\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]… "
                "[\\fIARGUMENT\\fR]…\n"
                ".SH DESCRIPTION\n"
                "weft runs workflows of processes. What it acknowledges is durable: a run that is"
                " interrupted, however hard, is taken up again where it stood.\n"
                ".SH COMMANDS\n"));
    for (int g = 0; g < COMMANDS_N; g++)
        for (size_t i = 0; i < command_rows_n; i++)
            if (command_rows[i].group == (enum command_group)g)
                roff_command(out, &command_rows[i]);
    buf_add(out, STR(".SH OPTIONS\nEvery command takes these, before or behind its arguments:\n"));
    roff_options(out, OPTION_BITS_ALL);
    buf_add(
        out,
        STR(".SH EXIT STATUS\n"
            ".TP\n0\nok\n.TP\n1\nthe run failed or was cancelled, or something is wrong inside\n"
            ".TP\n2\nwrong usage, or a faulty file\n.TP\n3\nnot found\n.TP\n4\nconflict\n"
            ".TP\n5\ntimeout\n.TP\n6\ndenied\n.TP\n7\nunavailable\n"
            ".SH ENVIRONMENT\n"
            ".TP\nWEFT_SERVER, WEFT_STORE, WEFT_DATA\nstand for \\-\\-server, \\-\\-store and"
            " \\-\\-data.\n"
            ".TP\nWEFT_CONFIG, WEFT_LISTEN, WEFT_GRPC, \\&...\nof a server: \\-\\-config, and each "
            "of its"
            " settings (weft config show).\n"
            ".TP\nWEFT_CA, WEFT_CERT, WEFT_KEY\nPEM files for https: the authorities that the "
            "server's"
            " certificate comes from, and the certificate and key of the client.\n"
            ".TP\nNO_COLOR\nturns colours off where it is set to anything.\n"
            ".SH FILES\n.TP\n\\&./.weft/weft.db\nthe store\n"
            ".TP\n\\&./.weft\nthe logs, beside it\n"));
}

/* ---- the commands ---- */

static void print(struct cli *c, const struct buf *b)
{
    fwrite(b->p, 1, b->n, c->out);
}

int help_command(struct cli *c)
{
    size_t used = 0;
    const struct command *row = command_find(c->args, c->args_n, &used);
    struct buf b;
    int status = 0;

    buf_init(&b, HELP_BYTES_MAX);
    if (c->options.man)
        help_man(&b);
    else if (c->args_n == 0)
        overview(&b);
    else if (row && used == c->args_n)
        explain(&b, row);
    else if (c->args_n == 1 && command_is_family(c->args[0]))
        family(&b, c->args[0]);
    else
        status = cli_refuse(c, CODE_INVALID, "there is no command \"%s%s%s\" (weft --help)",
                            c->args[0], c->args_n > 1 ? " " : "", c->args_n > 1 ? c->args[1] : "");
    print(c, &b);
    buf_deinit(&b);
    return status;
}

int help_version_command(struct cli *c)
{
    json_t *version;

    if (cli_wants_table(c)) {
        fputs("weft " WEFT_VERSION "\n", c->out);
        return 0;
    }
    version = json_pack("{s:s}", "version", WEFT_VERSION);
    cli_json(c, version);
    json_decref(version);
    return 0;
}
