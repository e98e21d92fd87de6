/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_queue: a queue of a running server over gRPC, on C connections with M callers on each.
 *
 *     grpc_queue ADDRESS enqueue|work CONNECTIONS CALLERS_EACH BATCH TASKS
 *
 * `enqueue` adds tasks, BATCH in each call; `work` claims BATCH and completes them, again and
 * again (the tasks are added first, which is not measured). Prints one JSON object: tasks, seconds,
 * tasks a second, and the median and 99th percentile of a call in milliseconds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "api/codec.h"
#include "base/clock.h"
#include "base/memory.h"
#include "grpc_client.h"
#include "measure.h"

#define USAGE     "usage: grpc_queue ADDRESS enqueue|work CONNECTIONS CALLERS_EACH BATCH TASKS"
#define BYTES_MAX ((size_t)64 << 20)
#define FILL      1000
#define PAYLOAD                                                                                    \
    "{\"to\":"                                                                                     \
    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}"

struct caller {
    struct grpc_client *client;
    int64_t begun_us;
    int64_t asked;
};

/* ADDING: `enqueue`, and what `work` begins with. */
enum phase { ADDING, WORKING };

static struct {
    uv_loop_t *loop;
    enum phase phase;
    bool works;
    char queue[32];
    int64_t batch, tasks;
    int64_t given, done;
    struct caller *callers;
    size_t callers_n;
    int64_t begun_us;
    int64_t *took_us;
    size_t took_n, took_max;
} bench;

static void begin(struct caller *c);

static void call(struct caller *c, const char *path, const ProtobufCMessage *m,
                 grpc_client_done *done)
{
    struct buf bytes;

    buf_init(&bytes, BYTES_MAX);
    codec_encode(m, &bytes);
    c->begun_us = clock_monotonic();
    grpc_client_call(c->client, path, buf_str(&bytes), done, c);
    buf_deinit(&bytes);
}

static void check(const char *what, int status)
{
    if (status)
        measure_die("%s: status %d", what, status);
}

static void took(const struct caller *c)
{
    if (bench.took_n < bench.took_max)
        bench.took_us[bench.took_n++] = clock_monotonic() - c->begun_us;
}

static void enqueued(void *context, int status, struct str message)
{
    struct caller *c = context;

    (void)message;
    check("enqueue", status);
    took(c);
    bench.done += c->asked;
    begin(c);
}

static void enqueue(struct caller *c, int64_t n)
{
    static Weft__V1__NewTask task;
    Weft__V1__EnqueueRequest m = WEFT__V1__ENQUEUE_REQUEST__INIT;
    Weft__V1__NewTask **list = memory_new((size_t)n * sizeof(Weft__V1__NewTask *));

    weft__v1__new_task__init(&task);
    task.has_payload = true;
    task.payload = (ProtobufCBinaryData){sizeof(PAYLOAD) - 1, (uint8_t *)(uintptr_t)PAYLOAD};
    for (int64_t i = 0; i < n; i++)
        list[i] = &task;
    m.queue = bench.queue;
    m.tasks = list;
    m.n_tasks = (size_t)n;
    c->asked = n;
    call(c, "/weft.v1.Queues/Enqueue", &m.base, enqueued);
    free(list);
}

static void completed(void *context, int status, struct str message)
{
    struct caller *c = context;

    (void)message;
    check("complete", status);
    took(c);
    bench.done += c->asked;
    begin(c);
}

static void complete(struct caller *c, const Weft__V1__ClaimResponse *claimed)
{
    struct arena a = {0};
    Weft__V1__CompleteRequest m = WEFT__V1__COMPLETE_REQUEST__INIT;
    char outcome[] = "succeeded";

    m.n_results = claimed->n_leases;
    m.results = ARENA_ARRAY(&a, Weft__V1__CompleteItem *, m.n_results);
    for (size_t i = 0; i < m.n_results; i++) {
        m.results[i] = CODEC_NEW(&a, Weft__V1__CompleteItem, weft__v1__complete_item);
        m.results[i]->token = claimed->leases[i]->token;
        m.results[i]->outcome = outcome;
    }
    bench.given -= c->asked - (int64_t)m.n_results;
    c->asked = (int64_t)m.n_results;
    call(c, "/weft.v1.Leases/Complete", &m.base, completed);
    arena_deinit(&a);
}

