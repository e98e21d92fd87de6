/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagram.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/test.h"
#include "core/breaker.h"
#include "core/run.h"
#include "core/task.h"
#include "core/worker.h"

static void moves_share_their_arrow(void **state)
{
    static const struct diagram_move moves[] = {
        {{"A", 1}, {"GO", 2},   {"B", 1}},
        {{"B", 1}, {"GO", 2},   {"A", 1}},
        {{"A", 1}, {"JUMP", 4}, {"B", 1}},
        {{"A", 1}, {"GO", 2},   {"B", 1}}, /* another guard, the same arrow */
        {{"A", 1}, {"GO", 2},   {"C", 1}},
    };
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    diagram_print(&b, STR("A"), moves, ROWS_N(moves));
    CHECK_TEXT(buf_str(&b), "stateDiagram-v2\n"
                            "    [*] --> A\n"
                            "    A --> B: go, jump\n"
                            "    B --> A: go\n"
                            "    A --> C: go\n");
    buf_deinit(&b);
}

/* docs/machines.md holds what the tables print; whoever changes a table pastes what this test
 * shows. */
static void the_documentation_shows_the_tables(void **state)
{
    static const struct {
        const char *name;
        void (*print)(struct buf *out);
    } rows[] = {
        {"task",    task_diagram   },
        {"run",     run_diagram    },
        {"worker",  worker_diagram },
        {"breaker", breaker_diagram},
    };
    const char *source = getenv("WEFT_SOURCE");
    struct arena a = {0};
    struct str page;
    struct buf b;

    (void)state;
    if (!source)
        skip();
    assert_int_equal(file_read(&a, str_printf(&a, "%s/docs/machines.md", source).p, 1 << 20, &page),
                     0);
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        buf_clear(&b);
        buf_add(&b, STR("```mermaid\n"));
        rows[i].print(&b);
        buf_add(&b, STR("```\n"));
        if (!memmem(page.p, page.n, b.p, b.n))
            fail_msg("docs/machines.md does not show the %s:\n%s", rows[i].name, b.p);
    }
    buf_deinit(&b);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_share_their_arrow),
        cmocka_unit_test(the_documentation_shows_the_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
