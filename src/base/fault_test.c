/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/test.h"

static int lowest(int r)
{
    return fault_note(r, "../src/store/sqlite.c", 120, "sqlite_run");
}

static int middle(int r)
{
    return fault_note(lowest(r), "/home/someone/weft/src/engine/task.c", 44, "task_claim");
}

static void the_way_goes_from_the_bottom_up(void **state)
{
    (void)state;
    assert_int_equal(middle(-EIO), -EIO);
    assert_string_equal(fault_take(),
                        "store/sqlite.c:120 sqlite_run < engine/task.c:44 task_claim");
    assert_string_equal(fault_take(), "");
}

static void success_leaves_no_trace(void **state)
{
    (void)state;
    assert_int_equal(middle(0), 0);
    assert_string_equal(fault_take(), "");
}

static void a_forgotten_outcome_becomes_a_fault_once(void **state)
{
    (void)state;
    assert_int_equal(middle(1), -ENOTRECOVERABLE);
    assert_string_equal(fault_take(),
                        "store/sqlite.c:120 sqlite_run < engine/task.c:44 task_claim");
}

static void another_fault_begins_anew(void **state)
{
    (void)state;
    lowest(-ENOENT);
    middle(-EIO);
    assert_string_equal(fault_take(),
                        "store/sqlite.c:120 sqlite_run < engine/task.c:44 task_claim");
}

static void the_macro_names_its_place(void **state)
{
    int line = __LINE__ + 2, at = 0;

    fault(-EIO);
    (void)state;
    assert_int_equal(sscanf(fault_take(), "base/fault_test.c:%d the_macro_names_its_place", &at),
                     1);
    assert_int_equal(at, line);
}

static void a_long_way_is_bounded(void **state)
{
    const char *way;

    (void)state;
    for (int i = 0; i < 10000; i++)
        lowest(-EIO);
    way = fault_take();
    assert_in_range(strlen(way), 900, 1023);
    /* whole steps only */
    assert_true(str_ends(str_of(way), STR(" < store/sqlite.c:120 sqlite_run")));
}

static void *other_thread(void *arg)
{
    (void)arg;
    lowest(-EPIPE);
    return strlen(fault_take()) ? NULL : "empty";
}

static void each_thread_has_its_own(void **state)
{
    pthread_t t;
    void *wrong;

    (void)state;
    lowest(-EIO);
    assert_int_equal(pthread_create(&t, NULL, other_thread, NULL), 0);
    assert_int_equal(pthread_join(t, &wrong), 0);
    assert_null(wrong);
    assert_string_equal(fault_take(), "store/sqlite.c:120 sqlite_run");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_way_goes_from_the_bottom_up),
        cmocka_unit_test(success_leaves_no_trace),
        cmocka_unit_test(a_forgotten_outcome_becomes_a_fault_once),
        cmocka_unit_test(another_fault_begins_anew),
        cmocka_unit_test(the_macro_names_its_place),
        cmocka_unit_test(a_long_way_is_bounded),
        cmocka_unit_test(each_thread_has_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
