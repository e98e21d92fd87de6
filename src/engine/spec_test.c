/* SPDX-License-Identifier: Apache-2.0 */
/* Specs: params checked and put into what a run's tasks are to do. */
#include "engine/engine_testing.h"

static const char file[] =
    "weft: 1\n"
    "params:\n"
    "  city: {type: string, default: Bern}\n"
    "  days: {type: integer, minimum: 1, maximum: 31}\n"
    "  mode: {type: enum, choices: [fast, safe], default: safe}\n"
    "env: {CITY: \"${params.city}\", MODE: \"${params.mode}\"}\n"
    "tasks:\n"
    "  a: {run: [get, \"${params.city} for ${params.days}\", \"$${x}\"], cwd: \"/tmp/${run.id}\",\n"
    "      env: {MODE: mine}}\n"
    "  b: {run: [show, \"${params.city}\", \"${tasks.a.output.rows}\", \"${task.attempt}\"], "
    "needs: [a]}\n";

static void put(struct world *w)
{
    const struct workflow_put req = {.source = STR(file),
                                     .format = STR("yaml"),
                                     .path = STR("f.yaml"),
                                     .fallback_name = STR("f")};
    struct workflow_row row;

    DO(w, workflow_put(&w->tx, &req, &row));
}

static void bad_params_are_refused(void **state)
{
    static const struct {
        const char *name;
        struct env_entry params[3];
        size_t n;
        const char *says;
    } rows[] = {
        {"missing",   {{{NULL, 0}, {NULL, 0}}},                              0, "is needed"  },
        {"unknown",   {{{"days", 4}, {"1", 1}}, {{"town", 4}, {"x", 1}}},    2, "no param"   },
        {"twice",     {{{"days", 4}, {"1", 1}}, {{"days", 4}, {"2", 1}}},    2, "given twice"},
        {"no number", {{{"days", 4}, {"soon", 4}}},                          1, "\"days\""   },
        {"too many",  {{{"days", 4}, {"32", 2}}},                            1, "31"         },
        {"no choice", {{{"days", 4}, {"1", 1}}, {{"mode", 4}, {"slow", 4}}}, 2, "fast"       },
    };
    struct world *w = world(state);
    struct run_rows list;
    struct run_row run;

    put(w);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        const struct run_start req = {
            .workflow = STR("f"), .params = rows[i].params, .params_n = rows[i].n};

        w->row = rows[i].name;
        STORE_OK(w->store, world_begin(w));
        CHECK_ROW(w->row, run_start(&w->tx, &req, &run) == ENGINE_E_REFUSED);
        CHECK_ROW(w->row, w->tx.problem.code == CODE_PARAM_INVALID);
        if (!memmem(w->tx.problem.text.p, w->tx.problem.text.n, rows[i].says, strlen(rows[i].says)))
            fail_msg("row \"%s\": " STR_FMT, w->row, STR_ARG(w->tx.problem.text));
        tx_rollback(&w->tx);
    }
    w->row = NULL;
    DO(w, run_list(&w->tx, &(struct run_list){.max = 10}, &list));
    assert_int_equal(list.n, 0);
}

/* a value that looks like a reference, a command or JSON stays the text that it is. */
static void params_become_one_argument_each(void **state)
{
    struct world *w = world(state);
    const struct env_entry params[] = {
        {STR("city"), STR("${run.id} \"$(id)\" 'x'")},
        {STR("days"), STR("7")                      }
    };
    struct task_leases l;
    struct run_row run;

    put(w);
    DO(w,
       run_start(&w->tx, &(struct run_start){.workflow = STR("f"), .params = params, .params_n = 2},
                 &run));
    CHECK_TEXT(run.params,
               "{\"city\":\"${run.id} \\\"$(id)\\\" 'x'\",\"days\":\"7\",\"mode\":\"safe\"}");
    world_join(w, 1);
    l = world_claim(w, run.id, 1);
    CHECK_TEXT(l.list[0].payload,
               str_printf(&w->arena,
                          "{\"argv\":[\"get\",\"${run.id} \\\"$(id)\\\" 'x' for 7\",\"${x}\"],"
                          "\"cwd\":\"/tmp/%" PRId64
                          "\",\"env\":[[\"CITY\",\"${run.id} \\\"$(id)\\\" "
                          "'x'\"],[\"MODE\",\"mine\"]],\"grace_us\":10000000}",
                          run.id)
                   .p);
}

/* What only an attempt knows stays a reference, and the values beside it cannot be taken for one.
 */
static void later_references_are_kept(void **state)
{
    struct world *w = world(state);
    const struct env_entry params[] = {
        {STR("city"), STR("${task.attempt}")},
        {STR("days"), STR("7")              }
    };
    struct task_leases l;
    struct run_row run;

    put(w);
    DO(w,
       run_start(&w->tx, &(struct run_start){.workflow = STR("f"), .params = params, .params_n = 2},
                 &run));
    world_join(w, 1);
    l = world_claim(w, run.id, 1);
    world_complete(w, &l.list[0], OUTCOME_SUCCEEDED);
    l = world_claim(w, run.id, 1);
    CHECK_TEXT(l.list[0].payload,
               "{\"argv\":[\"show\",\"$${task.attempt}\",\"${tasks.a.output.rows}\","
               "\"${task.attempt}\"],\"cwd\":\"\",\"env\":[[\"CITY\",\"$${task.attempt}\"],"
               "[\"MODE\",\"safe\"]],\"grace_us\":10000000,\"refers\":true}");
}

static void outputs_are_found_by_name(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n");
    const struct str names[] = {STR("b"), STR("a"), STR("c"), STR("a")};
    struct run_outputs_reply outputs;
    struct task_codes codes;
    struct task_lease l;

    world_join(w, 1);
    l = world_claim_one(w, run);
    const struct task_result result = {
        .lease = {l.task, l.token},
          .outcome = OUTCOME_SUCCEEDED, .output = STR("{\"rows\":3}")
    };
    DO(w, task_complete(&w->tx, &(struct task_complete){&result, 1}, &codes));
    DO(w, run_outputs(&w->tx, &(struct run_outputs){run, names, 4}, &outputs));
    assert_int_equal(outputs.n, 4);
    CHECK_TEXT(outputs.outputs[0], "");
    CHECK_TEXT(outputs.outputs[1], "{\"rows\":3}");
    CHECK_TEXT(outputs.outputs[2], "");
    CHECK_TEXT(outputs.outputs[3], "{\"rows\":3}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(bad_params_are_refused),
        ENGINE_TESTS(params_become_one_argument_each),
        ENGINE_TESTS(later_references_are_kept),
        ENGINE_TESTS(outputs_are_found_by_name),
    };

    return ENGINE_MAIN(tests);
}
