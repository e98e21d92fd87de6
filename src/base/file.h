/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: whole files and folders.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/arena.h"
#include "base/str.h"

enum { FILE_E_LARGE = 1 }; /* the file holds more than `max` bytes; nothing was read */

/* Read all of `path` ("-" is stdin) into the arena. Returns 0, FILE_E_LARGE or a fault (-ENOENT,
 * -EACCES, …). */
int file_read(struct arena *a, const char *path, size_t max, struct str *ret);

/* Make a folder and those above it; one that exists is fine. */
int file_mkdirs(const char *path);

/* Replace `path` in one step (temporary file, fsync, rename). */
int file_write(const char *path, struct str content);

#endif
