/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: the commands and options as two tables, and what a command works with.
 *
 * Parsing, help, usage errors, completion scripts and the man page are all read off the tables. An
 * option means the same wherever it is taken, so that the line can be read before its command is
 * known; a command says which options it takes.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "client/client.h"
#include "client/server.h"
#include "client/simulator.h"

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL };
enum graph_format { GRAPH_MERMAID, GRAPH_DOT };

struct text_list {
    const char **list;
    size_t n;
};

/* What the options said; a field that was not given keeps its zero. */
struct options {
    const char *server;
    const char *store;
    const char *data;
    const char *config;
    const char *listen;
    const char *grpc;
    const char *state;
    const char *workflow;
    struct text_list params;
    struct text_list settings;
    struct text_list kinds, tasks; /* of events; none: all */
    const char *worker;
    const char *patience;
    const char *ttl;
    const char *priority;
    const char *delay;
    const char *key;
    const char *unique;
    const char *message;
    const char *result;
    const char *payload;
    const char *type;
    int64_t jobs;
    int64_t attempt;
    int64_t limit;
    int64_t at;
    int64_t callers, batch, count, rate;
    int64_t seed, runs, steps;
    const char *profile;
    const char *save;
    int output; /* enum output */
    int format; /* enum graph_format */
    bool all, quiet, follow, only_stdout, only_stderr, wait, repair, source, trace, minimize, man,
        help, version;
};

enum option_kind { KIND_FLAG, KIND_TEXT, KIND_COUNT, KIND_CHOICE, KIND_LIST };

/* Those of some commands, then those of all. */
enum option_name {
    OPTION_PARAM,
    OPTION_KINDS,
    OPTION_TASKS,
    OPTION_JOBS,
    OPTION_FORMAT,
    OPTION_STATE,
    OPTION_WORKFLOW,
    OPTION_LIMIT,
    OPTION_ATTEMPT,
    OPTION_STDOUT,
    OPTION_STDERR,
    OPTION_FOLLOW,
    OPTION_WAIT,
    OPTION_AT,
    OPTION_SOURCE,
    OPTION_REPAIR,
    OPTION_CONFIG,
    OPTION_LISTEN,
    OPTION_GRPC,
    OPTION_SET,
    OPTION_WORKER,
    OPTION_PATIENCE,
    OPTION_TTL,
    OPTION_PRIORITY,
    OPTION_DELAY,
    OPTION_KEY,
    OPTION_UNIQUE,
    OPTION_MESSAGE,
    OPTION_RESULT,
    OPTION_PAYLOAD,
    OPTION_ALL,
    OPTION_TYPE,
    OPTION_CALLERS,
    OPTION_BATCH,
    OPTION_COUNT,
    OPTION_RATE,
    OPTION_SEED,
    OPTION_RUNS,
    OPTION_STEPS,
    OPTION_PROFILE,
    OPTION_TRACE,
    OPTION_MINIMIZE,
    OPTION_SAVE,
    OPTION_MAN,
    OPTION_SERVER,
    OPTION_STORE,
    OPTION_DATA,
    OPTION_OUTPUT,
    OPTION_QUIET,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_N
};
#define OPTION_BIT(name) (1ull << OPTION_##name)

struct option {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum option_kind kind;
    size_t offset;              /* of its field in struct options */
    const char *value;          /* what its value is called; NULL for a flag */
    int64_t max;                /* of a count, from 1 */
    const char *const *choices; /* of a choice, ends with NULL; the index goes to the field */
    const char *help;
};
extern const struct option command_options[OPTION_N];

/* The options that every command takes. */
#define OPTION_BITS_ALL                                                                            \
    (OPTION_BIT(SERVER) | OPTION_BIT(STORE) | OPTION_BIT(DATA) | OPTION_BIT(OUTPUT) |              \
     OPTION_BIT(QUIET) | OPTION_BIT(HELP) | OPTION_BIT(VERSION))

enum command_group {
    COMMANDS_RUN,
    COMMANDS_LOOK,
    COMMANDS_SERVE,
    COMMANDS_KEEP,
    COMMANDS_HELP,
    COMMANDS_N
};
extern const char *const command_groups[COMMANDS_N];

/* What a positional argument is, for completion. */
enum argument_kind { ARGUMENT_NONE, ARGUMENT_FILE, ARGUMENT_COMMAND, ARGUMENT_SHELL };

struct cli;
struct command {
    const char *path; /* "run", "runs list" */
    enum command_group group;
    const char *arguments; /* as shown in the usage line */
    size_t least, most;    /* how many of them */
    enum argument_kind kind;
    uint64_t options;    /* bits, beside those of every command */
    const char *help;    /* one line, without a full stop */
    const char *text;    /* paragraphs; an empty line parts them */
    const char *example; /* lines */
    int (*run)(struct cli *c);
};
extern const struct command command_rows[];
extern const size_t command_rows_n;

