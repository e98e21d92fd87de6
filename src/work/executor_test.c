/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of jobs, by what they are and do. What their trees do is in tree_test.c.
 */
#include "work/executor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/memory.h"
#include "work/instance.h"
#include "work/work_testing.h"

static void whoever_starts_it_may_speak_with_it(void **state)
{
    static const char *const nobody[] = {"no-such-command", NULL};
    static const struct {
        const char *name;
        struct testing_job job;
        const char *answer;
        enum outcome outcome;
    } rows[] = {
        {"answers",
         {.script = "read line; echo \"got $line\"; echo aside >&2"},
         "got this\n",                                                    OUTCOME_SUCCEEDED},
        {"never started", {.argv = nobody},                           "", OUTCOME_FAILED   },
    };
    struct testing *t = testing_of(state);

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct testing_job job = rows[i].job;
        struct testing_end *end;
        char answer[100] = "";
        int in[2], out[2];

        assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
        job.streams[0] = in[0];
        job.streams[1] = out[1];
        assert_int_equal(write(in[1], "this\n", 5), 5);
        end = testing_run(t, job);
        CHECK_ROW(rows[i].name, end->outcome == rows[i].outcome);
        CHECK_ROW(rows[i].name, read(out[0], answer, sizeof(answer) - 1) >= 0);
        CHECK_ROW(rows[i].name, strcmp(answer, rows[i].answer) == 0);
        CHECK_ROW(rows[i].name, read(out[0], answer, 1) == 0); /* no end of it is left open */
        close(in[1]);
        close(out[0]);
    }
    assert_string_equal(t->ends[1].err, "aside\n");
    assert_int_equal(access(testing_path(t, "1.out"), F_OK), -1);
}

