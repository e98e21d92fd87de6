/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stddef.h>
#include <string.h>

#define FIELD(name) offsetof(struct options, name)

static const char *const outputs[] = {"table", "json", "jsonl", NULL};
static const char *const formats[] = {"mermaid", "dot", NULL};

const struct option command_options[OPTION_N] = {
    [OPTION_PARAM] = {"param",    'p', KIND_LIST,   FIELD(params),      "NAME=VALUE", 0,         NULL,
                      "set a parameter of the workflow; once for each"                                                              },
    [OPTION_KINDS] = {"kinds",    0,   KIND_LIST,   FIELD(kinds),       "KIND",       0,         NULL,
                      "only events of this kind, task_FAILED or task_*; once for each"                                              },
    [OPTION_TASKS] = {"tasks",    0,   KIND_LIST,   FIELD(tasks),       "TASK",       0,         NULL,
                      "only events of this task; once for each"                                                                     },
    [OPTION_JOBS] = {"jobs",     'j', KIND_COUNT,  FIELD(jobs),        "N",          4096,      NULL,
                      "run so many at once (as many as there are processors)"                                                       },
    [OPTION_FORMAT] = {"format",   0,   KIND_CHOICE, FIELD(format),      "FORMAT",     0,         formats,
                      "mermaid or dot (mermaid)"                                                                                    },
    [OPTION_STATE] = {"state",    0,   KIND_TEXT,   FIELD(state),       "STATE",      0,         NULL,
                      "only runs in this state, for instance FAILED"                                                                },
    [OPTION_WORKFLOW] = {"workflow", 0,   KIND_TEXT,   FIELD(workflow),    "NAME",       0,         NULL,
                      "only runs of this workflow"                                                                                  },
    [OPTION_LIMIT] = {"limit",    'n', KIND_COUNT,  FIELD(limit),       "N",          INT64_MAX, NULL,
                      "show at most so many (50)"                                                                                   },
    [OPTION_ATTEMPT] = {"attempt",  0,   KIND_COUNT,  FIELD(attempt),     "N",          INT64_MAX, NULL,
                      "of this attempt (the newest)"                                                                                },
    [OPTION_STDOUT] = {"stdout",   0,   KIND_FLAG,   FIELD(only_stdout), NULL,         0,         NULL,
                      "only what went to stdout"                                                                                    },
    [OPTION_STDERR] = {"stderr",   0,   KIND_FLAG,   FIELD(only_stderr), NULL,         0,         NULL,
                      "only what went to stderr"                                                                                    },
    [OPTION_FOLLOW] = {"follow",   'f', KIND_FLAG,   FIELD(follow),      NULL,         0,         NULL,
                      "go on as more is written, until the task or the run ends"                                                    },
    [OPTION_WAIT] = {"wait",     0,   KIND_FLAG,   FIELD(wait),        NULL,         0,         NULL,
                      "return when the run has ended"                                                                               },
    [OPTION_AT] = {"at",       0,   KIND_COUNT,  FIELD(at),          "VERSION",    INT64_MAX, NULL,
                      "this version (the newest)"                                                                                   },
    [OPTION_SOURCE] = {"source",   0,   KIND_FLAG,   FIELD(source),      NULL,         0,         NULL,
                      "print the file as it was stored"                                                                             },
    [OPTION_REPAIR] = {"repair",   0,   KIND_FLAG,   FIELD(repair),      NULL,         0,         NULL,
                      "put right what can be put right"                                                                             },
    [OPTION_CALLERS] = {"callers",  0,   KIND_COUNT,  FIELD(callers),     "N",          INT64_MAX, NULL,
                      "so many clients at once (64)"                                                                                },
    [OPTION_BATCH] = {"batch",    0,   KIND_COUNT,  FIELD(batch),       "N",          INT64_MAX, NULL,
                      "so many tasks in each call (1)"                                                                              },
    [OPTION_COUNT] = {"count",    0,   KIND_COUNT,  FIELD(count),       "N",          INT64_MAX, NULL,
                      "so many tasks in all (20000); `start` has 250 unless it runs alone"                                          },
    [OPTION_RATE] = {"rate",     0,   KIND_COUNT,  FIELD(rate),        "N",          INT64_MAX, NULL,
                      "for `start`: add so many tasks a second (50)"                                                                },
    [OPTION_SEED] = {"seed",     0,   KIND_COUNT,  FIELD(seed),        "N",          INT64_MAX, NULL,
                      "the first history (1)"                                                                                       },
    [OPTION_RUNS] = {"runs",     0,   KIND_COUNT,  FIELD(runs),        "N",          INT64_MAX, NULL,
                      "so many histories (1), one seed after the other"                                                             },
    [OPTION_STEPS] = {"steps",    0,   KIND_COUNT,  FIELD(steps),       "N",          INT64_MAX, NULL,
                      "end each after so many steps, at rest or not"                                                                },
    [OPTION_PROFILE] = {"profile",  0,   KIND_TEXT,   FIELD(profile),     "NAME",       0,         NULL,
                      "what goes wrong (storm), or all in turns"                                                                    },
    [OPTION_TRACE] = {"trace",    0,   KIND_FLAG,   FIELD(trace),       NULL,         0,         NULL,
                      "print all that happens; of several histories, in the first that fails"                                       },
    [OPTION_MINIMIZE] = {"minimize", 0,   KIND_FLAG,   FIELD(minimize),    NULL,         0,         NULL,
                      "make a history that fails as short as possible, and print it"                                                },
    [OPTION_SAVE] = {"save",     0,   KIND_TEXT,   FIELD(save),        "FILE",       0,         NULL,
                      "write the history to a file: a test, if it stands in test/sim"                                               },
    [OPTION_MAN] = {"man",      0,   KIND_FLAG,   FIELD(man),         NULL,         0,         NULL,
                      "print the manual page, for man"                                                                              },
    [OPTION_CONFIG] = {"config",   0,   KIND_TEXT,   FIELD(config),      "FILE",       0,         NULL,
                      "read the settings of the server from this file (WEFT_CONFIG)"                                                },
    [OPTION_LISTEN] = {"listen",   0,   KIND_TEXT,   FIELD(listen),      "ADDRESS",    0,         NULL,
                      "serve HTTP and gRPC here (WEFT_LISTEN; 127.0.0.1:7411)"                                                      },
    [OPTION_GRPC] = {"grpc",     0,   KIND_TEXT,   FIELD(grpc),        "ADDRESS",    0,         NULL,
                      "serve gRPC here, too (WEFT_GRPC)"                                                                            },
    [OPTION_SET] = {"set",      0,   KIND_LIST,   FIELD(settings),    "KEY=VALUE",  0,         NULL,
                      "set any setting of the server; once for each"                                                                },
    [OPTION_WORKER] = {"worker",   0,   KIND_TEXT,   FIELD(worker),      "NAME",       0,         NULL,
                      "who takes them: a name, or the id of a worker that is registered"                                            },
    [OPTION_PATIENCE] = {"patience", 0,   KIND_TEXT,   FIELD(patience),    "DURATION",   0,         NULL,
                      "where there is nothing, wait so long for it, at most 60s (0s)"                                               },
    [OPTION_TTL] = {"ttl",      0,   KIND_TEXT,   FIELD(ttl),         "DURATION",   0,         NULL,
                      "how long a lease lives (as the queue says)"                                                                  },
    [OPTION_PRIORITY] = {"priority", 0,   KIND_TEXT,   FIELD(priority),    "N",          0,         NULL,
                      "-1000 to 1000, the higher first (0)"                                                                         },
    [OPTION_DELAY] = {"delay",    0,   KIND_TEXT,   FIELD(delay),       "DURATION",   0,         NULL,
                      "not before so long from now"                                                                                 },
    [OPTION_KEY] = {"key",      0,   KIND_TEXT,   FIELD(key),         "KEY",        0,         NULL,
                      "what belongs together, for order and fair shares"                                                            },
    [OPTION_UNIQUE] = {"unique",   0,   KIND_TEXT,   FIELD(unique),      "KEY",        0,         NULL,
                      "add none while there is one of this key"                                                                     },
    [OPTION_MESSAGE] = {"message",  'm', KIND_TEXT,   FIELD(message),     "TEXT",       0,         NULL,
                      "why it failed"                                                                                               },
    [OPTION_RESULT] = {"result",   0,   KIND_TEXT,   FIELD(result),      "JSON",       0,         NULL,
                      "what it gave, any JSON"                                                                                      },
    [OPTION_PAYLOAD] = {"payload",  0,   KIND_TEXT,   FIELD(payload),     "JSON",       0,         NULL,
                      "instead of the payload that it had"                                                                          },
    [OPTION_ALL] = {"all",      'a', KIND_FLAG,   FIELD(all),         NULL,         0,         NULL,    "with those that are over"},
    [OPTION_TYPE] = {"type",     0,   KIND_TEXT,   FIELD(type),        "TYPE",       0,         NULL,
                      "only runners of this type"                                                                                   },
    [OPTION_SERVER] = {"server",   0,   KIND_TEXT,   FIELD(server),      "URL",        0,         NULL,
                      "ask this server, as http://127.0.0.1:7411 (WEFT_SERVER)"                                                     },
    [OPTION_STORE] = {"store",    0,   KIND_TEXT,   FIELD(store),       "URL",        0,         NULL,
                      "sqlite:PATH or postgres://… (WEFT_STORE; sqlite:DATA/weft.db)"                                             },
    [OPTION_DATA] = {"data",     0,   KIND_TEXT,   FIELD(data),        "DIR",        0,         NULL,
                      "the folder of the store and the logs (WEFT_DATA; ./.weft)"                                                   },
    [OPTION_OUTPUT] = {"output",   'o', KIND_CHOICE, FIELD(output),      "FORMAT",     0,         outputs,
                      "table, json or jsonl (table)"                                                                                },
    [OPTION_QUIET] = {"quiet",    'q', KIND_FLAG,   FIELD(quiet),       NULL,         0,         NULL,
                      "say only what was asked for, and errors"                                                                     },
    [OPTION_HELP] = {"help",     'h', KIND_FLAG,   FIELD(help),        NULL,         0,         NULL,    "show this help"          },
    [OPTION_VERSION] = {"version",  0,   KIND_FLAG,   FIELD(version),     NULL,         0,         NULL,
                      "show the version of weft"                                                                                    },
};

