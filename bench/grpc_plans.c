/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_plans: work plans of a running server; this program is their runners, too.
 *
 *     grpc_plans ADDRESS run STAGES RUNNERS SLOTS HUNG WATCHERS
 *     grpc_plans ADDRESS start STAGES RATE
 *     grpc_plans ADDRESS write STAGES SMALL
 *     grpc_plans ADDRESS watch RUN WATCHERS
 *
 * `run` writes a plan of sync stages that can all go at once, and takes the time from the write's
 * reply (or the first call, if that comes first) until all have SUCCEEDED, and that from the
 * write's sending to the last call. The first HUNG of its runners never answer, and the stages that
 * they were given are not waited for. WATCHERS are streams of its events, by a process of their
 * own: it is started as `watch`.
 *
 * `start` writes stages one by one, so many a second; it tells how long after a write's reply a
 * runner is called, and what the write took. `write` writes a plan that nobody works on: 100 checks
 * and STAGES stages, each with a dependency and an assignment, and then SMALL times one stage more,
 * as well as into an empty plan. Each prints one JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/codec.h"
#include "base/clock.h"
#include "base/memory.h"
#include "grpc_answer.h"
#include "grpc_client.h"
#include "measure.h"

#define USAGE                                                                                      \
    "usage: grpc_plans ADDRESS run STAGES RUNNERS SLOTS HUNG WATCHERS | start STAGES RATE | "      \
    "write STAGES SMALL | watch RUN WATCHERS"
#define BYTES_MAX     ((size_t)64 << 20)
#define RUNNERS_MAX   1000
#define STAGES_MAX    10000
#define NAME_BYTES    32
#define CHECKS        100 /* of a plan that is only written */
#define AHEAD         10  /* a stage of it waits for the one so far before it */
#define START_RUNNERS 4
#define START_SLOTS   8
#define WATCHERS_EACH 90 /* on a connection */
#define WATCHERS_NICE 10 /* what their clients do is not what is measured */
#define RUNNERS_TTL_S 3600
#define UNKNOWN_TYPE  "bench-nobody"

struct runner {
    char address[GRPC_ANSWER_ADDRESS];
    bool hangs;
};

static struct {
    uv_loop_t *loop;
    struct grpc_client *client;
    struct arena arena;
    struct runner runners[RUNNERS_MAX];
    char type[NAME_BYTES]; /* of this process's runners alone */
    int64_t called, hung;
    int64_t first_us, last_us; /* when the first and the newest call came */
    /* The call that is waited for. */
    bool answered;
    int64_t answered_us;
    const ProtobufCMessageDescriptor *expects;
    ProtobufCMessage *reply;
} bench;

static bool on_call(void *context, struct str path, struct str message, struct buf *out)
{
    const struct runner *r = context;

    (void)message;
    (void)out; /* a report that says nothing is a success */
    if (!str_eq(path, STR("/weft.v1.Runner/Run")))
        return true;
    bench.last_us = clock_monotonic();
    if (!bench.first_us)
        bench.first_us = bench.last_us;
    bench.called++;
    bench.hung += r->hangs;
    return !r->hangs;
}

static void on_reply(void *context, int status, struct str message)
{
    struct str error;

    if (status)
        measure_die("%s: status %d", (const char *)context, status);
    if (codec_decode(&bench.arena, bench.expects, message, &bench.reply, &error))
        measure_die("%.*s", STR_ARG(error));
    bench.answered = true;
    bench.answered_us = clock_monotonic();
}

/* Call, and let the runners work until the reply has come. */
static void *ask(const char *path, const ProtobufCMessage *m,
                 const ProtobufCMessageDescriptor *expects)
{
    struct buf bytes;

    buf_init(&bytes, BYTES_MAX);
    codec_encode(m, &bytes);
    bench.answered = false;
    bench.expects = expects;
    grpc_client_call(bench.client, path, buf_str(&bytes), on_reply, (void *)(uintptr_t)path);
    buf_deinit(&bytes);
    while (!bench.answered)
        uv_run(bench.loop, UV_RUN_ONCE);
    return bench.reply;
}

/* "s17", with the NUL that protobuf-c wants. */
static char *text(const char *before, int64_t n)
{
    return codec_text(&bench.arena, str_printf(&bench.arena, "%s%lld", before, (long long)n));
}

