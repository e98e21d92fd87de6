/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: one program, described as data, and then started.
 *
 * The child is made by clone with the memory of its parent, which goes on at once: nothing is
 * copied and nobody waits for the exec. Until then the child lives in its room, on a stack of its
 * own, and does nothing but system calls. Why it never became a program is read in the room after
 * its death.
 */
#ifndef WORK_PROCESS_H
#define WORK_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Nobody tells when the child has become a program, so the lists and texts are borrowed until it is
 * dead; `path` for the call. */
struct process_spec {
    const char *path; /* what is executed; process_find() knows */
    const char *const *argv;
    const char *const *env;
    const char *cwd;
    int fds[3];             /* its stdin, stdout, stderr; all above 2. It gets no others. */
    int cgroup;             /* the folder of the cgroup that it is born into, or -1 */
    volatile pid_t *pid_at; /* where it notes its pid before anything else, or NULL */
};

/* How far a child came that never became a program. */
enum process_step { PROCESS_RAN, PROCESS_CWD, PROCESS_FDS, PROCESS_EXEC };

/* For one process at a time, from its start until it is reaped. */
struct process_room;

int process_room_new(struct process_room **ret);
struct process_room *process_room_free(struct process_room *room);

/* Start it: a new session, signals as by default, nothing blocked. The child is a zombie until the
 * caller waits for it; *ret_pidfd becomes readable when it is dead. Returns 0 or -errno. */
int process_start(struct process_room *room, const struct process_spec *spec, pid_t *ret_pid,
                  int *ret_pidfd);

/* Of a dead child: PROCESS_RAN, or the step that failed with *ret_error. */
enum process_step process_failure(const struct process_room *room, int *ret_error);

/* The path that it was asked to execute. */
const char *process_program(const struct process_room *room);

enum { PROCESS_E_MISSING = 1, PROCESS_E_DENIED = 2 };

/* Where a command is that was named without a slash, by process_path(); with a slash, itself.
 * Folders of PATH that do not begin with a slash are below `cwd`. Returns 0, PROCESS_E_MISSING,
 * PROCESS_E_DENIED (only files that may not be executed have the name) or -ENAMETOOLONG. */
int process_find(const char *command, const char *const *env, const char *cwd, char *out,
                 size_t out_bytes);

/* The PATH in `env`, or the usual one. */
const char *process_path(const char *const *env);

#endif
