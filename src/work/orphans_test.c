/* SPDX-License-Identifier: Apache-2.0 */
/* Children that came to us when their parents died, and what they leave behind in their turn. */
#include "work/orphans.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "work/procfs.h"

static int go[2], over[2]; /* pipes */

/* Until a byte comes, or nobody can write one any more. */
static void wait_for(const int ends[2])
{
    char byte;

    close(ends[1]);
    if (read(ends[0], &byte, 1) < 0)
        _exit(1);
}

static void live(void)
{
    wait_for(over);
}

/* Another one follows, and it is gone. */
static void pass_on(void)
{
    wait_for(go);
    if (fork() > 0)
        _exit(0);
    setsid();
    wait_for(over);
}

/* A grandchild in a session of its own, whose parent has died. */
static pid_t orphan_new(void (*act)(void))
{
    int told[2];
    pid_t middle, pid = 0;

    assert_int_equal(pipe(told), 0);
    middle = fork();
    if (middle == 0 && fork() == 0) {
        setsid();
        pid = getpid();
        if (write(told[1], &pid, sizeof(pid)) == sizeof(pid))
            act();
        _exit(0);
    }
    if (middle == 0)
        _exit(0);
    assert_int_equal(waitpid(middle, NULL, 0), middle);
    assert_int_equal(read(told[0], &pid, sizeof(pid)), sizeof(pid));
    close(told[0]);
    close(told[1]);
    return pid;
}

struct looking {
    pid_t first, second;
    bool passed_on;
};

/* In the middle of a look: the one that is looked at next passes on and dies. */
static void found(void *context, const struct orphan *orphan)
{
    struct looking *l = context;
    struct procfs_stat st;

    if (l->passed_on || orphan->pid != l->first)
        return;
    l->passed_on = true;
    assert_int_equal(write(go[1], "g", 1), 1);
    while (procfs_stat(l->second, &st) && st.state != 'Z')
        sched_yield();
}

/* A chain of forks is always one process, and never the one that was listed: a look that finds it
 * dead has not found that nobody is left. */
static void who_died_in_the_middle_of_a_look_left_somebody(void **state)
{
    struct orphans *o;
    struct looking l = {0};

    (void)state;
    assert_int_equal(orphans_new("test", &o), 0);
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(over), 0);
    l.first = orphan_new(live);
    l.second = orphan_new(pass_on);
    orphans_look(o, found, &l);
    assert_true(l.passed_on);
    assert_int_equal(orphans_count(o), 2);
    orphans_look(o, NULL, NULL);
    assert_int_equal(orphans_count(o), 2);
    assert_int_equal(orphans_at(o, 0)->pid, l.first);
    assert_int_not_equal(orphans_at(o, 1)->pid, l.second);
    close(over[1]);
    while (orphans_count(o))
        orphans_look(o, NULL, NULL);
    close(over[0]);
    close(go[0]);
    close(go[1]);
    orphans_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_died_in_the_middle_of_a_look_left_somebody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
