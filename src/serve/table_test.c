/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/table.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/test.h"
#include "serve/api.h"

static bool has_field(const struct method *m, struct str name)
{
    for (unsigned i = 0; i < m->request->n_fields; i++) {
        if (str_eq(str_of(m->request->fields[i].name), name))
            return true;
    }
    return false;
}

static void check_path(const struct method *m, struct str path)
{
    size_t open, close;

    assert_true(str_starts(path, STR("/v1/")));
    while (str_find(path, '{', &open)) {
        path = str_sub(path, open + 1, path.n);
        assert_true(str_find(path, '}', &close));
        if (!has_field(m, str_sub(path, 0, close)))
            fail_msg("%s: the request has no field " STR_FMT, m->name,
                     STR_ARG(str_sub(path, 0, close)));
        path = str_sub(path, close + 1, path.n);
    }
}

static void fields_of_paths_are_fields_of_requests(void **state)
{
    size_t n;
    const struct method *const *list = table_methods(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        check_path(list[i], str_of(list[i]->path));
        if (list[i]->other_path)
            check_path(list[i], str_of(list[i]->other_path));
    }
}

/* Two paths that one request could mean: their parts are the same text, or fields. */
static bool same_path(const char *a, const char *b)
{
    while (*a && *b) {
        if (*a == '{' && *b == '{') {
            a += strcspn(a, "}");
            b += strcspn(b, "}");
        }
        if (*a++ != *b++)
            return false;
    }
    return *a == *b;
}

static bool share_path(const struct method *a, const struct method *b)
{
    return same_path(a->path, b->path) || (a->other_path && same_path(a->other_path, b->path)) ||
           (b->other_path && same_path(a->path, b->other_path)) ||
           (a->other_path && b->other_path && same_path(a->other_path, b->other_path));
}

static void names_rpcs_and_paths_are_unique(void **state)
{
    size_t n;
    const struct method *const *list = table_methods(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) {
            assert_string_not_equal(list[i]->name, list[j]->name);
            assert_string_not_equal(list[i]->rpc, list[j]->rpc);
            if (list[i]->verb == list[j]->verb && share_path(list[i], list[j]))
                fail_msg("%s and %s have one path", list[i]->name, list[j]->name);
        }
    }
}

static void rows_are_whole(void **state)
{
    size_t n;
    const struct method *const *list = table_methods(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const struct method *m = list[i];
        const struct api_action *action = table_row(m)->action;

        assert_ptr_equal(table_find(m->name), m);
        assert_int_equal(table_index(m), i);
        assert_true(m->help[0]);
        /* What looks changes nothing, and what GET can ask does not write. */
        assert_true(m->kind == METHOD_READ || m->permission != METHOD_VIEW);
        assert_true(m->kind == METHOD_READ || m->verb != METHOD_GET);
        assert_true(action->function || action->work || action->begin);
        assert_true(!action->function || action->begin || action->encode);
    }
    assert_null(table_find("queues.enqueu"));
}

/* Each `rpc` of the .proto files has its row. */
static void every_rpc_has_a_row(void **state)
{
    static const char *const files[] = {"admin", "lease", "pool",   "queue",
                                        "run",   "task",  "worker", "workflow"};
    size_t n, found = 0;
    const struct method *const *list = table_methods(&n);
    struct arena a = {0};

    (void)state;
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
        const char *path =
            str_printf(&a, "%s/proto/weft/v1/%s.proto", getenv("WEFT_SOURCE"), files[f]).p;
        struct str text;
        const char *service = "", *at;

        assert_int_equal(file_read(&a, path, 1 << 20, &text), 0);
        at = str_cstr(&a, text);
        for (; *at; at += strcspn(at, "\n") + 1) {
            char name[64], rpc[128];
            bool there = false;

            if (sscanf(at, "service %63[A-Za-z] {", name) == 1)
                service = str_cstr(&a, str_of(name));
            if (sscanf(at, "  rpc %63[A-Za-z](", name) != 1)
                continue;
            snprintf(rpc, sizeof(rpc), "weft.v1.%s/%s", service, name);
            for (size_t i = 0; i < n; i++)
                there = there || strcmp(list[i]->rpc, rpc) == 0;
            if (!there)
                fail_msg("%s has no row", rpc);
            found++;
        }
    }
    assert_int_equal(found, n);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_paths_are_fields_of_requests),
        cmocka_unit_test(names_rpcs_and_paths_are_unique),
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(every_rpc_has_a_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
