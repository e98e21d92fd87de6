/* SPDX-License-Identifier: Apache-2.0 */
#include "core/worker.h"

#include "base/buf.h"
#include "base/test.h"

/* Where each event leads, a dot where it is refused: J joining, R ready, S suspect, D draining, L
 * lost, G gone. */
static void every_event_in_every_state(void **state)
{
    static const char letters[] = "JRSDLG";
    static const struct {
        const char *name;
        const char *next; /* BEAT QUIET DRAIN EXPIRE LEAVE */
    } rows[] = {
  /* clang-format off */
        [WORKER_JOINING] =  {"JOINING",  "R.DLG"},
        [WORKER_READY] =    {"READY",    "RSDLG"},
        [WORKER_SUSPECT] =  {"SUSPECT",  "R.DLG"},
        [WORKER_DRAINING] = {"DRAINING", "D.DLG"},
        [WORKER_LOST] =     {"LOST",     "....."},
        [WORKER_GONE] =     {"GONE",     "....."},
  /* clang-format on */
    };

    (void)state;
    for (int s = 0; s < WORKER_STATE_N; s++) {
        for (int e = 0; e < WORKER_EVENT_N; e++) {
            enum worker_state w = (enum worker_state)s;
            const char *why = NULL;
            int r = worker_move(&w, (enum worker_event)e, &why);

            if (rows[s].next[e] == '.')
                CHECK_ROW(rows[s].name, r == WORKER_E_REFUSED && (int)w == s && !why);
            else
                CHECK_ROW(rows[s].name, r == 0 && letters[w] == rows[s].next[e] && why && *why);
        }
    }
}

/* LOST and GONE are for ever; who drains never takes work again; only who has been heard takes any.
 */
static void every_history_of_eight_events(void **state)
{
    bool reached[WORKER_STATE_N] = {false};

    (void)state;
    for (int history = 0; history < 390625; history++) { /* 5^8 */
        enum worker_state w = WORKER_JOINING;
        bool heard = false, drained = false, over = false;

        for (int i = 0, rest = history; i < 8; i++, rest /= WORKER_EVENT_N) {
            enum worker_event e = (enum worker_event)(rest % WORKER_EVENT_N);
            enum worker_state before = w;
            int r = worker_move(&w, e, NULL);

            reached[w] = true;
            if (over || r) {
                assert_true(r && w == before);
                continue;
            }
            heard = heard || e == WORKER_EVENT_BEAT;
            drained = drained || e == WORKER_EVENT_DRAIN;
            over = e == WORKER_EVENT_EXPIRE || e == WORKER_EVENT_LEAVE;
            assert_int_equal(worker_over(w), over);
            assert_int_equal(w == WORKER_DRAINING, drained && !over);
            if (worker_claims(w))
                assert_true(heard && !drained && !over && w == WORKER_READY);
        }
    }
    for (int s = 0; s < WORKER_STATE_N; s++)
        assert_true(reached[s]);
}

static void silence(void **state)
{
    enum { NONE = WORKER_EVENT_N };
    static const struct {
        const char *name;
        int64_t beat_at, ttl_us, now;
        int event;
    } rows[] = {
        {"just heard",               100,       1000,      100,           NONE               },
        {"before 40 %",              0,         1000,      399,           NONE               },
        {"at 40 %",                  0,         1000,      400,           WORKER_EVENT_QUIET },
        {"before the end",           0,         1000,      999,           WORKER_EVENT_QUIET },
        {"at the end",               0,         1000,      1000,          WORKER_EVENT_EXPIRE},
        {"long after",               0,         1000,      INT64_MAX,     WORKER_EVENT_EXPIRE},
        {"the clock was set back",   5000,      1000,      0,             NONE               },
        {"a beat in the far future", INT64_MAX, 1000,      0,             NONE               },
        {"the longest TTL",          0,         INT64_MAX, INT64_MAX / 2, WORKER_EVENT_QUIET },
        {"the longest TTL, early",   0,         INT64_MAX, INT64_MAX / 3, NONE               },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        enum worker_event e;
        bool any = worker_silence(rows[i].beat_at, rows[i].ttl_us, rows[i].now, &e);

        CHECK_ROW(rows[i].name, any == (rows[i].event != NONE));
        CHECK_ROW(rows[i].name, !any || (int)e == rows[i].event);
    }
}

static void texts_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < WORKER_STATE_N; i++) {
        enum worker_state s = WORKER_STATE_N;

        assert_true(worker_state_parse(worker_state_text((enum worker_state)i), &s));
        assert_int_equal(s, i);
    }
    assert_false(worker_state_parse(STR("ready"), &(enum worker_state){0}));
    assert_false(worker_state_parse(STR("BUSY"), &(enum worker_state){0}));
}

static void the_diagram_is_printed_from_the_table(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10000);
    worker_diagram(&b);
    assert_true(str_starts(buf_str(&b), STR("stateDiagram-v2\n"
                                            "    [*] --> JOINING\n"
                                            "    JOINING --> READY: beat\n"
                                            "    JOINING --> DRAINING: drain\n")));
    assert_true(str_ends(buf_str(&b), STR("    DRAINING --> DRAINING: beat, drain\n"
                                          "    DRAINING --> LOST: expire\n"
                                          "    DRAINING --> GONE: leave\n")));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state),
        cmocka_unit_test(every_history_of_eight_events),
        cmocka_unit_test(silence),
        cmocka_unit_test(texts_are_read_back),
        cmocka_unit_test(the_diagram_is_printed_from_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
