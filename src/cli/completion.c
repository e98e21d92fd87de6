/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion: what may come next on the line, as scripts for the shells.
 *
 * bash and zsh get one function that looks the words before the cursor up in a `case`, fish gets
 * one `complete` line per word. All of them complete commands, options, the values of choices, and
 * files where a command takes them.
 */
#include <string.h>

#include "base/sentence.h"
#include "cli/help.h"

#define SCRIPT_BYTES_MAX (256u << 10)

static const char *const shells[] = {"bash", "zsh", "fish"};
#define SHELLS_N (sizeof(shells) / sizeof(shells[0]))

/* The first words of all paths, each once. */
static bool first_of_its_word(size_t row, size_t *ret_len)
{
    const char *path = command_rows[row].path;
    size_t len = strcspn(path, " ");

    *ret_len = len;
    for (size_t i = 0; i < row; i++)
        if (!strncmp(command_rows[i].path, path, len) &&
            (command_rows[i].path[len] == ' ' || !command_rows[i].path[len]))
            return false;
    return true;
}

static void add_first_words(struct buf *out)
{
    for (size_t i = 0; i < command_rows_n; i++) {
        size_t len;

        if (first_of_its_word(i, &len))
            buf_printf(out, "%s%.*s", i ? " " : "", (int)len, command_rows[i].path);
    }
}

static void add_second_words(struct buf *out, const char *first, size_t len)
{
    const char *gap = "";

    for (size_t i = 0; i < command_rows_n; i++)
        if (!strncmp(command_rows[i].path, first, len) && command_rows[i].path[len] == ' ') {
            buf_printf(out, "%s%s", gap, command_rows[i].path + len + 1);
            gap = " ";
        }
}

static void add_options(struct buf *out, uint64_t options)
{
    const char *gap = "";

    for (int i = 0; i < OPTION_N; i++)
        if (options & 1ull << i) {
            buf_printf(out, "%s--%s", gap, command_options[i].name);
            if (command_options[i].letter)
                buf_printf(out, " -%c", command_options[i].letter);
            gap = " ";
        }
}

static void add_choices(struct buf *out, const struct option *o)
{
    for (size_t i = 0; o->choices[i]; i++)
        buf_printf(out, "%s%s", i ? " " : "", o->choices[i]);
}

/* What stands where an argument is expected, as a list of words; files are the shell's own. */
static void add_arguments(struct buf *out, enum argument_kind kind)
{
    if (kind == ARGUMENT_COMMAND)
        add_first_words(out);
    for (size_t i = 0; kind == ARGUMENT_SHELL && i < SHELLS_N; i++)
        buf_printf(out, "%s%s", i ? " " : "", shells[i]);
}

/* `case` branches that set `offer` and `files` from the command and the word before the cursor. */
static void add_branches(struct buf *out)
{
    buf_add(out, STR("  case \"$before\" in\n"));
    for (int i = 0; i < OPTION_N; i++) {
        const struct option *o = &command_options[i];

        if (o->kind == KIND_FLAG)
            continue;
        buf_printf(out, "    --%s", o->name);
        if (o->letter)
            buf_printf(out, "|-%c", o->letter);
        buf_add(out, STR(") offer=\""));
        if (o->choices)
            add_choices(out, o);
        buf_printf(out, "\"; %sreturn;;\n", i == OPTION_DATA ? "files=1; " : "");
    }
    buf_add(out, STR("  esac\n  case \"$cmd\" in\n    \"\") offer=\""));
    add_first_words(out);
    buf_add(out, STR(" --help --version\";;\n"));
    for (size_t i = 0; i < command_rows_n; i++) {
        const struct command *row = &command_rows[i];
        size_t len;

        if (first_of_its_word(i, &len) && row->path[len]) {
            buf_printf(out, "    \"%.*s\") offer=\"", (int)len, row->path);
            add_second_words(out, row->path, len);
            buf_add(out, STR("\";;\n"));
        }
    }
    for (size_t i = 0; i < command_rows_n; i++) {
        const struct command *row = &command_rows[i];

        buf_printf(out, "    \"%s\"%s) offer=\"", row->path, strchr(row->path, ' ') ? "*" : "");
        add_arguments(out, row->kind);
        if (row->kind == ARGUMENT_COMMAND || row->kind == ARGUMENT_SHELL)
            buf_byte(out, ' ');
        add_options(out, row->options | OPTION_BITS_ALL);
        buf_printf(out, "\"%s;;\n", row->kind == ARGUMENT_FILE ? "; files=1" : "");
    }
    buf_add(out, STR("  esac\n"));
}