static void claimed(void *context, int status, struct str message)
{
    struct caller *c = context;
    struct arena a = {0};
    ProtobufCMessage *m;
    struct str error;

    check("claim", status);
    took(c);
    if (codec_decode(&a, &weft__v1__claim_response__descriptor, message, &m, &error))
        measure_die("%.*s", STR_ARG(error));
    complete(c, (const Weft__V1__ClaimResponse *)m);
    arena_deinit(&a);
}

static void claim(struct caller *c, int64_t n)
{
    Weft__V1__ClaimRequest m = WEFT__V1__CLAIM_REQUEST__INIT;
    char worker[] = "bench";

    m.queue = bench.queue;
    m.worker = worker;
    m.has_max = true;
    m.max = n;
    c->asked = n;
    call(c, "/weft.v1.Queues/Claim", &m.base, claimed);
}

static void start(enum phase phase)
{
    bench.phase = phase;
    bench.given = bench.done = 0;
    bench.took_n = 0;
    bench.begun_us = clock_monotonic();
    for (size_t i = 0; i < bench.callers_n; i++)
        begin(&bench.callers[i]);
}

/* The next call of a caller; the last one that ends ends the phase. */
static void begin(struct caller *c)
{
    bool filling = bench.works && bench.phase == ADDING;
    int64_t n = filling ? FILL : bench.batch, left = bench.tasks - bench.given;

    n = n < left ? n : left;
    if (n > 0) {
        bench.given += n;
        if (bench.phase == ADDING)
            enqueue(c, n);
        else
            claim(c, n);
    } else if (bench.done == bench.tasks && filling) {
        start(WORKING);
    } else if (bench.done == bench.tasks) {
        uv_stop(bench.loop);
    }
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void report(void)
{
    double seconds = (double)(clock_monotonic() - bench.begun_us) / (double)CLOCK_S;
    size_t middle = bench.took_n / 2, high = bench.took_n * 99 / 100;

    qsort(bench.took_us, bench.took_n, sizeof(*bench.took_us), by_value);
    printf(
        "{\"tasks\": %lld, \"seconds\": %.3f, \"tasks_per_s\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": "
        "%.3f}\n",
        (long long)bench.tasks, seconds, (double)bench.tasks / seconds,
        (double)bench.took_us[middle] / 1000.0, (double)bench.took_us[high] / 1000.0);
}

int main(int argc, char **argv)
{
    int64_t connections, each;

    if (argc != 7)
        measure_die("%s", USAGE);
    connections = measure_number(argv[3], 1, USAGE);
    each = measure_number(argv[4], 1, USAGE);
    bench.batch = measure_number(argv[5], 1, USAGE);
    bench.tasks = measure_number(argv[6], 1, USAGE);
    bench.works = strcmp(argv[2], "work") == 0;
    snprintf(bench.queue, sizeof(bench.queue), "bench-%s", bench.works ? "work" : "enqueue");
    bench.loop = uv_default_loop();
    bench.took_max = 2 * (size_t)bench.tasks;
    bench.took_us = memory_new(bench.took_max * sizeof(*bench.took_us));
    bench.callers_n = (size_t)(connections * each);
    bench.callers = memory_new(bench.callers_n * sizeof(*bench.callers));
    for (int64_t i = 0; i < connections; i++) {
        struct grpc_client *client = grpc_client_new(bench.loop, argv[1]);

        for (int64_t n = 0; n < each; n++)
            bench.callers[i * each + n].client = client;
    }
    start(ADDING);
    uv_run(bench.loop, UV_RUN_DEFAULT);
    report();
    return 0;
}
