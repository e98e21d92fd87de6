/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str: a piece of text that somebody else owns.
 *
 * Bytes end where `n` says; no NUL is promised behind them. Passed by value, for reading. A `struct
 * str` of zeros is the empty text.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_FMT      "%.*s"
#define STR_ARG(s)   (int)(s).n, (s).p

/* The text of a C string; NULL is the empty text. */
static inline struct str str_of(const char *c)
{
    return (struct str){c, c ? strlen(c) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Byte order, the shorter first where one begins the other. */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* Whether `byte` occurs in `s`; its place goes to *ret_at (NULL allowed). */
bool str_find(struct str s, char byte, size_t *ret_at);

/* At most `n` bytes from `from` on; what lies behind the end is not there. */
struct str str_sub(struct str s, size_t from, size_t n);

/* Without the blanks of ASCII (space, \t \n \v \f \r) at both ends. */
struct str str_trim(struct str s);

/* Whether `s` is one of a list's texts; its place goes to *ret_at. */
bool str_index(struct str s, const struct str *list, size_t n, size_t *ret_at);

/* A whole decimal integer, with an optional minus and nothing else around it. False where it is
 * none or does not fit. */
bool str_int64(struct str s, int64_t *ret);

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). *ret_at is
 * the first bad byte. */
bool str_utf8(struct str s, size_t *ret_at);

/* Copies that the arena owns; the C string has its NUL, and the caller has made sure that there is
 * none inside. */
struct str str_copy(struct arena *a, struct str s);
char *str_cstr(struct arena *a, struct str s);
struct str str_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
