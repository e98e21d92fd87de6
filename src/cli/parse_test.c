/* SPDX-License-Identifier: Apache-2.0 */
/* What is typed: lines that are wrong, the shape of errors, exit statuses, help. */
#include <string.h>

#include "base/test.h"
#include "cli/command.h"
#include "cli/fake_testing.h"

static void wrong_lines_are_refused_with_a_sentence(void **state)
{
    static const struct {
        const char *name;
        const char *args[8];
        const char *err;
    } rows[] = {
        {"no such command",
         {"weft", "rnu", "x"},
         "there is no command \"rnu\"; did you mean \"weft run\"?"                                                                     },
        {"nothing near",
         {"weft", "frobnicate"},
         "there is no command \"frobnicate\" (weft --help)"                                                                            },
        {"hostile command",
         {"weft", "\x1b[2J\n"},
         "there is no command \"\\u001b[2J\\n\" (weft --help)"                                                                         },
        {"half a command",       {"weft", "workflows"},                            "weft workflows needs one of: put, list, show"      },
        {"wrong second word",
         {"weft", "runs", "lsit"},
         "there is no command \"runs lsit\"; did you mean \"weft runs list\"?"                                                         },
        {"wrong first word",
         {"weft", "rusn", "list"},
         "there is no command \"rusn\"; did you mean \"weft runs list\"?"                                                              },
        {"no such option",
         {"weft", "run", "x", "--job=4"},
         "there is no option --job; did you mean --jobs? (weft run --help)"                                                            },
        {"no such letter",       {"weft", "run", "-z"},                            "there is no option -z (weft run --help)"           },
        {"of another command",
         {"weft", "check", "x", "-j", "4"},
         "weft check takes no option --jobs (weft check --help)"                                                                       },
        {"without value",        {"weft", "run", "x", "-j"},                       "--jobs needs a value: --jobs N"                    },
        {"no number",
         {"weft", "run", "x", "-j", "many"},
         "--jobs is a whole number from 1 to 4096, not \"many\""                                                                       },
        {"zero",                 {"weft", "run", "x", "-j0"},                      "--jobs is a whole number from 1 to 4096, not \"0\""},
        {"too many",
         {"weft", "run", "x", "--jobs=4097"},
         "--jobs is a whole number from 1 to 4096, not \"4097\""                                                                       },
        {"no choice",
         {"weft", "status", "-o", "yaml"},
         "--output is table, json or jsonl, not \"yaml\""                                                                              },
        {"twice",                {"weft", "status", "--data", "a", "--data", "b"}, "--data is given twice"                             },
        {"empty",                {"weft", "status", "--store="},                   "--store is empty"                                  },
        {"flag with value",      {"weft", "status", "--quiet=yes"},                "--quiet takes no value"                            },
        {"too few",              {"weft", "runs", "show"},                         "weft runs show needs RUN (weft runs show --help)"  },
        {"too many words",
         {"weft", "runs", "show", "1", "2"},
         "weft runs show takes no argument \"2\" (weft runs show --help)"                                                              },
        {"no id",
         {"weft", "runs", "show", "abc"},
         "\"abc\" is no id of a run: it is a number from 1 on"                                                                         },
        {"id 0",
         {"weft", "runs", "show", "0"},
         "\"0\" is no id of a run: it is a number from 1 on"                                                                           },
        {"no task",              {"weft", "task", "show", "1/"},                   "\"1/\" is no task: it is an id, or RUN/NAME"       },
        {"param without =",
         {"weft", "run", "x", "-p", "day"},
         "--param is NAME=VALUE, not \"day\""                                                                                          },
        {"param without name",
         {"weft", "run", "x", "-p", "=5"},
         "--param is NAME=VALUE, not \"=5\""                                                                                           },
        {"param twice",          {"weft", "run", "x", "-pa=1", "-pa=2"},           "parameter a is given twice"                        },
        {"options are over",
         {"weft", "--", "--help"},
         "there is no command \"--help\"; did you mean \"weft help\"?"                                                                 },
        {"unknown shell",
         {"weft", "completion", "tcsh"},
         "there are completions for bash, zsh and fish, not for \"tcsh\""                                                              },
        {"an empty queue",
         {"weft", "queue", "put", ""},
         "QUEUE of weft queue put is empty (weft queue put --help)"                                                                    },
        {"an empty setting",
         {"weft", "queue", "put", "q", "paused=true", ""},
         "SETTING=VALUE of weft queue put is empty (weft queue put --help)"                                                            },
        {"an empty task",
         {"weft", "runs", "logs", "1", ""},
         "TASK of weft runs logs is empty (weft runs logs --help)"                                                                     },
        {"an empty token",
         {"weft", "queue", "complete", "1.2", ""},
         "TOKEN of weft queue complete is empty (weft queue complete --help)"                                                          },
        {"no token",
         {"weft", "queue", "complete", "1.2", "x"},
         "\"x\" is no token: weft queue claim gives them, such as 12.345"                                                              },
        {"no token to fail",
         {"weft", "queue", "fail", "12"},
         "\"12\" is no token: weft queue claim gives them, such as 12.345"                                                             },
        {"no token to release",
         {"weft", "queue", "release", "1.2.3"},
         "\"1.2.3\" is no token: weft queue claim gives them, such as 12.345"                                                          },
        {"token 0",
         {"weft", "queue", "complete", "0.1"},
         "\"0.1\" is no token: weft queue claim gives them, such as 12.345"                                                            },
        {"a token cut short",
         {"weft", "queue", "complete", "12."},
         "\"12.\" is no token: weft queue claim gives them, such as 12.345"                                                            },
        {"an empty file",
         {"weft", "config", "check", ""},
         "FILE of weft config check is empty (weft config check --help)"                                                               },
        {"an option of others",
         {"weft", "queue", "claim", "q", "--max=5"},
         "there is no option --max (weft queue claim --help)"                                                                          },
        {"no setting",
         {"weft", "queue", "put", "q", "colour=red"},
         "a queue has no setting \"colour\"; it has paused, tasks_max, concurrency_max, "
         "key_concurrency, rate, rate_burst, fair, claim_ttl, "
         "retention, task_timeout, retry.max_attempts, retry.backoff_base, retry.backoff_factor, "
         "retry.backoff_cap, retry.jitter and retry.retry_on"                                                                          },
        {"nearly a setting",
         {"weft", "queue", "put", "q", "retry.retryon=lost"},
         "a queue has no setting \"retry.retryon\"; did you mean retry.retry_on?"                                                      },
        {"no worker",
         {"weft", "workers", "drain", "nobody"},
         "\"nobody\" is no id of a worker: it is a number from 1 on"                                                                   },
        {"a bench over TLS",
         {"weft", "bench", "--server", "https://a:1"},
         "weft bench speaks plain HTTP: give it a server as http://127.0.0.1:7411, not "
         "https://a:1"                                                                                                                 },
        {"follow as one object", {"weft", "runs", "logs", "1", "-f", "-ojson"},    NULL                                                },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct fake_result r = fake_run(NULL, rows[i].args);
        char want[512];

        CHECK_ROW(rows[i].name, r.status == 2);
        CHECK_ROW(rows[i].name, !strcmp(r.out, ""));
        snprintf(want, sizeof(want), "weft: %s [invalid_argument]\n",
                 rows[i].err ? rows[i].err : "");
        if (rows[i].err && strcmp(r.err, want))
            fail_msg("%s: found %s   wanted %s", rows[i].name, r.err, want);
        fake_result_deinit(&r);
    }
}

