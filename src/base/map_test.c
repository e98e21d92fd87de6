/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/arena.h"
#include "base/prng.h"
#include "base/test.h"

static void add_set_get_del(void **state)
{
    struct map *m = map_new();
    uint64_t v = 0;

    (void)state;
    assert_int_equal(map_count(m), 0);
    assert_false(map_get(m, STR("a"), &v));
    assert_false(map_del(m, STR("a")));
    assert_true(map_add(m, STR("a"), 1));
    assert_false(map_add(m, STR("a"), 2));
    assert_true(map_get(m, STR("a"), &v));
    assert_int_equal(v, 1);
    map_set(m, STR("a"), 3);
    map_set(m, STR("b"), 4);
    assert_true(map_get(m, STR("a"), &v));
    assert_int_equal(v, 3);
    assert_true(map_get(m, STR("b"), NULL));
    assert_int_equal(map_count(m), 2);
    assert_true(map_del(m, STR("a")));
    v = 99;
    assert_false(map_get(m, STR("a"), &v));
    assert_int_equal(v, 99);
    assert_int_equal(map_count(m), 1);
    assert_null(map_free(m));
    assert_null(map_free(NULL));
}

static void keys_are_copied_and_are_any_bytes(void **state)
{
    static const struct str keys[] = {
        {NULL,        0},
        {"\0",        1},
        {"\0\0",      2},
        {"a",         1},
        {"a\0",       2},
        {"a\0b",      3},
        {"\xff\xfe",  2},
        {"$(rm -rf)", 9},
    };
    struct map *m = map_new();
    char mine[] = "mine";
    uint64_t v;

    (void)state;
    for (size_t i = 0; i < ROWS_N(keys); i++)
        assert_true(map_add(m, keys[i], i));
    assert_true(map_add(m, str_of(mine), 100));
    mine[0] = 'f';
    for (size_t i = 0; i < ROWS_N(keys); i++) {
        assert_true(map_get(m, keys[i], &v));
        assert_int_equal(v, i);
    }
    assert_false(map_get(m, str_of(mine), &v));
    assert_true(map_get(m, STR("mine"), &v));
    map_free(m);
}

static void a_hundred_thousand_keys(void **state)
{
    enum { N = 100000 };
    struct map *m = map_new();
    struct arena a = {0};

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        assert_true(map_add(m, map_key(&i), i));
        assert_true(map_add(m, str_printf(&a, "task %d", (int)i), i * 2));
    }
    assert_int_equal(map_count(m), 2 * N);
    for (uint64_t i = 0; i < N; i++) {
        uint64_t number, text;

        assert_true(map_get(m, map_key(&i), &number) && number == i);
        assert_true(map_get(m, str_printf(&a, "task %d", (int)i), &text) && text == i * 2);
        if (i % 2)
            assert_true(map_del(m, map_key(&i)));
    }
    assert_int_equal(map_count(m), 2 * N - N / 2);
    for (uint64_t i = 0; i < N; i++)
        assert_int_equal(map_get(m, map_key(&i), NULL), i % 2 == 0);
    map_free(m);
    arena_deinit(&a);
}

/* Random changes to few keys, beside an array that does the same. */
static void it_does_what_an_array_does(void **state)
{
    enum { KEYS = 50 };
    uint64_t values[KEYS];
    bool there[KEYS] = {false};
    size_t count = 0;
    struct map *m = map_new();
    struct prng prng;

    (void)state;
    prng_seed(&prng, 1);
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t k = prng_below(&prng, KEYS), v = 0;

        switch (prng_below(&prng, 4)) {
        case 0:
            assert_int_equal(map_add(m, map_key(&k), i), !there[k]);
            count += !there[k];
            values[k] = there[k] ? values[k] : i;
            there[k] = true;
            break;
        case 1:
            map_set(m, map_key(&k), i);
            count += !there[k];
            values[k] = i;
            there[k] = true;
            break;
        case 2:
            assert_int_equal(map_del(m, map_key(&k)), there[k]);
            count -= there[k];
            there[k] = false;
            break;
        default:
            assert_int_equal(map_get(m, map_key(&k), &v), there[k]);
            assert_true(!there[k] || v == values[k]);
        }
        assert_int_equal(map_count(m), count);
    }
    map_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_set_get_del),
        cmocka_unit_test(keys_are_copied_and_are_any_bytes),
        cmocka_unit_test(a_hundred_thousand_keys),
        cmocka_unit_test(it_does_what_an_array_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
