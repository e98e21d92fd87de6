/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: which source wins, what is refused, and with which place. */
#include "serve/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/test.h"

struct case_of_config {
    const char *name;
    const char *file; /* its text; NULL: there is none */
    const char *env;  /* one variable */
    struct server_flag flag;
    const char *error; /* LINE:COLUMN SENTENCE; NULL: it is fine */
};

static char path[] = "/tmp/weft-config-XXXXXX";

static int read_case(struct arena *a, const struct case_of_config *row, struct config *c,
                     struct config_errors *errors)
{
    const char *env[] = {row->env, NULL};
    struct server_flags flags = {
        .file = row->file ? path : NULL, .list = &row->flag, .n = row->flag.key ? 1 : 0};
    struct config_given given = {
        .flags = &flags, .env = env, .here = "/here", .cpus = 3, .terminal = false};

    if (row->file)
        assert_int_equal(file_write(path, str_of(row->file)), 0);
    return config_read(a, &given, c, errors);
}

/* A-110, C-01: defaults < file < environment < flags. */
static void the_last_source_wins(void **state)
{
    struct arena a = {0};
    struct config c;
    struct config_errors errors;
    struct case_of_config row = {.name = "defaults"};
    (void)state;

    assert_int_equal(read_case(&a, &row, &c, &errors), 0);
    assert_string_equal(str_cstr(&a, c.listen), "127.0.0.1:7411");
    assert_string_equal(str_cstr(&a, c.data), "/here/.weft");
    assert_string_equal(str_cstr(&a, c.store), "sqlite:/here/.weft/weft.db");
    assert_int_equal(c.slots, 3);
    assert_int_equal(c.drain_us, 30 * CLOCK_S);
    assert_int_equal(c.from[CONFIG_SLOTS].source, CONFIG_DEFAULT);

    row.file = "# a server\ndrain: 5s\nslots: 2\nlog:\n  level: error\nlimits: {body: 1MiB}\n";
    assert_int_equal(read_case(&a, &row, &c, &errors), 0);
    assert_int_equal(c.drain_us, 5 * CLOCK_S);
    assert_int_equal(c.slots, 2);
    assert_int_equal(c.log_level, LOG_ERROR);
    assert_int_equal(c.body_bytes, 1 << 20);
    assert_true(str_ends(c.from[CONFIG_LOG_LEVEL].where, STR(":5")));

    row.env = "WEFT_DRAIN=6s";
    assert_int_equal(read_case(&a, &row, &c, &errors), 0);
    assert_int_equal(c.drain_us, 6 * CLOCK_S);
    assert_int_equal(c.slots, 2);
    assert_string_equal(str_cstr(&a, c.from[CONFIG_DRAIN].where), "WEFT_DRAIN");

    row.flag = (struct server_flag){"drain", "1m30s", "--set"};
    assert_int_equal(read_case(&a, &row, &c, &errors), 0);
    assert_int_equal(c.drain_us, 90 * CLOCK_S);
    assert_int_equal(c.from[CONFIG_DRAIN].source, CONFIG_FLAG);
    arena_deinit(&a);
}

/* A-108, C-01: each mistake with its place. */
#define TEXT(name, text, error)                                                                    \
    {                                                                                              \
        (name), (text), NULL, {NULL, NULL, NULL}, (error)                                          \
    }
#define VARIABLE(name, variable, error)                                                            \
    {                                                                                              \
        (name), NULL, (variable), {NULL, NULL, NULL}, (error)                                      \
    }
#define FLAG(name, key, value, flag, error)                                                        \
    {                                                                                              \
        (name), NULL, NULL, {(key), (value), (flag)}, (error)                                      \
    }

