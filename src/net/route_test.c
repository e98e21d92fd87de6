/* SPDX-License-Identifier: Apache-2.0 */
#include "net/route.h"

#include "api/codec.h"
#include "base/test.h"
#include "net/net_testing.h"

#define GET    (1u << METHOD_GET)
#define POST   (1u << METHOD_POST)
#define PUT    (1u << METHOD_PUT)
#define DELETE (1u << METHOD_DELETE)

static void paths_lead_to_methods(void **state)
{
    static const struct {
        enum method_verb verb;
        const char *path;
        int r;
        const char *method;
        const char *value; /* of the first field */
        unsigned verbs;
    } rows[] = {
        {METHOD_GET,    "/v1/health",                0,            "admin.health",   NULL,             GET      },
        {METHOD_GET,    "/v1/queues/mail",           0,            "queues.get",     "mail",           GET | PUT},
        {METHOD_PUT,    "/v1/queues/mail",           0,            "queues.put",     "mail",           GET | PUT},
        {METHOD_GET,    "/v1/queues/a%2Fb",          0,            "queues.get",     "a%2Fb",          GET | PUT},
        {METHOD_GET,    "/v1/queues/a:b",            0,            "queues.get",     "a:b",            GET | PUT},
        {METHOD_POST,   "/v1/queues/mail:enqueue",   0,            "queues.enqueue", "mail",           POST     },
        {METHOD_POST,   "/v1/queues/a:b:enqueue",    0,            "queues.enqueue", "a:b",            POST     },
        {METHOD_GET,    "/v1/queues/mail%3Aenqueue", 0,            "queues.get",     "mail%3Aenqueue", GET | PUT},
        {METHOD_GET,    "/v1/runs/7:watch",          0,            "runs.watch",     "7",              GET      },
        {METHOD_GET,    "/v1/events:watch",          0,            "runs.watch",     NULL,             GET      },
        {METHOD_GET,    "/v1/queues/mail:enqueue",   ROUTE_E_VERB, NULL,             NULL,             POST     },
        {METHOD_DELETE, "/v1/queues/mail",           ROUTE_E_VERB, NULL,             NULL,             GET | PUT},
        {METHOD_POST,   "/v1/queues/:enqueue",       ROUTE_E_VERB, NULL,             NULL,             GET | PUT},
        {METHOD_GET,    "/v1/queues/",               ROUTE_E_PATH, NULL,             NULL,             0        },
        {METHOD_GET,    "/v1/queues",                ROUTE_E_PATH, NULL,             NULL,             0        },
        {METHOD_GET,    "/v1/queues/a/",             ROUTE_E_PATH, NULL,             NULL,             0        },
        {METHOD_GET,    "/v1/health/",               ROUTE_E_PATH, NULL,             NULL,             0        },
        {METHOD_GET,    "//v1/health",               ROUTE_E_PATH, NULL,             NULL,             0        },
        {METHOD_GET,    "/V1/health",                ROUTE_E_PATH, NULL,             NULL,             0        },
        {METHOD_GET,    "/v1/x/../health",           ROUTE_E_PATH, NULL,             NULL,             0        },
        {METHOD_GET,    "/",                         ROUTE_E_PATH, NULL,             NULL,             0        },
        {METHOD_GET,    "*",                         ROUTE_E_PATH, NULL,             NULL,             0        },
        {METHOD_GET,    "/1/2/3/4/5/6/7/8/9/10",     ROUTE_E_PATH, NULL,             NULL,             0        },
    };
    struct fake_service f;
    struct route_match m;
    struct route *r;

    (void)state;
    fake_service_init(&f);
    r = route_new(f.service.methods, f.service.methods_n);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        CHECK_ROW(rows[i].path, route_find(r, rows[i].verb, str_of(rows[i].path), &m) == rows[i].r);
        CHECK_ROW(rows[i].path, m.verbs == rows[i].verbs);
        if (rows[i].r)
            continue;
        CHECK_ROW(rows[i].path, strcmp(m.method->name, rows[i].method) == 0);
        CHECK_ROW(rows[i].path, (m.fields_n > 0) == (rows[i].value != NULL));
        if (rows[i].value)
            CHECK_TEXT(m.fields[0].value, rows[i].value);
    }
    route_free(r);
}

static void queries_become_fields(void **state)
{
    static const struct {
        const char *query;
        int r;
        const char *id, *after; /* of the request */
    } rows[] = {
        {"",                 0,           "7",  NULL      },
        {"after=3",          0,           "7",  "3"       },
        {"after=a%20b+c%2b", 0,           "7",  "a b c+"  },
        {"&&after=%C3%A9&",  0,           "7",  "\xc3\xa9"},
        {"after=1&after=2",  ROUTE_E_BAD, NULL, NULL      },
        {"id=9",             ROUTE_E_BAD, NULL, NULL      }, /* the path says which */
        {"after=%00",        ROUTE_E_BAD, NULL, NULL      },
        {"after=%ff",        ROUTE_E_BAD, NULL, NULL      },
        {"a%66ter=1",        0,           "7",  "1"       },
        {"=1",               ROUTE_E_BAD, NULL, NULL      },
        {"nothing=1",        ROUTE_E_BAD, NULL, NULL      },
    };
    struct fake_service f;
    struct arena a = {0};
    struct route_match m;
    struct route *r;
    struct str error;

    (void)state;
    fake_service_init(&f);
    r = route_new(f.service.methods, f.service.methods_n);
    assert_int_equal(route_find(r, METHOD_GET, STR("/v1/runs/%37:watch"), &m), 0);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        Weft__V1__WatchRequest *w = CODEC_NEW(&a, Weft__V1__WatchRequest, weft__v1__watch_request);

        CHECK_ROW(rows[i].query,
                  route_fill(&m, str_of(rows[i].query), &a, &w->base, &error) == rows[i].r);
        if (rows[i].r) {
            CHECK_ROW(rows[i].query, error.n > 0);
            continue;
        }
        CHECK_TEXT(str_of(w->id), rows[i].id);
        CHECK_ROW(rows[i].query, str_eq(str_of(w->after), str_of(rows[i].after)));
    }
    route_free(r);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_lead_to_methods),
        cmocka_unit_test(queries_become_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
