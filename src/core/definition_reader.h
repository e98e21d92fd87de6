/* SPDX-License-Identifier: Apache-2.0 */
/*
 * definition_reader: what the parts of reading a workflow share: the errors, the names, and values
 * of the kinds that occur everywhere. Only definition*.c include it.
 *
 * Reading goes on after an error, so that all are found at once; what was wrong keeps its default.
 */
#ifndef CORE_DEFINITION_READER_H
#define CORE_DEFINITION_READER_H

#include "base/map.h"
#include "core/definition.h"

/* Not in a task, but in `env` or `defaults`, which all tasks share. */
#define DEFINITION_SHARED UINT32_MAX

/* A name in a constant array of struct str. */
#define DEFINITION_KEY(literal)                                                                    \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* A task's reference to the output of another one. */
struct definition_ref {
    uint32_t task;
    uint32_t target;
    const struct doc *at;
    const char *key;
};

struct definition_reader {
    struct arena *arena;  /* of the definition and the errors */
    struct arena scratch; /* of what reading needs */
    struct definition *d;
    struct definition_errors *errors;
    struct map *params; /* from their names to their indices, as for the tasks */
    struct map *tasks;
    struct str *param_names;
    struct str *task_names;
    const struct doc **task_docs;

    /* Where the reader is, for the sentences: task "extract", retry. */
    const char *thing; /* "task" or "param"; NULL at the top */
    struct str thing_name;
    const char *section; /* "retry" or "defaults"; NULL for none */
    uint32_t task;       /* its index, or DEFINITION_SHARED */
    bool refers;         /* a reference was seen that only an attempt can resolve */

    struct definition_ref *refs;
    size_t refs_n, refs_cap;
    size_t env_n;      /* entries of all tasks, for the limit */
    size_t guess_left; /* names that may still be compared for "did you mean" */
};

/* Note an error. Those with the first places are kept. */
void definition_bad(struct definition_reader *r, unsigned line, unsigned column, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));

/* `"key" is ALLOWED; found …` at the value; `ALLOWED was expected; found …` where the key is NULL.
 */
void definition_wrong(struct definition_reader *r, const struct doc *at, const char *key,
                      const char *allowed);

/* True, and the error is counted, where one at this place would not be kept: look before working
 * for its sentence. */
bool definition_skips(struct definition_reader *r, unsigned line, unsigned column);

/* Sort the values of a map by their keys: slots[i] is the value of names[i] or NULL. Keys that are
 * unknown or stand twice are errors. False, and said as definition_wrong() does, where it is no
 * map. */
bool definition_keys(struct definition_reader *r, const struct doc *map, const char *key,
                     const char *allowed, const struct str *names, size_t n,
                     const struct doc **slots);

/* A key that stands twice is an error. */
void definition_again(struct definition_reader *r, const struct doc *map, const struct doc *value);

/* `; did you mean "x"?` or the empty text. */
struct str definition_guess(struct definition_reader *r, struct str wrong, const struct str *names,
                            size_t n);

/* Each of these is false, and has said so, where the value is of another kind or size. */
bool definition_text(struct definition_reader *r, const struct doc *d, const char *key,
                     struct str *ret);
/* As definition_text, and takes the spelling of a number or boolean. */
bool definition_spelling(struct definition_reader *r, const struct doc *d, const char *key,
                         const char *allowed, struct str *ret);
bool definition_integer(struct definition_reader *r, const struct doc *d, const char *key,
                        int64_t least, int64_t most, int64_t *ret);
bool definition_number(struct definition_reader *r, const struct doc *d, const char *key,
                       double least, double most, double *ret);
/* A duration or a number of seconds. */
bool definition_duration(struct definition_reader *r, const struct doc *d, const char *key,
                         int64_t *ret_us);

/* A name of a workflow or task; `what` is "workflow" or "task". */
bool definition_name(struct definition_reader *r, unsigned line, unsigned column, const char *what,
                     struct str name);

/* Check the references of a text that stands under `key`. */
void definition_refs(struct definition_reader *r, const struct doc *d, const char *key,
                     struct str text);

/* The parts. */
void definition_params(struct definition_reader *r, const struct doc *d);
void definition_needs(struct definition_reader *r, const struct doc *const *needs);

#endif
