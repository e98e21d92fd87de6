/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lease.h"

#include "base/map.h"
#include "base/test.h"

static void completions(void **state)
{
    static const struct {
        const char *name;
        int64_t token, current;
        bool ended;
        const char *ended_digest, *digest;
        enum lease_verdict verdict;
    } rows[] = {
  /* clang-format off */
        {"the live lease",                  7,  7, false, "",   "x", LEASE_CURRENT},
        {"the live lease, no content",      7,  7, false, "",   "",  LEASE_CURRENT},
        {"the same again",                  7,  0, true,  "x",  "x", LEASE_REPEATED},
        {"the same again, later",           7,  9, true,  "x",  "x", LEASE_REPEATED},
        {"something else",                  7,  0, true,  "x",  "y", LEASE_CONFLICT},
        {"something else, later",           7,  9, true,  "x",  "y", LEASE_CONFLICT},
        {"a beginning of it",               7,  0, true,  "xy", "x", LEASE_CONFLICT},
        {"taken back",                      7,  0, false, "",   "x", LEASE_ENDED},
        {"taken back and given to another", 7,  9, false, "",   "",  LEASE_ENDED},
        {"one that is still to come",       9,  7, false, "",   "x", LEASE_ENDED},
        {"no token, no lease",              0,  0, false, "",   "",  LEASE_ENDED},
        {"no token, as if it had ended",    0,  0, true,  "x",  "x", LEASE_ENDED},
        {"no token while one is live",      0,  7, false, "",   "x", LEASE_ENDED},
        {"a negative token",                -7, 7, false, "",   "x", LEASE_ENDED},
  /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        CHECK_ROW(rows[i].name, lease_judge(rows[i].token, rows[i].current, rows[i].ended,
                                            str_of(rows[i].ended_digest),
                                            str_of(rows[i].digest)) == rows[i].verdict);
}

static void deadlines(void **state)
{
    static const struct {
        const char *name;
        int64_t deadline_at, now;
        bool overdue;
    } rows[] = {
        {"before",      100,       99,        false},
        {"at",          100,       100,       true },
        {"after",       100,       101,       true },
        {"none",        0,         INT64_MAX, false},
        {"at the end",  INT64_MAX, INT64_MAX, true },
        {"in the past", 1,         INT64_MAX, true },
        {"before 1970", 100,       -100,      false},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct lease l = {.token = 1, .worker = 1, .deadline_at = rows[i].deadline_at};

        CHECK_ROW(rows[i].name, lease_overdue(&l, rows[i].now) == rows[i].overdue);
    }
}

/* The digests stand in stores, so they never change; these were computed by another program. */
static void digests(void **state)
{
    static const struct str parts[] = {
        {"succeeded",    9 },
        {"{\"rows\":3}", 10},
        {NULL,           0 },
    };
    char out[LEASE_DIGEST_BYTES];

    (void)state;
    CHECK_TEXT(lease_digest(NULL, 0, out), "cbf29ce484222325");
    CHECK_TEXT(lease_digest(&(struct str){0}, 1, out), "a8c7f832281a39c5");
    CHECK_TEXT(lease_digest(&STR("a"), 1, out), "529a4ddc8ff56bbf");
    CHECK_TEXT(lease_digest(parts, 3, out), "9eeb855d7812b5e7");
    assert_int_equal(strlen(out), LEASE_DIGEST_BYTES - 1);
}

/* Where the texts end is part of the content: no two ways to cut "aaaa" are the same. */
static void every_way_to_cut_a_text_differs(void **state)
{
    struct map *seen = map_new();
    int n = 0;

    (void)state;
    for (size_t a = 0; a <= 4; a++) {
        for (size_t b = 0; a + b <= 4; b++) {
            struct str parts[] = {
                {"aaaa", a        },
                {"aaaa", b        },
                {"aaaa", 4 - a - b}
            };
            char out[LEASE_DIGEST_BYTES];

            assert_true(map_add(seen, lease_digest(parts, 3, out), 0));
            n++;
        }
    }
    assert_int_equal(n, 15);
    map_free(seen);
}

static void one_changed_byte_changes_the_digest(void **state)
{
    struct map *seen = map_new();
    char text[64] = {0}, out[LEASE_DIGEST_BYTES];

    (void)state;
    for (size_t at = 0; at < sizeof(text); at++) {
        for (int v = 1; v < 256; v++) {
            text[at] = (char)v;
            assert_true(map_add(seen, lease_digest(&(struct str){text, sizeof(text)}, 1, out), 0));
        }
        text[at] = 0;
    }
    map_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(completions),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(digests),
        cmocka_unit_test(every_way_to_cut_a_text_differs),
        cmocka_unit_test(one_changed_byte_changes_the_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
