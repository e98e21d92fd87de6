/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/test.h"

static int stderr_before;
static int file;

/* stderr is a file for the time of a test. */
static int catch (void **state)
{
    (void)state;
    stderr_before = dup(STDERR_FILENO);
    file = open("/tmp", O_RDWR | O_TMPFILE | O_APPEND, 0600);
    return stderr_before < 0 || file < 0 || dup2(file, STDERR_FILENO) < 0;
}

static int let_go(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_PLAIN);
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    return close(file);
}

/* All that was logged since the last look. */
static struct str caught(struct arena *a)
{
    static char text[1 << 21];
    ssize_t n = pread(file, text, sizeof(text), 0);

    assert_true(n >= 0 && (size_t)n < sizeof(text));
    assert_int_equal(ftruncate(file, 0), 0);
    return str_copy(a, (struct str){text, (size_t)n});
}

/* One line, without its time, which must be one. */
static struct str caught_line(struct arena *a, size_t time_at)
{
    struct str s = caught(a);
    int64_t at;
    size_t end;

    assert_true(clock_parse(str_sub(s, time_at, CLOCK_TEXT_BYTES - 1), &at));
    assert_true(str_find(s, '\n', &end) && end == s.n - 1);
    return str_sub(s, time_at + CLOCK_TEXT_BYTES - 1, s.n - time_at - CLOCK_TEXT_BYTES);
}

#define PLAIN_TIME_AT 0
#define JSON_TIME_AT  7 /* behind {"at":" */

static void plain_lines(void **state)
{
    struct arena a = {0};

    (void)state;
    log_setup(LOG_DEBUG, LOG_PLAIN);
    log_say(LOG_WARNING, "lease_lost", LOG_NUMBER("task", 5), LOG_TEXT("worker", STR("w-1")));
    CHECK_TEXT(caught_line(&a, PLAIN_TIME_AT), " warning lease_lost task=5 worker=w-1");
    log_say(LOG_DEBUG, "nothing");
    CHECK_TEXT(caught_line(&a, PLAIN_TIME_AT), " debug nothing");
    log_say(LOG_ERROR, "x", LOG_TEXT("empty", (struct str){0}), LOG_NUMBER("n", INT64_MIN));
    CHECK_TEXT(caught_line(&a, PLAIN_TIME_AT), " error x empty=\"\" n=-9223372036854775808");
    arena_deinit(&a);
}

static void json_lines(void **state)
{
    struct arena a = {0};

    (void)state;
    log_setup(LOG_INFO, LOG_JSON);
    log_say(LOG_INFO, "lease_lost", LOG_NUMBER("task", -5), LOG_TEXT("worker", STR("w\n\"1\"")));
    CHECK_TEXT(
        caught_line(&a, JSON_TIME_AT),
        "\",\"level\":\"info\",\"event\":\"lease_lost\",\"task\":-5,\"worker\":\"w\\n\\\"1\\\"\"}");
    log_say(LOG_ERROR, "nothing");
    CHECK_TEXT(caught_line(&a, JSON_TIME_AT), "\",\"level\":\"error\",\"event\":\"nothing\"}");
    arena_deinit(&a);
}

/* Text of others neither begins a line, nor a field, nor speaks to the terminal. */
static void hostile_text_stays_in_its_field(void **state)
{
    static const struct {
        struct str given;
        const char *expected;
    } rows[] = {
        {{"a b", 3},     " info e t=\"a b\""         },
        {{"a=b", 3},     " info e t=\"a=b\""         },
        {{"a\nb", 3},    " info e t=\"a\\nb\""       },
        {{"a\"b", 3},    " info e t=\"a\\\"b\""      },
        {{"\x1b[2J", 4}, " info e t=\"\\u001b[2J\""  },
        {{"\xc2\x9b"
          "2J",
          4},
         " info e t=\"\\u009b2J\""                   },
        {{"a\0b", 3},    " info e t=\"a\\u0000b\""   },
        {{"\xff", 1},    " info e t=\"\xef\xbf\xbd\""},
        {{"é", 2},      " info e t=\"é\""          },
        {{"C:\\x", 4},   " info e t=\"C:\\\\x\""     },
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        log_say(LOG_INFO, "e", LOG_TEXT("t", rows[i].given));
        CHECK_TEXT(caught_line(&a, PLAIN_TIME_AT), rows[i].expected);
    }
    arena_deinit(&a);
}

static void levels_below_the_least_are_silent(void **state)
{
    struct arena a = {0};

    (void)state;
    for (int least = LOG_DEBUG; least <= LOG_ERROR; least++) {
        log_setup((enum log_level)least, LOG_PLAIN);
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
            log_say((enum log_level)level, "e");
            assert_int_equal(caught(&a).n > 0, level >= least);
        }
    }
    arena_deinit(&a);
}

