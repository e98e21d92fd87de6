/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format: values of replies as people read them.
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

/* "0.12s", "8.2s", "3m05s", "2h07m", "4d03h". */
#define FORMAT_DURATION_BYTES 24
struct str format_duration(int64_t us, char out[static FORMAT_DURATION_BYTES]);

/* "1.5 MiB" */
struct str format_bytes(struct arena *a, int64_t bytes);

/* Fields of an object; the empty text, 0 or -1 where there is none of that kind. An id is digits in
 * a string. */
struct str format_text(const json_t *object, const char *key);
int64_t format_number(const json_t *object, const char *key, int64_t without);
int64_t format_id(const json_t *object, const char *key);
/* A number of seconds as microseconds; -1: none. */
int64_t format_us(const json_t *object, const char *key);

/* Of an RFC 3339 time: "2026-03-08 07:30:00" and "07:30:00Z"; the empty text of an empty one. Times
 * are UTC everywhere. */
struct str format_time(struct arena *a, struct str time);
struct str format_clock(struct arena *a, struct str time);

/* A duration field as text, "" where there is none. */
struct str format_span(struct arena *a, const json_t *object, const char *key);

/* How an attempt (or the event that ended one) ended, in words: "exit code 3", "killed by SIGKILL",
 * "timed out", "lost"; empty where it succeeded or has not ended. */
struct str format_ending(struct arena *a, const json_t *attempt);

/* The colour and glyph of a task's or run's state. */
const char *format_color(struct str state);
const char *format_glyph(struct str state, bool utf8);

/* The count of a state, written in capitals; 0 where there is none. */
int64_t format_count(const json_t *counts, const char *state);
/* "3 succeeded, 1 failed, 2 skipped" of {STATE: n}. */
struct str format_counts(struct arena *a, const json_t *counts);
/* The sum of all counts, and of those that are final. */
int64_t format_counts_total(const json_t *counts, int64_t *ret_final);

/* The text as a JSON value; bytes that are no UTF-8 become U+FFFD. */
json_t *format_json(struct str s);

/* "1 task", "2 tasks" */
struct str format_n(struct arena *a, int64_t n, const char *noun);

/* "2 results, 1 failed"; empty where there is none. */
struct str format_results(struct arena *a, int64_t results, int64_t failures);
/* The name of an incarnation, by the list of workers.list; empty: it is not there. */
struct str format_worker(const json_t *workers, struct str id);
/* The state of a task; with that of a check behind it: "READY/WAITING". */
struct str format_task_state(struct arena *a, const json_t *task);

/* A worker's, without those for tasks that wait for one (proto: Worker.ahead). */
int64_t format_slots(const json_t *worker);

#endif
