/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <locale.h>

#include "base/test.h"

static void columns_line_up(void **state)
{
    static const char *const titles[] = {"NAME", "N", "WHY"};
    struct arena a = {NULL, 0, 0};
    struct table t;
    struct buf b;

    (void)state;
    table_init(&t, &a, titles, 3);
    table_add(&t, STR("größe"));
    table_number(&t, 7);
    table_add(&t, STR("数据"));
    table_add(&t, STR("a\nb"));
    table_number(&t, 1000);
    table_add(&t, STR(""));
    table_add(&t, STR(""));
    table_number(&t, 1);
    table_add(&t, STR("x"));
    buf_init(&b, 4096);
    table_render(&t, &b, 0, false, true);
    CHECK_TEXT(buf_str(&b), "NAME      N  WHY\n"
                            "größe     7  数据\n"
                            "a\\nb   1000\n"
                            "          1  x\n");
    buf_deinit(&b);
    arena_deinit(&a);
}

static void the_last_column_is_cut_to_the_width(void **state)
{
    struct arena a = {NULL, 0, 0};
    struct table t;
    struct buf b;

    (void)state;
    table_init(&t, &a, NULL, 2);
    table_color(&t, STR("abc"), "\x1b[31m");
    table_add(&t, STR("a long sentence that goes on"));
    buf_init(&b, 4096);
    table_render(&t, &b, 20, true, true);
    CHECK_TEXT(buf_str(&b), "\x1b[31mabc\x1b[0m  a long sentenc…\n");
    buf_deinit(&b);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(the_last_column_is_cut_to_the_width),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
