/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault: the way an unexpected failure goes up.
 *
 * Functions return 0, a positive outcome that their header names, or a negative fault (-errno) that
 * nobody interprets. `fault(r)` notes where it passed, so that one log entry at the top shows the
 * whole way. A positive outcome that reaches fault() was forgotten by the caller and becomes
 * -ENOTRECOVERABLE there.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/str.h"

#define fault(r) fault_note((r), __FILE__, __LINE__, __func__)

int fault_note(int r, const char *file, int line, const char *function);

/* The way of this thread's newest fault, "store/sqlite.c:120 sqlite_run < engine/task.c:44
 * task_claim", and forget it. Valid until the thread's next fault. */
const char *fault_take(void);

#endif
