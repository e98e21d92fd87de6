/* SPDX-License-Identifier: Apache-2.0 */
#include "core/placement.h"
#include "engine/engine_testing.h"

#include "base/test.h"

#define S 1000000LL
#define T (1000 * S)

static struct worker_join join_of(const char *name, const char *type, const char *address)
{
    return (struct worker_join){
        .worker = {.name = str_of(name),
                   .type = str_of(type),
                   .address = str_of(address),
                   .modes = PLACEMENT_MODES_ALL,
                   .version = STR("1.2"),
                   .slots = 5,
                   .ttl_us = 100 * S}
    };
}

static struct worker_joined join(struct world *w, const char *name, const char *type,
                                 const char *address)
{
    const struct worker_join req = join_of(name, type, address);
    struct worker_joined reply;

    DO(w, worker_join(&w->tx, &req, &reply));
    return reply;
}

static struct worker_views list(struct world *w, const char *type, bool all)
{
    const struct worker_page page = {.max = 100, .type = str_of(type), .all = all};
    struct worker_views reply;

    DO(w, worker_page(&w->tx, &page, &reply));
    return reply;
}

/* D-06, D-12: what it says of itself is what is listed. */
static void it_is_listed_as_it_says(void **state)
{
    static const struct worker_label label = {
        {"zone", 4},
        {"b",    1}
    };
    struct world *w = world(state);
    struct worker_join req = join_of("r1", "build", "h:1");
    struct worker_joined reply;
    struct worker_view v;

    w->now = T;
    req.worker.metadata = (struct worker_labels){&label, 1};
    DO(w, worker_join(&w->tx, &req, &reply));
    v = list(w, "", false).list[0];
    assert_int_equal(list(w, "", false).n, 1);
    CHECK_TEXT(v.worker.name, "r1");
    CHECK_TEXT(v.type, "build");
    CHECK_TEXT(v.address, "h:1");
    CHECK_TEXT(v.version, "1.2");
    assert_true(v.modes == PLACEMENT_MODES_ALL && v.worker.slots == 5);
    assert_int_equal(v.metadata.n, 1);
    CHECK_TEXT(v.metadata.list[0].value, "b");
}

/* D-07: the same again is a new incarnation, heard of later, and the only one that is listed. */
static void the_same_again_is_one(void **state)
{
    struct world *w = world(state);
    struct worker_joined first, second;
    struct worker_views all;

    w->now = T;
    first = join(w, "r1", "build", "h:1");
    w->now += S;
    second = join(w, "r1", "build", "h:1");
    assert_true(second.reregistered &&
                second.worker.worker.incarnation > first.worker.worker.incarnation &&
                second.worker.worker.beat_at > first.worker.worker.beat_at);
    all = list(w, "", false);
    assert_int_equal(all.n, 1);
    assert_int_equal(all.list[0].worker.incarnation, second.worker.worker.incarnation);
    assert_int_equal(list(w, "", true).n, 2);
    world_healthy(w);
}

/* Another address may be another program: it has to say so, while the first one lives. */
static void another_address_is_a_takeover(void **state)
{
    struct world *w = world(state);
    struct worker_join req = join_of("r1", "build", "h:2");
    struct worker_joined reply;

    w->now = T;
    join(w, "r1", "build", "h:1");
    REFUSED(w, worker_join(&w->tx, &req, &reply), CODE_WORKER_ALIVE);
    req.worker.address = req.worker.type = STR("");
    req.worker.modes = 0;
    REFUSED(w, worker_join(&w->tx, &req, &reply), CODE_WORKER_ALIVE);
    req = join_of("r1", "build", "h:2");
    req.takeover = true;
    DO(w, worker_join(&w->tx, &req, &reply));
    assert_true(reply.reregistered);
    w->now += 50 * S; /* the first one is late by now, and nobody has to ask */
    join(w, "r1", "build", "h:1");
    /* Without an address it is as it always was. */
    req = join_of("plain", "", "");
    req.worker.modes = 0;
    DO(w, worker_join(&w->tx, &req, &reply));
    REFUSED(w, worker_join(&w->tx, &req, &reply), CODE_WORKER_ALIVE);
}

/* D-08. */
static void who_leaves_is_listed_no_more(void **state)
{
    struct world *w = world(state);
    struct worker_row row;
    int64_t id;

    w->now = T;
    id = join(w, "r1", "build", "h:1").worker.worker.incarnation;
    assert_int_equal(list(w, "build", false).n, 1);
    DO(w, worker_leave(&w->tx, &id, &row));
    assert_int_equal(list(w, "build", false).n, 0);
}

