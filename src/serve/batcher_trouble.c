/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of trouble with the store, and of its silence, and what the log hears of them. */
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "serve/batcher_state.h"

static void trouble_put(struct batcher *b, enum code code, struct str text)
{
    struct buf out;

    b->trouble = code;
    buf_fixed(&out, b->trouble_text, sizeof(b->trouble_text));
    buf_add(&out, str_sub(text, 0, sizeof(b->trouble_text) - 1));
}

static enum log_level trouble_level(const struct batcher *b, enum log_level level)
{
    return b->says_trouble ? level : LOG_DEBUG;
}

static void trouble_say(const struct batcher *b, enum code code, struct str text)
{
    log_say(trouble_level(b, code == CODE_OK ? LOG_INFO : LOG_ERROR), "store_trouble",
            LOG_TEXT("code", code_text(code)), LOG_TEXT("text", text));
}

void batcher_trouble_begins(struct batcher_worker *w, enum code code, struct str text)
{
    struct batcher *b = w->batcher;
    bool changed;

    pthread_mutex_lock(&b->lock);
    w->troubled = true;
    changed = b->trouble != code;
    trouble_put(b, code, text);
    pthread_mutex_unlock(&b->lock);
    if (changed)
        trouble_say(b, code, text);
}

/* The longest of those that have a batch. Under the lock. */
static int64_t silence(const struct batcher *b)
{
    int64_t now = clock_monotonic(), longest = 0;

    for (unsigned i = 0; i < b->workers_n; i++) {
        const struct batcher_worker *w = &b->workers[i];
        int64_t us = w->busy ? now - atomic_load(&w->watch.alive_us) : 0;

        longest = us > longest ? us : longest;
    }
    return longest;
}

/* Connections in trouble that have a batch are to find out themselves whether it is over. Under the
 * lock. */
static bool others_troubled(struct batcher *b)
{
    bool any = false;

    for (unsigned i = 0; i < b->workers_n; i++) {
        struct batcher_worker *w = &b->workers[i];

        if (!w->busy)
            w->troubled = false;
        any |= w->troubled;
    }
    return any;
}

void batcher_trouble_ends(struct batcher_worker *w)
{
    struct batcher *b = w->batcher;
    bool trouble_over, silence_over;

    pthread_mutex_lock(&b->lock);
    w->troubled = false;
    atomic_store(&w->watch.alive_us, clock_monotonic());
    trouble_over = b->trouble != CODE_OK && !others_troubled(b);
    if (trouble_over)
        trouble_put(b, CODE_OK, STR(""));
    silence_over = b->silent_since && silence(b) < BATCHER_SILENT_US;
    if (silence_over)
        b->silent_since = 0;
    pthread_mutex_unlock(&b->lock);
    if (trouble_over)
        trouble_say(b, CODE_OK, STR(""));
    if (silence_over)
        log_say(trouble_level(b, LOG_INFO), "store_silent",
                LOG_TEXT("text", STR("the store answers again")));
}

#define SILENT_TEXT "the store has not answered for %.1f s"

/* The log hears once that the store is silent, and once that it is not any more. */
int64_t batcher_silence_us(struct batcher *b)
{
    struct arena a = {0};
    bool begins;
    int64_t us;

    pthread_mutex_lock(&b->lock);
    us = silence(b);
    begins = us >= BATCHER_SILENT_US && !b->silent_since;
    if (begins)
        b->silent_since = clock_monotonic() - us;
    pthread_mutex_unlock(&b->lock);
    if (begins)
        log_say(trouble_level(b, LOG_ERROR), "store_silent",
                LOG_TEXT("text", str_printf(&a, SILENT_TEXT, (double)us / CLOCK_S)));
    arena_deinit(&a);
    return us;
}

enum code batcher_trouble(struct batcher *b, char out[static BATCHER_TROUBLE_BYTES])
{
    int64_t silent_since;
    enum code code;

    batcher_silence_us(b);
    pthread_mutex_lock(&b->lock);
    code = b->trouble;
    memcpy(out, b->trouble_text, BATCHER_TROUBLE_BYTES);
    silent_since = b->silent_since;
    pthread_mutex_unlock(&b->lock);
    if (code == CODE_OK && silent_since) {
        snprintf(out, BATCHER_TROUBLE_BYTES, SILENT_TEXT,
                 (double)(clock_monotonic() - silent_since) / CLOCK_S);
        code = CODE_STORE_UNAVAILABLE;
    }
    return code;
}
