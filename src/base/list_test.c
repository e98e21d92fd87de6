/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include "base/test.h"

struct thing {
    int number;
    struct list link;
};

/* The numbers in the ring, as the digits of a decimal number. */
static int digits(const struct list *head)
{
    int v = 0;

    LIST_EACH(it, head)
    v = v * 10 + LIST_OF(it, struct thing, link)->number;
    return v;
}

static void links_keep_their_order(void **state)
{
    struct thing things[] = {{.number = 1}, {.number = 2}, {.number = 3}};
    struct list head;

    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    for (int i = 0; i < 3; i++)
        list_add(&head, &things[i].link);
    assert_int_equal(digits(&head), 123);
    list_del(&things[1].link);
    assert_int_equal(digits(&head), 13);
    assert_true(list_empty(&things[1].link));
    list_del(&things[1].link); /* what is in no ring may be taken out again */
    list_add(&head, &things[1].link);
    assert_int_equal(digits(&head), 132);
}

static void a_loop_may_unlink(void **state)
{
    struct thing things[9];
    struct list head;

    (void)state;
    list_init(&head);
    for (int i = 0; i < 9; i++) {
        things[i].number = i + 1;
        list_add(&head, &things[i].link);
    }
    LIST_EACH_SAFE(it, &head)
    {
        if (LIST_OF(it, struct thing, link)->number % 2)
            list_del(it);
    }
    assert_int_equal(digits(&head), 2468);
    LIST_EACH_SAFE(it, &head)
    list_del(it);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_keep_their_order),
        cmocka_unit_test(a_loop_may_unlink),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
