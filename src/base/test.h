/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test: what the unit tests have in common; included by *_test.c only.
 */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

/* In a table test: the row's name says which one failed. */
#define CHECK_ROW(name, condition)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("row \"%s\": %s", (name), #condition);                                        \
    } while (0)

/* Texts are compared as bytes and shown as text. */
#define CHECK_TEXT(given, expected)                                                                \
    do {                                                                                           \
        struct str given_ = (given), expected_ = str_of(expected);                                 \
        if (!str_eq(given_, expected_))                                                            \
            fail_msg("is \"" STR_FMT "\", should be \"" STR_FMT "\"", STR_ARG(given_),             \
                     STR_ARG(expected_));                                                          \
    } while (0)

#define ROWS_N(rows) (sizeof(rows) / sizeof((rows)[0]))

#endif
