/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: allocation that cannot fail, and clean-up at the end of a scope.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Zeroed memory. A machine that has none left ends the process with a line on stderr. */
void *memory_new(size_t size);

/* As realloc(): what is new is not zeroed, and NULL is nothing yet. */
void *memory_grow(void *p, size_t size);
char *memory_text(const char *text);

/* For CLEANUP(memory_freep). */
void memory_freep(void *pointer_to_pointer);

/* For CLEANUP(memory_fd_closep): a descriptor, -1 for none. errno is kept. */
void memory_fd_closep(int *fd);

#define CLEANUP(function) __attribute__((cleanup(function)))

/* Give away what CLEANUP would free. */
#define TAKE(p)                                                                                    \
    ({                                                                                             \
        __typeof__(p) take_ = (p);                                                                 \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })

#endif