static void long_texts_are_cut_between_characters(void **state)
{
    struct arena a = {0};
    static const char euro[3] = {'\xe2', '\x82', '\xac'};
    char text[3 * 2000];
    struct str line;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i += 3)
        memcpy(text + i, euro, sizeof(euro));
    log_setup(LOG_INFO, LOG_JSON);
    log_say(LOG_INFO, "e", LOG_TEXT("t", ((struct str){text, sizeof(text)})));
    line = caught_line(&a, JSON_TIME_AT);
    assert_true(str_utf8(line, NULL));
    assert_true(str_ends(line, STR("€\"}")));
    assert_in_range(line.n, 4090, 4096 + 60);
    arena_deinit(&a);
}

static void a_long_line_leaves_fields_out_and_says_so(void **state)
{
    struct arena a = {0};
    struct log_field fields[12];
    char text[4000];
    struct str line;

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < ROWS_N(fields); i++)
        fields[i] = LOG_TEXT("t", ((struct str){text, sizeof(text)}));
    log_setup(LOG_INFO, LOG_JSON);
    log_fields(LOG_INFO, "e", fields, ROWS_N(fields));
    line = caught_line(&a, JSON_TIME_AT);
    assert_true(str_ends(line, STR("x\",\"cut\":true}")));
    assert_in_range(line.n, 16000, 16384);
    log_setup(LOG_INFO, LOG_PLAIN);
    log_fields(LOG_INFO, "e", fields, ROWS_N(fields));
    assert_true(str_ends(caught_line(&a, PLAIN_TIME_AT), STR("x …")));
    /* control characters take six bytes each: one field alone is too long for a line */
    memset(text, 1, sizeof(text));
    log_say(LOG_INFO, "e", LOG_TEXT("t", ((struct str){text, sizeof(text)})));
    CHECK_TEXT(caught_line(&a, PLAIN_TIME_AT), " info e …");
    arena_deinit(&a);
}

enum { THREADS = 8, LINES = 200 };

static void *talk(void *arg)
{
    char text[1000];

    memset(text, 'a' + *(int *)arg, sizeof(text));
    for (int i = 0; i < LINES; i++)
        log_say(LOG_INFO, "e", LOG_TEXT("t", ((struct str){text, sizeof(text)})));
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    struct arena a = {0};
    pthread_t threads[THREADS];
    int numbers[THREADS], counts[THREADS] = {0};
    struct str s;
    size_t end;

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, talk, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (s = caught(&a); str_find(s, '\n', &end); s = str_sub(s, end + 1, s.n)) {
        struct str text = str_sub(s, CLOCK_TEXT_BYTES - 1 + strlen(" info e t="), 1000);

        assert_int_equal(end, CLOCK_TEXT_BYTES - 1 + strlen(" info e t=") + 1000);
        for (size_t i = 0; i < text.n; i++)
            assert_int_equal(text.p[i], text.p[0]);
        counts[text.p[0] - 'a']++;
    }
    assert_int_equal(s.n, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(counts[i], LINES);
    arena_deinit(&a);
}

/* A pipe that takes little at a time and never blocks its writer. */
struct reader {
    int fd;
    size_t n;
};

static void *drain(void *arg)
{
    struct reader *reader = arg;
    static char seen[1 << 20];

    for (ssize_t r; (r = read(reader->fd, seen + reader->n, 100)) > 0;)
        reader->n += (size_t)r;
    return NULL;
}

static void a_slow_reader_gets_every_byte(void **state)
{
    int fds[2];
    pthread_t thread;
    struct reader reader = {0};

    (void)state;
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, 0), 0);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    reader.fd = fds[0];
    assert_int_equal(pthread_create(&thread, NULL, drain, &reader), 0);
    talk(&(int){0});
    dup2(file, STDERR_FILENO); /* the last writer: the reader sees the end */
    pthread_join(thread, NULL);
    assert_int_equal(reader.n, LINES * (CLOCK_TEXT_BYTES + strlen(" info e t=") + 1000));
    close(fds[0]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, catch, let_go)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(plain_lines),
        CASE(json_lines),
        CASE(hostile_text_stays_in_its_field),
        CASE(levels_below_the_least_are_silent),
        CASE(long_texts_are_cut_between_characters),
        CASE(a_long_line_leaves_fields_out_and_says_so),
        CASE(lines_of_threads_do_not_mix),
        CASE(a_slow_reader_gets_every_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
