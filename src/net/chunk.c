/* SPDX-License-Identifier: Apache-2.0 */
#include "net/chunk.h"

#include <assert.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* What an extension or a trailer's value may hold. */
static bool is_text(char c)
{
    return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f);
}

static int size(struct chunk *c, char byte)
{
    int digit = hex(byte);

    if (digit >= 0 && c->digits < CHUNK_DIGITS_MAX) {
        c->digits++;
        c->left = c->left * 16 + (uint64_t)digit;
        return CHUNK_SIZE;
    }
    if (digit >= 0 || c->digits == 0)
        return -1;
    return byte == ';' ? CHUNK_EXTENSION : byte == '\r' ? CHUNK_SIZE_LF : -1;
}

static int after_size(struct chunk *c)
{
    c->digits = 0;
    return c->left > 0 ? CHUNK_DATA : CHUNK_LINE;
}

/* The state behind a byte that is not data; -1 where it may not stand there. */
static int step(struct chunk *c, char byte)
{
    switch (c->state) {
    case CHUNK_SIZE:
        return size(c, byte);
    case CHUNK_EXTENSION:
        return byte == '\r' ? CHUNK_SIZE_LF : is_text(byte) ? CHUNK_EXTENSION : -1;
    case CHUNK_SIZE_LF:
        return byte == '\n' ? after_size(c) : -1;
    case CHUNK_DATA_CR:
        return byte == '\r' ? CHUNK_DATA_LF : -1;
    case CHUNK_DATA_LF:
        return byte == '\n' ? CHUNK_SIZE : -1;
    case CHUNK_LINE:
        return byte == '\r' ? CHUNK_LAST_LF : is_token(byte) ? CHUNK_NAME : -1;
    case CHUNK_NAME:
        return byte == ':' ? CHUNK_VALUE : is_token(byte) ? CHUNK_NAME : -1;
    case CHUNK_VALUE:
        return byte == '\r' ? CHUNK_VALUE_LF : is_text(byte) ? CHUNK_VALUE : -1;
    case CHUNK_VALUE_LF:
        return byte == '\n' ? CHUNK_LINE : -1;
    case CHUNK_LAST_LF:
        return byte == '\n' ? CHUNK_END : -1;
    case CHUNK_DATA:
    case CHUNK_END:
        break;
    }
    assert(!"data and the end take no byte here");
    return -1;
}

static bool is_overhead(enum chunk_state s)
{
    return s == CHUNK_EXTENSION || (s >= CHUNK_LINE && s < CHUNK_END);
}

int chunk_take(struct chunk *c, struct str *in, struct str *ret_data, const char **ret_why)
{
    int next;

    *ret_data = (struct str){0};
    while (in->n > 0 && c->state != CHUNK_END) {
        if (c->state == CHUNK_DATA) {
            *ret_data = str_sub(*in, 0, c->left < in->n ? (size_t)c->left : in->n);
            *in = str_sub(*in, ret_data->n, in->n);
            c->left -= ret_data->n;
            if (c->left == 0)
                c->state = CHUNK_DATA_CR;
            return 0;
        }
        next = step(c, in->p[0]);
        if (next < 0 || (is_overhead(c->state) && ++c->overhead > CHUNK_OVERHEAD_MAX)) {
            *ret_why = next < 0 ? "the body is not chunked as RFC 9112 says"
                                : "the chunks have too many extensions and trailers";
            return CHUNK_E_BAD;
        }
        c->state = (enum chunk_state)next;
        *in = str_sub(*in, 1, in->n);
    }
    return 0;
}
