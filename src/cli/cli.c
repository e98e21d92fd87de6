/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/sentence.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/parse.h"
#include "cli/text.h"
#include "client/dump.h"

#define SENTENCE_BYTES_MAX (16u << 10)
#define SENTENCE_SHOWN     400 /* characters of an argument in a sentence about it */

/* ---- what went wrong ---- */

/* A code as a title: "run not found". */
static struct str title_of(struct arena *a, enum code code)
{
    struct str text = code_text(code);
    char *title = str_cstr(a, text);

    for (size_t i = 0; i < text.n; i++)
        if (title[i] == '_')
            title[i] = ' ';
    return str_of(title);
}

/* RFC 9457, with the places of a faulty file as `errors`. */
static void problem_json(struct cli *c, enum code code, const char *sentence, const json_t *details)
{
    struct str text = code_text(code);
    json_t *p = json_pack("{s:o, s:o, s:s, s:s%}", "type",
                          json_sprintf("urn:weft:problem:" STR_FMT, STR_ARG(text)), "title",
                          json_stringn(title_of(&c->arena, code).p, title_of(&c->arena, code).n),
                          "detail", sentence, "code", text.p, text.n);
    json_t *errors = json_array();
    const json_t *d;
    size_t i;

    json_array_foreach(details, i, d)
    {
        json_array_append_new(
            errors, json_pack("{s:O?, s:O?, s:O?}", "line", json_object_get(d, "line"), "column",
                              json_object_get(d, "column"), "detail", json_object_get(d, "text")));
    }
    if (json_array_size(errors))
        json_object_set(p, "errors", errors);
    json_decref(errors);
    cli_json_line(c->err, p);
    json_decref(p);
}

static void problem_text(struct cli *c, enum code code, const char *sentence, const json_t *details,
                         const char *file)
{
    struct buf b;
    const json_t *d;
    size_t i;

    buf_init(&b, SENTENCE_BYTES_MAX + 4096 * (json_array_size(details) + 1));
    json_array_foreach(details, i, d)
    {
        const json_t *text = json_object_get(d, "text");

        text_safe(&b, str_of(file ? file : "weft"));
        buf_printf(&b, ":%" JSON_INTEGER_FORMAT ":%" JSON_INTEGER_FORMAT ": ",
                   json_integer_value(json_object_get(d, "line")),
                   json_integer_value(json_object_get(d, "column")));
        text_safe(&b, (struct str){json_string_value(text), json_string_length(text)});
        buf_byte(&b, '\n');
    }
    buf_add(&b, STR("weft: "));
    text_safe(&b, str_of(sentence));
    buf_printf(&b, " [" STR_FMT "]\n", STR_ARG(code_text(code)));
    fwrite(b.p, 1, b.n, c->err);
    buf_deinit(&b);
}

static int problem_say(struct cli *c, enum code code, const char *sentence, const json_t *details,
                       const char *file)
{
    fflush(c->out);
    if (cli_wants_table(c))
        problem_text(c, code, sentence, details, file);
    else
        problem_json(c, code, sentence, details);
    fflush(c->err);
    return code_exit(code);
}

int cli_refuse(struct cli *c, enum code code, const char *format, ...)
{
    struct buf b;
    va_list args;
    int status;

    buf_init(&b, SENTENCE_BYTES_MAX);
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    status = problem_say(c, code, b.n ? b.p : "", NULL, NULL);
    buf_deinit(&b);
    return status;
}

int cli_problem(struct cli *c, struct client_problem *p, const char *file)
{
    int status = problem_say(c, p->code, p->text, p->details, file);

    client_problem_clear(p);
    return status;
}

/* ---- speaking to weft ---- */

int cli_connect(struct cli *c, enum cli_need need)
{
    struct client_settings settings = {
        .server = c->options.server,
        .server_ca = cli_setting("WEFT_CA"),
        .client_cert = cli_setting("WEFT_CERT"),
        .client_key = cli_setting("WEFT_KEY"),
        .store = c->options.store,
        .data = c->options.data,
        .slots = (unsigned)c->options.jobs,
        .carry = need == CLI_CARRY,
        .create = need != CLI_EXISTING,
    };
    struct client_problem problem = {.code = CODE_OK};

    assert(!c->connected);
    if (c->connect(&settings, &c->client, &problem))
        return cli_problem(c, &problem, NULL);
    c->connected = true;
    return 0;
}

int cli_call(struct cli *c, const char *method, json_t *request, json_t **ret_reply)
{
    struct client_problem problem = {.code = CODE_OK};

    if (!client_call(&c->client, method, request, ret_reply, &problem))
        return 0;
    /* Its places are those of the JSON that this program wrote, which nobody has seen. */
    if (problem.code == CODE_INVALID) {
        json_decref(problem.details);
        problem.details = NULL;
    }
    return cli_problem(c, &problem, NULL);
}

int cli_id(struct cli *c, const char *what, const char *text, int64_t *ret)
{
    if (!str_int64(str_of(text), ret) || *ret < 1)
        return cli_refuse(c, CODE_INVALID, STR_FMT " is no id of a %s: it is a number from 1 on",
                          STR_ARG(sentence_quote(&c->arena, str_of(text))), what);
    return 0;
}

