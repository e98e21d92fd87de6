/* SPDX-License-Identifier: Apache-2.0 */
#include "net/grpc_frame.h"

#include <inttypes.h>

#include "base/clock.h"

#define TIMEOUT_N_MAX 99999999LL

void grpc_frame_init(struct grpc_frame *f, size_t message_bytes_max)
{
    *f = (struct grpc_frame){0};
    buf_init(&f->body, message_bytes_max);
}

void grpc_frame_deinit(struct grpc_frame *f)
{
    buf_deinit(&f->body);
}

void grpc_frame_clear(struct grpc_frame *f)
{
    f->head_n = 0;
    f->bytes = 0;
    buf_clear(&f->body);
}

static int read_head(struct grpc_frame *f, struct str *bytes)
{
    while (f->head_n < sizeof(f->head) && bytes->n) {
        f->head[f->head_n++] = (unsigned char)bytes->p[0];
        *bytes = str_sub(*bytes, 1, bytes->n);
    }
    if (f->head_n && f->head[0])
        return f->head[0] == 1 ? GRPC_FRAME_E_COMPRESSED : GRPC_FRAME_E_BAD;
    if (f->head_n < sizeof(f->head))
        return GRPC_FRAME_E_MORE;
    f->bytes =
        (size_t)f->head[1] << 24 | (size_t)f->head[2] << 16 | (size_t)f->head[3] << 8 | f->head[4];
    return f->bytes > f->body.max ? GRPC_FRAME_E_TOO_LARGE : 0;
}

int grpc_frame_feed(struct grpc_frame *f, struct str *bytes)
{
    struct str part;

    if (f->head_n < sizeof(f->head)) {
        int r = read_head(f, bytes);

        if (r)
            return r;
    }
    part = str_sub(*bytes, 0, f->bytes - f->body.n);
    buf_add(&f->body, part);
    *bytes = str_sub(*bytes, part.n, bytes->n);
    return f->body.n == f->bytes ? 0 : GRPC_FRAME_E_MORE;
}

bool grpc_frame_empty(const struct grpc_frame *f)
{
    return f->head_n == 0;
}

void grpc_frame_length(char *head, size_t message_bytes)
{
    for (unsigned i = 0; i < 4; i++)
        head[1 + i] = (char)(message_bytes >> (24 - 8 * i));
}

void grpc_frame_head(struct buf *out, size_t message_bytes)
{
    char head[GRPC_FRAME_HEAD_BYTES] = {0};

    grpc_frame_length(head, message_bytes);
    buf_add(out, (struct str){head, sizeof(head)});
}

bool grpc_frame_timeout(struct str text, int64_t *ret_us)
{
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {
        {'H', 3600 * 1000000000LL},
        {'M', 60 * 1000000000LL  },
        {'S', 1000000000LL       },
        {'m', 1000000LL          },
        {'u', 1000LL             },
        {'n', 1LL                },
    };
    int64_t n;

    if (text.n < 2 || text.n > 9 || text.p[0] == '-' ||
        !str_int64(str_sub(text, 0, text.n - 1), &n))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (units[i].unit != text.p[text.n - 1])
            continue;
        *ret_us = units[i].ns >= 1000 ? n * (units[i].ns / 1000) : (n + 999) / 1000;
        return true;
    }
    return false;
}

struct str grpc_frame_timeout_text(int64_t us, char out[static GRPC_FRAME_TIMEOUT_BYTES])
{
    static const struct {
        char unit;
        int64_t us;
    } units[] = {
        {'u', 1           },
        {'m', CLOCK_MS    },
        {'S', CLOCK_S     },
        {'M', 60 * CLOCK_S},
    };
    struct buf b;
    size_t i = 0;
    int64_t n;

    if (us < 0)
        us = 0;
    while (i + 1 < sizeof(units) / sizeof(*units) && us / units[i].us >= TIMEOUT_N_MAX)
        i++;
    n = us / units[i].us + (us % units[i].us != 0);
    buf_fixed(&b, out, GRPC_FRAME_TIMEOUT_BYTES);
    n = n < TIMEOUT_N_MAX ? n : TIMEOUT_N_MAX;
    buf_printf(&b, "%" PRId64 "%c", n, units[i].unit);
    return buf_str(&b);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t grpc_frame_unpercent(struct str text, char *out, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n && n < room; i++) {
        int high = text.p[i] == '%' && i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.p[i + 2]) : -1;

        out[n++] = low >= 0 ? (char)(high << 4 | low) : text.p[i];
        if (low >= 0)
            i += 2;
    }
    return n;
}

struct str grpc_frame_percent(struct arena *a, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(a, 3 * text.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c >= ' ' && c <= '~' && c != '%') {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        }
    }
    return (struct str){out, n};
}

bool grpc_frame_content_type(struct str text)
{
    struct str rest;

    if (!str_starts(text, STR("application/grpc")))
        return false;
    rest = str_sub(text, sizeof("application/grpc") - 1, text.n);
    if (str_starts(rest, STR("+proto")))
        rest = str_sub(rest, sizeof("+proto") - 1, rest.n);
    return rest.n == 0 || rest.p[0] == ';' || rest.p[0] == ' ';
}
