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
    assert_true(sim_case_read(file, &a, &back));
    assert_true(back.seed == 42 && back.steps_max == 9 && back.only && back.left_n == 2);
    assert_memory_equal(back.left, left, sizeof(left));
    assert_memory_equal(&back.profile, &o.profile, sizeof(o.profile));
    fclose(file);
    arena_deinit(&a);
}

static void what_is_no_case_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "seed 7\n",
                                        "profile none\n",
                                        "profile storm\nseed x\n",
                                        "profile storm\nnothing 7\n",
                                        "profile storm\noccasion 1\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        FILE *file = tmpfile();
        struct sim_options o;
        struct arena a = {0};

        fputs(texts[i], file);
        rewind(file);
        if (sim_case_read(file, &a, &o))
            fail_msg("\"%s\" was read", texts[i]);
        fclose(file);
        arena_deinit(&a);
    }
}

static void replay(const char *path)
{
    FILE *file = fopen(path, "r");
    struct sim_options o;
    struct sim_result r;
    struct arena a = {0};

    assert_non_null(file);
    if (!sim_case_read(file, &a, &o))
        fail_msg("%s is no history", path);
    sim_run(&o, &r);
    if (r.check)
        fail_msg("%s: %s: %s", path, r.check, r.text);
    sim_result_clear(&r);
    fclose(file);
    arena_deinit(&a);
}

static void what_once_failed_holds(void **state)
{
    struct arena a = {0};
    struct dirent *entry;
    const char *source = getenv("WEFT_SOURCE"), *folder;
    size_t n = 0;
    DIR *dir;

    (void)state;
    folder = str_printf(&a, "%s/test/sim", source ? source : ".").p;
    dir = opendir(folder);
    assert_non_null(dir);
    /* cppcheck-suppress readdirCalled */
    while ((entry = readdir(dir)))
        if (str_ends(str_of(entry->d_name), STR(".txt"))) {
            replay(str_printf(&a, "%s/%s", folder, entry->d_name).p);
            n++;
        }
    closedir(dir);
    assert_true(n > 0);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_no_case_is_refused),
        cmocka_unit_test(what_once_failed_holds),
    };

    log_setup(LOG_ERROR, LOG_PLAIN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
