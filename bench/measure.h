/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: what the benchmark programs share. Each does one measurement and prints one JSON object;
 * bench/run repeats them in turn and sets the figures beside each other.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>

/* The payload that every task of a queue carries: 100 bytes of JSON. */
#define MEASURE_PAYLOAD                                                                            \
    "{\"to\":\"someone@example.org\",\"subject\":\"An order has arrived\""                         \
    ",\"order\":1234567890,\"lines\":[1,22,3,44]}"

double measure_seconds(void);

/* Memory that this process has in RAM. */
int64_t measure_rss_kib(void);

/* A number of the command line, at least `min`; else the usage and the end. */
int64_t measure_number(const char *text, int64_t min, const char *usage);

_Noreturn void measure_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
