/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/weft_finished.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/test.h"

static void add(struct weft_finished *f, unsigned number, struct str report)
{
    char token[24];

    snprintf(token, sizeof(token), "7.%u", number);
    weft_finished_add(f, str_of(token), report);
}

static bool knows(const struct weft_finished *f, unsigned number, struct str *ret)
{
    char token[24];

    snprintf(token, sizeof(token), "7.%u", number);
    return weft_finished_get(f, str_of(token), ret);
}

static void a_report_is_found_by_its_token(void **state)
{
    struct weft_finished *f = weft_finished_new();
    char said[] = "done";
    struct str report;

    (void)state;
    add(f, 1, str_of(said));
    said[0] = 'g';
    add(f, 2, str_of(said));
    assert_true(knows(f, 1, &report) && str_eq(report, STR("done")));
    assert_true(knows(f, 2, &report) && str_eq(report, STR("gone")));
    assert_false(knows(f, 3, &report));
    weft_finished_free(f);
}

static void the_oldest_of_too_many_are_forgotten(void **state)
{
    struct weft_finished *f = weft_finished_new();
    struct str report;

    (void)state;
    for (unsigned i = 0; i < WEFT_FINISHED_MAX + 5; i++)
        add(f, i, STR("x"));
    for (unsigned i = 0; i < WEFT_FINISHED_MAX + 5; i++)
        assert_int_equal(knows(f, i, &report), i >= 5);
    weft_finished_free(f);
}

static void the_oldest_of_too_many_bytes_are_forgotten(void **state)
{
    struct weft_finished *f = weft_finished_new();
    size_t n = WEFT_FINISHED_BYTES_MAX / 4;
    char *bytes = memory_new(WEFT_FINISHED_BYTES_MAX);
    struct str report;

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        add(f, i, (struct str){bytes, n});
    assert_false(knows(f, 0, &report));
    assert_true(knows(f, 1, &report));
    add(f, 5, STR("x"));
    assert_false(knows(f, 1, &report));
    add(f, 6, (struct str){bytes, WEFT_FINISHED_BYTES_MAX});
    assert_false(knows(f, 5, &report));
    assert_true(knows(f, 6, &report));
    memory_freep(&bytes);
    weft_finished_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_found_by_its_token),
        cmocka_unit_test(the_oldest_of_too_many_are_forgotten),
        cmocka_unit_test(the_oldest_of_too_many_bytes_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