static const struct case_of_config mistakes[] = {
    TEXT("unknown key", "drain: 5s\nlimit:\n  body: 1MiB\n",
         "2:1 there is no setting \"limit\"; there are listen, grpc, *"),
    TEXT("nearest key", "limits:\n  bodi: 1MiB\n",
         "2:3 there is no setting \"limits.bodi\"; did you mean limits.body?"),
    TEXT("no duration", "drain: soon\n",
         "1:8 drain is \"soon\"; it should be a duration like 30s from 0s to 86400s"),
    TEXT("out of range", "slots: 5000\n",
         "1:8 slots is \"5000\"; it should be a whole number from 0 to 4096"),
    TEXT("no choice", "log: {level: loud}\n",
         "1:14 log.level is \"loud\"; it should be debug, info, warning or error"),
    TEXT("a list", "listen: [a, b]\n", "1:9 listen is one value, not a list"),
    TEXT("a section as a value", "tls: yes\n", "1:6 tls is a map of settings, not text"),
    TEXT("twice", "drain: 5s\ndrain: 6s\n", "2:1 drain stands here a second time"),
    TEXT("no map", "- a\n", "1:1 the file is a map of settings, not a list"),
    TEXT("no YAML", "a: 'b\n", "*"),
    VARIABLE("no port", "WEFT_LISTEN=localhost",
             "0:0 WEFT_LISTEN: listen is \"localhost\"; it should be an address with a port, like "
             "127.0.0.1:7411 or [::1]:7411"),
    VARIABLE("a port that is none", "WEFT_LISTEN=[::1]:65536", "*"),
    VARIABLE("an address of six without brackets", "WEFT_LISTEN=::1:80", "*"),
    VARIABLE("a password is not told", "WEFT_STORE=postgre://u:secret@h/d",
             "0:0 WEFT_STORE: store is sqlite:PATH or postgres://…"),
    VARIABLE("other machines without certificates", "WEFT_LISTEN=0.0.0.0:80",
             "0:0 listen is 0.0.0.0:80, which other machines reach; that needs certificates of the "
             "clients (tls.client_ca), since everybody who reaches weft may run commands"),
    VARIABLE("half of a key", "WEFT_TLS_CERT=/c.pem",
             "0:0 tls.cert and tls.key are given together or not at all"),
    FLAG("a flag for nothing", "limits.bodies", "1", "--set",
         "0:0 --set: there is no setting \"limits.bodies\"; did you mean limits.body?"),
    TEXT("a pool without a command", "pools:\n  py:\n    size: 2\n", "2:3 pools.py has no command"),
    TEXT(
        "a command as one text", "pools:\n  py:\n    command: python3 a.py\n",
        "3:14 pools.py.command is a list of 1 to 1000 texts, like [python3, worker.py], not run by "
        "a shell"),
    TEXT("a number of a pool out of range", "pools: {py: {command: [a], size: 0}}\n",
         "1:34 pools.py.size is \"0\"; it should be a whole number from 1 to 1000"),
    TEXT("a duration of a pool", "pools: {py: {command: [a], call: 5}}\n",
         "1:34 pools.py.call is \"5\"; it should be a duration like 30s from 1ms to 86400s"),
    TEXT("an unknown setting of a pool", "pools: {py: {command: [a], sise: 1}}\n",
         "1:28 pools.py: a pool has no setting \"sise\"; did you mean size?"),
    TEXT("a pool's name", "pools: {a/b: {command: [a]}}\n",
         "1:9 pools.a/b: a name has 1 to 200 letters, digits, \"-\", \"_\" and \".\""),
    TEXT("a pool that is no map", "pools: {py: 3}\n",
         "1:13 pools.py is a map of settings, not an integer"),
    TEXT("pools that are no map", "pools: [a]\n",
         "1:8 pools is a map of at most 64 pools by their names"),
    TEXT("size and overflow together", "pools: {py: {command: [a], size: 900, overflow: 101}}\n",
         "1:9 pools.py: size and overflow together are at most 1000"),
    TEXT("a pool twice", "pools:\n  py: {command: [a]}\n  py: {command: [b]}\n",
         "3:3 pools.py stands here a second time"),
    TEXT("an empty file is fine", "", NULL),
    TEXT("comments are fine", "# nothing\n", NULL),
    VARIABLE("loopback by name is fine", "WEFT_LISTEN=localhost:0", NULL),
    VARIABLE("loopback of six is fine", "WEFT_LISTEN=[::1]:0", NULL),
};

static void mistakes_have_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
        const struct case_of_config *row = &mistakes[i];
        struct arena a = {0};
        struct config c;
        struct config_errors errors;
        int r = read_case(&a, row, &c, &errors);

        CHECK_ROW(row->name, (r == 0) == !row->error);
        if (row->error && strcmp(row->error, "*") != 0) {
            struct doc_error *e = &errors.list[0];

            struct str found =
                str_printf(&a, "%u:%u " STR_FMT, e->line, e->column, STR_ARG(e->text));
            struct str wanted = str_of(row->error);

            if (str_ends(wanted, STR("*"))) /* the beginning is enough */
                found = str_sub(found, 0, --wanted.n);
            CHECK_ROW(row->name, str_eq(found, wanted));
        }
        arena_deinit(&a);
    }
}