static void register_runner(int64_t i, int64_t slots, bool hangs)
{
    Weft__V1__RegisterWorkerRequest m = WEFT__V1__REGISTER_WORKER_REQUEST__INIT;
    Weft__V1__Duration ttl = WEFT__V1__DURATION__INIT;
    char *modes[] = {codec_text(&bench.arena, STR("sync"))};
    struct runner *r = &bench.runners[i];

    r->hangs = hangs;
    grpc_answer_listen(bench.loop, on_call, r, r->address);
    ttl.has_seconds = true;
    ttl.seconds = RUNNERS_TTL_S;
    m.name = text("bench-", (int64_t)getpid() * RUNNERS_MAX + i);
    m.has_slots = true;
    m.slots = slots;
    m.ttl = &ttl;
    m.type = bench.type;
    m.address = r->address;
    m.modes = modes;
    m.n_modes = 1;
    ask("/weft.v1.Workers/Register", &m.base, &weft__v1__register_worker_response__descriptor);
}

static void register_runners(int64_t n, int64_t slots, int64_t hung)
{
    snprintf(bench.type, sizeof(bench.type), "bench-%d", (int)getpid());
    for (int64_t i = 0; i < n; i++)
        register_runner(i, slots, i < hung);
}

static char *create(void)
{
    Weft__V1__CreateRunRequest m = WEFT__V1__CREATE_RUN_REQUEST__INIT;
    const Weft__V1__Run *run = ask("/weft.v1.Runs/Create", &m.base, &weft__v1__run__descriptor);

    return run->id;
}

static Weft__V1__StageWrite *stage(char *name, char *type)
{
    Weft__V1__StageWrite *s = CODEC_NEW(&bench.arena, Weft__V1__StageWrite, weft__v1__stage_write);

    s->name = name;
    s->type = type;
    s->has_args = true;
    s->args =
        (ProtobufCBinaryData){sizeof(MEASURE_PAYLOAD) - 1, (uint8_t *)(uintptr_t)MEASURE_PAYLOAD};
    return s;
}

/* Write stages. The time it took. */
static int64_t write_stages(char *run, Weft__V1__StageWrite **stages, size_t n)
{
    Weft__V1__WriteTasksRequest m = WEFT__V1__WRITE_TASKS_REQUEST__INIT;
    int64_t begun_us = clock_monotonic();

    m.id = run;
    m.stages = stages;
    m.n_stages = n;
    ask("/weft.v1.Runs/WriteTasks", &m.base, &weft__v1__write_tasks_response__descriptor);
    return bench.answered_us - begun_us;
}

static const Weft__V1__TaskCounts *counts(char *run)
{
    Weft__V1__GetRunRequest m = WEFT__V1__GET_RUN_REQUEST__INIT;
    const Weft__V1__Run *got;

    m.id = run;
    m.has_tasks = true;
    got = ask("/weft.v1.Runs/Get", &m.base, &weft__v1__run__descriptor);
    return got->counts;
}

static void cancel(char *run)
{
    Weft__V1__RunRequest m = WEFT__V1__RUN_REQUEST__INIT;

    m.id = run;
    ask("/weft.v1.Runs/Cancel", &m.base, &weft__v1__run__descriptor);
}

static void write_check(char *run)
{
    Weft__V1__WriteTasksRequest m = WEFT__V1__WRITE_TASKS_REQUEST__INIT;
    Weft__V1__CheckWrite check = WEFT__V1__CHECK_WRITE__INIT, *checks[] = {&check};

    check.name = codec_text(&bench.arena, STR("watched"));
    m.id = run;
    m.checks = checks;
    m.n_checks = 1;
    ask("/weft.v1.Runs/WriteTasks", &m.base, &weft__v1__write_tasks_response__descriptor);
}

/* ---- watchers: another process, since they are clients of their own */

static int64_t watchers_left;

static void on_begun(void)
{
    if (--watchers_left)
        return;
    puts("watching");
    fflush(stdout);
}

static void watch(const char *address, char *run, int64_t n)
{
    Weft__V1__WatchRequest m = WEFT__V1__WATCH_REQUEST__INIT;
    struct grpc_client *client = NULL;
    struct buf bytes;

    setpriority(PRIO_PROCESS, 0, WATCHERS_NICE);
    m.id = run;
    buf_init(&bytes, BYTES_MAX);
    codec_encode(&m.base, &bytes);
    watchers_left = n;
    for (int64_t i = 0; i < n; i++) {
        if (i % WATCHERS_EACH == 0)
            client = grpc_client_new(bench.loop, address);
        grpc_client_watch(client, "/weft.v1.Runs/Watch", buf_str(&bytes), on_begun);
    }
    buf_deinit(&bytes);
    uv_run(bench.loop, UV_RUN_DEFAULT);
}

static bool watching;

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    static char line[NAME_BYTES];

    (void)handle;
    (void)wanted;
    *buf = uv_buf_init(line, sizeof(line));
}