/* D-09: not even before the reaper has come by. */
static void who_is_silent_is_listed_no_more(void **state)
{
    struct world *w = world(state);

    w->now = T;
    join(w, "r1", "build", "h:1");
    w->now += 100 * S - 1;
    assert_int_equal(list(w, "build", false).n, 1);
    w->now++;
    assert_int_equal(list(w, "build", false).n, 0);
    assert_int_equal(list(w, "build", true).n, 1);
    assert_int_equal(world_reap(w).lost, 1);
    assert_int_equal(list(w, "build", false).n, 0);
}

/* D-10, D-11. */
static void types_are_told_apart(void **state)
{
    struct world *w = world(state);
    struct worker_views page;
    struct worker_page second = {.max = 2, .type = STR("build")};

    w->now = T;
    for (int i = 0; i < 3; i++)
        join(w, i == 0 ? "a" : i == 1 ? "b" : "c", "build", "h:1");
    join(w, "d", "test", "h:4");
    join(w, "e", "deploy", "h:5");
    world_join(w, 1);
    assert_int_equal(list(w, "", false).n, 6);
    assert_int_equal(list(w, "build", false).n, 3);
    assert_int_equal(list(w, "test", false).n, 1);
    assert_int_equal(list(w, "deploy", false).n, 1);
    assert_int_equal(list(w, "deploy", true).n, 1);
    assert_int_equal(list(w, "other", false).n, 0);
    DO(w, worker_page(&w->tx, &second, &page));
    assert_int_equal(page.n, 2);
    second.after = page.next;
    DO(w, worker_page(&w->tx, &second, &page));
    assert_true(page.n == 1 && page.next == 0);
}

/* D-50. */
static void what_is_no_runner(void **state)
{
    struct world *w = world(state);
    struct str longer = str_printf(&w->arena, "%0*d", (int)WORKER_ADDRESS_BYTES_MAX + 1, 7);
    const struct {
        const char *name;
        struct worker_register worker;
    } rows[] = {
  /* clang-format off */
        {"no name",           {.name = STR(""),  .type = STR("b"),    .address = STR("h:1"), .modes = 1, .slots = 1}},
        {"no type",           {.name = STR("a"), .type = STR(""),     .address = STR("h:1"), .modes = 1, .slots = 1}},
        {"modes alone",       {.name = STR("a"), .type = STR(""),     .address = STR(""),    .modes = 1, .slots = 1}},
        {"no address",        {.name = STR("a"), .type = STR("b"),    .address = STR(""),    .modes = 1, .slots = 1}},
        {"no modes",          {.name = STR("a"), .type = STR("b"),    .address = STR("h:1"), .modes = 0, .slots = 1}},
        {"modes beyond",      {.name = STR("a"), .type = STR("b"),    .address = STR("h:1"), .modes = 4, .slots = 1}},
        {"a long type",       {.name = STR("a"), .type = longer,      .address = STR("h:1"), .modes = 1, .slots = 1}},
        {"a long address",    {.name = STR("a"), .type = STR("b"),    .address = longer,     .modes = 1, .slots = 1}},
        {"a long version",    {.name = STR("a"), .type = STR("b"),    .address = STR("h:1"), .modes = 1, .slots = 1, .version = longer}},
        {"a type of no text", {.name = STR("a"), .type = STR("\xff"), .address = STR("h:1"), .modes = 1, .slots = 1}},
        {"negative slots",    {.name = STR("a"), .type = STR("b"),    .address = STR("h:1"), .modes = 1, .slots = -1}},
        {"too many slots",    {.name = STR("a"), .type = STR("b"),    .address = STR("h:1"), .modes = 1, .slots = WORKER_SLOTS_MAX + 1}},
        {"no limit, no runner", {.name = STR("a"), .slots = 0}},
  /* clang-format on */
    };

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct worker_join req = {.worker = rows[i].worker};
        struct worker_joined reply;

        w->row = rows[i].name;
        req.worker.ttl_us = 100 * S;
        REFUSED(w, worker_join(&w->tx, &req, &reply), CODE_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(it_is_listed_as_it_says),
        ENGINE_TESTS(the_same_again_is_one),
        ENGINE_TESTS(another_address_is_a_takeover),
        ENGINE_TESTS(who_leaves_is_listed_no_more),
        ENGINE_TESTS(who_is_silent_is_listed_no_more),
        ENGINE_TESTS(types_are_told_apart),
        ENGINE_TESTS(what_is_no_runner),
    };

    return ENGINE_MAIN(tests);
}