static void all_mistakes_are_told_at_once(void **state)
{
    struct case_of_config row = {
        .name = "three", .file = "a: 1\nslots: x\n", .env = "WEFT_DRAIN=-"};
    struct arena a = {0};
    struct config c;
    struct config_errors errors;
    (void)state;

    assert_int_equal(read_case(&a, &row, &c, &errors), CONFIG_E_BAD);
    assert_int_equal(errors.n, 3);
    arena_deinit(&a);
}

static void pools_stand_over_their_defaults(void **state)
{
    struct case_of_config row = {
        .name = "pools",
        .file = "pools:\n"
                "  py:\n"
                "    command: [python3, worker.py, 3]\n"
                "    size: 4\n"
                "    call: 2s\n"
                "    message_max: 2MiB\n"
                "    max_calls: 1000\n"
                "    memory_limit: 1GiB\n"
                "    env: {MODEL: large}\n"
                "    cwd: models\n"
                "  other: {command: [a]}\n",
    };
    struct arena a = {0};
    struct config c;
    struct config_errors errors;
    const struct pool_config *p;
    (void)state;

    assert_int_equal(read_case(&a, &row, &c, &errors), 0);
    assert_int_equal(c.pools.n, 2);
    p = &c.pools.list[0];
    CHECK_TEXT(p->settings.name, "py");
    assert_string_equal(p->argv[2], "3");
    assert_null(p->argv[3]);
    assert_string_equal(p->env[0], "MODEL=large");
    assert_string_equal(p->cwd, "/here/models");
    assert_int_equal(p->settings.size, 4);
    assert_int_equal(p->settings.call_us, 2 * CLOCK_S);
    assert_int_equal(p->settings.message_bytes_max, 2 << 20);
    assert_int_equal(p->settings.recycle.calls, 1000);
    assert_int_equal(p->settings.memory_limit_bytes, 1 << 30);
    assert_int_equal(p->settings.queue_wait_us, 5 * CLOCK_S);
    assert_int_equal(c.pools.list[1].settings.size, 6);
    assert_string_equal(c.pools.list[1].cwd, "/here");
    assert_int_equal(pool_config_processes(&c.pools), 4 + 2 + 3 + 6 + 2 + 3);
    arena_deinit(&a);
}

static void a_file_that_is_not_there(void **state)
{
    struct server_flags flags = {.file = "/nowhere/weft.yaml"};
    const char *env[] = {NULL};
    struct config_given given = {.flags = &flags, .env = env, .here = "/", .cpus = 1};
    struct arena a = {0};
    struct config c;
    struct config_errors errors;
    (void)state;

    assert_int_equal(config_read(&a, &given, &c, &errors), CONFIG_E_BAD);
    assert_string_equal(str_cstr(&a, errors.list[0].text),
                        "/nowhere/weft.yaml cannot be read: No such file or directory");
    arena_deinit(&a);
}

/* What is shown has no password, and says where each value is from. */
static void shown_without_secrets(void **state)
{
    struct case_of_config row = {.name = "shown", .env = "WEFT_STORE=postgres://me:secret@db/weft"};
    struct arena a = {0};
    struct config c;
    struct config_errors errors;
    json_t *shown, *store;
    char *text;
    (void)state;

    assert_int_equal(read_case(&a, &row, &c, &errors), 0);
    shown = config_show(&c, NULL);
    text = json_dumps(shown, 0);
    assert_null(strstr(text, "secret"));
    store = json_array_get(json_object_get(shown, "settings"), CONFIG_STORE);
    assert_string_equal(json_string_value(json_object_get(store, "value")),
                        "postgres://me@db/weft");
    assert_string_equal(json_string_value(json_object_get(store, "from")), "environment");
    assert_string_equal(json_string_value(json_object_get(store, "where")), "WEFT_STORE");
    free(text);
    json_decref(shown);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_source_wins),
        cmocka_unit_test(mistakes_have_places),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(a_file_that_is_not_there),
        cmocka_unit_test(pools_stand_over_their_defaults),
        cmocka_unit_test(shown_without_secrets),
    };
    int fd = mkstemp(path), failed;

    if (fd < 0)
        return 1;
    close(fd);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
