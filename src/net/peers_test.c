/* SPDX-License-Identifier: Apache-2.0 */
#include "net/peers.h"

#include <arpa/inet.h>

#include "base/test.h"

static void a_peer_has_so_many_connections(void **state)
{
    struct net_limits l = {.connections_per_peer = 2};
    struct peers *p = peers_new();
    struct peer *a;

    (void)state;
    a = peers_enter(p, 1, &l, 0);
    assert_non_null(a);
    assert_ptr_equal(peers_enter(p, 1, &l, 0), a);
    assert_null(peers_enter(p, 1, &l, 0));
    assert_non_null(peers_enter(p, 2, &l, 0));
    peers_leave(p, a);
    assert_ptr_equal(peers_enter(p, 1, &l, 0), a);
    peers_free(p);
}

/* the server's half. */
static void a_peer_has_so_many_requests_a_second(void **state)
{
    struct net_limits l = {.requests_per_s = 10, .requests_burst = 3};
    struct peers *p = peers_new();
    struct peer *a = peers_enter(p, 1, &l, 0);
    int64_t retry = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(peers_admit(a, &l, 0, &retry));
    assert_false(peers_admit(a, &l, 0, &retry));
    assert_in_range(retry, 100 * CLOCK_MS, 101 * CLOCK_MS);
    assert_true(peers_admit(a, &l, retry, &retry));
    assert_false(peers_admit(a, &l, retry, &retry));

    /* Coming anew gains nothing. */
    peers_leave(p, a);
    a = peers_enter(p, 1, &l, 150 * CLOCK_MS);
    assert_false(peers_admit(a, &l, 150 * CLOCK_MS, &retry));
    /* And a pause no more than the burst. */
    for (int i = 0; i < 3; i++)
        assert_true(peers_admit(a, &l, 100 * CLOCK_S, &retry));
    assert_false(peers_admit(a, &l, 100 * CLOCK_S, &retry));
    peers_free(p);
}

static void peers_that_left_are_forgotten(void **state)
{
    struct net_limits l = {.requests_per_s = 1, .requests_burst = 1};
    struct peers *p = peers_new();
    struct peer *a;
    int64_t retry;

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        a = peers_enter(p, i, &l, (int64_t)i * 10 * CLOCK_MS);
        assert_true(peers_admit(a, &l, (int64_t)i * 10 * CLOCK_MS, &retry));
        peers_leave(p, a);
    }
    assert_true(peers_count(p) < 5000);
    peers_free(p);
}

static uint64_t key_of(const char *text)
{
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
    struct sockaddr_in a4 = {.sin_family = AF_INET};

    if (inet_pton(AF_INET, text, &a4.sin_addr) == 1)
        return peers_key((const struct sockaddr *)(const void *)&a4);
    assert_int_equal(inet_pton(AF_INET6, text, &a6.sin6_addr), 1);
    return peers_key((const struct sockaddr *)(const void *)&a6);
}

static void which_addresses_are_one_peer(void **state)
{
    (void)state;
    assert_true(key_of("127.0.0.1") == key_of("::ffff:127.0.0.1"));
    assert_true(key_of("2001:db8::1") == key_of("2001:db8::2:3:4:5"));
    assert_true(key_of("2001:db8::1") != key_of("2001:db8:0:1::1"));
    assert_true(key_of("10.0.0.1") != key_of("10.0.0.2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_has_so_many_connections),
        cmocka_unit_test(a_peer_has_so_many_requests_a_second),
        cmocka_unit_test(peers_that_left_are_forgotten),
        cmocka_unit_test(which_addresses_are_one_peer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
