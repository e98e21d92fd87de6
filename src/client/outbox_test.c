/* SPDX-License-Identifier: Apache-2.0 */
#include "client/outbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/test.h"

struct place {
    struct arena arena;
    char folder[64];
    const char *path;
};

static int setup(void **state)
{
    struct place *p = memory_new(sizeof(*p));

    snprintf(p->folder, sizeof(p->folder), "/tmp/weft-outbox-XXXXXX");
    if (!mkdtemp(p->folder))
        return -1;
    p->path = str_printf(&p->arena, "%s/outbox", p->folder).p;
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;

    unlink(p->path);
    unlink(str_printf(&p->arena, "%s.new", p->path).p);
    rmdir(p->folder);
    arena_deinit(&p->arena);
    free(p);
    return 0;
}

static struct str line(struct arena *a, int n)
{
    return str_printf(a, "{\"token\":\"%d\"}", n);
}

static struct outbox *open_box(const char *path)
{
    struct outbox *o;

    assert_int_equal(outbox_new(path, &o), 0);
    return o;
}

static void the_oldest_come_first_however_many_there_are(void **state)
{
    struct place *p = *state;
    struct outbox *o = open_box(NULL);
    int in = 0, out = 0;

    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < round % 7 * 20; i++)
            assert_int_equal(outbox_add(o, line(&p->arena, in++)), 0);
        while ((int)outbox_count(o) > round % 5 * 10) {
            assert_true(str_eq(outbox_at(o, 0), line(&p->arena, out++)));
            assert_int_equal(outbox_drop(o, 1), 0);
        }
    }
    assert_int_equal((int)outbox_count(o), in - out);
    outbox_free(o);
}

static void it_survives_its_process(void **state)
{
    struct place *p = *state;
    struct outbox *o = open_box(p->path), *other;

    for (int i = 0; i < 3; i++)
        assert_int_equal(outbox_add(o, line(&p->arena, i)), 0);
    assert_int_equal(outbox_new(p->path, &other), OUTBOX_E_BUSY);
    assert_int_equal(outbox_drop(o, 1), 0);
    outbox_free(o);

    /* What was delivered may still be there; what was not is. */
    o = open_box(p->path);
    assert_int_equal(outbox_count(o), 3);
    assert_int_equal(outbox_drop(o, 3), 0);
    outbox_free(o);
    o = open_box(p->path);
    assert_int_equal(outbox_count(o), 0);
    outbox_free(o);
}

static void a_line_that_was_cut_spoils_no_other(void **state)
{
    struct place *p = *state;
    struct outbox *o;

    assert_int_equal(
        file_write(p->path, STR("{\"token\":\"1\"}\n{\"tok\n{\"token\":\"2\"}\n{\"tok")), 0);
    o = open_box(p->path);
    assert_int_equal(outbox_count(o), 2);
    assert_int_equal(outbox_add(o, line(&p->arena, 3)), 0);
    outbox_free(o);
    o = open_box(p->path);
    assert_int_equal(outbox_count(o), 3);
    assert_true(str_eq(outbox_at(o, 2), line(&p->arena, 3)));
    outbox_free(o);
}

static void what_was_delivered_is_written_away_in_time(void **state)
{
    struct place *p = *state;
    struct outbox *o = open_box(p->path), *other;
    char *large = memory_new(300001);
    struct stat st;

    memset(large, '1', 300000);
    large[snprintf(large, 300001, "{\"token\":\"7\",\"result\":")] = '1';
    large[299999] = '}';
    large[300000] = '\0';
    for (int i = 0; i < 10; i++)
        assert_int_equal(outbox_add(o, str_of(large)), 0);
    assert_int_equal(outbox_drop(o, 8), 0);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_size, 2 * 300001);
    assert_int_equal(outbox_new(p->path, &other), OUTBOX_E_BUSY);
    outbox_free(o);
    o = open_box(p->path);
    assert_int_equal(outbox_count(o), 2);
    outbox_free(o);
    free(large);
}

/* A limit on the size of files stands in for the disk's. */
static void a_full_disk_loses_nothing(void **state)
{
    struct place *p = *state;
    struct outbox *o = open_box(p->path);
    struct rlimit before, small;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 20, .rlim_max = before.rlim_max};
    assert_int_equal(outbox_add(o, line(&p->arena, 1)), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(outbox_add(o, line(&p->arena, 2)), -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(outbox_count(o), 2);
    assert_int_equal(outbox_add(o, line(&p->arena, 3)), 0);
    outbox_free(o);
    o = open_box(p->path);
    assert_int_equal(outbox_count(o), 2);
    assert_true(str_eq(outbox_at(o, 1), line(&p->arena, 3)));
    outbox_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_oldest_come_first_however_many_there_are, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(it_survives_its_process, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_that_was_cut_spoils_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_delivered_is_written_away_in_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_loses_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
