/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/weft_runner.h"

#include "base/test.h"
#include "client/weft.h"

/* Nobody listens there, and nobody is asked. */
#define NOWHERE "http://127.0.0.1:9"

static int work(void *context, struct weft_stage *stage)
{
    (void)context;
    (void)stage;
    return 0;
}

#define GOOD                                                                                       \
    {                                                                                              \
        .type = "build", .work = work                                                              \
    }

static const struct weft_stage_type good = GOOD;

static void what_is_wrong_is_refused_before_anything_is_sent(void **state)
{
    static const struct {
        const char *name;
        struct weft_runner_options options;
        struct weft_stage_type type;
        const char *code;
    } rows[] = {
        {"a type without a name",             {0},                                   {.work = work},             "invalid_argument"},
        {"a type of no bytes",                {0},                                   {.type = "", .work = work}, "invalid_argument"},
        {"a type without a function",         {0},                                   {.type = "build"},          "invalid_argument"},
        {"a type with -2 slots",
         {0},
         {.type = "build", .work = work, .slots = -2},
         "invalid_argument"                                                                                                        },
        {"-2 slots",                          {.slots = -2},                         GOOD,                       "invalid_argument"},
        {"too many slots",                    {.slots = 100001},                     GOOD,                       "invalid_argument"},
        {"too many threads",                  {.threads = 100001},                   GOOD,                       "invalid_argument"},
        {"metadata that are a list",          {.metadata = "[]", .metadata_n = 2},   GOOD,                       "invalid_argument"},
        {"labels that are none",              {.labels = "{", .labels_n = 1},        GOOD,                       "invalid_argument"},
        {"a key without a certificate",       {.key_file = "/x"},                    GOOD,                       "invalid_argument"},
        {"authorities without a certificate", {.ca_file = "/x"},                     GOOD,                       "invalid_argument"},
        {"a negative patience",               {.patience_ms = -1},                   GOOD,                       "invalid_argument"},
        {"a time to live of 1 ms",            {.ttl_ms = 1},                         GOOD,                       "invalid_argument"},
        {"a name of no bytes",                {.name = ""},                          GOOD,                       "invalid_argument"},
        {"no address",                        {.listen = "somewhere"},               GOOD,                       "listen"          },
        {"an address of others",              {.listen = "192.0.2.1:1"},             GOOD,                       "listen"          },
        {"files that are not there",          {.cert_file = "/x", .key_file = "/x"}, GOOD,                       "tls"             },
    };
    struct weft_runner *runner;
    struct weft_error error;
    struct weft *w;

    (void)state;
    assert_int_equal(weft_open(NOWHERE, NULL, &w, &error), WEFT_OK);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int r = weft_runner_start(w, &rows[i].options, &rows[i].type, 1, &runner, &error);

        CHECK_ROW(rows[i].name, r == WEFT_INVALID);
        CHECK_ROW(rows[i].name, strcmp(error.code, rows[i].code) == 0);
        CHECK_ROW(rows[i].name, error.text[0]);
    }
    weft_close(w);
}

static void types_are_one_or_more_and_stand_once(void **state)
{
    const struct weft_stage_type twice[] = {GOOD, GOOD};
    struct weft_runner *runner;
    struct weft_error error;
    struct weft *w;

    (void)state;
    assert_int_equal(weft_open(NOWHERE, NULL, &w, &error), WEFT_OK);
    assert_int_equal(weft_runner_start(w, NULL, NULL, 0, &runner, &error), WEFT_INVALID);
    assert_int_equal(weft_runner_start(w, NULL, twice, 2, &runner, &error), WEFT_INVALID);
    assert_non_null(strstr(error.text, "build"));
    weft_close(w);
}

static void a_server_that_is_away_is_told_and_nothing_is_left(void **state)
{
    const struct weft_options once = {.tries = 1};
    struct weft_runner *runner;
    struct weft_error error;
    struct weft *w;

    (void)state;
    assert_int_equal(weft_open(NOWHERE, &once, &w, &error), WEFT_OK);
    assert_int_equal(weft_runner_start(w, NULL, &good, 1, &runner, &error), WEFT_UNAVAILABLE);
    assert_string_equal(error.code, "unavailable");
    weft_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_refused_before_anything_is_sent),
        cmocka_unit_test(types_are_one_or_more_and_stand_once),
        cmocka_unit_test(a_server_that_is_away_is_told_and_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
