/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include "base/prng.h"
#include "base/test.h"

#define NODES_N 40u
#define STEPS_N 20000u

static void check(const struct heap *h, const struct heap_node *nodes)
{
    size_t in = 0;

    for (size_t i = 0; i < NODES_N; i++) {
        if (!nodes[i].at)
            continue;
        in++;
        assert_ptr_equal(h->nodes[nodes[i].at], &nodes[i]);
        assert_true(heap_first(h)->key <= nodes[i].key);
        if (nodes[i].at > 1)
            assert_true(h->nodes[nodes[i].at / 2]->key <= nodes[i].key);
    }
    assert_int_equal(in, h->n);
}

static void the_smallest_is_first_whatever_comes_and_goes(void **state)
{
    struct heap_node nodes[NODES_N] = {0};
    struct heap h = {0};
    struct prng prng;

    (void)state;
    prng_seed(&prng, 1);
    for (unsigned i = 0; i < STEPS_N; i++) {
        struct heap_node *node = &nodes[prng_below(&prng, NODES_N)];
        int64_t key = (int64_t)prng_below(&prng, 30);

        if (prng_below(&prng, 3) == 0)
            heap_del(&h, node);
        else
            heap_set(&h, node, key);
        check(&h, nodes);
    }
    heap_deinit(&h);
}

static void they_leave_in_order(void **state)
{
    static const int64_t keys[] = {5, -3, 9, 9, 0, INT64_MAX, INT64_MIN, 1};
    struct heap_node nodes[ROWS_N(keys)] = {0};
    struct heap h = {0};
    int64_t last = INT64_MIN;

    (void)state;
    assert_null(heap_first(&h));
    for (size_t i = 0; i < ROWS_N(keys); i++)
        heap_add(&h, &nodes[i], keys[i]);
    for (size_t i = 0; i < ROWS_N(keys); i++) {
        struct heap_node *first = heap_first(&h);

        assert_true(first->key >= last);
        last = first->key;
        heap_del(&h, first);
    }
    assert_int_equal(last, INT64_MAX);
    assert_null(heap_first(&h));
    heap_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_is_first_whatever_comes_and_goes),
        cmocka_unit_test(they_leave_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