static void success_is_reported(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *end = testing_run(t, (struct testing_job){.script = "exit 0"});

    assert_int_equal(end->outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(end->reason, TASK_REASON_NONE);
    assert_int_equal(end->exit_code, 0);
    assert_int_equal(end->signal, 0);
    assert_string_equal(end->message, "");
    assert_string_equal(end->output, "");
    assert_true(end->run_us > 0 && end->cpu_us >= 0 && end->max_rss_bytes > 0);
    /* Who says nothing leaves nothing. */
    assert_int_equal(access(testing_path(t, "1.out"), F_OK), -1);
    assert_int_equal(access(testing_path(t, "1.err"), F_OK), -1);
    assert_int_equal(access(testing_path(t, "1.output"), F_OK), -1);
}

static void every_kind_of_end_has_its_reason(void **state)
{
    static char long_text[3 << 20];
    static const char *const no_command[] = {"no-such-command", NULL};
    static const char *const no_file[] = {"/no/such/file", NULL};
    static const char *const folder[] = {"/usr", NULL};
    static const char *const data[] = {"./data", NULL};
    static const char *const not_mine[] = {"./denied", NULL};
    static const char *const in_path[] = {"denied", NULL};
    static const char *const no_interpreter[] = {"./script", NULL};
    static const char *const too_long[] = {"echo", long_text, NULL};
    static const char *const empty[] = {"", NULL};
    static const char *const here[] = {"PATH=:/usr/bin", NULL};
    static const char *const no_path[] = {"PATH=", NULL};
    static const char *const below[] = {"./below", NULL};
    static char folders[5 + 50 * 5 + 1] = "PATH=";
    static const char *const long_path[] = {folders, NULL};
    static const struct {
        const char *name;
        struct testing_job job;
        enum task_reason reason;
        int exit_code, signal;
        const char *says;
    } rows[] = {
        {"exit code",        {.script = "exit 3"}, TASK_REASON_COMMAND_FAILED, 3,   0, "exit code 3"                                                           },
        {"exit code 255",
         {.script = "exit 255"},
         TASK_REASON_COMMAND_FAILED,                                           255,
         0,                                                                            "exit code 255"                                                         },
        {"killed by itself",
         {.script = "kill -KILL $$"},
         TASK_REASON_COMMAND_KILLED,                                           -1,
         SIGKILL,                                                                      "signal 9 (SIGKILL)"                                                    },
        {"crash",
         {.script = "kill -SEGV $$"},
         TASK_REASON_COMMAND_KILLED,                                           -1,
         SIGSEGV,                                                                      "(SIGSEGV)"                                                             },
        {"abort",
         {.script = "kill -ABRT $$"},
         TASK_REASON_COMMAND_KILLED,                                           -1,
         SIGABRT,                                                                      "(SIGABRT)"                                                             },
        {"ends on TERM",
         {.script = "kill -TERM $$"},
         TASK_REASON_COMMAND_KILLED,                                           -1,
         SIGTERM,                                                                      "(SIGTERM)"                                                             },
        {"no command",
         {.argv = no_command},
         TASK_REASON_COMMAND_MISSING,                                          -1,
         0,                                                                            "\"no-such-command\" was not found in PATH /usr/local/bin:/usr/bin:/bin"},
        {"no PATH",
         {.argv = no_command, .env = no_path},
         TASK_REASON_COMMAND_MISSING,                                          -1,
         0,                                                                            "was not found in PATH, which is empty"                                 },
        {"long PATH",
         {.argv = no_command, .env = long_path},
         TASK_REASON_COMMAND_MISSING,                                          -1,
         0,                                                                            "/none/none…"                                                         },
        {"empty command",
         {.argv = empty},
         TASK_REASON_COMMAND_MISSING,                                          -1,
         0,                                                                            "\"\" was not found"                                                    },
        {"no file",
         {.argv = no_file},
         TASK_REASON_COMMAND_MISSING,                                          -1,
         0,                                                                            "\"/no/such/file\" could not be started: there is no such file"         },
        {"a folder",
         {.argv = folder},
         TASK_REASON_COMMAND_DENIED,                                           -1,
         0,                                                                            "\"/usr\" could not be started: it is a folder"                         },
        {"a folder below",
         {.argv = below},
         TASK_REASON_COMMAND_DENIED,                                           -1,
         0,                                                                            "\"./below\" could not be started: it is a folder"                      },
        {"not executable",
         {.argv = not_mine},
         TASK_REASON_COMMAND_DENIED,                                           -1,
         0,                                                                            "it may not be executed"                                                },
        {"denied in PATH",
         {.argv = in_path, .env = here},
         TASK_REASON_COMMAND_DENIED,                                           -1,
         0,                                                                            "is in PATH, but may not be executed"                                   },
        {"no program",
         {.argv = data},
         TASK_REASON_COMMAND_DENIED,                                           -1,
         0,                                                                            "neither a program nor a script"                                        },
        {"no interpreter",
         {.argv = no_interpreter},
         TASK_REASON_COMMAND_MISSING,                                          -1,
         0,                                                                            "\"./script\" could not be started: the interpreter that it names"      },
        {"too long",
         {.argv = too_long},
         TASK_REASON_SPAWN_FAILED,                                             -1,
         0,                                                                            "longer than the system allows"                                         },
        {"no folder",
         {.script = ":", .cwd = "/none"},
         TASK_REASON_CWD_MISSING,                                              -1,
         0,                                                                            "\"/none\" cannot be entered: No such file or directory"                },
        {"cwd is a file",
         {.script = ":", .cwd = "/etc/passwd"},
         TASK_REASON_CWD_MISSING,                                              -1,
         0,                                                                            "Not a directory"                                                       },
    };
    static const char part[] = {'/', 'n', 'o', 'n', 'e'};
    struct testing *t = testing_of(state);
    int fd;

    memset(long_text, 'x', sizeof(long_text) - 1);
    for (size_t i = 5; i + 5 < sizeof(folders); i += 5)
        memcpy(folders + i, part, sizeof(part));
    assert_int_equal(mkdir(testing_path(t, "below"), 0755), 0);
    fd = open(testing_path(t, "denied"), O_CREAT | O_WRONLY, 0644);
    close(fd);
    fd = open(testing_path(t, "data"), O_CREAT | O_WRONLY, 0755);
    assert_int_equal(write(fd, "just data\n", 10), 10);
    close(fd);
    fd = open(testing_path(t, "script"), O_CREAT | O_WRONLY, 0755);
    assert_int_equal(write(fd, "#!/no/such/interpreter\n", 23), 23);
    close(fd);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct testing_end *end = testing_run(t, rows[i].job);

        CHECK_ROW(rows[i].name, end->outcome == OUTCOME_FAILED);
        CHECK_ROW(rows[i].name, end->reason == rows[i].reason);
        CHECK_ROW(rows[i].name, end->exit_code == rows[i].exit_code);
        CHECK_ROW(rows[i].name, end->signal == rows[i].signal);
        CHECK_ROW(rows[i].name, strstr(end->message, rows[i].says) != NULL);
        CHECK_ROW(rows[i].name, end->run_us >= 0 && end->cpu_us >= 0);
    }
}

/* At every number of descriptors that are left, the job fails in order, and the next one is well.
 */
static void lack_of_descriptors_fails_the_job(void **state)
{
    struct testing *t = testing_of(state);
    struct rlimit before, few;
    unsigned refused = 0;

    getrlimit(RLIMIT_NOFILE, &before);
    for (unsigned left = 0; left < 12; left++) {
        struct testing_end *end;
        int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);

        close(lowest);
        few = (struct rlimit){(rlim_t)lowest + left, before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &few);
        end = testing_run(t, (struct testing_job){.script = "echo x; sleep 1000 & exit 0"});
        setrlimit(RLIMIT_NOFILE, &before);
        if (end->outcome == OUTCOME_SUCCEEDED)
            continue;
        refused++;
        assert_int_equal(end->reason, TASK_REASON_SPAWN_FAILED);
        assert_non_null(strstr(end->message, "Too many open files"));
    }
    assert_in_range(refused, 3, 11);
    assert_int_equal(testing_run(t, (struct testing_job){.script = ":"})->outcome,
                     OUTCOME_SUCCEEDED);
}