static void errors_are_objects_where_json_was_asked_for(void **state)
{
    static const struct fake_step steps[] = {
        REFUSE("status.get", CODE_STORE_LOCKED, "another program holds \"weft.db\""),
        {.name = NULL},
    };

    (void)state;
    fake_check(
        "usage", NULL, FAKE_ARGS("run", "-o", "json"), 2, "",
        "{\"type\":\"urn:weft:problem:invalid_argument\",\"title\":\"invalid argument\","
        "\"detail\":\"weft run needs FILE (weft run --help)\",\"code\":\"invalid_argument\"}\n");
    fake_check("a problem", steps, FAKE_ARGS("status", "-ojsonl"), 7, "",
               "{\"type\":\"urn:weft:problem:store_locked\",\"title\":\"store locked\","
               "\"detail\":\"another program holds \\\"weft.db\\\"\",\"code\":\"store_locked\"}\n");
}

static void each_code_has_its_exit_status(void **state)
{
    (void)state;
    for (int code = CODE_OK + 1; code < CODE_N; code++) {
        const struct fake_step steps[] = {
            REFUSE("status.get", (enum code)code, "it is so"),
            {.name = NULL},
        };
        struct fake_result r = fake_run(steps, FAKE_ARGS("status"));

        assert_int_equal(r.status, code_exit((enum code)code));
        assert_non_null(strstr(r.err, "weft: it is so ["));
        fake_result_deinit(&r);
    }
}

static void help_is_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_rows_n; i++) {
        const struct command *row = &command_rows[i];
        char path[64], usage[128];
        char *first, *second;
        struct fake_result r;

        snprintf(path, sizeof(path), "%s", row->path);
        snprintf(usage, sizeof(usage), "Usage: weft %s", row->path);
        first = path;
        second = strchr(path, ' ');
        if (second)
            *second++ = '\0';
        r = fake_run(NULL,
                     second ? FAKE_ARGS(first, second, "--help") : FAKE_ARGS(first, "--help"));
        CHECK_ROW(row->path, r.status == 0 && !strncmp(r.out, usage, strlen(usage)) && !*r.err);
        fake_result_deinit(&r);
        r = fake_run(NULL, second ? FAKE_ARGS("help", first, second) : FAKE_ARGS("help", first));
        CHECK_ROW(row->path, r.status == 0 && !strncmp(r.out, usage, strlen(usage)) && !*r.err);
        fake_result_deinit(&r);
        /* The table itself: sentences that a full stop is put behind, and room in the lists. */
        CHECK_ROW(row->path, row->help[0] >= 'a' && row->help[0] <= 'z');
        CHECK_ROW(row->path, row->help[strlen(row->help) - 1] != '.');
        CHECK_ROW(row->path, row->least <= row->most);
        CHECK_ROW(row->path, (*row->arguments != '\0') == (row->most > 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_lines_are_refused_with_a_sentence),
        cmocka_unit_test(errors_are_objects_where_json_was_asked_for),
        cmocka_unit_test(each_code_has_its_exit_status),
        cmocka_unit_test(help_is_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
