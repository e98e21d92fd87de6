/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_case.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"

#define OWN_N     4   /* tests that stand here */
#define CASES_MAX 500 /* files of test/sim */

static void what_is_written_is_read(void **state)
{
    const struct sim_occasion left[] = {
        {1,   2 },
        {301, 17}
    };
    struct sim_options o = {.seed = 42,
                            .profile = *sim_profile("network"),
                            .steps_max = 9,
                            .only = true,
                            .left = left,
                            .left_n = 2},
                       back;
    FILE *file = tmpfile();
    struct arena a = {0};

    (void)state;
    o.profile.servers = 1;
    o.profile.storm_us = 5;
    sim_case_write(file, &o, "fence: it was answered OK");
    rewind(file);
    assert_int_equal(sim_case_read(file, &a, &back), 0);
    assert_true(back.seed == 42 && back.steps_max == 9 && back.only && back.left_n == 2);
    assert_memory_equal(back.left, left, sizeof(left));
    assert_memory_equal(&back.profile, &o.profile, sizeof(o.profile));
    fclose(file);
    arena_deinit(&a);
}

static void what_is_no_case_is_refused(void **state)
{
    static const struct {
        const char *text;
        size_t line; /* 0: it has no profile */
    } rows[] = {
        {"",                                              0},
        {"seed 7\n",                                      0},
        {"# a text\n\nprofile none\n",                    3},
        {"profile storm\nseed x\n",                       2},
        {"profile storm\nseed -7\n",                      2},
        {"profile storm\nseed 7 8\n",                     2},
        {"profile storm\nseed 99999999999999999999\n",    2},
        {"profile storm\nnothing 7\n",                    2},
        {"profile storm\noccasion 1\n",                   2},
        {"profile storm\noccasion 1 4294967296\n",        2},
        {"profile storm\nservers 5\n",                    2},
        {"profile storm\nworkers 17\n",                   2},
        {"profile storm\nclients 0\n",                    2},
        {"profile storm\nqueues -1\n",                    2},
        {"profile storm\nstorm_us 9223372036854775807\n", 2},
        {"servers 1\nprofile storm\n",                    1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        FILE *file = tmpfile();
        struct sim_options o;
        struct arena a = {0};
        size_t line;

        fputs(rows[i].text, file);
        rewind(file);
        line = sim_case_read(file, &a, &o);
        if (line != rows[i].line || (!line && o.profile.name))
            fail_msg("\"%s\": line %zu, profile %s", rows[i].text, line,
                     o.profile.name ? o.profile.name : "none");
        fclose(file);
        arena_deinit(&a);
    }
}

static void a_text_stays_on_its_line(void **state)
{
    const struct sim_options o = {.seed = 1, .profile = *sim_profile("calm")};
    FILE *file = tmpfile();
    struct sim_options back;
    struct arena a = {0};

    (void)state;
    sim_case_write(file, &o, "two\nlines");
    rewind(file);
    assert_int_equal(sim_case_read(file, &a, &back), 0);
    assert_string_equal(back.profile.name, "calm");
    fclose(file);
    arena_deinit(&a);
}

/* A file of test/sim, which is a test under its own name. */
static void replay(void **state)
{
    const char *path = *state;
    FILE *file = fopen(path, "r");
    struct sim_options o;
    struct sim_result r;
    struct arena a = {0};
    size_t line;

    assert_non_null(file);
    line = sim_case_read(file, &a, &o);
    if (line || !o.profile.name)
        fail_msg("%s is no history (line %zu)", path, line);
    sim_run(&o, &r);
    if (r.check)
        fail_msg("%s: %s: %s", path, r.check, r.text);
    sim_result_clear(&r);
    fclose(file);
    arena_deinit(&a);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct CMUnitTest *)a)->name, ((const struct CMUnitTest *)b)->name);
}

/* The tests of what once failed, in `tests`; returns how many. */
static size_t find_cases(struct arena *a, struct CMUnitTest *tests, size_t max)
{
    const char *source = getenv("WEFT_SOURCE");
    const char *folder = str_printf(a, "%s/test/sim", source ? source : ".").p;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    size_t n = 0;

    if (!dir)
        return 0;
    /* cppcheck-suppress readdirCalled */
    while (n < max && (entry = readdir(dir))) {
        struct str name = str_of(entry->d_name);

        if (str_ends(name, STR(".txt")))
            tests[n++] = (struct CMUnitTest){
                .name = str_cstr(a, str_sub(name, 0, name.n - STR(".txt").n)),
                .test_func = replay,
                .initial_state = str_cstr(a, str_printf(a, "%s/%s", folder, entry->d_name)),
            };
    }
    closedir(dir);
    qsort(tests, n, sizeof(*tests), by_name);
    return n;
}

static size_t cases_n;

static void there_are_cases(void **state)
{
    (void)state;
    assert_in_range(cases_n, 1, CASES_MAX - 1);
}

int main(void)
{
    struct CMUnitTest tests[OWN_N + CASES_MAX] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_no_case_is_refused),
        cmocka_unit_test(a_text_stays_on_its_line),
        cmocka_unit_test(there_are_cases),
    };
    struct arena a = {0};
    int failed;

    log_setup(LOG_ERROR, LOG_PLAIN);
    cases_n = find_cases(&a, tests + OWN_N, CASES_MAX);
    failed = _cmocka_run_group_tests("tests", tests, OWN_N + cases_n, NULL, NULL);
    arena_deinit(&a);
    return failed;
}