static void refusal_comes_later(void **state)
{
    static const char *const no_command[] = {"no-such-command", NULL};
    struct testing *t = testing_of(state);
    int64_t token = testing_start(t, (struct testing_job){.argv = no_command});

    assert_false(t->ends[token].done);
    assert_int_equal(executor_busy(t->ex), 1);
    executor_stop(t->ex, token, EXECUTOR_KILL); /* has nothing to stop */
    testing_wait(t);
    assert_int_equal(t->ends[token].reason, TASK_REASON_COMMAND_MISSING);
    assert_int_equal(executor_busy(t->ex), 0);
}

static void arguments_stay_data(void **state)
{
    static const char *const argv[] = {"printf", "%s|",    "a b",        "$(reboot)",
                                       "`id`",   "'\";--", "line\nline", "\xc3\xa4\xe2\x82\xac",
                                       "*",      "",       NULL};
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *out = NULL;

    testing_run(t, (struct testing_job){.argv = argv});
    out = testing_read(t, "1.out", NULL);
    assert_string_equal(out, "a b|$(reboot)|`id`|'\";--|line\nline|\xc3\xa4\xe2\x82\xac|*||");
}

static void command_is_found_in_the_path_of_the_job(void **state)
{
    static const char *const argv[] = {"tool", NULL};
    static const char *const env[] = {"PATH=/none::/usr/bin", NULL};
    static const char *const none[] = {NULL};
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *out = NULL;
    int fd = open(testing_path(t, "tool"), O_CREAT | O_WRONLY, 0755);

    assert_int_equal(write(fd, "#!/bin/sh\necho the tool\n", 24), 24);
    close(fd);
    testing_run(t, (struct testing_job){.argv = argv, .env = env});
    out = testing_read(t, "1.out", NULL);
    assert_string_equal(out, "the tool\n");
    /* No PATH at all is the usual one. */
    assert_int_equal(testing_run(t, (struct testing_job){.script = ":", .env = none})->outcome,
                     OUTCOME_SUCCEEDED);
}

