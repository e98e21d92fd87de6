/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_link.h"

#include "base/test.h"

#define S(name) CALLER_LINK_##name
#define E(name) CALLER_LINK_EVENT_##name

/* Every pair of a state and an event: what is no row here stays as it is or is over. */
static void every_move(void **state)
{
    static const struct {
        enum caller_link_state from;
        enum caller_link_event event;
        enum caller_link_state plain, tls;
    } rows[] = {
        {S(RESOLVING),  E(RESOLVED),  S(CONNECTING), S(CONNECTING)},
        {S(CONNECTING), E(CONNECTED), S(GREETING),   S(SHAKING)   },
        {S(SHAKING),    E(SHAKEN),    S(GREETING),   S(GREETING)  },
        {S(GREETING),   E(GREETED),   S(OPEN),       S(OPEN)      },
        {S(OPEN),       E(GOING),     S(DRAINING),   S(DRAINING)  },
    };

    (void)state;
    for (int from = 0; from < CALLER_LINK_STATE_N; from++) {
        for (int event = 0; event < CALLER_LINK_EVENT_N; event++) {
            enum caller_link_state plain = (enum caller_link_state)from, tls = plain;

            if (event == E(FAILED) || event == E(ENDED))
                plain = tls = S(OVER);
            for (size_t i = 0; i < ROWS_N(rows); i++) {
                if (rows[i].from != (enum caller_link_state)from ||
                    rows[i].event != (enum caller_link_event)event)
                    continue;
                plain = rows[i].plain;
                tls = rows[i].tls;
            }
            assert_int_equal(caller_link_next((enum caller_link_state)from,
                                              (enum caller_link_event)event, false),
                             plain);
            assert_int_equal(
                caller_link_next((enum caller_link_state)from, (enum caller_link_event)event, true),
                tls);
        }
    }
}

static void states_have_names(void **state)
{
    (void)state;
    CHECK_TEXT(caller_link_state_text(S(RESOLVING)), "RESOLVING");
    CHECK_TEXT(caller_link_state_text(S(OVER)), "OVER");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_move),
        cmocka_unit_test(states_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