/* Shared by bash and zsh: the command's path from the words between the program and the cursor. */
static void add_path(struct buf *out)
{
    buf_add(out, STR("  local word skip= count=0\n"
                     "  cmd=\n"
                     "  for word in \"$@\"; do\n"
                     "    if [ -n \"$skip\" ]; then skip=; continue; fi\n"
                     "    case \"$word\" in\n"
                     "      "));
    for (int i = 0, n = 0; i < OPTION_N; i++) {
        const struct option *o = &command_options[i];

        if (o->kind == KIND_FLAG)
            continue;
        buf_printf(out, "%s--%s", n++ ? "|" : "", o->name);
        if (o->letter)
            buf_printf(out, "|-%c", o->letter);
    }
    buf_add(out, STR(") skip=1;;\n"
                     "      -*) ;;\n"
                     "      *) if [ $count -eq 0 ]; then cmd=$word; count=1\n"
                     "         elif [ $count -eq 1 ]; then\n"
                     "           case \"$cmd\" in\n"));
    for (size_t i = 0; i < command_rows_n; i++) {
        size_t len;

        if (first_of_its_word(i, &len) && command_rows[i].path[len])
            buf_printf(out, "             %.*s) cmd=\"$cmd $word\";;\n", (int)len,
                       command_rows[i].path);
    }
    buf_add(out, STR("           esac; count=2\n"
                     "         fi;;\n"
                     "    esac\n"
                     "  done\n"));
}

static void bash(struct buf *out)
{
    buf_add(out, STR("# bash completion for weft; source <(weft completion bash)\n"
                     "_weft_find() {\n"));
    add_path(out);
    add_branches(out);
    buf_add(out, STR("}\n"
                     "_weft() {\n"
                     "  local cmd offer= files= before=${COMP_WORDS[COMP_CWORD-1]}\n"
                     "  local now=${COMP_WORDS[COMP_CWORD]}\n"
                     "  _weft_find \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
                     "  [[ -n $files && $now != -* ]] && offer=\n"
                     "  COMPREPLY=($(compgen -W \"$offer\" -- \"$now\"))\n"
                     "  if [[ -n $files && $now != -* ]]; then\n"
                     "    compopt -o filenames\n"
                     "    mapfile -t COMPREPLY < <(compgen -f -- \"$now\")\n"
                     "  fi\n"
                     "}\n"
                     "complete -F _weft weft\n"));
}

static void zsh(struct buf *out)
{
    buf_add(out, STR("#compdef weft\n"
                     "# zsh completion for weft; source <(weft completion zsh)\n"
                     "_weft_find() {\n"
                     "  emulate -L sh\n"));
    add_path(out);
    add_branches(out);
    buf_add(
        out,
        STR("}\n"
            "_weft() {\n"
            "  local where found before=${words[CURRENT-1]} now=${words[CURRENT]}\n"
            "  local -a given=(\"${(@)words[2,CURRENT-1]}\")\n"
            "  () {\n"
            "    local cmd= offer= files=\n"
            "    _weft_find \"$@\"\n"
            "    found=$offer where=$files\n"
            "  } \"${given[@]}\"\n"
            "  if [[ -n $where && $now != -* ]]; then _files\n"
            "  else compadd -- ${=found}\n"
            "  fi\n"
            "}\n"
            "if [ \"$funcstack[1]\" = _weft ]; then _weft \"$@\"; else compdef _weft weft; fi\n"));
}

