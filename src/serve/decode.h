/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode: a JSON request as a struct, by a table of its keys.
 *
 * What is not in the table is refused, as is a wrong type or a value out of range; the sentence
 * names the key, what was found and what is allowed. Texts are copied into the arena.
 */
#ifndef SERVE_DECODE_H
#define SERVE_DECODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

enum decode_kind {
    DECODE_TEXT,  /* struct str: at most `max` bytes, no NUL */
    DECODE_ID,    /* int64_t: a string of digits, `min` or more */
    DECODE_INT,   /* int64_t: min … max; the default is `fallback` */
    DECODE_BOOL,  /* bool; the default is `fallback` */
    DECODE_TEXTS, /* struct decode_texts: an object whose values are texts of at most `max` bytes */
};

struct decode_texts {
    struct env_entry *list; /* core/definition.h: name and value */
    size_t n;
};

struct decode_field {
    const char *name;
    enum decode_kind kind;
    size_t offset; /* in the struct */
    bool required;
    int64_t min, max, fallback;
    const char *const *choices; /* of a text: it is one of them (ends with NULL) */
};

/* Rows of such tables: what the key's value becomes, and where it goes. */
enum decode_need { DECODE_OPTIONAL, DECODE_NEEDED };
#define DECODE_ROW(kind_, need_, name_, type, member)                                              \
    .name = (name_), .kind = (kind_), .offset = offsetof(type, member),                            \
    .required = (need_) == DECODE_NEEDED
#define DECODE_TEXT_ROW(need, name, type, member, bytes)                                           \
    {                                                                                              \
        DECODE_ROW(DECODE_TEXT, need, name, type, member), .max = (bytes)                          \
    }
#define DECODE_CHOICE_ROW(need, name, type, member, list)                                          \
    {                                                                                              \
        DECODE_ROW(DECODE_TEXT, need, name, type, member), .max = INT64_MAX, .choices = (list)     \
    }
#define DECODE_ID_ROW(need, name, type, member)                                                    \
    {                                                                                              \
        DECODE_ROW(DECODE_ID, need, name, type, member), .min = 1                                  \
    }
/* The number of an event; 0 stands before the first. */
#define DECODE_SEQ_ROW(name, type, member)                                                         \
    {                                                                                              \
        DECODE_ROW(DECODE_ID, DECODE_OPTIONAL, name, type, member)                                 \
    }
#define DECODE_INT_ROW(name, type, member, least, most, otherwise)                                 \
    {                                                                                              \
        DECODE_ROW(DECODE_INT, DECODE_OPTIONAL, name, type, member),                               \
            .min = (least), .max = (most), .fallback = (otherwise)                                 \
    }
#define DECODE_BOOL_ROW(name, type, member, otherwise)                                             \
    {                                                                                              \
        DECODE_ROW(DECODE_BOOL, DECODE_OPTIONAL, name, type, member), .fallback = (otherwise)      \
    }
#define DECODE_TEXTS_ROW(name, type, member, bytes)                                                \
    {                                                                                              \
        DECODE_ROW(DECODE_TEXTS, DECODE_OPTIONAL, name, type, member), .max = (bytes)              \
    }

/* `request` NULL is {}. The struct of zeros is filled; absent keys get their defaults. False with
 * one sentence, which begins with `method`. */
bool decode_request(struct arena *a, const char *method, const json_t *request,
                    const struct decode_field *fields, size_t n, void *ret, struct str *ret_error);

#endif
