/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_address.h"

#include "base/test.h"

static void addresses_are_read(void **state)
{
    static const struct {
        const char *text, *host, *port;
        bool tls, numeric;
    } rows[] = {
        {"127.0.0.1:7411",           "127.0.0.1",       "7411",  false, true },
        {"http://127.0.0.1:1",       "127.0.0.1",       "1",     false, true },
        {"http://127.0.0.1:1/",      "127.0.0.1",       "1",     false, true },
        {"https://runner.lan:65535", "runner.lan",      "65535", true,  false},
        {"[::1]:80",                 "::1",             "80",    false, true },
        {"https://[fe80::1]:80",     "fe80::1",         "80",    true,  true },
        {"localhost:80",             "localhost",       "80",    false, false},
        {"build_1.example:80",       "build_1.example", "80",    false, false},
        {"1runner:80",               "1runner",         "80",    false, false},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct caller_address a;
        const char *why;

        CHECK_ROW(rows[i].text, caller_address_parse(str_of(rows[i].text), &a, &why) == 0);
        CHECK_TEXT(str_of(a.host), rows[i].host);
        CHECK_TEXT(str_of(a.port), rows[i].port);
        CHECK_ROW(rows[i].text, a.tls == rows[i].tls && a.numeric == rows[i].numeric);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"",                    "has no port"                                 },
        {"runner",              "has no port"                                 },
        {"https://runner",      "has no port"                                 },
        {"[::1]",               "has no port"                                 },
        {"unix:/tmp/socket",    "is no host and port"                         },
        {"runner:",             "has a port that is no number from 1 to 65535"},
        {"runner:0",            "has a port that is no number from 1 to 65535"},
        {"runner:080",          "has a port that is no number from 1 to 65535"},
        {"runner:65536",        "has a port that is no number from 1 to 65535"},
        {"runner:-1",           "has a port that is no number from 1 to 65535"},
        {"runner:80/path",      "has a port that is no number from 1 to 65535"},
        {"ftp://runner:80",     "has a port that is no number from 1 to 65535"},
        {"http://runner:80/a/", "has a port that is no number from 1 to 65535"},
        {":80",                 "has no host, or one of more than 253 bytes"  },
        {"[]:80",               "has no host, or one of more than 253 bytes"  },
        {"[fe80::1%lo]:80",     "has a host that is no name and no address"   },
        {"[::1%a\r\nb: c]:80",  "has a host that is no name and no address"   },
        {"[::x]:80",            "has a host that is no name and no address"   },
        {"a b:80",              "has a host that is no name and no address"   },
        {"user@runner:80",      "has a host that is no name and no address"   },
        {".:80",                "has a host that is no name and no address"   },
        {"127.0.0.256:80",      "has a host that is no name and no address"   },
        {"127.1:80",            "has a host that is no name and no address"   },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct caller_address a;
        const char *why = "";

        CHECK_ROW(rows[i].text, caller_address_parse(str_of(rows[i].text), &a, &why));
        CHECK_TEXT(str_of(why), rows[i].why);
    }
}

static void a_long_host_is_refused(void **state)
{
    char text[300];
    struct caller_address a;
    const char *why = "";

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text + CALLER_ADDRESS_HOST_BYTES_MAX, ":80", 4);
    assert_int_equal(caller_address_parse(str_of(text), &a, &why), 0);
    memset(text, 'a', sizeof(text));
    memcpy(text + CALLER_ADDRESS_HOST_BYTES_MAX + 1, ":80", 4);
    assert_int_equal(caller_address_parse(str_of(text), &a, &why), CALLER_ADDRESS_E_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_long_host_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
