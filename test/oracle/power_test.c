/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power goes, at every point of a load on SQLite.
 *
 * A history runs on a file, with checkpoints and new starts between, and everything that is done to
 * the files is recorded. Then, for each point of the recording, the files are made as the disk may
 * have them: all that was synced, and of what was written since then nothing, everything, a
 * beginning, or any sectors of it in any order. From each such copy the store must open clean and
 * hold exactly what was acknowledged before that point; the request that was under way is there as
 * a whole or not at all.
 *
 * WEFT_HISTORIES says how many histories are cut, and WEFT_SEED which is the first.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/prng.h"
#include "dump.h"
#include "expected.h"
#include "store/disk_testing.h"

#define STEPS            30
#define CHECKPOINT_EVERY 4 /* steps */
#define START_EVERY      11
#define SEED             5
#define HISTORIES        2
#define SECTOR_BYTES     512
#define INDEX_BYTES      32768

/* What the disk may have of that which was not synced. */
#define SURVIVALS(X)        X(NOTHING) X(EVERYTHING) X(BEGINNING) X(ANYTHING)
#define SURVIVAL_ENUM(name) name,
enum survival { SURVIVALS(SURVIVAL_ENUM) SURVIVAL_N };
#define SURVIVAL_TEXT(name) #name,
#define ALL_WAYS            ((1u << SURVIVAL_N) - 1)
static const char *const survival_texts[] = {SURVIVALS(SURVIVAL_TEXT)};

/* A file as the disk has it for certain, and what may have come to it since. */
struct image {
    const char *end; /* of its name */
    bool there;      /* its name is on the disk */
    char *bytes;
    size_t n, max;
    const struct disk_step **since;
    size_t since_n, since_max;
    char *before; /* the file of this name that was deleted, which may be there again */
    size_t before_n;
};

struct cut {
    struct store_testing *place;
    struct store_testing copy; /* the place of the files after the cut */
    struct expected expected;
    struct subject store;
    struct disk_tape tape;
    size_t done[STEPS + 1]; /* so much was recorded when the step was acknowledged */
    struct image images[3];
    bool syncs_count; /* false: the disk lies */
    struct prng prng;
    struct arena a;
    int64_t cuts, lost;
};

/* --- recording --- */

static void open_store(struct cut *c)
{
    c->store.store = store_testing_open(c->place, STORE_WRITE);
    c->store.tx.store = c->store.store;
}

/* Between steps: pages go into the file, the log begins anew, or everything is closed. */
static void disturb(struct cut *c, size_t step)
{
    static const char *const kinds[] = {"PASSIVE", "RESTART", "TRUNCATE"};

    if (step % START_EVERY == 0) {
        c->store.store = store_free(c->store.store);
        open_store(c);
    }
    if (step % CHECKPOINT_EVERY == 0)
        store_testing_sql(c->place, str_printf(&c->a, "PRAGMA wal_checkpoint(%s)",
                                               kinds[step / CHECKPOINT_EVERY % ROWS_N(kinds)])
                                        .p);
}

static void record(struct cut *c, uint64_t seed)
{
    struct str fault;

    expected_make(&c->expected, seed, STEPS);
    disk_testing_record(&c->tape);
    open_store(c);
    c->done[0] = c->tape.n;
    for (size_t i = 0; i < STEPS; i++) {
        const struct step *step = &c->expected.h.steps[i];
        struct str *replies = ARENA_ARRAY(&c->a, struct str, step->n);

        if (!subject_step(&c->store, step, &c->a, replies, &fault))
            fail_msg("step %zu: " STR_FMT, i + 1, STR_ARG(fault));
        c->done[i + 1] = c->tape.n;
        disturb(c, i + 1);
    }
    c->store.store = store_free(c->store.store);
    disk_testing_record(NULL);
}

/* --- the disk --- */

static void image_clear(struct image *m)
{
    free(m->bytes);
    free(m->before);
    free(m->since);
    *m = (struct image){.end = m->end};
}

static void room(char **bytes, size_t *max, size_t n)
{
    if (n <= *max)
        return;
    *bytes = memory_grow(*bytes, n * 2);
    memset(*bytes + *max, 0, n * 2 - *max);
    *max = n * 2;
}

static void put(struct image *m, size_t at, const char *bytes, size_t n)
{
    if (n == 0)
        return;
    room(&m->bytes, &m->max, at + n);
    memcpy(m->bytes + at, bytes, n);
    if (at + n > m->n)
        m->n = at + n;
}

static void cut_short(struct image *m, size_t n)
{
    room(&m->bytes, &m->max, n);
    if (n < m->n)
        memset(m->bytes + n, 0, m->n - n);
    m->n = n;
}

