/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/frame.h"

#include <string.h>

#include "base/prng.h"
#include "base/test.h"

static void put(struct frame_reader *r, struct str bytes)
{
    while (bytes.n) {
        size_t n;
        char *room = frame_room(r, &n);

        assert_true(n > 0);
        if (n > bytes.n)
            n = bytes.n;
        memcpy(room, bytes.p, n);
        frame_came(r, n);
        bytes = str_sub(bytes, n, bytes.n);
    }
}

static void add(struct buf *out, struct str text)
{
    size_t begun = frame_begin(out);

    buf_add(out, text);
    frame_end(out, begun);
}

static void texts_come_whole_in_whatever_pieces(void **state)
{
    struct frame_reader r;
    struct prng prng;
    struct buf b;
    struct str text, rest;
    uint32_t length;

    (void)state;
    prng_seed(&prng, 1);
    buf_init(&b, 1 << 20);
    for (unsigned i = 0; i < 300; i++) {
        char wide[2000];
        size_t n = 1 + prng_below(&prng, sizeof(wide));

        memset(wide, 'a' + (int)(i % 26), n);
        add(&b, (struct str){wide, n});
    }
    frame_reader_init(&r, 2000);
    rest = buf_str(&b);
    for (unsigned i = 0; i < 300;) {
        size_t n = 1 + prng_below(&prng, 3000);
        size_t size;
        char *room = frame_room(&r, &size);

        n = n < rest.n ? n : rest.n;
        n = n < size ? n : size;
        if (n)
            memcpy(room, rest.p, n);
        frame_came(&r, n);
        rest = str_sub(rest, n, rest.n);
        while (frame_next(&r, &text, &length) == 0) {
            assert_int_equal(text.n, length);
            assert_int_equal(text.p[0], 'a' + (int)(i % 26));
            assert_int_equal(text.p[text.n - 1], 'a' + (int)(i % 26));
            i++;
        }
    }
    assert_int_equal(rest.n, 0);
    assert_false(frame_begun(&r));
    frame_reader_deinit(&r);
    buf_deinit(&b);
}

static void half_a_frame_waits(void **state)
{
    struct frame_reader r;
    struct str text;
    uint32_t length;

    (void)state;
    frame_reader_init(&r, 100);
    assert_false(frame_begun(&r));
    assert_int_equal(frame_next(&r, &text, &length), FRAME_E_MORE);
    put(&r, STR("\0\0\0"));
    assert_true(frame_begun(&r));
    assert_int_equal(frame_next(&r, &text, &length), FRAME_E_MORE);
    put(&r, STR("\x05hell"));
    assert_int_equal(frame_next(&r, &text, &length), FRAME_E_MORE);
    put(&r, STR("o\0"));
    assert_int_equal(frame_next(&r, &text, &length), 0);
    assert_true(str_eq(text, STR("hello")));
    assert_true(frame_begun(&r));
    frame_reader_deinit(&r);
}

static void a_length_that_cannot_be_is_told(void **state)
{
    static const struct {
        const char *name;
        struct str bytes;
        uint32_t length;
    } rows[] = {
        {"no bytes",        {"\0\0\0\0", 4},                 0         },
        {"above the limit", {"\0\0\0\x65", 4},               101       },
        {"4 GiB less one",  {"\xff\xff\xff\xff", 4},         UINT32_MAX},
        {"text",            {"Loading the model …\n", 22}, 0x4c6f6164},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct frame_reader r;
        struct str text;
        uint32_t length;

        frame_reader_init(&r, 100);
        put(&r, rows[i].bytes);
        CHECK_ROW(rows[i].name, frame_next(&r, &text, &length) == FRAME_E_LENGTH);
        CHECK_ROW(rows[i].name, length == rows[i].length);
        CHECK_ROW(rows[i].name, str_starts(rows[i].bytes, frame_rest(&r, 10)));
        frame_reader_deinit(&r);
    }
}

static void room_for_a_large_frame_is_given_back(void **state)
{
    struct frame_reader r;
    struct str text;
    struct buf b;
    uint32_t length;
    size_t n, usual;

    (void)state;
    frame_reader_init(&r, FRAME_BYTES_DEFAULT);
    frame_room(&r, &usual);
    buf_init(&b, 2 * FRAME_BYTES_DEFAULT);
    n = frame_begin(&b);
    memset(buf_extend(&b, FRAME_BYTES_DEFAULT), ' ', FRAME_BYTES_DEFAULT);
    frame_end(&b, n);
    put(&r, buf_str(&b));
    assert_int_equal(frame_next(&r, &text, &length), 0);
    assert_int_equal(length, FRAME_BYTES_DEFAULT);
    frame_room(&r, &n);
    assert_int_equal(n, usual);
    buf_deinit(&b);
    frame_reader_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_whole_in_whatever_pieces),
        cmocka_unit_test(half_a_frame_waits),
        cmocka_unit_test(a_length_that_cannot_be_is_told),
        cmocka_unit_test(room_for_a_large_frame_is_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