const char *const command_groups[COMMANDS_N] = {
    [COMMANDS_RUN] = "Run work",
    [COMMANDS_LOOK] = "See what happened, and why",
    [COMMANDS_SERVE] = "Serve, and work through queues",
    [COMMANDS_KEEP] = "Keep workflows and the store",
    [COMMANDS_HELP] = "Help",
};

#define SERVER_BITS                                                                                \
    (OPTION_BIT(CONFIG) | OPTION_BIT(LISTEN) | OPTION_BIT(GRPC) | OPTION_BIT(JOBS) |               \
     OPTION_BIT(SET))
#define CARRY_BITS OPTION_BIT(JOBS)
#define CARRY_TEXT                                                                                 \
    "Ctrl-C cancels the run and waits for its tasks to stop; a second Ctrl-C kills them.\n\n"      \
    "On a terminal the tasks are shown as they go, on a pipe each change is a line (times are "    \
    "UTC)."                                                                                        \
    " With -o json the finished run is printed as one object, with -o jsonl each event as a line"  \
    " and the run as the last: {\"run\": …}."

const struct command command_rows[] = {
    {
     .path = "run",
     .group = COMMANDS_RUN,
     .arguments = "FILE",
     .least = 1,
     .most = 1,
     .kind = ARGUMENT_FILE,
     .options = OPTION_BIT(PARAM) | CARRY_BITS,
     .help = "run a workflow here, to its end",
     .text =
            "The file (YAML or JSON; - is stdin) is checked and stored, and a run of it is started"
            " and carried to its end by this program. Tasks start in the file's folder. A run"
            " that was interrupted is taken up again by `weft runs resume`.\n\nWith --server the"
            " run is the server's: its tasks are started there, in the folder of that name and with"
            " the files of that machine, and go on when this program ends.\n\n" CARRY_TEXT
            "\n\nThe exit status is 0 if the run succeeded and 1 if it failed or was cancelled.", .example = "weft run etl.yaml -p day=2026-03-08\n"
                   "weft run ci.yaml -j 4 -o json | jq .state\n"
                   "generate-workflow | weft run -", .run = run_command,
     },
    {
     .path = "up",
     .group = COMMANDS_SERVE,
     .arguments = "",
     .options = SERVER_BITS,
     .help = "serve: HTTP, gRPC, and the runs that are started there",
     .text =
            "Settings come from --config FILE, the environment and the options, the later ones"
            " first; `weft config show` lists them all. The address is said on stderr; with -o"
            " json as an object, {\"listening\": URL, …}.\n\n"
            "SIGTERM, SIGINT and SIGQUIT drain: nothing new is taken, what is under way has"
            " time to end (--set drain=30s), and the exit status is 0. A second one ends it at"
            " once, with all of its processes. SIGHUP reads the settings again; a file with a"
            " mistake changes nothing.\n\n"
            "TLS: --set tls.cert=FILE and tls.key=FILE, and tls.client_ca=FILE where each client"
            " must have a certificate (PEM files). An address that other machines reach needs"
            " all three. Commands that ask such a server take WEFT_CA, WEFT_CERT and WEFT_KEY"
            " from the environment, and https:// in its URL.\n\n"
            "Paths and folders in workflows are those of the server's machine.",                                                                                                                                                    .example =
            "weft up\n"
            "weft up --listen 127.0.0.1:0 -o json\n"
            "weft up --store postgres://weft@db/weft --config /etc/weft.yaml\n"
            "weft up --listen 0.0.0.0:7411 --set tls.cert=weft.pem --set tls.key=weft.key \\\n"
            "    --set tls.client_ca=ca.pem",                                                                                                                  .run = up_command,
     },
    {
     .path = "runs resume",
     .group = COMMANDS_RUN,
     .arguments = "[RUN]",
     .most = 1,
     .options = CARRY_BITS,
     .help = "take up a run that nobody carries any more",
     .text = "What a program that died was working on is taken back, after proof of its"
                " death, and the run is carried to its end here. Without RUN: the newest run"
                " that has not ended.\n\n" CARRY_TEXT,
     .example = "weft runs resume\nweft runs resume 12 -j 8",
     .run = runs_resume_command,
     },
    {
     .path = "runs retry",
     .group = COMMANDS_RUN,
     .arguments = "RUN",
     .least = 1,
     .most = 1,
     .options = CARRY_BITS,
     .help = "run the failed, skipped and cancelled tasks of a run again",
     .text = "Tasks that succeeded are kept. The run must have ended.\n\n" CARRY_TEXT,
     .example = "weft runs retry 12",
     .run = runs_retry_command,
     },
    {
     .path = "runs create",
     .group = COMMANDS_RUN,
     .arguments = "[NAME]",
     .most = 1,
     .help = "begin a work plan and print its run's id",
     .text = "A work plan is a run with an open graph: checks (questions) and stages (work that "
                "runners are called"
                " for) are written to it while it runs, until it is sealed.",                                                                                           .example = "run=$(weft runs create nightly)",
     .run = runs_create_command,
     },
    {
     .path = "runs write",
     .group = COMMANDS_RUN,
     .arguments = "RUN FILE",
     .least = 2,
     .most = 2,
     .kind = ARGUMENT_FILE,
     .help = "write checks and stages to a work plan",
     .text = "FILE is YAML or JSON with the lists `checks` and `stages` (docs/plans.md), - is "
                "stdin. All of it is"
                " written, or nothing. The states that are shown are those after all that followed "
                "from it.",                                                                                                                                                                                              .example = "weft runs write 12 plan.yaml",
     .run = runs_write_command,
     },
    {
     .path = "runs seal",
     .group = COMMANDS_RUN,
     .arguments = "RUN",
     .least = 1,
     .most = 1,
     .help = "say that nothing more will be written to a work plan",
     .text = "The run ends when its last task has.",
     .example = "weft runs seal 12",
     .run = runs_seal_command,
     },
    {
     .path = "runs cancel",
     .group = COMMANDS_RUN,
     .arguments = "RUN",
     .least = 1,
     .most = 1,
     .options = OPTION_BIT(WAIT),
     .help = "ask for a run to end",
     .text = "Waiting tasks are cancelled at once; the program that carries the run stops"
                " those that it has started (SIGTERM, after their grace time SIGKILL).",                                                                                                                                                                                     .example = "weft runs cancel 12 --wait",
     .run = runs_cancel_command,
     },
    {
     .path = "task requeue",
     .group = COMMANDS_RUN,
     .arguments = "TASK",
     .least = 1,
     .most = 1,
     .help = "give a failed, skipped or cancelled task another try",
     .text = "TASK is an id, or RUN/NAME. The task gets a new budget of attempts; `weft runs"
                " resume` then carries its run.",                                                                                                                                      .example = "weft task requeue 12/extract",
     .run = task_requeue_command,
     },
    {
     .path = "runs list",
     .group = COMMANDS_LOOK,
     .arguments = "",
     .options = OPTION_BIT(STATE) | OPTION_BIT(WORKFLOW) | OPTION_BIT(LIMIT),
     .help = "list runs, the newest first",
     .example = "weft runs list --state FAILED --workflow etl",
     .run = runs_list_command,
     },
    {
     .path = "runs show",
     .group = COMMANDS_LOOK,
     .arguments = "RUN",
     .least = 1,
     .most = 1,
     .help = "show a run with its tasks",
     .example = "weft runs show 12\n"
                   "weft runs show 12 -o json | jq '.tasks[] | select(.state == \"FAILED\")'",                                                          .run = runs_show_command,
     },
    {
     .path = "runs watch",
     .group = COMMANDS_LOOK,
     .arguments = "RUN",
     .least = 1,
     .most = 1,
     .options = OPTION_BIT(KINDS) | OPTION_BIT(TASKS),
     .help = "watch a run that another program carries",
     .text = "Draws its tasks on a terminal, those of a work plan with their runners, and "
                "writes a line for each event elsewhere, or "
                "where only some are asked for. A connection that is lost is made again, and what "
                "came meanwhile is told. Ends "
                "with the run, and with its exit status. Ctrl-C ends the watching alone.",                                                                                                                                                                                                      .example = "weft runs watch 12\n"
                   "weft runs watch 12 --kinds 'task_*' --tasks compile -o jsonl", .run = runs_watch_command,
     },
    {
     .path = "runs logs",
     .group = COMMANDS_LOOK,
     .arguments = "RUN [TASK]",
     .least = 1,
     .most = 2,
     .options =
            OPTION_BIT(ATTEMPT) | OPTION_BIT(STDOUT) | OPTION_BIT(STDERR) | OPTION_BIT(FOLLOW),
     .help = "print what the tasks of a run wrote",
     .text = "TASK is a task's name; without it the logs of all tasks come one after another."
                " Headings part them, unless one stream of one task was asked for.",                                                                                                                                                                                             .example = "weft runs logs 12 extract --stderr\n"
                   "weft runs logs 12 extract -f", .run = logs_command,
     },
    {
     .path = "runs why",
     .group = COMMANDS_LOOK,
     .arguments = "RUN",
     .least = 1,
     .most = 1,
     .help = "say why a run waits or failed",
     .example = "weft runs why 12",
     .run = runs_why_command,
     },
    {
     .path = "task show",
     .group = COMMANDS_LOOK,
     .arguments = "TASK",
     .least = 1,
     .most = 1,
     .help = "show a task with its attempts",
     .text = "TASK is an id, or RUN/NAME.",
     .example = "weft task show 12/extract",
     .run = task_show_command,
     },
    {
     .path = "task why",
     .group = COMMANDS_LOOK,
     .arguments = "TASK",
     .least = 1,
     .most = 1,
     .help = "say why a task waits, failed or was skipped",
     .text = "TASK is an id, or RUN/NAME.",
     .example = "weft task why 12/load",
     .run = task_why_command,
     },
    {
     .path = "why",
     .group = COMMANDS_LOOK,
     .arguments = "ID",
     .least = 1,
     .most = 1,
     .help = "say why a run or task is where it is",
     .text = "ID is a run's, or a task's where no run has it, or RUN/NAME.",
     .example = "weft why 12\nweft why 12/load",
     .run = why_command,
     },
    {
     .path = "status",
     .group = COMMANDS_LOOK,
     .arguments = "",
     .help = "show the store, the workers, and how many runs and tasks there are",
     .example = "weft status",
     .run = status_command,
     },
    {
     .path = "queue put",
     .group = COMMANDS_SERVE,
     .arguments = "QUEUE [SETTING=VALUE…]",
     .least = 1,
     .most = SIZE_MAX,
     .help = "make a queue, or change its settings",
     .text = "The settings: paused, tasks_max, concurrency_max, key_concurrency, rate, "
                "rate_burst, fair, claim_ttl, retention, task_timeout, and retry.max_attempts, "
                ".backoff_base, .backoff_factor, .backoff_cap, .jitter, .retry_on (outcomes, "
                "parted by commas). Those that are not given stay as they are.",                                                                                                              .example = "weft queue put mail rate=100 fair=true retry.max_attempts=5",
     .run = queue_put_command,
     },
    {
     .path = "queue list",
     .group = COMMANDS_SERVE,
     .arguments = "",
     .most = 0,
     .help = "list the queues with their counts",
     .example = "weft queue list",
     .run = queue_list_command,
     },
    {
     .path = "queue status",
     .group = COMMANDS_SERVE,
     .arguments = "QUEUE",
     .least = 1,
     .most = 1,
     .help = "show a queue's counts and settings",
     .example = "weft queue status mail",
     .run = queue_status_command,
     },
    {
     .path = "queue add",
     .group = COMMANDS_SERVE,
     .arguments = "QUEUE PAYLOAD…",
     .least = 2,
     .most = SIZE_MAX,
     .options = OPTION_BIT(PRIORITY) | OPTION_BIT(DELAY) | OPTION_BIT(KEY) | OPTION_BIT(UNIQUE),
     .help = "add tasks, one for each payload",
     .text = "A payload is JSON; - stands for stdin, of which each line is a payload. At most "
                "1000 go in one request, all of it or none.",                                                                                                                                                                                                               .example = "weft queue add mail '{\"to\": \"a@example.org\"}'\ngenerate | weft queue add "
                   "mail - --key customer-7", .run = queue_add_command,
     },
    {
     .path = "queue claim",
     .group = COMMANDS_SERVE,
     .arguments = "QUEUE",
     .least = 1,
     .most = 1,
     .options = OPTION_BIT(WORKER) | OPTION_BIT(LIMIT) | OPTION_BIT(PATIENCE) | OPTION_BIT(TTL),
     .help = "take tasks, with a lease on each",
     .text = "The tokens are what complete, fail and release need. A lease without a registered "
                "worker lives for its --ttl; what has not ended by then is given to others.",                                                                                                                                                                                    .example = "weft queue claim mail --worker me -n 10 --patience 30s -o jsonl",
     .run = queue_claim_command,
     },
    {
     .path = "queue complete",
     .group = COMMANDS_SERVE,
     .arguments = "TOKEN…",
     .least = 1,
     .most = SIZE_MAX,
     .options = OPTION_BIT(RESULT),
     .help = "say that leased tasks succeeded",
     .example = "weft queue complete 12.345 --result '{\"sent\": 1}'",
     .run = queue_complete_command,
     },
    {
     .path = "queue fail",
     .group = COMMANDS_SERVE,
     .arguments = "TOKEN…",
     .least = 1,
     .most = SIZE_MAX,
     .options = OPTION_BIT(MESSAGE),
     .help = "say that leased tasks failed",
     .text = "They are tried again as their retry policy says, and are dead letters after that.",
     .example = "weft queue fail 12.345 -m 'no such address'",
     .run = queue_fail_command,
     },
    {
     .path = "queue release",
     .group = COMMANDS_SERVE,
     .arguments = "TOKEN…",
     .least = 1,
     .most = SIZE_MAX,
     .help = "give leased tasks back unworked",
     .text = "The attempt does not count.",
     .example = "weft queue release 12.345",
     .run = queue_release_command,
     },
    {
     .path = "queue pause",
     .group = COMMANDS_SERVE,
     .arguments = "QUEUE",
     .least = 1,
     .most = 1,
     .help = "let nothing be claimed any more",
     .text = "What is leased goes on.",
     .example = "weft queue pause mail",
     .run = queue_pause_command,
     },
    {
     .path = "queue resume",
     .group = COMMANDS_SERVE,
     .arguments = "QUEUE",
     .least = 1,
     .most = 1,
     .help = "let a paused queue go on",
     .example = "weft queue resume mail",
     .run = queue_resume_command,
     },
    {
     .path = "queue dead",
     .group = COMMANDS_SERVE,
     .arguments = "QUEUE",
     .least = 1,
     .most = 1,
     .options = OPTION_BIT(LIMIT),
     .help = "list the tasks that failed for good",
     .example = "weft queue dead mail -n 20",
     .run = queue_dead_command,
     },
    {
     .path = "queue requeue",
     .group = COMMANDS_SERVE,
     .arguments = "QUEUE [TASK…]",
     .least = 1,
     .most = SIZE_MAX,
     .options = OPTION_BIT(LIMIT) | OPTION_BIT(PAYLOAD),
     .help = "give dead letters another try",
     .text = "Without TASK: the oldest, at most 10000. --payload is for one TASK.",
     .example = "weft queue requeue mail\nweft queue requeue mail 77 --payload '{\"to\": "
                   "\"b@example.org\"}'", .run = queue_requeue_command,
     },
    {
     .path = "queue purge",
     .group = COMMANDS_SERVE,
     .arguments = "QUEUE",
     .least = 1,
     .most = 1,
     .options = OPTION_BIT(STATE),
     .help = "cancel what waits in a queue",
     .text = "--state is READY, DELAYED or FAILED, which forgets the dead letters; without it, "
                "what is READY and DELAYED.",                                                                                                                                                                                                                     .example = "weft queue purge mail --state FAILED",
     .run = queue_purge_command,
     },
    {
     .path = "queue watch",
     .group = COMMANDS_SERVE,
     .arguments = "[QUEUE]",
     .most = 1,
     .help = "show counts and rates as they change",
     .text = "Once a second, until Ctrl-C.",
     .example = "weft queue watch",
     .run = queue_watch_command,
     },
    {
     .path = "workers list",
     .group = COMMANDS_SERVE,
     .arguments = "",
     .most = 0,
     .options = OPTION_BIT(ALL) | OPTION_BIT(TYPE),
     .help = "list the workers that live",
     .example = "weft workers list -o json",
     .run = workers_list_command,
     },
    {
     .path = "workers drain",
     .group = COMMANDS_SERVE,
     .arguments = "WORKER",
     .least = 1,
     .most = 1,
     .help = "let a worker end what it holds, and take nothing more",
     .text = "WORKER is the id of an incarnation, as `weft workers list` shows it.",
     .example = "weft workers drain 17",
     .run = workers_drain_command,
     },
    {
     .path = "sim",
     .group = COMMANDS_SERVE,
     .arguments = "[FILE]",
     .most = 1,
     .kind = ARGUMENT_FILE,
     .options = OPTION_BIT(SEED) | OPTION_BIT(RUNS) | OPTION_BIT(STEPS) | OPTION_BIT(PROFILE) |
                   OPTION_BIT(JOBS) | OPTION_BIT(TRACE) | OPTION_BIT(MINIMIZE) | OPTION_BIT(SAVE),
     .help = "simulate a whole cluster in which things go wrong, and check every step",
     .text = "Servers, workers and clients on one store in memory, in one thread and by one "
                "seed: one seed is one history, the same on every machine. First a storm, then "
                "calm, in which every task must end. "
                "Profiles: storm, calm, network, store, workers, slow-clock, plans, and all in "
                "turns.\n\n"
                "With --runs it goes on to the first history that fails, or says what was met; "
                "2000 histories of all profiles have to meet every row of the state tables and "
                "every fault. Ctrl-C ends it early.\n\n"
                "A history that fails exits 1; it is repeated by its seed, made short by "
                "--minimize, and becomes a test by --save test/sim/NAME.txt. FILE is what --save "
                "wrote (- is stdin), to be looked at again.",                                                                                                                                                                                                               .example = "weft sim --seed 7 --trace\n"
                   "weft sim --runs 1000 --profile all\n"
                   "weft sim --runs 1000 --profile all --minimize --save test/sim/new.txt\n"
                   "weft sim test/sim/claim_left_behind.txt --trace", .run = sim_command,
     },
    {
     .path = "bench",
     .group = COMMANDS_SERVE,
     .arguments = "[enqueue|work|start]",
     .least = 0,
     .most = 1,
     .options = OPTION_BIT(CALLERS) | OPTION_BIT(BATCH) | OPTION_BIT(COUNT) | OPTION_BIT(RATE),
     .help = "measure what a running server does, as its clients see it",
     .text =
            "enqueue: callers add tasks, each call waiting for its reply, which is durable. work: "
            "callers take tasks and complete them (the tasks are added first, unmeasured). start: "
            "tasks are "
            "added at a steady rate, and callers wait for them; the times are from the adding of a "
            "task until "
            "somebody has it. Without a name all three. The times of the first two are of one "
            "call.\n\n"
            "The queues are weft-bench-enqueue, -work and -start; what `enqueue` adds stays there "
            "(weft queue purge weft-bench-enqueue).",                                                                                                                                                                              .example =
            "weft bench --server http://127.0.0.1:7411\n"
            "weft bench work --batch 100 --callers 4 --count 200000 --server http://127.0.0.1:7411", .run = bench_command,
     },
    {
     .path = "config check",
     .group = COMMANDS_SERVE,
     .arguments = "[FILE]",
     .most = 1,
     .kind = ARGUMENT_FILE,
     .options = SERVER_BITS,
     .help = "check the settings of a server, and name every error with its place",
     .text = "FILE is that of --config.",
     .example = "weft config check /etc/weft.yaml",
     .run = config_check_command,
     },
    {
     .path = "config show",
     .group = COMMANDS_SERVE,
     .arguments = "[FILE]",
     .most = 1,
     .kind = ARGUMENT_FILE,
     .options = SERVER_BITS,
     .help = "show the settings that a server would have, and where each comes from",
     .text = "A setting is what the last of these says: its default, the file, the environment,"
                " the options. Passwords are not shown.",                                                                                                                                                                             .example = "weft config show --config weft.yaml",
     .run = config_show_command,
     },
    {
     .path = "check",
     .group = COMMANDS_KEEP,
     .arguments = "FILE…",
     .least = 1,
     .most = SIZE_MAX,
     .kind = ARGUMENT_FILE,
     .help = "check workflow files, and name every error with its place",
     .text = "Nothing is stored. A folder stands for the workflow files below it (*.yaml, *.yml"
                " and *.json with a `weft` key), - for stdin. What is wrong goes to stdout as"
                " FILE:LINE:COLUMN: SENTENCE.",                                                                                                                                                                                                                     .example = "weft check etl.yaml\nweft check workflows/ -o json",
     .run = check_command,
     },
    {
     .path = "graph",
     .group = COMMANDS_KEEP,
     .arguments = "FILE",
     .least = 1,
     .most = 1,
     .kind = ARGUMENT_FILE,
     .options = OPTION_BIT(FORMAT),
     .help = "draw a workflow's tasks and dependencies",
     .text = "The text is a Mermaid flowchart, or input for Graphviz.",
     .example = "weft graph etl.yaml --format dot | dot -Tsvg -o etl.svg",
     .run = graph_command,
     },
    {
     .path = "workflows put",
     .group = COMMANDS_KEEP,
     .arguments = "FILE…",
     .least = 1,
     .most = SIZE_MAX,
     .kind = ARGUMENT_FILE,
     .help = "store workflows, each change as a new version",
     .text = "A folder stands for the workflow files below it (*.yaml, *.yml and *.json with a"
                " `weft` key), - for stdin. A file that is faulty is reported, the others are"
                " stored.",                                                                                                                                                                                          .example = "weft workflows put workflows/",
     .run = workflows_put_command,
     },
    {
     .path = "workflows list",
     .group = COMMANDS_KEEP,
     .arguments = "",
     .help = "list the stored workflows",
     .example = "weft workflows list",
     .run = workflows_list_command,
     },
    {
     .path = "workflows show",
     .group = COMMANDS_KEEP,
     .arguments = "NAME",
     .least = 1,
     .most = 1,
     .options = OPTION_BIT(AT) | OPTION_BIT(SOURCE),
     .help = "show a workflow's parameters and tasks",
     .example = "weft workflows show etl --at 3 --source",
     .run = workflows_show_command,
     },
    {
     .path = "doctor",
     .group = COMMANDS_KEEP,
     .arguments = "",
     .options = OPTION_BIT(REPAIR),
     .help = "check that the store holds together, and say what to do if not",
     .text = "The exit status is 1 if anything is found.",
     .example = "weft doctor --repair",
     .run = doctor_command,
     },
    {
     .path = "completion",
     .group = COMMANDS_HELP,
     .arguments = "SHELL",
     .least = 1,
     .most = 1,
     .kind = ARGUMENT_SHELL,
     .help = "print the completion script for bash, zsh or fish",
     .example = "source <(weft completion bash)",
     .run = completion_command,
     },
    {
     .path = "version",
     .group = COMMANDS_HELP,
     .arguments = "",
     .help = "show the version of weft",
     .run = help_version_command,
     },
    {
     .path = "help",
     .group = COMMANDS_HELP,
     .arguments = "[COMMAND]",
     .most = 2,
     .kind = ARGUMENT_COMMAND,
     .options = OPTION_BIT(MAN),
     .help = "explain a command",
     .example = "weft help runs logs",
     .run = help_command,
     },
};
const size_t command_rows_n = sizeof(command_rows) / sizeof(command_rows[0]);

/* How many of the words are the command's path; 0 where they are not. */
static size_t path_match(const char *path, const char *const *words, size_t n)
{
    size_t used = 0;

    while (used < n) {
        size_t len = strlen(words[used]);

        if (strncmp(path, words[used], len) || (path[len] && path[len] != ' '))
            return 0;
        used++;
        if (!path[len])
            return used;
        path += len + 1;
    }
    return 0;
}

const struct command *command_find(const char *const *words, size_t n, size_t *ret_used)
{
    for (size_t i = 0; i < command_rows_n; i++) {
        size_t used = path_match(command_rows[i].path, words, n);

        if (used) {
            *ret_used = used;
            return &command_rows[i];
        }
    }
    return NULL;
}

bool command_is_family(const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i < command_rows_n; i++)
        if (!strncmp(command_rows[i].path, word, len) && command_rows[i].path[len] == ' ')
            return true;
    return false;
}
