/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_load: the same call again and again, on C connections with M calls under way on each.
 *
 *     grpc_load ADDRESS METHOD MESSAGE_FILE CONNECTIONS CALLS_EACH SECONDS
 *
 * METHOD is "weft.v1.Queues/Get", MESSAGE_FILE holds the request as protobuf bytes ("-": none).
 * Prints one JSON object: calls, errors (another status than OK), seconds, rate, and the latency's
 * median, 99th percentile and maximum in microseconds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "grpc_client.h"
#include "measure.h"

#define USAGE             "usage: grpc_load ADDRESS METHOD MESSAGE_FILE CONNECTIONS CALLS_EACH SECONDS"
#define MESSAGE_BYTES_MAX ((size_t)16 << 20)
#define WARM_US           (CLOCK_S / 4) /* at the start, which is not counted */

/* Latencies in steps of one microsecond, the last for all beyond. */
#define STEPS 1000000u

struct load;

/* One of the calls that are always under way. */
struct lane {
    struct load *load;
    struct grpc_client *client;
    int64_t begun_us;
};

static struct load {
    uv_loop_t *loop;
    char path[256];
    struct str message;
    struct lane *lanes;
    size_t lanes_n;
    size_t under_way;
    int64_t from_us, until_us;
    uint64_t calls, errors;
    int64_t latency_us_max;
    uint32_t *latencies;
} load;

static void begin(struct lane *l);

static void count(struct load *l, int64_t us, int status)
{
    l->calls++;
    l->errors += status != 0;
    l->latencies[us < STEPS ? (size_t)us : STEPS - 1]++;
    if (us > l->latency_us_max)
        l->latency_us_max = us;
}

static void on_done(void *context, int status, struct str message)
{
    struct lane *lane = context;
    struct load *l = lane->load;
    int64_t now_us = clock_monotonic();

    (void)message;
    if (lane->begun_us >= l->from_us)
        count(l, now_us - lane->begun_us, status);
    if (now_us < l->until_us)
        begin(lane);
    else if (--l->under_way == 0)
        uv_stop(l->loop);
}

static void begin(struct lane *lane)
{
    lane->begun_us = clock_monotonic();
    grpc_client_call(lane->client, lane->load->path, lane->load->message, on_done, lane);
}

static int64_t percentile(const struct load *l, double part)
{
    uint64_t wanted = (uint64_t)((double)l->calls * part), seen = 0;

    for (size_t i = 0; i < STEPS; i++) {
        seen += l->latencies[i];
        if (seen > wanted)
            return (int64_t)i;
    }
    return l->latency_us_max;
}

static void report(const struct load *l)
{
    double seconds = (double)(clock_monotonic() - l->from_us) / (double)CLOCK_S;

    printf("{\"calls\": %" PRIu64 ", \"errors\": %" PRIu64
           ", \"seconds\": %.3f, \"rate\": %.0f, \"p50_us\": %" PRId64 ", \"p99_us\": %" PRId64
           ", \"max_us\": %" PRId64 "}\n",
           l->calls, l->errors, seconds, (double)l->calls / seconds, percentile(l, 0.5),
           percentile(l, 0.99), l->latency_us_max);
}

int main(int argc, char **argv)
{
    struct arena arena = {0};
    int64_t connections, each;

    if (argc != 7)
        measure_die("%s", USAGE);
    connections = measure_number(argv[4], 1, USAGE);
    each = measure_number(argv[5], 1, USAGE);
    if (strcmp(argv[3], "-") != 0 && file_read(&arena, argv[3], MESSAGE_BYTES_MAX, &load.message))
        measure_die("%s cannot be read", argv[3]);
    load.loop = uv_default_loop();
    load.latencies = memory_new(STEPS * sizeof(*load.latencies));
    load.lanes_n = load.under_way = (size_t)(connections * each);
    load.lanes = memory_new(load.lanes_n * sizeof(*load.lanes));
    snprintf(load.path, sizeof(load.path), "/%s", argv[2]);
    load.from_us = clock_monotonic() + WARM_US;
    load.until_us = load.from_us + measure_number(argv[6], 1, USAGE) * CLOCK_S;
    for (int64_t i = 0; i < connections; i++) {
        struct grpc_client *client = grpc_client_new(load.loop, argv[1]);

        for (int64_t n = 0; n < each; n++) {
            struct lane *lane = &load.lanes[i * each + n];

            *lane = (struct lane){.load = &load, .client = client};
            begin(lane);
        }
    }
    uv_run(load.loop, UV_RUN_DEFAULT);
    report(&load);
    return load.errors ? 1 : 0;
}
