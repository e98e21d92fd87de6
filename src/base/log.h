/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: what the program says of itself, on stderr.
 *
 * One event a line: JSON where stderr is no terminal, plain words where it is. An event has a name
 * in snake_case, and fields:
 *
 *     log_say(LOG_WARNING, "lease_lost", LOG_NUMBER("task", id), LOG_TEXT("worker", name));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_PLAIN, LOG_JSON };

struct log_field {
    const char *name;
    struct str text; /* where text.p is set, else the number */
    int64_t number;
};

/* The empty text is a text too, and no number. */
static inline struct str log_text(struct str s)
{
    return s.p ? s : STR("");
}

#define LOG_TEXT(name_, s)   ((struct log_field){.name = (name_), .text = log_text(s)})
#define LOG_NUMBER(name_, v) ((struct log_field){.name = (name_), .number = (int64_t)(v)})

/* Until it is called: from LOG_INFO on, plain. */
void log_setup(enum log_level least, enum log_format format);

/* Any thread may call it: a line is written whole, between those of the others. Texts are cut after
 * 4 KiB, fields that would make the line longer than 16 KiB are left out and the line says so. */
void log_fields(enum log_level level, const char *event, const struct log_field *fields, size_t n);

#define log_say(level, event, ...)                                                                 \
    log_fields((level), (event), (struct log_field[]){__VA_ARGS__},                                \
               sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

#endif
