/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_tls.h"

#include <openssl/err.h>
#include <stdlib.h>

#include "base/test.h"

/* What somebody else of this thread did wrong, and did not take out of OpenSSL's queue. */
static void leave_an_error(void)
{
    ERR_raise(ERR_LIB_BIO, ERR_R_MALLOC_FAILURE);
}

static struct caller_tls *make(void)
{
    struct caller_tls *t = NULL;
    struct arena a = {0};
    struct str error;

    assert_int_equal(caller_tls_new(NULL, &a, &t, &error), 0);
    arena_deinit(&a);
    return t;
}

static void errors_of_others_are_left_behind(void **state)
{
    struct caller_tls *t;

    (void)state;
    leave_an_error();
    t = make();
    assert_int_equal(ERR_peek_error(), 0);
    caller_tls_free(t);
}

static void a_file_that_is_none_is_refused_for_its_own_reason(void **state)
{
    static const struct caller_files rows[] = {
        {.ca = "/nowhere"  },
        { .certificate = "/nowhere", .key = "/nowhere"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct caller_tls *t;
        struct arena a = {0};
        struct str error;

        leave_an_error();
        assert_int_equal(caller_tls_new(&rows[i], &a, &t, &error), CALLER_E_BAD);
        assert_true(str_ends(error, STR("/nowhere cannot be used: No such file or directory")));
        assert_int_equal(ERR_peek_error(), 0);
        arena_deinit(&a);
    }
}

/* OpenSSL says of a connection that it has failed as long as there is anything in the queue. */
static void errors_of_others_fail_no_connection(void **state)
{
    struct caller_tls *t = make();
    struct caller_address address;
    struct caller_pipe *p;
    const char *why;
    char hello[4096], plain[16];
    struct buf out;
    size_t n;

    (void)state;
    assert_int_equal(caller_address_parse(STR("https://runner.example:1"), &address, &why), 0);
    p = caller_tls_pipe(t, &address);
    leave_an_error();
    assert_int_equal(caller_tls_shake(p, &why), CALLER_TLS_E_MORE);
    buf_fixed(&out, hello, sizeof(hello));
    caller_tls_drain(p, &out);
    assert_true(out.n > 100);
    leave_an_error();
    assert_int_equal(caller_tls_read(p, plain, sizeof(plain), &n, &why), CALLER_TLS_E_MORE);
    caller_tls_feed(p, STR("this is no TLS at all"));
    leave_an_error();
    assert_int_equal(caller_tls_shake(p, &why), CALLER_TLS_E_BAD);
    assert_string_equal(why, "wrong version number");
    caller_tls_pipe_free(p);
    caller_tls_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_of_others_are_left_behind),
        cmocka_unit_test(a_file_that_is_none_is_refused_for_its_own_reason),
        cmocka_unit_test(errors_of_others_fail_no_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
