/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/recover.h"

#include "base/clock.h"
#include "base/test.h"

#define TTL   (60 * CLOCK_S)
#define NOW   (1000000 * CLOCK_S)
#define OTHER "00000000-0000-0000-0000-000000000000/1"

/* What a worker's row says where it was written. */
enum where { HERE, OTHER_NAMESPACE, OTHER_BOOT, UNKNOWN_BOOT, OTHER_HOST };

/* Only a death that is proven counts at once; who kills its own
 * processes in time has its time to live, everybody else twice that. */
static void a_worker_is_given_up_only_when_that_is_safe(void **state)
{
    static const struct {
        const char *name;
        enum where where;
        enum store_backend store;
        int64_t pid_off; /* 0: this process itself */
        int64_t silent_us;
        enum recover_verdict verdict;
    } rows[] = {
        {"it lives",                       HERE,            STORE_SQLITE,   0, 9 * TTL,     RECOVER_ALIVE },
        {"it lives, shared",               HERE,            STORE_POSTGRES, 0, 9 * TTL,     RECOVER_ALIVE },
        {"its process is dead",            HERE,            STORE_SQLITE,   1, 0,           RECOVER_DEAD  },
        {"its process is dead, shared",    HERE,            STORE_POSTGRES, 1, 0,           RECOVER_DEAD  },
        {"the machine started anew",       OTHER_BOOT,      STORE_SQLITE,   0, 0,           RECOVER_REBOOT},
        {"a namesake",                     OTHER_BOOT,      STORE_POSTGRES, 0, TTL,         RECOVER_ALIVE },
        {"a silent namesake",              OTHER_BOOT,      STORE_POSTGRES, 0, TTL + 1,     RECOVER_SILENT},
        {"another container",              OTHER_NAMESPACE, STORE_SQLITE,   1, 2 * TTL,     RECOVER_ALIVE },
        {"another container, shared",      OTHER_NAMESPACE, STORE_POSTGRES, 1, TTL,         RECOVER_ALIVE },
        {"a silent container",             OTHER_NAMESPACE, STORE_SQLITE,   1, 2 * TTL + 1, RECOVER_SILENT},
        {"nobody knows where",             UNKNOWN_BOOT,    STORE_SQLITE,   1, 2 * TTL,     RECOVER_ALIVE },
        {"nobody knows where, and silent", UNKNOWN_BOOT,    STORE_SQLITE,   1, 2 * TTL + 1,
         RECOVER_SILENT                                                                                   },
        {"another machine",                OTHER_HOST,      STORE_POSTGRES, 1, TTL,         RECOVER_ALIVE },
        {"another machine, silent",        OTHER_HOST,      STORE_POSTGRES, 1, TTL + 1,     RECOVER_SILENT},
    };
    struct arena a = {0};
    struct guardian_self self = guardian_self(&a);
    const struct str boots[] = {
        [HERE] = self.boot,
        [OTHER_NAMESPACE] = str_printf(&a, STR_FMT "0", STR_ARG(self.boot)),
        [OTHER_BOOT] = STR(OTHER),
        [UNKNOWN_BOOT] = STR(""),
        [OTHER_HOST] = self.boot,
    };

    (void)state;
    assert_true(self.boot.n > 0);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct worker_row w = {
            .kind = STR("local"),
            .host = rows[i].where == OTHER_HOST ? STR("elsewhere.invalid") : self.host,
            .boot = boots[rows[i].where],
            .pid = self.pid,
            .pid_start = self.pid_start + rows[i].pid_off,
            .ttl_us = TTL,
            .beat_at = NOW - rows[i].silent_us,
        };

        CHECK_ROW(rows[i].name, recover_judge(&w, &self, rows[i].store, NOW) == rows[i].verdict);
    }
    arena_deinit(&a);
}

static void remote_workers_are_not_ours_to_judge(void **state)
{
    const struct worker_row w = {.kind = STR("remote"), .ttl_us = 1};

    (void)state;
    assert_int_equal(recover_judge(&w, &(struct guardian_self){0}, STORE_SQLITE, NOW),
                     RECOVER_ALIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_is_given_up_only_when_that_is_safe),
        cmocka_unit_test(remote_workers_are_not_ours_to_judge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