static void apply(struct image *m, const struct disk_step *s)
{
    if (s->call == DISK_TRUNCATE)
        cut_short(m, (size_t)s->at);
    else
        put(m, (size_t)s->at, s->bytes, s->n);
}

/* With the first sync of a new file SQLite syncs the folder, too: what was deleted is gone. */
static void sync_image(struct cut *c, struct image *m)
{
    for (size_t i = 0; i < m->since_n; i++)
        apply(m, m->since[i]);
    m->since_n = 0;
    for (size_t i = 0; !m->there && i < ROWS_N(c->images); i++) {
        free(c->images[i].before);
        c->images[i].before = NULL;
    }
    m->there = true;
}

/* Its name goes, and until the folder is synced the file may come back under it. */
static void delete_image(struct image *m, bool synced)
{
    char *before = synced || !m->there ? NULL : TAKE(m->bytes);
    size_t n = m->n;

    image_clear(m);
    m->before = before;
    m->before_n = n;
}

static struct image *image_of(struct cut *c, const char *path)
{
    size_t n = strlen(c->place->path);

    if (strncmp(path, c->place->path, n) != 0)
        return NULL;
    for (size_t i = 0; i < ROWS_N(c->images); i++)
        if (strcmp(path + n, c->images[i].end) == 0)
            return &c->images[i];
    return NULL;
}

/* One step further. */
static void play(struct cut *c, const struct disk_step *s)
{
    struct image *m = image_of(c, s->path);

    if (!m)
        return;
    if (s->call == DISK_SYNC && c->syncs_count) {
        sync_image(c, m);
    } else if (s->call == DISK_DELETE) {
        delete_image(m, s->at && c->syncs_count);
    } else if (s->call != DISK_SYNC) {
        if (m->since_n == m->since_max) {
            m->since_max = m->since_max ? m->since_max * 2 : 64;
            m->since = memory_grow(m->since, m->since_max * sizeof(*m->since));
        }
        m->since[m->since_n++] = s;
    }
}

static bool toss(struct cut *c)
{
    return prng_below(&c->prng, 2);
}

/* Some sectors of a write. */
static void apply_torn(struct cut *c, struct image *m, const struct disk_step *s)
{
    size_t n;

    if (s->call == DISK_TRUNCATE) {
        if (toss(c))
            apply(m, s);
        return;
    }
    for (size_t i = 0; i < s->n; i += n) {
        size_t at = (size_t)s->at + i;

        n = SECTOR_BYTES - at % SECTOR_BYTES;
        if (n > s->n - i)
            n = s->n - i;
        if (toss(c))
            put(m, at, s->bytes + i, n);
    }
}

