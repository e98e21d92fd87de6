/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/prng.h"
#include "base/test.h"

static bool all(const void *p, unsigned char byte, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((const unsigned char *)p)[i] != byte)
            return false;
    return true;
}

static void pieces_are_aligned_zeroed_and_apart(void **state)
{
    struct arena a = {0};
    struct prng prng;
    unsigned char *pieces[500];
    size_t sizes[500];

    (void)state;
    prng_seed(&prng, 1);
    for (int i = 0; i < 500; i++) {
        /* now and then one that gets a block of its own */
        sizes[i] = prng_below(&prng, i % 50 ? 3000 : 600000);
        pieces[i] = arena_alloc(&a, sizes[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        assert_true(all(pieces[i], 0, sizes[i]));
        memset(pieces[i], i, sizes[i]);
    }
    for (int i = 0; i < 500; i++)
        assert_true(all(pieces[i], (unsigned char)i, sizes[i]));
    arena_deinit(&a);
    assert_null(a.blocks);
    assert_int_equal(a.bytes, 0);
}

static void empty_pieces_are_pieces_too(void **state)
{
    struct arena a = {0};
    char *p = arena_alloc(&a, 0), *q = arena_alloc(&a, 0);

    (void)state;
    assert_non_null(p);
    assert_ptr_not_equal(p, q);
    arena_deinit(&a);
}

static void bytes_are_counted(void **state)
{
    struct arena a = {0};

    (void)state;
    arena_alloc(&a, 1000);
    arena_alloc(&a, 500000);
    assert_in_range(a.bytes, 501000, 501000 + 2 * _Alignof(max_align_t));
    arena_reset(&a);
    assert_int_equal(a.bytes, 0);
    arena_deinit(&a);
}

static void reset_keeps_one_block_and_gives_it_out_zeroed(void **state)
{
    struct arena a = {0};
    struct arena_block *kept;
    char *p;

    (void)state;
    for (int i = 0; i < 100; i++)
        memset(arena_alloc(&a, 1000), 0xff, 1000);
    kept = a.blocks;
    arena_reset(&a);
    assert_ptr_equal(a.blocks, kept);
    p = arena_alloc(&a, 1000);
    assert_ptr_equal(a.blocks, kept);
    assert_true(all(p, 0, 1000));
    arena_deinit(&a);
}

static void reset_forgets_a_huge_block(void **state)
{
    struct arena a = {0};

    (void)state;
    arena_alloc(&a, (size_t)8 << 20);
    arena_reset(&a);
    assert_null(a.blocks);
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 1));
    arena_deinit(&a);
}

static void the_newest_piece_grows_in_place(void **state)
{
    struct arena a = {0};
    char *p = arena_alloc(&a, 10), *q;

    (void)state;
    memset(p, 'x', 10);
    q = arena_grow(&a, p, 10, 100);
    assert_ptr_equal(p, q);
    assert_true(all(q, 'x', 10) && all(q + 10, 0, 90));
    assert_true((char *)arena_alloc(&a, 1) >= q + 100);
    arena_deinit(&a);
}

static void another_piece_is_copied(void **state)
{
    struct arena a = {0};
    char *p = arena_alloc(&a, 10), *other = arena_alloc(&a, 10), *q;

    (void)state;
    memset(p, 'x', 10);
    memset(other, 'o', 10);
    q = arena_grow(&a, p, 10, 100);
    assert_ptr_not_equal(p, q);
    assert_true(all(q, 'x', 10) && all(q + 10, 0, 90));
    assert_true(all(other, 'o', 10));
    assert_ptr_equal(arena_grow(&a, q, 100, 50), q);
    arena_deinit(&a);
}

/* As a list grows: one element at a time, from nothing, through blocks of every size. */
static void growing_by_doubling_keeps_the_content(void **state)
{
    struct arena a = {0};
    size_t cap = 0;
    uint32_t *list = NULL;

    (void)state;
    for (uint32_t n = 0; n < 1000000; n++) {
        ARENA_ROOM(&a, list, n, cap, 4);
        assert_non_null(list);
        /* cppcheck-suppress nullPointer; it does not know that the assertion returns only then */
        assert_true(list[n] == 0);
        /* cppcheck-suppress nullPointer */
        list[n] = n;
    }
    for (uint32_t n = 0; n < 1000000; n++)
        /* cppcheck-suppress nullPointer */
        assert_true(list[n] == n);
    arena_deinit(&a);
}

static void what_is_adopted_lives_on(void **state)
{
    struct arena a = {0}, b = {0}, none = {0};
    char *old, *large;

    (void)state;
    old = memcpy(arena_alloc(&b, 8), "adopted", 8);
    large = arena_alloc(&b, 2 << 20);
    large[(2 << 20) - 1] = 'x';
    memcpy(arena_alloc(&a, 8), "younger", 8);
    arena_adopt(&a, &b);
    arena_adopt(&a, &none);
    assert_null(b.blocks);
    assert_int_equal(b.bytes, 0);
    assert_int_equal(a.bytes, 16 + (2 << 20) + 16);
    memset(arena_alloc(&a, 5000), 'y', 5000);
    assert_string_equal(old, "adopted");
    assert_int_equal(large[(2 << 20) - 1], 'x');
    arena_adopt(&none, &a);
    assert_string_equal(old, "adopted");
    arena_deinit(&a);
    arena_deinit(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_zeroed_and_apart),
        cmocka_unit_test(empty_pieces_are_pieces_too),
        cmocka_unit_test(bytes_are_counted),
        cmocka_unit_test(reset_keeps_one_block_and_gives_it_out_zeroed),
        cmocka_unit_test(reset_forgets_a_huge_block),
        cmocka_unit_test(the_newest_piece_grows_in_place),
        cmocka_unit_test(another_piece_is_copied),
        cmocka_unit_test(growing_by_doubling_keeps_the_content),
        cmocka_unit_test(what_is_adopted_lives_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
