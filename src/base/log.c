/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

/* A line that holds the tail of somebody's output is still one that a log collector takes. */
#define LOG_LINE_BYTES_MAX  16384u
#define LOG_END_BYTES_MAX   32u /* of them kept for the end of the line */
#define LOG_FIELD_BYTES_MAX 4096u

static atomic_int least = LOG_INFO;
static atomic_int format = LOG_PLAIN;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static const char *const level_texts[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARNING] = "warning",
    [LOG_ERROR] = "error",
};

void log_setup(enum log_level least_, enum log_format format_)
{
    atomic_store(&least, (int)least_);
    atomic_store(&format, (int)format_);
}

/* The whole of the line before any other thread's; who reads our stderr too slowly makes us wait,
 * and never loses or mixes lines. */
static void put(struct str line)
{
    pthread_mutex_lock(&mutex);
    while (line.n) {
        ssize_t r = write(STDERR_FILENO, line.p, line.n);

        if (r >= 0) {
            line = str_sub(line, (size_t)r, line.n);
        } else if (errno == EAGAIN) {
            struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

            poll(&p, 1, -1);
        } else if (errno != EINTR) {
            break; /* nobody is left to be told */
        }
    }
    pthread_mutex_unlock(&mutex);
}

/* The first bytes of a text, whole characters only. */
static struct str head(struct str s)
{
    size_t n = LOG_FIELD_BYTES_MAX;

    if (s.n <= n)
        return s;
    while (n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return str_sub(s, 0, n);
}

static bool is_word(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '=')
            return false;
    return s.n > 0;
}

static void add_value(struct buf *b, const struct log_field *f, bool json)
{
    if (!f->text.p)
        buf_printf(b, "%" PRId64, f->number);
    else if (!json && is_word(head(f->text)))
        buf_add(b, head(f->text));
    else
        buf_json(b, head(f->text));
}

static void add_field(struct buf *b, const struct log_field *f, bool json)
{
    if (json) {
        buf_byte(b, ',');
        buf_json(b, str_of(f->name));
        buf_byte(b, ':');
    } else {
        buf_printf(b, " %s=", f->name);
    }
    add_value(b, f, json);
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    char line[LOG_LINE_BYTES_MAX], at[CLOCK_TEXT_BYTES];
    bool json = atomic_load(&format) == LOG_JSON;
    bool cut = false;
    struct buf b;

    if ((int)level < atomic_load(&least))
        return;
    buf_fixed(&b, line, sizeof(line));
    b.max -= LOG_END_BYTES_MAX;
    clock_text(clock_utc(), at);
    buf_printf(&b, json ? "{\"at\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "%s %s %s", at,
               level_texts[level], event);
    for (size_t i = 0; i < n && !cut; i++) {
        size_t before = b.n;

        add_field(&b, &fields[i], json);
        cut = b.full;
        if (cut) {
            b.n = before; /* a field is there as a whole or not at all */
            b.full = false;
        }
    }
    b.max += LOG_END_BYTES_MAX;
    if (cut)
        buf_add(&b, json ? STR(",\"cut\":true") : STR(" …"));
    buf_add(&b, json ? STR("}\n") : STR("\n"));
    put(buf_str(&b));
}