static void on_line(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)stream;
    (void)buf;
    if (n < 0 && !watching)
        measure_die("the watchers have ended");
    watching = true;
}

static void start_watchers(uv_process_t *process, char *address, char *run, int64_t n)
{
    static uv_pipe_t out;
    static char path[4096], watchers[NAME_BYTES];
    static char word[] = "watch";
    size_t size = sizeof(path);
    char *args[] = {path, address, word, run, watchers, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE                 },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&out},
        { .flags = UV_INHERIT_FD,                       .data.fd = 2},
    };
    uv_process_options_t o = {.file = path, .args = args, .stdio = stdio, .stdio_count = 3};

    uv_exepath(path, &size);
    snprintf(watchers, sizeof(watchers), "%lld", (long long)n);
    uv_pipe_init(bench.loop, &out, 0);
    if (uv_spawn(bench.loop, process, &o))
        measure_die("%s cannot be started", path);
    uv_read_start((uv_stream_t *)&out, on_alloc, on_line);
    while (!watching)
        uv_run(bench.loop, UV_RUN_ONCE);
}

/* ---- what is measured */

static void measure_run(char *address, int64_t n, int64_t watchers)
{
    Weft__V1__StageWrite **stages = ARENA_ARRAY(&bench.arena, Weft__V1__StageWrite *, (size_t)n);
    char *run = create();
    uv_process_t process;
    int64_t written_us, write_us, begun_us, calls_us, us;

    if (watchers) {
        write_check(run);
        start_watchers(&process, address, run, watchers);
    }
    for (int64_t i = 0; i < n; i++)
        stages[i] = stage(text("s", i), bench.type);
    written_us = clock_monotonic();
    write_us = write_stages(run, stages, (size_t)n);
    begun_us = bench.answered_us < bench.first_us ? bench.answered_us : bench.first_us;
    if (!bench.first_us)
        begun_us = bench.answered_us;
    while (bench.called < n)
        uv_run(bench.loop, UV_RUN_ONCE);
    calls_us = bench.last_us - written_us;
    while (counts(run)->succeeded < n - bench.hung)
        ;
    us = bench.answered_us - begun_us;
    if (watchers)
        uv_process_kill(&process, SIGKILL);
    cancel(run);
    printf("{\"stages\": %lld, \"hung\": %lld, \"seconds\": %.4f, \"stages_per_s\": %.0f, "
           "\"calls_per_s\": %.0f, \"write_ms\": %.2f}\n",
           (long long)n, (long long)bench.hung, (double)us / CLOCK_S,
           (double)(n - bench.hung) * CLOCK_S / (double)us, (double)n * CLOCK_S / (double)calls_us,
           (double)write_us / CLOCK_MS);
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double percent_ms(int64_t *us, int64_t n, int64_t percent)
{
    const int64_t at = n * percent / 100;

    qsort(us, (size_t)n, sizeof(*us), by_value);
    return (double)us[at] / CLOCK_MS;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Sleep until then, while the runners work. */
static void wait_until(uv_timer_t *timer, int64_t at_us)
{
    while (clock_monotonic() < at_us) {
        uv_update_time(bench.loop);
        uv_timer_start(timer, on_tick, (uint64_t)((at_us - clock_monotonic()) / CLOCK_MS) + 1, 0);
        uv_run(bench.loop, UV_RUN_ONCE);
    }
}

static void measure_start(int64_t n, int64_t rate)
{
    int64_t *call_us = ARENA_ARRAY(&bench.arena, int64_t, (size_t)n);
    int64_t *write_us = ARENA_ARRAY(&bench.arena, int64_t, (size_t)n);
    int64_t begun_us = clock_monotonic();
    char *run = create();
    uv_timer_t timer;

    uv_timer_init(bench.loop, &timer);
    for (int64_t i = 0; i < n; i++) {
        Weft__V1__StageWrite *one = stage(text("s", i), bench.type);

        write_us[i] = write_stages(run, &one, 1);
        while (bench.called <= i)
            uv_run(bench.loop, UV_RUN_ONCE);
        call_us[i] = bench.last_us - bench.answered_us;
        wait_until(&timer, begun_us + i * CLOCK_S / rate);
    }
    cancel(run);
    printf("{\"stages\": %lld, \"call_p50_ms\": %.3f, \"call_p99_ms\": %.3f, "
           "\"write_p50_ms\": %.3f, \"write_p99_ms\": %.3f}\n",
           (long long)n, percent_ms(call_us, n, 50), percent_ms(call_us, n, 99),
           percent_ms(write_us, n, 50), percent_ms(write_us, n, 99));
}

/* One that waits for an earlier one, and is assigned to a check. */
static Weft__V1__StageWrite *bound_stage(int64_t i, char *check)
{
    static char type[] = UNKNOWN_TYPE;
    struct arena *a = &bench.arena;
    Weft__V1__StageWrite *s = stage(text("s", i), type);

    s->n_dependencies = i >= AHEAD;
    s->dependencies = ARENA_ARRAY(a, Weft__V1__DependencyGroup *, 1);
    s->dependencies[0] = CODEC_NEW(a, Weft__V1__DependencyGroup, weft__v1__dependency_group);
    s->dependencies[0]->n_from = 1;
    s->dependencies[0]->from = ARENA_ARRAY(a, char *, 1);
    s->dependencies[0]->from[0] = text("s", i - AHEAD);
    s->n_assignments = 1;
    s->assignments = ARENA_ARRAY(a, Weft__V1__Assignment *, 1);
    s->assignments[0] = CODEC_NEW(a, Weft__V1__Assignment, weft__v1__assignment);
    s->assignments[0]->check = check;
    return s;
}

/* A plan with its checks, whose next check waits for the one before. */
static char *create_with_checks(char **checks)
{
    Weft__V1__WriteTasksRequest m = WEFT__V1__WRITE_TASKS_REQUEST__INIT;
    Weft__V1__CheckWrite *list[CHECKS];

    m.id = create();
    for (int64_t i = 0; i < CHECKS; i++) {
        list[i] = CODEC_NEW(&bench.arena, Weft__V1__CheckWrite, weft__v1__check_write);
        list[i]->name = checks[i] = text("c", i);
    }
    m.checks = list;
    m.n_checks = CHECKS;
    ask("/weft.v1.Runs/WriteTasks", &m.base, &weft__v1__write_tasks_response__descriptor);
    return m.id;
}

/* Writes of one stage each, from the number `from` on; the median. */
static double measure_small(char *run, char **checks, int64_t from, int64_t n)
{
    int64_t *us = ARENA_ARRAY(&bench.arena, int64_t, (size_t)n);

    for (int64_t i = 0; i < n; i++) {
        Weft__V1__StageWrite *one = bound_stage(from + i, checks[i % CHECKS]);

        us[i] = write_stages(run, &one, 1);
    }
    return percent_ms(us, n, 50);
}

static void measure_write(int64_t n, int64_t small)
{
    Weft__V1__StageWrite **stages = ARENA_ARRAY(&bench.arena, Weft__V1__StageWrite *, (size_t)n);
    char *checks[CHECKS], *run = create_with_checks(checks);
    double empty_ms, full_ms;
    int64_t write_us;

    empty_ms = measure_small(run, checks, 0, small);
    cancel(run);
    run = create_with_checks(checks);
    for (int64_t i = 0; i < n; i++)
        stages[i] = bound_stage(i, checks[i % CHECKS]);
    write_us = write_stages(run, stages, (size_t)n);
    full_ms = measure_small(run, checks, n, small);
    cancel(run);
    printf("{\"stages\": %lld, \"write_s\": %.3f, \"small_into_empty_ms\": %.3f, "
           "\"small_into_full_ms\": %.3f}\n",
           (long long)n, (double)write_us / CLOCK_S, empty_ms, full_ms);
}

static int64_t number(char **argv, int i, int64_t min, int64_t max)
{
    int64_t n = measure_number(argv[i], min, USAGE);

    if (n > max)
        measure_die("%s", USAGE);
    return n;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[2] : "";

    bench.loop = uv_default_loop();
    if (strcmp(what, "watch") == 0 && argc == 5) {
        watch(argv[1], argv[3], number(argv, 4, 1, STAGES_MAX));
        return 0;
    }
    if (argc > 1)
        bench.client = grpc_client_new(bench.loop, argv[1]);
    if (strcmp(what, "run") == 0 && argc == 8) {
        register_runners(number(argv, 4, 1, RUNNERS_MAX), number(argv, 5, 0, STAGES_MAX),
                         number(argv, 6, 0, RUNNERS_MAX));
        measure_run(argv[1], number(argv, 3, 1, STAGES_MAX), number(argv, 7, 0, STAGES_MAX));
    } else if (strcmp(what, "start") == 0 && argc == 5) {
        register_runners(START_RUNNERS, START_SLOTS, 0);
        measure_start(number(argv, 3, 1, STAGES_MAX), number(argv, 4, 1, CLOCK_S));
    } else if (strcmp(what, "write") == 0 && argc == 5) {
        measure_write(number(argv, 3, AHEAD, STAGES_MAX), number(argv, 4, 1, STAGES_MAX));
    } else {
        measure_die("%s", USAGE);
    }
    return 0;
}
