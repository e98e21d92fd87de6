/* SPDX-License-Identifier: Apache-2.0 */
#include "work/capture.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/test.h"
#include "work/executor.h"

#define LIMIT ((size_t)EXECUTOR_LOG_BYTES)
#define HEAD  (LIMIT / 2)

static char path[] = "/tmp/weft-test-XXXXXX";

/* The byte at a place of the stream, such that no stretch of it looks like another. */
static char byte_at(size_t at)
{
    return (char)('a' + (at * 7 + at / 256 * 11 + at / 65536 * 5) % 26);
}

/* A stream of n bytes, in pieces of `piece`. */
static struct capture feed(size_t n, size_t piece)
{
    CLEANUP(memory_freep) char *bytes = memory_new(piece);
    struct capture c;

    unlink(path);
    capture_init(&c, path);
    for (size_t at = 0; at < n;) {
        size_t m = n - at < piece ? n - at : piece;

        for (size_t i = 0; i < m; i++)
            bytes[i] = byte_at(at + i);
        capture_add(&c, (struct str){bytes, m});
        at += m;
    }
    return c;
}

static bool is_stream(struct str s, size_t from)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != byte_at(from + i))
            return false;
    return true;
}

static void what_is_kept_is_head_and_tail(void **state)
{
    static const struct {
        const char *name;
        size_t n, piece;
    } rows[] = {
        {"one byte",           1,                 1                },
        {"half of it",         HEAD,              65536            },
        {"a byte more",        HEAD + 1,          65536            },
        {"all of it",          LIMIT,             65536            },
        {"odd pieces",         LIMIT,             60001            },
        {"one too many",       LIMIT + 1,         65536            },
        {"some too many",      LIMIT + 100000,    60001            },
        {"the ring once more", LIMIT + HEAD,      65536            },
        {"and a byte",         LIMIT + HEAD + 1,  65536            },
        {"in one piece",       3 * LIMIT + 12345, 3 * LIMIT + 12345},
        {"in odd pieces",      3 * LIMIT + 12345, 99991            },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        CLEANUP(arena_deinit) struct arena a = {0};
        struct capture c = feed(rows[i].n, rows[i].piece);
        struct str text, mark;
        char expected[100];

        capture_end(&c);
        CHECK_ROW(rows[i].name, c.error == 0 && c.lost == 0 && c.bytes == rows[i].n);
        CHECK_ROW(rows[i].name, file_read(&a, path, 2 * LIMIT, &text) == 0);
        if (rows[i].n <= LIMIT) {
            CHECK_ROW(rows[i].name, text.n == rows[i].n && is_stream(text, 0));
            continue;
        }
        snprintf(expected, sizeof(expected), "\n[weft: %zu bytes cut here]\n", rows[i].n - LIMIT);
        mark = str_of(expected);
        CHECK_ROW(rows[i].name, text.n == LIMIT + mark.n);
        CHECK_ROW(rows[i].name, is_stream(str_sub(text, 0, HEAD), 0));
        CHECK_ROW(rows[i].name, str_eq(str_sub(text, HEAD, mark.n), mark));
        CHECK_ROW(rows[i].name, is_stream(str_sub(text, HEAD + mark.n, text.n), rows[i].n - HEAD));
    }
}

static void nothing_said_is_no_file(void **state)
{
    struct capture c = feed(0, 1);

    (void)state;
    capture_end(&c);
    assert_int_equal(access(path, F_OK), -1);
}

/* A file system that is full at some byte: what fitted is kept, and the rest is counted. */
static void full_disk_costs_the_rest(void **state)
{
    static const size_t rooms[] = {0, 1, 1000000, HEAD, HEAD + 1000};
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);

    (void)state;
    for (size_t i = 0; i < ROWS_N(rooms); i++) {
        CLEANUP(arena_deinit) struct arena a = {0};
        struct rlimit old, limit;
        struct capture c;
        struct str text;

        getrlimit(RLIMIT_FSIZE, &old);
        limit = (struct rlimit){rooms[i], old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        c = feed(LIMIT + 5, 65536);
        setrlimit(RLIMIT_FSIZE, &old);
        capture_end(&c); /* there is room again for a line about it */
        assert_true(c.error != 0);
        assert_int_equal(c.bytes, LIMIT + 5);
        assert_int_equal(c.lost, LIMIT + 5 - rooms[i]);
        assert_int_equal(file_read(&a, path, 2 * LIMIT, &text), 0);
        assert_true(is_stream(str_sub(text, 0, rooms[i]), 0));
        assert_true(str_starts(str_sub(text, rooms[i], text.n), STR("\n[weft: ")));
        assert_true(str_ends(text, STR(" bytes lost here: File too large]\n")));
    }
    signal(SIGXFSZ, before);
}

static void link_is_not_followed(void **state)
{
    struct capture c;

    (void)state;
    unlink(path);
    assert_int_equal(symlink("/tmp/weft-test-elsewhere", path), 0);
    capture_init(&c, path);
    capture_add(&c, STR("x"));
    capture_end(&c);
    assert_true(c.error != 0 && c.lost == 1);
    assert_int_equal(access("/tmp/weft-test-elsewhere", F_OK), -1);
}

static int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_head_and_tail),
        cmocka_unit_test(nothing_said_is_no_file),
        cmocka_unit_test(full_disk_costs_the_rest),
        cmocka_unit_test(link_is_not_followed),
    };
    int fd = mkstemp(path);

    if (fd < 0)
        return 1;
    close(fd);
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
