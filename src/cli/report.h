/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: a run and its tasks, told to a person or as JSON, whatever their number.
 *
 * A run's tasks are read page by page and never held as a whole.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "cli/command.h"
#include "cli/table.h"

/* What is called with each page: the run with some of its tasks. False: that is enough. */
typedef bool report_page(void *context, const json_t *run);

/* 0, or the exit status after saying why not. */
int report_pages(struct cli *c, int64_t run, report_page *page, void *context);

/* The run alone, without its tasks; the caller owns it. */
int report_head(struct cli *c, int64_t run, json_t **ret_run);

/* A work plan, sealed or not; only of one it is said whether it grows. */
bool report_is_plan(const json_t *run);

/* The workers that runs like this one name, as workers.list gives them: of a work plan those that
 * still stand there, of others none (NULL). The caller owns it. */
json_t *report_workers(struct cli *c, const json_t *run);

/* The run as one object, a task per line; in jsonl {"run": …} on one line. */
enum report_shape { REPORT_RUN, REPORT_LAST_LINE };
int report_json(struct cli *c, int64_t run, enum report_shape shape);

/* A table of its tasks; of more than REPORT_TASKS_SHOWN first those that did not succeed, and how
 * many more there are. */
#define REPORT_TASKS_SHOWN 100
enum report_tasks { REPORT_ALL, REPORT_SOME };
int report_tasks(struct cli *c, int64_t run, enum report_tasks which);

/* For each failed task why, the end of its stderr, and the command that shows all of it. */
#define REPORT_FAILURES_SHOWN 20
int report_failures(struct cli *c, FILE *out, int64_t run);

/* "run 12 of etl FAILED in 8.20s: 3 succeeded, 1 failed" */
void report_closing(struct cli *c, FILE *out, const json_t *run);

/* A command to type, with the options that lead to the same store. */
struct str report_hint(struct cli *c, const char *command, int64_t run, struct str task);

/* 0 for a run that succeeded, else 1. */
int report_status(const json_t *run);
bool report_ended(const json_t *run);

/* Columns of the terminal, 0 where there is none. */
size_t report_columns(const struct cli *c);

/* The table alone, as wide as the terminal. */
void report_table(struct cli *c, const struct table *table);

#endif