/* The file as it may be after the cut; false where it is not there. */
static bool survive(struct cut *c, const struct image *m, enum survival how, struct image *ret)
{
    size_t n = how == NOTHING     ? 0
               : how == BEGINNING ? prng_below(&c->prng, m->since_n + 1)
                                  : m->since_n;

    *ret = (struct image){0};
    if (!m->there && m->before && (how == NOTHING || toss(c))) {
        put(ret, 0, m->before, m->before_n);
        return true;
    }
    if (!m->there && (how == NOTHING || m->since_n == 0 || (how == ANYTHING && toss(c))))
        return false;
    put(ret, 0, m->bytes, m->n);
    for (size_t i = 0; i < n; i++) {
        if (how == ANYTHING)
            apply_torn(c, ret, m->since[i]);
        else
            apply(ret, m->since[i]);
    }
    if (how == BEGINNING && n < m->since_n)
        apply_torn(c, ret, m->since[n]);
    return true;
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_true(n == 0 || write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

/* The files of the copy. The log's index, which is never synced, is rubbish or not there. */
static void write_files(struct cut *c, enum survival how)
{
    const char *index = str_printf(&c->a, "%s-shm", c->copy.path).p;

    for (size_t i = 0; i < ROWS_N(c->images); i++) {
        const char *path = str_printf(&c->a, "%s%s", c->copy.path, c->images[i].end).p;
        struct image m;

        unlink(path);
        if (survive(c, &c->images[i], how, &m))
            write_file(path, m.bytes ? m.bytes : "", m.n);
        image_clear(&m);
    }
    unlink(index);
    if (toss(c)) {
        char *rubbish = arena_alloc(&c->a, INDEX_BYTES);

        for (size_t i = 0; i < INDEX_BYTES; i++)
            rubbish[i] = (char)prng_next(&c->prng);
        write_file(index, rubbish, INDEX_BYTES);
    }
}

/* --- after the cut --- */

static size_t acknowledged(const struct cut *c, size_t at)
{
    size_t k = 0;

    while (k < STEPS && c->done[k + 1] <= at)
        k++;
    return k;
}

/* How the copy is wrong; the empty text where it is right. */
static struct str judge(struct cut *c, size_t at)
{
    const struct store_options o = {.url = str_of(c->copy.url), .mode = STORE_WRITE};
    const struct expected_step *steps = c->expected.steps;
    size_t k = acknowledged(c, at);
    struct subject found = {.place = &c->copy};
    struct str dump, want_line, have_line, wrong = STR("");
    int r = store_open(&o, &found.store);

    if (r) {
        wrong = str_printf(&c->a, "it does not open: " STR_FMT, STR_ARG(store_error(found.store)));
        store_free(found.store);
        return wrong;
    }
    dump = subject_dump(&found, &c->a);
    if (!str_eq(dump, steps[k].dump) && !(k < STEPS && str_eq(dump, steps[k + 1].dump))) {
        dump_differ(steps[k].dump, dump, &want_line, &have_line);
        wrong = str_printf(&c->a, "after %zu steps\n  expected " STR_FMT "\n  given    " STR_FMT, k,
                           STR_ARG(want_line), STR_ARG(have_line));
    }
    store_free(found.store);
    if (strcmp(store_testing_sql(&c->copy, "PRAGMA integrity_check"), "ok") != 0)
        wrong = STR("the file is damaged");
    return wrong;
}

static void cut_here(struct cut *c, size_t at, enum survival how)
{
    struct str wrong;

    write_files(c, how);
    wrong = judge(c, at);
    c->cuts++;
    c->lost += wrong.n > 0;
    if (wrong.n && c->syncs_count)
        fail_msg("seed %" PRIu64 ", the power goes before %zu of %zu, %s of what was not synced "
                 "survives: " STR_FMT,
                 c->expected.h.seed, at, c->tape.n, survival_texts[how], STR_ARG(wrong));
    arena_reset(&c->a);
    arena_reset(&c->copy.a);
}

static void cut_everywhere(struct cut *c, unsigned ways)
{
    for (size_t i = 0; i < ROWS_N(c->images); i++)
        image_clear(&c->images[i]);
    c->images[0].there = true; /* the file itself is made before SQLite sees it */
    for (size_t at = 0; at <= c->tape.n; at++) {
        for (int how = 0; how < SURVIVAL_N; how++)
            if (ways >> how & 1)
                cut_here(c, at, (enum survival)how);
        if (at < c->tape.n)
            play(c, &c->tape.steps[at]);
    }
}

static void begin(struct cut *c, struct store_testing *place, uint64_t seed)
{
    *c = (struct cut){
        .place = place,
        .copy = *place,
        .images = {{.end = ""}, {.end = "-wal"}, {.end = "-journal"}},
        .syncs_count = true,
    };
    c->copy.a = (struct arena){0};
    c->copy.path = str_printf(&place->a, "%s/cut.db", place->folder).p;
    c->copy.url = str_printf(&place->a, "sqlite:%s", c->copy.path).p;
    c->store.place = place;
    c->store.tx = (struct tx){.arena = &c->store.arena, .prng = &c->store.prng};
    prng_seed(&c->prng, seed);
    record(c, seed);
}

static void end(struct cut *c)
{
    for (size_t i = 0; i < ROWS_N(c->images); i++)
        image_clear(&c->images[i]);
    disk_tape_deinit(&c->tape);
    subject_deinit(&c->store);
    expected_deinit(&c->expected);
    arena_deinit(&c->copy.a);
    arena_deinit(&c->a);
    unlink(c->place->path);
}

static void what_is_acknowledged_survives_the_power(void **state)
{
    int64_t asked = expected_asked("WEFT_HISTORIES"), seed = expected_asked("WEFT_SEED");
    struct store_testing *place = store_testing(state);

    for (int64_t i = 0; i < (asked ? asked : HISTORIES); i++) {
        struct cut c;

        begin(&c, place, (uint64_t)((seed ? seed : SEED) + i));
        cut_everywhere(&c, ALL_WAYS);
        print_message("seed %" PRIu64 ": %zu points, %" PRId64 " cuts\n", c.expected.h.seed,
                      c.tape.n, c.cuts);
        end(&c);
    }
}

/* The test would notice if weft did not sync, or if the disk did not. Cuts while the store is made,
 * which are more with each migration, lose nothing that was acknowledged. */
static void a_disk_that_lies_is_found_out(void **state)
{
    struct cut c;

    begin(&c, store_testing(state), SEED);
    c.syncs_count = false;
    cut_everywhere(&c, 1u << NOTHING);
    print_message("%" PRId64 " of %" PRId64 " cuts lose something\n", c.lost, c.cuts);
    assert_true(c.lost > c.cuts / 3);
    end(&c);
}

int main(void)
{
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);

    const struct CMUnitTest tests[] = {
        STORE_TEST(what_is_acknowledged_survives_the_power, sqlite),
        STORE_TEST(a_disk_that_lies_is_found_out, sqlite),
    };

    disk_testing_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
