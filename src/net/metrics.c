/* SPDX-License-Identifier: Apache-2.0 */
#include "net/metrics.h"

#include <inttypes.h>

static const char *const refusals[METRICS_REFUSAL_N] = {
#define METRICS_TEXT(name, text) [METRICS_##name] = (text),
    METRICS_REFUSALS(METRICS_TEXT)};

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(struct buf *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    family(out, name, type, help);
    buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* What never happened is left out of these two; a refusal is not, so that alerts can name it. */
static void requests(const struct metrics *m, struct buf *out)
{
    family(out, "weft_http_requests_total", "counter", "Requests over HTTP/1.1, by status.");
    for (unsigned i = 0; i < METRICS_STATUS_MAX; i++)
        if (m->http[i])
            buf_printf(out, "weft_http_requests_total{status=\"%u\"} %" PRIu64 "\n", i, m->http[i]);
    family(out, "weft_grpc_calls_total", "counter", "Calls over gRPC, by status.");
    for (unsigned i = 0; i < METRICS_GRPC_MAX; i++)
        if (m->grpc[i])
            buf_printf(out, "weft_grpc_calls_total{code=\"%u\"} %" PRIu64 "\n", i, m->grpc[i]);
}

void metrics_text(const struct metrics *m, struct buf *out)
{
    single(out, "weft_net_connections_total", "counter", "Connections that were accepted.",
           m->connections);
    single(out, "weft_net_connections_open", "gauge", "Connections that are open.", m->open);
    single(out, "weft_net_calls_open", "gauge", "Calls that are under way.", m->calls);
    single(out, "weft_net_received_bytes_total", "counter", "Bytes from clients.", m->bytes_in);
    single(out, "weft_net_sent_bytes_total", "counter", "Bytes to clients.", m->bytes_out);
    requests(m, out);
    family(out, "weft_net_refused_total", "counter", "Clients that a limit refused or cut off.");
    for (unsigned i = 0; i < METRICS_REFUSAL_N; i++)
        buf_printf(out, "weft_net_refused_total{limit=\"%s\"} %" PRIu64 "\n", refusals[i],
                   m->refused[i]);
}