/* The command of these words; *ret_used of them are its path. NULL where there is none. */
const struct command *command_find(const char *const *words, size_t n, size_t *ret_used);
/* Whether the word begins the path of several commands ("runs"). */
bool command_is_family(const char *word);

/* What a command works with. */
struct cli {
    client_connect *connect;
    const struct server *server; /* that this program may become; NULL: none */
    simulate *simulate;          /* that this program has; NULL: none */
    FILE *out, *err;
    bool terminal; /* stdout is one that can be redrawn, and people read it */
    bool color;
    bool utf8; /* glyphs beyond ASCII may be shown; texts of users always are UTF-8 */
    const struct command *command;
    struct options options;
    const char **args;
    size_t args_n;
    struct arena arena;
    struct client client;
    bool connected;
    bool server_given, store_given, data_given; /* on the line, not by the environment */
};

/* Say what went wrong, as a sentence or as an object (`-o json`), on stderr; returns the exit
 * status of its code. */
int cli_refuse(struct cli *c, enum code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for what a client gave, which is cleared. `file` names the source that the places in its
 * details lie in; NULL: none. */
int cli_problem(struct cli *c, struct client_problem *p, const char *file);

/* Open the client; 0, or the exit status after saying why not. */
enum cli_need { CLI_EXISTING, CLI_CREATE, CLI_CARRY };
int cli_connect(struct cli *c, enum cli_need need);

/* A call; 0, or the exit status after saying why not. `request` is stolen. */
int cli_call(struct cli *c, const char *method, json_t *request, json_t **ret_reply);

/* A variable of the environment; NULL where there is none, or an empty one. */
const char *cli_setting(const char *name);

/* An id as the user gave it: digits. 0, or the exit status after saying what it should be. */
int cli_id(struct cli *c, const char *what, const char *text, int64_t *ret);
/* Whether that is the token of a lease, "TASK.NUMBER"; likewise. */
int cli_token(struct cli *c, const char *text);

/* Print what one command found: `-o json` as it is, `-o jsonl` on one line. */
void cli_json(struct cli *c, const json_t *value);
/* The same for a list: one object that holds it under `key`, or one line per element. */
void cli_json_list(struct cli *c, const char *key, const json_t *list);
/* One value on one line. */
void cli_json_line(FILE *out, const json_t *value);
/* A piece of JSON that ends between characters. */
void cli_json_part(FILE *out, const char *p, size_t n);

static inline bool cli_wants_table(const struct cli *c)
{
    return c->options.output == OUTPUT_TABLE;
}

int run_command(struct cli *c);
int up_command(struct cli *c);
int config_check_command(struct cli *c);
int config_show_command(struct cli *c);
int queue_put_command(struct cli *c);
int queue_list_command(struct cli *c);
int queue_status_command(struct cli *c);
int queue_add_command(struct cli *c);
int queue_claim_command(struct cli *c);
int queue_complete_command(struct cli *c);
int queue_fail_command(struct cli *c);
int queue_release_command(struct cli *c);
int queue_pause_command(struct cli *c);
int queue_resume_command(struct cli *c);
int queue_dead_command(struct cli *c);
int queue_requeue_command(struct cli *c);
int queue_purge_command(struct cli *c);
int queue_watch_command(struct cli *c);
int workers_list_command(struct cli *c);
int workers_drain_command(struct cli *c);
int check_command(struct cli *c);
int graph_command(struct cli *c);
int runs_list_command(struct cli *c);
int runs_show_command(struct cli *c);
int runs_create_command(struct cli *c);
int runs_write_command(struct cli *c);
int runs_seal_command(struct cli *c);
int runs_watch_command(struct cli *c);
int logs_command(struct cli *c);
int runs_cancel_command(struct cli *c);
int runs_resume_command(struct cli *c);
int runs_retry_command(struct cli *c);
int task_show_command(struct cli *c);
int task_requeue_command(struct cli *c);
int why_command(struct cli *c);
int runs_why_command(struct cli *c);
int task_why_command(struct cli *c);
int workflows_put_command(struct cli *c);
int workflows_list_command(struct cli *c);
int workflows_show_command(struct cli *c);
int bench_command(struct cli *c);
int sim_command(struct cli *c);
int status_command(struct cli *c);
int doctor_command(struct cli *c);
int help_command(struct cli *c);
int help_version_command(struct cli *c);
int completion_command(struct cli *c);

#endif