/* A session of its own, no signals ignored or blocked, and three descriptors, whatever weft has. */
static void child_starts_clean(void **state)
{
    static const char *const list[] = {"ls", "/proc/self/fd", NULL};
    /* Not from the shell: it blocks signals while it starts what looks. */
    static const char *const signals[] = {"grep", "-E", "Sig(Ign|Blk)", "/proc/self/status", NULL};
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *out = NULL;
    CLEANUP(memory_freep) char *fds = NULL;
    CLEANUP(memory_freep) char *sets = NULL;
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    int open_fd = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    sigset_t set, old;

    signal(SIGHUP, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    testing_run(t, (struct testing_job){.script = "readlink /proc/$$/fd/0\n"
                                                  "read -r _ _ _ _ _ session _ < /proc/$$/stat\n"
                                                  "test $session = $$ && echo leads\n"
                                                  "echo $WEFT_INSTANCE | cut -c1-5\n"
                                                  "pwd"});
    testing_run(t, (struct testing_job){.argv = list});
    testing_run(t, (struct testing_job){.argv = signals});
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGPIPE, before);
    signal(SIGHUP, SIG_DFL);
    close(open_fd);
    fds = testing_read(t, "2.out", NULL);
    assert_string_equal(fds, "0\n1\n2\n3\n"); /* 3 is the folder that it lists */
    out = testing_read(t, "1.out", NULL);
    assert_non_null(strstr(out, "/dev/null\n"));
    sets = testing_read(t, "3.out", NULL);
    assert_string_equal(sets, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    assert_non_null(strstr(out, "leads\nweft-\n/tmp/weft-test-"));
}

static void output_is_captured_by_stream(void **state)
{
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *out = NULL;
    CLEANUP(memory_freep) char *err = NULL;
    struct testing_end *end = testing_run(
        t, (struct testing_job){.script = "echo out; echo err 1 >&2; printf 'b\\377d\\0 end' >&2; "
                                          "exit 7"});

    out = testing_read(t, "1.out", NULL);
    err = testing_read(t, "1.err", NULL);
    assert_string_equal(out, "out\n");
    assert_memory_equal(err, "err 1\nb\377d\0 end", 14);
    assert_string_equal(end->err, "err 1\nb\xef\xbf\xbd"
                                  "d\xef\xbf\xbd end");
    assert_int_equal(end->exit_code, 7);
}

static void end_of_stderr_is_kept(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *end =
        testing_run(t, (struct testing_job){.script = "seq 1 100000 >&2; echo last >&2; exit 1"});

    assert_in_range(strlen(end->err), EXECUTOR_TAIL_BYTES - 4, EXECUTOR_TAIL_BYTES);
    assert_string_equal(end->err + strlen(end->err) - 12, "100000\nlast\n");
}

/* 168 MB of numbers: the first and the last are there, the file is bounded, and so are we. */
static void flood_is_bounded(void **state)
{
    struct testing *t = testing_of(state);
    int64_t before = testing_rss_bytes();
    CLEANUP(memory_freep) char *out = NULL;
    const char *mark;
    uint64_t cut;
    size_t n;

    for (int i = 0; i < 4; i++) {
        testing_start(t, (struct testing_job){.script = "seq 1 20000000"});
        testing_start(t, (struct testing_job){.script = "exit 0"});
    }
    testing_wait(t);
    assert_true(testing_rss_bytes() - before < TESTING_RSS_SLACK_BYTES);
    out = testing_read(t, "1.out", &n);
    assert_in_range(n, EXECUTOR_LOG_BYTES, EXECUTOR_LOG_BYTES + 100);
    assert_memory_equal(out, "1\n2\n3\n", 6);
    assert_string_equal(out + n - 18, "19999999\n20000000\n");
    mark = strstr(out, "\n[weft: ");
    assert_non_null(mark);
    assert_int_equal(sscanf(mark, "\n[weft: %" SCNu64 " bytes cut here]", &cut), 1);
    assert_int_equal(cut, 168888897 - EXECUTOR_LOG_BYTES);
    assert_int_equal(mark - out, EXECUTOR_LOG_BYTES / 2);
    for (int i = 1; i <= 8; i++)
        assert_int_equal(t->ends[i].outcome, OUTCOME_SUCCEEDED);
}

static void log_that_cannot_be_written_costs_the_log_only(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *end = testing_run(
        t, (struct testing_job){.script = "seq 1 100000; echo fine >&2", .out_path = "/dev/full"});

    assert_int_equal(end->outcome, OUTCOME_SUCCEEDED);
    assert_string_equal(end->err, "fine\n");
    end = testing_run(t, (struct testing_job){.script = "echo x", .out_path = "/proc/none/x"});
    assert_int_equal(end->outcome, OUTCOME_SUCCEEDED);
}

static void folders_of_logs_are_made(void **state)
{
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *out = NULL;

    testing_run(t,
                (struct testing_job){.script = "echo x", .out_path = testing_path(t, "a/b.log")});
    out = testing_read(t, "a/b.log", NULL);
    assert_string_equal(out, "x\n");
    unlink(testing_path(t, "a/b.log"));
}

static void output_is_an_object_or_a_reason(void **state)
{
    static const struct {
        const char *name, *script;
        enum task_reason reason;
        const char *gives; /* the output, or a part of the message */
    } rows[] = {
        {"object",             "echo '{\"rows\": 12}' > $WEFT_OUTPUT",                                       TASK_REASON_NONE,           "{\"rows\": 12}"  },
        {"empty one",          "printf '{}' > $WEFT_OUTPUT",                                                 TASK_REASON_NONE,           "{}"              },
        {"moved there",        "echo '{\"a\":1}' > x && mv x $WEFT_OUTPUT",                                  TASK_REASON_NONE,           "{\"a\":1}"       },
        {"failed anyway",      "echo rubbish > $WEFT_OUTPUT; exit 1",                                        TASK_REASON_COMMAND_FAILED,
         "exit code 1"                                                                                                                                     },
        {"empty file",         ": > $WEFT_OUTPUT",                                                           TASK_REASON_OUTPUT_INVALID,
         "no JSON object: line 1, column 1"                                                                                                                },
        {"not JSON",           "printf '{\"a\":\\n oops}' > $WEFT_OUTPUT",                                   TASK_REASON_OUTPUT_INVALID,
         "line 2, column 2"                                                                                                                                },
        {"a list",             "echo '[1]' > $WEFT_OUTPUT",                                                  TASK_REASON_OUTPUT_INVALID,
         "must be a JSON object {…}; it is a list"                                                                                                       },
        {"two",                "echo '{} {}' > $WEFT_OUTPUT",                                                TASK_REASON_OUTPUT_INVALID, "line 1"          },
        {"twice the same key", "echo '{\"a\":1,\"a\":2}' > $WEFT_OUTPUT",
         TASK_REASON_OUTPUT_INVALID,                                                                                                     "line 1"          },
        {"no UTF-8",           "printf '{\"a\":\"\\377\"}' > $WEFT_OUTPUT",                                  TASK_REASON_OUTPUT_INVALID,
         "line 1"                                                                                                                                          },
        {"deep",               "(printf '{\"a\":'; head -c 100000 /dev/zero | tr '\\0' '[') > $WEFT_OUTPUT",
         TASK_REASON_OUTPUT_INVALID,                                                                                                     "line 1"          },
        {"2 MiB",              "head -c 2097152 /dev/zero > $WEFT_OUTPUT",                                   TASK_REASON_OUTPUT_LARGE,
         "2097152 bytes; at most 1048576"                                                                                                                  },
        {"a link",             "ln -s /etc/passwd $WEFT_OUTPUT",                                             TASK_REASON_OUTPUT_INVALID,
         "no ordinary file"                                                                                                                                },
        {"a pipe",             "mkfifo $WEFT_OUTPUT",                                                        TASK_REASON_OUTPUT_INVALID, "no ordinary file"},
        {"a folder",           "mkdir $WEFT_OUTPUT",                                                         TASK_REASON_OUTPUT_INVALID, "no ordinary file"},
    };
    struct testing *t = testing_of(state);

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct testing_end *end = testing_run(t, (struct testing_job){.script = rows[i].script});
        bool good = rows[i].reason == TASK_REASON_NONE;
        char name[64];

        CHECK_ROW(rows[i].name, end->reason == rows[i].reason);
        CHECK_ROW(rows[i].name, (end->outcome == OUTCOME_SUCCEEDED) == good);
        CHECK_ROW(rows[i].name, !good || strcmp(end->output, rows[i].gives) == 0);
        CHECK_ROW(rows[i].name, good || strstr(end->message, rows[i].gives));
        CHECK_ROW(rows[i].name, good || !*end->output);
        snprintf(name, sizeof(name), "%u.output", t->started);
        CHECK_ROW(rows[i].name, access(testing_path(t, name), F_OK) == -1);
    }
}