/* A text between single quotes of fish. */
static void fish_quoted(struct buf *out, const char *text)
{
    buf_byte(out, '\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            buf_byte(out, '\\');
        buf_byte(out, *text);
    }
    buf_byte(out, '\'');
}

/* The condition under which the command of the row is on the line. */
static void fish_condition(struct buf *out, const struct command *row)
{
    size_t len = strcspn(row->path, " ");

    buf_printf(out, " -n '__fish_seen_subcommand_from %.*s", (int)len, row->path);
    if (row->path[len])
        buf_printf(out, "; and __fish_seen_subcommand_from %s", row->path + len + 1);
    buf_byte(out, '\'');
}

static void fish_option(struct buf *out, const struct option *o)
{
    buf_printf(out, " -l %s", o->name);
    if (o->letter)
        buf_printf(out, " -s %c", o->letter);
    if (o->kind != KIND_FLAG)
        buf_add(out, STR(" -x"));
    if (o->choices) {
        buf_add(out, STR(" -a '"));
        add_choices(out, o);
        buf_byte(out, '\'');
    }
    buf_add(out, STR(" -d "));
    fish_quoted(out, o->help);
    buf_byte(out, '\n');
}

static void fish_command(struct buf *out, size_t at)
{
    const struct command *row = &command_rows[at];
    size_t len;
    bool first = first_of_its_word(at, &len);

    if (first) {
        buf_printf(out, "complete -c weft -n __fish_use_subcommand -a %.*s", (int)len, row->path);
        if (!row->path[len]) {
            buf_add(out, STR(" -d "));
            fish_quoted(out, row->help);
        }
        buf_byte(out, '\n');
    }
    if (row->path[len]) {
        buf_printf(out,
                   "complete -c weft -n '__fish_seen_subcommand_from %.*s; and not"
                   " __fish_seen_subcommand_from ",
                   (int)len, row->path);
        add_second_words(out, row->path, len);
        buf_printf(out, "' -a %s -d ", row->path + len + 1);
        fish_quoted(out, row->help);
        buf_byte(out, '\n');
    }
    if (row->kind == ARGUMENT_FILE) {
        buf_add(out, STR("complete -c weft"));
        fish_condition(out, row);
        buf_add(out, STR(" -F\n"));
    } else if (row->kind != ARGUMENT_NONE) {
        buf_add(out, STR("complete -c weft"));
        fish_condition(out, row);
        buf_add(out, STR(" -a '"));
        add_arguments(out, row->kind);
        buf_add(out, STR("'\n"));
    }
    for (int i = 0; i < OPTION_N; i++)
        if (row->options & 1ull << i) {
            buf_add(out, STR("complete -c weft"));
            fish_condition(out, row);
            fish_option(out, &command_options[i]);
        }
}

static void fish(struct buf *out)
{
    buf_add(out, STR("# fish completion for weft; weft completion fish | source\n"
                     "complete -c weft -f\n"));
    for (size_t i = 0; i < command_rows_n; i++)
        fish_command(out, i);
    for (int i = 0; i < OPTION_N; i++)
        if (OPTION_BITS_ALL & 1ull << i) {
            buf_add(out, STR("complete -c weft"));
            fish_option(out, &command_options[i]);
        }
}

static bool completion_script(struct buf *out, const char *shell)
{
    static void (*const writers[SHELLS_N])(struct buf *) = {bash, zsh, fish};

    for (size_t i = 0; i < SHELLS_N; i++)
        if (!strcmp(shell, shells[i])) {
            writers[i](out);
            return true;
        }
    return false;
}

int completion_command(struct cli *c)
{
    struct buf b;
    int status = 0;

    buf_init(&b, SCRIPT_BYTES_MAX);
    if (!completion_script(&b, c->args[0]))
        status = cli_refuse(c, CODE_INVALID,
                            "there are completions for bash, zsh and fish, not for " STR_FMT,
                            STR_ARG(sentence_quote(&c->arena, str_of(c->args[0]))));
    fwrite(b.p, 1, b.n, c->out);
    buf_deinit(&b);
    return status;
}
