/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sdk_c: what sdk_c_test.py has a program do with libweft. It knows the library's header alone.
 *
 *     sdk_c SCENARIO [ARGUMENT]      the server is WEFT_SERVER; prints one line, or a few
 */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/weft.h"

#define PATIENCE_MS 30000
#define JSON(text)  (text), strlen(text)

static struct weft_error error;

static void must(int r)
{
    if (r) {
        fprintf(stderr, "%d %s: %s\n", r, error.code, error.text);
        abort();
    }
}

static struct weft *open_client(void)
{
    struct weft *w;

    must(weft_open(NULL, NULL, &w, &error));
    return w;
}

static void log_line(void *context, const char *text)
{
    fprintf(stderr, "%s: %s\n", (const char *)context, text);
}

static struct weft_worker *start(struct weft *w, const char *name, int64_t ttl_ms,
                                 const char *outbox, int takeover)
{
    const struct weft_worker_options o = {
        .name = name,
        .ttl_ms = ttl_ms,
        .outbox = outbox,
        .takeover = takeover,
        .labels = JSON("{\"zone\":\"a\"}"),
        .log = log_line,
        .log_context = "worker",
    };
    struct weft_worker *worker;

    must(weft_worker_start(w, &o, &worker, &error));
    return worker;
}

static void end(struct weft *w, struct weft_worker *worker)
{
    weft_worker_close(worker, PATIENCE_MS);
    weft_close(w);
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* The test has done its part. */
static void wait_for_line(void)
{
    char line[16];

    if (!fgets(line, sizeof(line), stdin))
        abort();
}

static void pause_ms(long ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* Scenarios. */

static void life(const char *argument)
{
    struct weft *w = open_client();
    const struct weft_task tasks[] = {
        {.payload = JSON("{\"n\": 1e400}\n"),               .key = "k \"1\""},
        {.payload = JSON("123456789012345678901234567890"), .priority = 5   },
        {.unique_key = "u",                                 .delay_ms = 1   },
    };
    struct weft_id ids[3];
    struct weft_worker *worker;
    struct weft_lease *leases[10];
    size_t n = 0;

    (void)argument;
    must(weft_enqueue(w, "mail box", tasks, 3, ids, &error));
    worker = start(w, "w1", 0, NULL, 0);
    while (n < 3) {
        size_t more;

        must(weft_worker_claim(worker, "mail box", 10, 5000, leases + n, &more, &error));
        n += more;
    }
    for (size_t i = 0; i < n; i++) {
        const char *payload = weft_lease_payload(leases[i], NULL);

        assert(weft_lease_attempt(leases[i]) == 1 &&
               strcmp(weft_lease_queue(leases[i]), "mail box") == 0);
        must(weft_lease_progress(leases[i], 50, "half of it", &error));
        must(weft_lease_complete(leases[i], payload, strlen(payload), &error));
        say("%s|%s", payload, weft_lease_key(leases[i]));
        assert(weft_lease_complete(leases[i], "1", 1, &error) == WEFT_INVALID);
        weft_lease_free(leases[i]);
    }
    must(weft_worker_drain(worker, PATIENCE_MS, &error));
    for (size_t i = 0; i < 3; i++)
        say("%s", ids[i].text);
    end(w, worker);
}

static int too_much(void *context, struct weft_lease *lease)
{
    size_t n;
    const char *payload = weft_lease_payload(lease, &n);

    (void)context;
    assert(strlen(payload) == n);
    if (payload[0] == '3')
        return 7;
    if (payload[0] > '3')
        return weft_lease_fail(lease, "TooMuch", "it is too much", NULL);
    return weft_lease_complete(lease, payload, n, NULL);
}

static void say_summary(const struct weft_summary *s)
{
    say("%zu %zu %zu %.2f %zu %s", s->claimed, s->succeeded, s->failed, s->success_rate_percent,
        s->error_count, s->errors[0].text);
}

static void flow(const char *argument)
{
    struct weft *w = open_client();
    const struct weft_task tasks[] = {
        {.payload = JSON("1")}, {.payload = JSON("2")}, {.payload = JSON("3")},
        {.payload = JSON("4")}, {.payload = JSON("2")},
    };
    struct weft_worker *worker = start(w, NULL, 0, NULL, 0);
    struct weft_summary s;

    (void)argument;
    must(weft_put_queue(w, "records", JSON("{\"retry\":{\"max_attempts\":1}}"), &error));
    must(weft_worker_flow(worker, "records", 100, too_much, NULL, PATIENCE_MS, &s, &error));
    say_summary(&s);
    must(weft_enqueue(w, "records", tasks, 5, NULL, &error));
    must(weft_worker_flow(worker, "records", 100, too_much, NULL, PATIENCE_MS, &s, &error));
    say_summary(&s);
    end(w, worker);
}

/* The text of the failure is the argument, many times over. */
static void failure(const char *argument)
{
    struct weft *w = open_client();
    struct weft_worker *worker = start(w, NULL, 0, NULL, 0);
    struct weft_lease *lease;
    char *text = calloc(1000, strlen(argument) + 1);
    size_t n;

    for (size_t i = 0; i < 1000; i++)
        memcpy(text + i * strlen(argument), argument, strlen(argument));
    must(weft_worker_claim(worker, "mail", 1, 0, &lease, &n, &error));
    assert(n == 1);
    must(weft_lease_fail(lease, "odd", text, &error));
    weft_lease_free(lease);
    free(text);
    must(weft_worker_drain(worker, PATIENCE_MS, &error));
    say("failed");
    wait_for_line(); /* it is requeued */
    must(weft_worker_claim(worker, "mail", 1, 0, &lease, &n, &error));
    assert(n == 1 && weft_lease_attempt(lease) == 2);
    must(weft_lease_complete(lease, NULL, 0, &error));
    weft_lease_free(lease);
    end(w, worker);
}

static void guest(const char *argument)
{
    struct weft *w = open_client();
    const struct weft_task tasks[] = {{.payload = JSON("1")}, {.payload = JSON("2")}};
    struct weft_lease *leases[2];
    struct weft_item items[2];
    struct weft_end ends[2] = {
        {.outcome = "succeeded", .result = JSON("[1.10]")},
        {.outcome = "succeeded"                     }
    };
    const char *token;
    size_t n;

    (void)argument;
    must(weft_enqueue(w, "mail", tasks, 2, NULL, &error));
    must(weft_claim(w, "mail", "guest", 2, 0, 60000, leases, &n, &error));
    assert(n == 2);
    assert(weft_lease_complete(leases[0], NULL, 0, &error) == WEFT_INVALID);
    ends[0].token = weft_lease_token(leases[0]);
    ends[1].token = "999999999";
    must(weft_complete(w, ends, 2, items, &error));
    say("%s %s", items[0].code, items[1].code);
    token = weft_lease_token(leases[1]);
    must(weft_release(w, &token, 1, items, &error));
    say("%s", items[0].code);
    weft_lease_free(leases[0]);
    weft_lease_free(leases[1]);
    weft_close(w);
}

/* The argument is a method, the line a request. */
static void call(const char *argument)
{
    struct weft *w = open_client();
    char line[4096], *reply;
    size_t n;
    int r;

    if (!fgets(line, sizeof(line), stdin))
        abort();
    r = weft_call(w, argument, JSON(line), &reply, &n, &error);
    if (r) {
        say("%d %s", r, error.code);
    } else {
        assert(strlen(reply) == n);
        say("%s", reply);
        weft_free(reply);
    }
    weft_close(w);
}

/* Nothing is listening: no call reaches a server. */
static void bad(const char *argument)
{
    const struct weft_task none = {0}, broken = {.payload = JSON("{\"a\":}")},
                           negative = {.delay_ms = -1};
    const struct weft_worker_options names = {.name = ""}, ttl = {.ttl_ms = 1},
                                     labels = {.labels = JSON("[]")},
                                     folder = {.outbox = "/nowhere/outbox"};
    struct weft_lease *lease;
    struct weft_worker *worker;
    struct weft *w;
    size_t n;

    (void)argument;
    assert(weft_open("mail.example.org", NULL, &w, &error) == WEFT_INVALID);
    assert(weft_open("http://127.0.0.1:9", &(struct weft_options){.tries = 9999}, &w, NULL) ==
           WEFT_INVALID);
    must(weft_open("http://127.0.0.1:9/", &(struct weft_options){.tries = 1}, &w, &error));
    for (size_t i = 0; i < 3; i++) {
        static const char *const queues[] = {NULL, "", " \t"};

        assert(weft_enqueue(w, queues[i], &none, 1, NULL, &error) == WEFT_INVALID);
        assert(weft_claim(w, queues[i], "w", 1, 0, 0, &lease, &n, &error) == WEFT_INVALID);
        assert(weft_put_queue(w, queues[i], JSON("{}"), &error) == WEFT_INVALID);
    }
    assert(weft_enqueue(w, "q", &none, 0, NULL, &error) == WEFT_INVALID);
    assert(weft_enqueue(w, "q", &none, 10001, NULL, &error) == WEFT_INVALID);
    assert(weft_enqueue(w, "q", &negative, 1, NULL, &error) == WEFT_INVALID);
    assert(weft_enqueue(w, "q", &broken, 1, NULL, &error) == WEFT_INVALID);
    assert(strstr(error.text, "byte 6"));
    assert(weft_claim(w, "q", "", 1, 0, 0, &lease, &n, &error) == WEFT_INVALID);
    assert(weft_claim(w, "q", "w", 0, 0, 0, &lease, &n, &error) == WEFT_INVALID);
    assert(weft_claim(w, "q", "w", 1, 60001, 0, &lease, &n, &error) == WEFT_INVALID);
    assert(weft_complete(w, NULL, 0, NULL, &error) == WEFT_INVALID);
    assert(weft_complete(w, &(struct weft_end){0}, 1, NULL, &error) == WEFT_INVALID);
    assert(weft_put_queue(w, "q", JSON("[]"), &error) == WEFT_INVALID);
    assert(weft_call(w, "queues.gett", NULL, 0, NULL, NULL, &error) == WEFT_INVALID);
    assert(weft_call(w, "runs.watch", NULL, 0, NULL, NULL, &error) == WEFT_INVALID);
    assert(weft_call(w, "queues.get", JSON("[]"), NULL, NULL, &error) == WEFT_INVALID);
    assert(weft_call(w, "queues.get", JSON("{"), NULL, NULL, &error) == WEFT_INVALID);
    assert(weft_call(w, "queues.get", JSON("{}"), NULL, NULL, &error) == WEFT_INVALID);
    assert(weft_worker_start(w, &names, &worker, &error) == WEFT_INVALID);
    assert(weft_worker_start(w, &ttl, &worker, &error) == WEFT_INVALID);
    assert(weft_worker_start(w, &labels, &worker, &error) == WEFT_INVALID);
    assert(weft_worker_start(w, &folder, &worker, &error) == WEFT_INVALID);
    say("%s", error.code);
    weft_close(w);
    weft_close(NULL);
    weft_worker_close(NULL, 0);
    weft_lease_free(NULL);
}

/* Nobody is there. */
static void away(const char *argument)
{
    struct weft *w;
    struct weft_worker *worker;

    (void)argument;
    must(weft_open(NULL, &(struct weft_options){.tries = 3}, &w, &error));
    say("%d", weft_call(w, "status.get", NULL, 0, NULL, NULL, &error));
    say("%s", error.code);
    say("%d", weft_worker_start(w, NULL, &worker, &error));
    say("%d", weft_call(w, "status.get", NULL, 0, NULL, NULL, &error));
    say("%s", error.code);
    weft_close(w);
}

/* It holds two tasks while the server goes and comes again. */
static void outage(const char *argument)
{
    struct weft *w = open_client();
    struct weft_worker *worker = start(w, "w1", 10000, argument, 0);
    struct weft_lease *leases[2];
    size_t n;

    must(weft_worker_claim(worker, "mail", 2, 0, leases, &n, &error));
    assert(n == 2);
    say("claimed");
    wait_for_line();
    for (size_t i = 0; i < n; i++) {
        must(weft_lease_complete(leases[i], NULL, 0, &error));
        weft_lease_free(leases[i]);
    }
    say("ended");
    must(weft_worker_drain(worker, PATIENCE_MS, &error));
    say("reported");
    wait_for_line();
    end(w, worker);
}

/* It ends a task, and dies before anybody hears of it. */
static void die(const char *argument)
{
    struct weft *w = open_client();
    struct weft_worker *worker = start(w, "w1", 60000, argument, 0);
    struct weft_lease *lease;
    size_t n;

    must(weft_worker_claim(worker, "mail", 1, 0, &lease, &n, &error));
    assert(n == 1);
    say("claimed");
    wait_for_line();
    must(weft_lease_complete(lease, JSON("7"), &error));
    _Exit(0);
}

static void takeover(const char *argument)
{
    struct weft *w = open_client();
    struct weft_worker *worker = start(w, "w1", 0, argument, 1), *other;

    must(weft_worker_drain(worker, PATIENCE_MS, &error));
    say("reported");
    assert(weft_worker_start(w, &(struct weft_worker_options){.name = "w1"}, &other, &error) ==
           WEFT_REFUSED);
    say("%s", error.code);
    assert(weft_worker_start(w, &(struct weft_worker_options){.name = "w2", .outbox = argument},
                             &other, &error) == (argument ? WEFT_INVALID : WEFT_OK));
    end(w, worker);
}

/* One task is cancelled while it is worked on; the other is given back. */
static void cancelled(const char *argument)
{
    struct weft *w = open_client();
    struct weft_worker *worker = start(w, "w1", 1000, NULL, 0);
    struct weft_lease *leases[2];
    size_t n;

    (void)argument;
    must(weft_worker_claim(worker, "mail", 2, 0, leases, &n, &error));
    assert(n == 2);
    say("%s", weft_lease_id(leases[0]));
    while (!weft_lease_stop_asked(leases[0]))
        pause_ms(10);
    assert(!weft_lease_lost(leases[0]));
    must(weft_lease_cancelled(leases[0], NULL, &error));
    must(weft_worker_drain(worker, PATIENCE_MS, &error));
    weft_lease_free(leases[0]);
    weft_worker_close(worker, PATIENCE_MS);
    assert(weft_lease_complete(leases[1], NULL, 0, &error) == WEFT_INVALID);
    weft_lease_free(leases[1]);
    say("closed");
    weft_close(w);
}

/* Somebody takes its name; what it held is lost, and it goes on as a new incarnation. */
static void lost(const char *argument)
{
    struct weft *w = open_client();
    struct weft_worker *worker = start(w, "w1", 1000, NULL, 0);
    struct weft_lease *lease;
    size_t n;

    (void)argument;
    must(weft_worker_claim(worker, "mail", 1, 0, &lease, &n, &error));
    assert(n == 1);
    say("claimed");
    while (!weft_lease_lost(lease))
        pause_ms(10);
    assert(weft_lease_stop_asked(lease));
    say("%d %s", weft_lease_complete(lease, NULL, 0, &error), error.code);
    weft_lease_free(lease);
    must(weft_worker_claim(worker, "mail", 1, 5000, &lease, &n, &error));
    assert(n == 1);
    must(weft_lease_complete(lease, NULL, 0, &error));
    weft_lease_free(lease);
    end(w, worker);
}

/* Many threads and workers. */

#define CROWD 10

static int take_and_give(void *context, struct weft_lease *lease)
{
    (void)context;
    return weft_lease_complete(lease, weft_lease_token(lease), strlen(weft_lease_token(lease)),
                               NULL);
}

static void *crowd_one(void *context)
{
    struct weft_worker *worker = context;

    must(weft_worker_run(worker, "mail", &(struct weft_run_options){.batch = 3, .until_empty = 1},
                         take_and_give, NULL, NULL));
    return NULL;
}

/* Half of them share a worker, and all of them a client. */
static void crowd(const char *argument)
{
    struct weft *w = open_client();
    struct weft_worker *workers[CROWD / 2];
    pthread_t threads[CROWD];

    (void)argument;
    for (size_t i = 0; i < CROWD / 2; i++)
        workers[i] = start(w, NULL, 0, NULL, 0);
    for (size_t i = 0; i < CROWD; i++)
        pthread_create(&threads[i], NULL, crowd_one, workers[i / 2]);
    for (size_t i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < CROWD / 2; i++)
        weft_worker_close(workers[i], PATIENCE_MS);
    weft_close(w);
}

/* A result that the server does not take fails its task, and no other one. */
static void odd_results(const char *argument)
{
    struct weft *w = open_client();
    struct weft_worker *worker = start(w, NULL, 0, NULL, 0);
    struct weft_lease *leases[3];
    char *large = calloc(1, (1 << 20) + 1);
    size_t n;

    (void)argument;
    memset(large, '1', 1 << 20);
    must(weft_worker_claim(worker, "mail", 3, 0, leases, &n, &error));
    assert(n == 3);
    assert(weft_lease_complete(leases[0], JSON("{]"), &error) == WEFT_INVALID);
    memset(large, ' ',
           8); /* what is within the bounds of the library is not in those of all servers */
    must(weft_lease_complete(leases[0], large, 1 << 20, &error));
    must(weft_lease_complete(leases[1], NULL, 0, &error));
    must(weft_lease_release(leases[2], &error));
    for (size_t i = 0; i < 3; i++)
        weft_lease_free(leases[i]);
    must(weft_worker_drain(worker, PATIENCE_MS, &error));
    free(large);
    end(w, worker);
}

static struct weft_worker *running;

static void on_signal(int number)
{
    (void)number;
    /* weft.h promises that it may. NOLINTNEXTLINE(bugprone-signal-handler) */
    weft_worker_stop(running);
}

static int announce(void *context, struct weft_lease *lease)
{
    (void)context;
    say("%s", weft_lease_payload(lease, NULL));
    return 0;
}

static void run(const char *argument)
{
    struct weft *w = open_client();

    (void)argument;
    running = start(w, "w1", 0, NULL, 0);
    signal(SIGTERM, on_signal);
    must(weft_worker_run(running, "mail", &(struct weft_run_options){.wait_ms = 100}, announce,
                         NULL, &error));
    say("stopped");
    end(w, running);
}

static int only_one(void *context, struct weft_lease *lease)
{
    (void)context;
    say("%s", weft_lease_payload(lease, NULL));
    weft_worker_stop(running);
    return 0;
}

/* The queue is made while the worker asks for it. */
static void later(const char *argument)
{
    struct weft *w = open_client();

    (void)argument;
    running = start(w, "w1", 0, NULL, 0);
    weft_worker_run(running, "later", &(struct weft_run_options){.until_empty = 1}, only_one, NULL,
                    &error);
    say("%s", error.code);
    must(weft_worker_run(running, "later", NULL, only_one, NULL, &error));
    end(w, running);
}

/* The first try of its second claim waits somewhere. */
static void late(const char *argument)
{
    struct weft_lease *leases[3];
    struct weft_worker *worker;
    struct weft *w;

    (void)argument;
    must(weft_open(NULL, &(struct weft_options){.timeout_ms = 500}, &w, &error));
    worker = start(w, "w1", 0, NULL, 0);
    for (size_t i = 0, held = 0, n; i < 3; i++, held += n) {
        must(weft_worker_claim(worker, "mail", 1, 0, leases + held, &n, &error));
        say("%zu", n);
        if (i < 2)
            wait_for_line();
        else
            assert(held + n == 2);
    }
    for (size_t i = 0; i < 2; i++) {
        must(weft_lease_complete(leases[i], NULL, 0, &error));
        weft_lease_free(leases[i]);
    }
    end(w, worker);
}

static const struct {
    const char *name;
    void (*play)(const char *argument);
} scenarios[] = {
    {"life",      life       },
    {"flow",      flow       },
    {"failure",   failure    },
    {"guest",     guest      },
    {"call",      call       },
    {"bad",       bad        },
    {"away",      away       },
    {"outage",    outage     },
    {"die",       die        },
    {"takeover",  takeover   },
    {"cancelled", cancelled  },
    {"lost",      lost       },
    {"crowd",     crowd      },
    {"results",   odd_results},
    {"run",       run        },
    {"later",     later      },
    {"late",      late       },
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(argv[1], scenarios[i].name))
            continue;
        scenarios[i].play(argv[2]);
        return 0;
    }
    return 2;
}