static void progress_is_told(void **state)
{
    struct testing *t = testing_of(state);

    /* Overwritten, appended, with rubbish behind; the job ends when the first was heard. */
    t->percent = -1;
    testing_start(t, (struct testing_job){.script = "echo '10 a start' > $WEFT_PROGRESS; "
                                                    "until test -e heard; do sleep 0.01; done; "
                                                    "echo '40 half \033[1mof\033[0m it' >> "
                                                    "$WEFT_PROGRESS; echo 'x y' >> $WEFT_PROGRESS; "
                                                    "printf '140 no' >> $WEFT_PROGRESS"});
    while (t->percent != 10)
        uv_run(&t->loop, UV_RUN_ONCE);
    assert_string_equal(t->progress, "a start");
    assert_int_equal(close(open(testing_path(t, "heard"), O_CREAT | O_WRONLY, 0644)), 0);
    testing_wait(t);
    assert_int_equal(t->percent, 40);
    assert_string_equal(t->progress, "half of it");
    assert_int_equal(t->progresses, 2);
    assert_int_equal(access(testing_path(t, "1.progress"), F_OK), -1);
    /* A line without an end counts once the job has ended. */
    testing_run(t, (struct testing_job){.script = "printf 100 > $WEFT_PROGRESS"});
    assert_int_equal(t->percent, 100);
    assert_string_equal(t->progress, "");
    /* A link leads nowhere. */
    testing_run(t, (struct testing_job){.script = "echo 5 > five; ln -s five $WEFT_PROGRESS"});
    assert_int_equal(t->percent, 100);
}

static void newest_line_is_told_at_most_ten_times_a_second(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *end = testing_run(
        t, (struct testing_job){.script = "i=0; while test $i -lt 300; do i=$((i + 1)); "
                                          "echo line $i; sleep 0.002; done; "
                                          "printf 'bar 50%%\\rbar \\033[32m100%%\\033[0m\\n'"});

    assert_string_equal(t->line, "bar 100%");
    assert_in_range(t->lines, 2, end->run_us / (100 * CLOCK_MS) + 2);
}

static void timeout_asks_first(void **state)
{
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *out = NULL;
    struct testing_end *end = testing_run(
        t,
        (struct testing_job){.script = "trap 'echo bye; exit 0' TERM; while :; do sleep 0.01; done",
                             .timeout_us = 300 * CLOCK_MS});

    assert_int_equal(end->outcome, OUTCOME_TIMED_OUT);
    assert_int_equal(end->reason, TASK_REASON_TIMED_OUT);
    assert_string_equal(end->message, "it ran longer than its timeout of 0.3 s");
    assert_int_equal(end->exit_code, 0);
    assert_in_range(end->run_us, 300 * CLOCK_MS, 5300 * CLOCK_MS);
    out = testing_read(t, "1.out", NULL);
    assert_string_equal(out, "bye\n");
}

