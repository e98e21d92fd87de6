/* SPDX-License-Identifier: Apache-2.0 */
#include "net/h2_session.h"

#include "net/h2.h"

void h2_session_limit(nghttp2_option *o)
{
    nghttp2_option_set_max_settings(o, H2_SETTINGS_ENTRIES);
    nghttp2_option_set_max_continuations(o, H2_CONTINUATIONS_MAX);
    nghttp2_option_set_max_outbound_ack(o, H2_ACKS_MAX);
}

void h2_session_drain(nghttp2_session *session, struct str *leftover, bool *dead, struct buf *out)
{
    while (!*dead && out->n < out->max) {
        struct str part;

        if (leftover->n == 0) {
            const uint8_t *data;
            ssize_t n = nghttp2_session_mem_send(session, &data);

            if (n < 0)
                *dead = true;
            if (n <= 0)
                break;
            *leftover = (struct str){(const char *)data, (size_t)n};
        }
        part = str_sub(*leftover, 0, out->max - out->n);
        buf_add(out, part);
        *leftover = str_sub(*leftover, part.n, leftover->n);
    }
}

bool h2_session_over(nghttp2_session *session, struct str leftover)
{
    return leftover.n == 0 && !nghttp2_session_want_read(session) &&
           !nghttp2_session_want_write(session);
}
