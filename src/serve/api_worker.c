/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_worker.h"

Weft__V1__Worker *api_worker_show(struct arena *a, const struct worker_row *w)
{
    Weft__V1__Worker *m = API_NEW(a, Weft__V1__Worker, worker);

    m->id = codec_id(a, w->incarnation);
    m->name = codec_text(a, w->name);
    m->kind = codec_text(a, w->kind);
    m->state = codec_text(a, worker_state_text(w->state));
    API_SET(m, slots, w->slots);
    API_SET(m, busy, w->busy);
    m->ttl = codec_duration(a, w->ttl_us);
    m->beat_at = codec_time(a, w->beat_at);
    m->joined_at = codec_time(a, w->joined_at);
    m->host = codec_text(a, w->host);
    if (w->pid)
        API_SET(m, pid, w->pid);
    m->run = codec_id(a, w->run);
    return m;
}