static void timeout_kills_after_the_grace_time(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *end = testing_run(
        t, (struct testing_job){.script = "trap '' TERM INT HUP; while :; do sleep 0.01; done",
                                .timeout_us = 200 * CLOCK_MS,
                                .grace_us = 300 * CLOCK_MS});

    assert_int_equal(end->outcome, OUTCOME_TIMED_OUT);
    assert_int_equal(end->signal, SIGKILL);
    assert_in_range(end->run_us, 500 * CLOCK_MS, 5500 * CLOCK_MS);
}

/* A job that never returns, at two seconds. */
static void endless_loop_ends_at_its_timeout(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *end = testing_run(
        t, (struct testing_job){.script = "while :; do :; done", .timeout_us = 2 * CLOCK_S});

    assert_int_equal(end->outcome, OUTCOME_TIMED_OUT);
    assert_int_equal(end->signal, SIGTERM);
    assert_in_range(end->run_us, 2 * CLOCK_S, 4 * CLOCK_S);
    assert_int_equal(executor_busy(t->ex), 0);
}

static void deadlines_in_any_order(void **state)
{
    static const int ms[] = {700, 100, 400, 100, 1000, 250};
    struct testing *t = testing_of(state);

    for (size_t i = 0; i < ROWS_N(ms); i++)
        testing_start(
            t, (struct testing_job){.script = "exec sleep 100", .timeout_us = ms[i] * CLOCK_MS});
    testing_wait(t);
    for (size_t i = 0; i < ROWS_N(ms); i++) {
        assert_int_equal(t->ends[i + 1].outcome, OUTCOME_TIMED_OUT);
        assert_in_range(t->ends[i + 1].run_us, ms[i] * CLOCK_MS, ms[i] * CLOCK_MS + 2 * CLOCK_S);
    }
}

static bool ready; /* the job has said "ready" */

static void on_ready(struct testing *t, int64_t token)
{
    (void)token;
    ready = strcmp(t->line, "ready") == 0;
}

static int64_t start_ready(struct testing *t, const char *script, int64_t grace_us)
{
    int64_t token;

    ready = false;
    t->on_line = on_ready;
    token = testing_start(t, (struct testing_job){.script = script, .grace_us = grace_us});
    testing_wait_for(t, &ready);
    return token;
}

static void stop_asks_first(void **state)
{
    struct testing *t = testing_of(state);
    int64_t token =
        start_ready(t, "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done", 0);

    executor_stop(t->ex, 999, EXECUTOR_TERM); /* nobody's */
    executor_stop(t->ex, token, EXECUTOR_TERM);
    executor_stop(t->ex, token, EXECUTOR_TERM);
    assert_false(t->ends[token].done);
    testing_wait(t);
    assert_int_equal(t->ends[token].outcome, OUTCOME_CANCELLED);
    assert_int_equal(t->ends[token].reason, TASK_REASON_CANCELLED);
    assert_int_equal(t->ends[token].exit_code, 3);
    executor_stop(t->ex, token, EXECUTOR_TERM); /* nobody's any more */
}