int cli_token(struct cli *c, const char *text)
{
    struct str s = str_of(text);
    int64_t task = 0, number = 0;
    size_t dot;

    if (!str_find(s, '.', &dot) || !str_int64(str_sub(s, 0, dot), &task) ||
        !str_int64(str_sub(s, dot + 1, s.n), &number) || task < 1 || number < 1)
        return cli_refuse(c, CODE_INVALID,
                          STR_FMT " is no token: weft queue claim gives them, such as 12.345",
                          STR_ARG(sentence_quote(&c->arena, s)));
    return 0;
}

/* ---- JSON on the way out ---- */

/* jansson writes some characters raw that a terminal acts on; within JSON they can only stand in
 * texts, where an escape means the same. */
void cli_json_part(FILE *out, const char *p, size_t n)
{
    struct str s = {p, n};
    size_t begun = 0, at = 0;

    while (at < n) {
        size_t bytes;
        uint32_t c = text_char(str_sub(s, at, n), &bytes);

        if (c >= 0x7F && text_unsafe(c)) {
            fwrite(p + begun, 1, at - begun, out);
            fprintf(out, "\\u%04" PRIx32, c);
            begun = at + bytes;
        }
        at += bytes;
    }
    fwrite(p + begun, 1, n - begun, out);
}

static void write_json(FILE *out, const json_t *value, enum dump_shape shape)
{
    char *text = dump_text(value, shape);

    cli_json_part(out, text, strlen(text));
    free(text);
    fputc('\n', out);
}

void cli_json_line(FILE *out, const json_t *value)
{
    write_json(out, value, DUMP_COMPACT);
}

void cli_json(struct cli *c, const json_t *value)
{
    if (c->options.output == OUTPUT_JSONL) {
        cli_json_line(c->out, value);
        return;
    }
    write_json(c->out, value, DUMP_INDENTED);
}

void cli_json_list(struct cli *c, const char *key, const json_t *list)
{
    const json_t *v;
    json_t *object;
    size_t i;

    if (c->options.output == OUTPUT_JSONL) {
        json_array_foreach(list, i, v)
        {
            cli_json_line(c->out, v);
        }
        return;
    }
    object = json_pack("{s:O}", key, list);
    cli_json(c, object);
    json_decref(object);
}

/* ---- beginning and end ---- */

const char *cli_setting(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static void look_around(struct cli *c)
{
    const char *term = cli_setting("TERM");

    c->terminal = isatty(fileno(c->out)) && term && strcmp(term, "dumb");
    c->color = c->terminal && !cli_setting("NO_COLOR");
    /* The user's locale says which glyphs the terminal has; widths are then counted in UTF-8, which
     * all texts are in. */
    c->utf8 = setlocale(LC_CTYPE, "") && !strcmp(nl_langinfo(CODESET), "UTF-8");
    setlocale(LC_CTYPE, "C.UTF-8");
}

/* What keeps the output from being written. Where an earlier part of it failed, what was said then
 * is long forgotten, and another byte is told it again. */
static int output_fault(FILE *out)
{
    errno = 0;
    if (fflush(out))
        return errno;
    if (!ferror(out))
        return 0;
    return write(fileno(out), "\n", 1) < 0 ? errno : EIO;
}

/* A reader that went away is none of our business; a full disk is. */
static int finish(struct cli *c, int status)
{
    int e = output_fault(c->out);

    if (e && e != EPIPE)
        return cli_refuse(c, CODE_INTERNAL, "the output cannot be written: %s", strerror(e));
    return status;
}

/* `weft COMMAND --help`, also where the line lacks what the command needs. */
static int help(struct parse *l)
{
    struct cli *c = l->c;
    size_t used = 0;

    c->args = l->words;
    c->args_n = l->words_n < 2 ? l->words_n : 2;
    if (command_find(l->words, l->words_n, &used))
        c->args_n = used;
    return help_command(c);
}

static int dispatch(struct parse *l)
{
    struct cli *c = l->c;
    int status;

    c->server_given = c->options.server;
    c->store_given = c->options.store;
    c->data_given = c->options.data;
    if (!c->options.server && !c->store_given && !c->data_given)
        c->options.server = cli_setting("WEFT_SERVER");
    if (!c->options.store)
        c->options.store = cli_setting("WEFT_STORE");
    if (!c->options.data)
        c->options.data = cli_setting("WEFT_DATA");
    if (c->options.version)
        return help_version_command(c);
    if (c->options.help)
        return help(l);
    if (l->words_n == 0) {
        help_overview(c->err);
        return code_exit(CODE_INVALID);
    }
    status = parse_command(l);
    return status ? status : c->command->run(c);
}

int cli_main(const struct cli_world *world, int argc, char **argv)
{
    struct cli c = {.connect = world->connect,
                    .server = world->server,
                    .simulate = world->simulate,
                    .out = world->out,
                    .err = world->err};
    struct parse line;
    int status;

    look_around(&c);
    status = parse_line(&line, &c, argc, argv);
    if (!status)
        status = dispatch(&line);
    if (c.connected)
        client_close(&c.client);
    status = finish(&c, status);
    arena_deinit(&c.arena);
    return status;
}
