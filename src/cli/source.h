/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source: workflow files, as they are named on the command line.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "base/arena.h"
#include "base/str.h"
#include "cli/command.h"
#include "core/definition.h"

struct source {
    const char *name;   /* as it is shown: the path as it was given, or "stdin" */
    const char *path;   /* absolute; "stdin" */
    const char *dir;    /* the absolute folder that it lies in; for stdin where we are */
    const char *format; /* "yaml" or "json" */
    struct str stem;    /* the file's name without its ending */
    struct str text;
};

enum { SOURCE_E_BAD = 1 };

/* Read a file ("-" is stdin) of at most DOC_BYTES_MAX. 0, or SOURCE_E_BAD with a sentence; what is
 * shown of it (name) is set in any case. */
int source_read(struct arena *a, const char *path, struct source *ret, struct str *ret_error);

/* Its definition; DEFINITION_E_BAD with what is wrong, be it with the document or with what it
 * says. */
int source_definition(struct arena *a, const struct source *s, struct definition **ret,
                      struct definition_errors *ret_errors);

/* Say what is wrong with a file; returns the exit status. */
int source_refuse(struct cli *c, const struct source *s, const struct definition_errors *errors);

/* The sentence above a list of errors: how many there are in which file. */
void source_sum(struct arena *a, const struct source *s, size_t errors_n, struct client_problem *p);

struct source_list {
    const char **paths;
    size_t n;
    size_t max;
};

#define SOURCE_FILES_MAX 100000u
#define SOURCE_DEPTH_MAX 32u

/*
 * Add `path`, or where it is a folder the workflow files below it, in the order of their names:
 * *.yaml, *.yml and *.json that have a `weft` key, as far as can be seen without reading them as
 * documents. Hidden files and folders are passed over, links to folders too. 0, or SOURCE_E_BAD
 * with a sentence.
 */
int source_find(struct arena *a, const char *path, struct source_list *list, struct str *ret_error);

#endif