static void stop_is_hurried_by_a_second_one(void **state)
{
    struct testing *t = testing_of(state);
    int64_t token =
        start_ready(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done", 1000 * CLOCK_S);

    executor_stop(t->ex, token, EXECUTOR_TERM);
    executor_stop(t->ex, token, EXECUTOR_KILL);
    testing_wait(t);
    assert_int_equal(t->ends[token].outcome, OUTCOME_CANCELLED);
    assert_int_equal(t->ends[token].signal, SIGKILL);
}

static void all_are_stopped_at_once(void **state)
{
    struct testing *t = testing_of(state);

    for (int i = 0; i < 20; i++)
        testing_start(t, (struct testing_job){.script = "exec sleep 1000"});
    executor_stop_all(t->ex, EXECUTOR_KILL);
    testing_wait(t);
    for (int i = 1; i <= 20; i++)
        assert_int_equal(t->ends[i].outcome, OUTCOME_CANCELLED);
}

/* What ended by itself before it was asked is no cancelled job. */
static void stop_comes_too_late(void **state)
{
    struct testing *t = testing_of(state);
    int64_t token = testing_start(t, (struct testing_job){.script = "exit 0"});

    /* Until it is a zombie; the loop does not turn meanwhile. */
    while (testing_zombies() == 0)
        usleep(1000);
    executor_stop(t->ex, token, EXECUTOR_KILL);
    testing_wait(t);
    assert_int_equal(t->ends[token].outcome, OUTCOME_SUCCEEDED);
}

static void memory_is_measured(void **state)
{
    struct testing *t = testing_of(state);
    CLEANUP(memory_freep) char *script = NULL;
    struct testing_end *end;
    struct rusage self;
    int64_t n;

    /* More than weft ever had; tail keeps it all, since it is one line. */
    getrusage(RUSAGE_SELF, &self);
    n = self.ru_maxrss * 1024 + (40 << 20);
    assert_true(asprintf(&script, "head -c %" PRId64 " /dev/zero | tail -n 1 | wc -c", n) > 0);
    end = testing_run(t, (struct testing_job){.script = script});
    assert_int_equal(end->outcome, OUTCOME_SUCCEEDED);
    assert_in_range(end->max_rss_bytes, n, 2 * n);
}

/* It ends in its own time or at its timeout, and nobody else notices. */
static void memory_bomb_ends_alone(void **state)
{
    struct testing *t = testing_of(state);
    int64_t bomb = testing_start(
        t, (struct testing_job){.script = "(head -c 300000000 /dev/zero; sleep 1000) | "
                                          "tail -n 1 > /dev/null",
                                .timeout_us = 2 * CLOCK_S});

    for (int i = 0; i < 5; i++)
        assert_int_equal(testing_run(t, (struct testing_job){.script = ":"})->outcome,
                         OUTCOME_SUCCEEDED);
    testing_wait(t);
    assert_int_equal(t->ends[bomb].outcome, OUTCOME_TIMED_OUT);
}

/* A process smaller than weft is not taken for as large as weft. */
static void memory_of_a_small_process_is_its_own(void **state)
{
    struct testing *t = testing_of(state);
    size_t n = 128 << 20;
    char *large = memory_new(n);
    struct testing_end *end;

    memset(large, 1, n);
    end = testing_run(t, (struct testing_job){.script = "sleep 0.5"});
    assert_in_range(end->max_rss_bytes, 100 << 10, 100 << 20);
    free(large);
}

static void cpu_time_is_measured(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *end = testing_run(
        t, (struct testing_job){.script = "i=0; while test $i -lt 300000; do i=$((i + 1)); done"});

    assert_in_range(end->cpu_us, 10 * CLOCK_MS, end->run_us + 50 * CLOCK_MS);
}

/* As many busy jobs as there are processors run on all of them. */
static void jobs_use_all_processors(void **state)
{
    struct testing *t = testing_of(state);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = cores < 8 ? (unsigned)cores : 8;
    char name[32];
    unsigned used = 0;

    for (unsigned i = 0; i < n; i++)
        testing_start(t,
                      (struct testing_job){
                          .script = "end=$(($(date +%s) + 3)); while test $(date +%s) -lt $end; do "
                                    "read -r stat < /proc/$$/stat; set -- $stat; eval cpu=\\${39}; "
                                    ": > cpu.$cpu; done"});
    testing_wait(t);
    for (long cpu = 0; cpu < 4096; cpu++) {
        snprintf(name, sizeof(name), "cpu.%ld", cpu);
        used += access(testing_path(t, name), F_OK) == 0;
    }
    assert_true(used >= n);
}

static void again(struct testing *t, int64_t token)
{
    if (token < 100)
        testing_start(t, (struct testing_job){.script = "exit 0"});
}

static void done_may_start_the_next(void **state)
{
    struct testing *t = testing_of(state);

    t->on_done = again;
    testing_start(t, (struct testing_job){.script = "exit 0"});
    while (t->done < 100)
        testing_wait(t);
    assert_int_equal(executor_busy(t->ex), 0);
}

static void start_any_ending(struct testing *t)
{
    static const char *const scripts[] = {
        "exit 0", "exit 1", "kill -KILL $$", "echo x", "sleep 100 & exit 0", "no-such-command"};

    testing_start(t, (struct testing_job){.script = scripts[t->started % ROWS_N(scripts)]});
}

static void next_ending(struct testing *t, int64_t token)
{
    (void)token;
    if (t->started < 1000)
        start_any_ending(t);
}

/* Every slot at once, so that what is kept for them is there: one gives its cgroup up when it was
 * killed, and has one again from its next job on. */
static void use_every_slot(struct testing *t)
{
    for (int i = 0; i < TESTING_SLOTS; i++)
        testing_start(t, (struct testing_job){.script = "sleep 0.5"});
    testing_wait(t);
}

static unsigned cgroups_of(struct testing *t)
{
    const char *path = guardian_instance(t->guardian)->path;
    struct stat st;

    return *path && stat(path, &st) == 0 ? (unsigned)st.st_nlink : 0;
}

/* A thousand jobs with all kinds of ends, and nothing is left of them. */
static void nothing_leaks(void **state)
{
    struct testing *t = testing_of(state);
    unsigned fds, cgroups;
    int64_t rss;

    for (int i = 0; i < TESTING_SLOTS; i++)
        start_any_ending(t);
    testing_wait(t);
    use_every_slot(t);
    fds = testing_fds();
    cgroups = cgroups_of(t);
    rss = testing_rss_bytes();
    t->on_done = next_ending;
    for (int i = 0; i < 32; i++)
        start_any_ending(t);
    while (t->started < 1000 || t->done < t->started)
        testing_wait(t);
    t->on_done = NULL;
    use_every_slot(t);
    /* The last orphans are waited for at the next tick; one child is left, the guardian. */
    while (testing_children() > 1)
        uv_run(&t->loop, UV_RUN_ONCE);
    assert_int_equal(testing_fds(), fds);
    assert_int_equal(cgroups_of(t), cgroups);
    assert_true(testing_rss_bytes() - rss < TESTING_RSS_SLACK_BYTES);
}

static void five_crash_at_once(void **state)
{
    struct testing *t = testing_of(state);

    for (int i = 0; i < 5; i++)
        testing_start(t, (struct testing_job){.script = "sleep 0.1; kill -SEGV $$"});
    testing_wait(t);
    for (int i = 1; i <= 5; i++)
        assert_int_equal(t->ends[i].reason, TASK_REASON_COMMAND_KILLED);
    assert_int_equal(testing_run(t, (struct testing_job){.script = ":"})->outcome,
                     OUTCOME_SUCCEEDED);
}

/* A cgroup that was killed must not take the next job of its slot with it. */
static void a_slot_serves_after_a_kill(void **state)
{
    struct testing *t = testing_of(state);
    struct testing_end *killed =
        testing_run(t, (struct testing_job){.script = "trap '' TERM; while :; do sleep 1; done",
                                            .timeout_us = 100 * CLOCK_MS,
                                            .grace_us = 50 * CLOCK_MS});

    assert_int_equal(killed->outcome, OUTCOME_TIMED_OUT);
    for (int i = 0; i < 3; i++) {
        struct testing_end *next = testing_run(t, (struct testing_job){.script = "sleep 0.05"});

        assert_int_equal(next->outcome, OUTCOME_SUCCEEDED);
    }
}

/* docs/executor.md holds what the table prints; whoever changes it pastes what this test shows. */
static void the_documentation_shows_the_table(void **state)
{
    CLEANUP(arena_deinit) struct arena a = {0};
    CLEANUP(buf_deinit) struct buf b;
    const char *source = getenv("WEFT_SOURCE");
    struct str page;

    (void)state;
    buf_init(&b, 1 << 16);
    if (!source)
        skip();
    assert_int_equal(file_read(&a, str_printf(&a, "%s/docs/executor.md", source).p, 1 << 20, &page),
                     0);
    buf_add(&b, STR("```mermaid\n"));
    executor_diagram(&b);
    buf_add(&b, STR("```\n"));
    if (!memmem(page.p, page.n, b.p, b.n))
        fail_msg("docs/executor.md does not show the table:\n%s", b.p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TESTING_BOTH(a_slot_serves_after_a_kill),
        TESTING_BOTH(success_is_reported),
        TESTING_BOTH(every_kind_of_end_has_its_reason),
        TESTING_BOTH(lack_of_descriptors_fails_the_job),
        TESTING_BOTH(refusal_comes_later),
        TESTING_BOTH(arguments_stay_data),
        TESTING_BOTH(command_is_found_in_the_path_of_the_job),
        TESTING_BOTH(child_starts_clean),
        TESTING_BOTH(output_is_captured_by_stream),
        TESTING_BOTH(end_of_stderr_is_kept),
        TESTING_BOTH(flood_is_bounded),
        TESTING_BOTH(log_that_cannot_be_written_costs_the_log_only),
        TESTING_BOTH(folders_of_logs_are_made),
        TESTING_BOTH(output_is_an_object_or_a_reason),
        TESTING_BOTH(whoever_starts_it_may_speak_with_it),
        TESTING_BOTH(progress_is_told),
        TESTING_BOTH(newest_line_is_told_at_most_ten_times_a_second),
        TESTING_BOTH(timeout_asks_first),
        TESTING_BOTH(timeout_kills_after_the_grace_time),
        TESTING_BOTH(endless_loop_ends_at_its_timeout),
        TESTING_BOTH(deadlines_in_any_order),
        TESTING_BOTH(stop_asks_first),
        TESTING_BOTH(stop_is_hurried_by_a_second_one),
        TESTING_BOTH(all_are_stopped_at_once),
        TESTING_BOTH(stop_comes_too_late),
        TESTING_BOTH(memory_is_measured),
        TESTING_BOTH(memory_bomb_ends_alone),
        TESTING_BOTH(memory_of_a_small_process_is_its_own),
        TESTING_BOTH(cpu_time_is_measured),
        TESTING_BOTH(jobs_use_all_processors),
        TESTING_BOTH(done_may_start_the_next),
        TESTING_BOTH(nothing_leaks),
        TESTING_BOTH(five_crash_at_once),
        cmocka_unit_test(the_documentation_shows_the_table),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
