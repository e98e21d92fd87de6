/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_stream: one stream of a server, opened again where it is cut.
 *
 *     CLOSED --open--> OPEN --"end"--> ENDED
 *        ^               |
 *        +---pause-------+ the stream is cut, silent for too long, or the server drains
 *
 * What is asked for is asked anew at each opening, so that a stream goes on behind what was heard.
 * It is tried again for a minute; what the server refuses is an end. Several streams share a multi
 * handle, which its owner drives; a transfer that is done is its stream's by CURLINFO_PRIVATE.
 */
#ifndef CLIENT_REMOTE_STREAM_H
#define CLIENT_REMOTE_STREAM_H

#include "client/event_stream.h"
#include "client/remote_within.h"

struct remote_stream_hears {
    const char *method;
    void *context;
    /* The request that goes on behind what was heard; the stream's. */
    json_t *(*request)(void *context);
    /* False: this is no message of such a stream. */
    bool (*message)(void *context, const json_t *message);
};

struct remote_stream {
    struct remote *remote;
    CURLM *multi;
    struct remote_stream_hears hears;
    CURL *curl;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    bool open;
    struct event_stream events;
    struct buf refusal; /* the reply, where it is no stream; or what the stream ended with */
    bool ended;         /* the server has told the end */
    bool broken;        /* the stream is none */
    int64_t heard_us;   /* the last sign of life */
    int64_t open_us;    /* when to open it */
    int64_t pause_us;
    int64_t away_us;              /* since when the server does not answer; 0: it does */
    char away[CLIENT_TEXT_BYTES]; /* and how that shows */
};

void remote_stream_init(struct remote_stream *s, struct remote *remote, CURLM *multi,
                        const struct remote_stream_hears *hears);
void remote_stream_deinit(struct remote_stream *s);

/* Open it where it is time. Returns 0, or CLIENT_E_REFUSED with a problem. */
int remote_stream_turn(struct remote_stream *s, struct client_problem *ret_problem);

/* Its transfer is done. Returns 0 where it has ended or will be opened again, else
 * CLIENT_E_REFUSED. */
int remote_stream_done(struct remote_stream *s, CURLcode result,
                       struct client_problem *ret_problem);

#endif
