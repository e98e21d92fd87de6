/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_log: how SQLite's write-ahead log reaches the disk.
 *
 * SQLite writes a commit page by page, two system calls each, at the end of a file that grows. Then
 * the sync that follows has to make the file's new size durable too, which on ext4 waits for the
 * file system's own journal and takes two to five times as long. Here a commit's pages are gathered
 * and written at once before they are synced or read, and the log grows in steps: zeros are written
 * behind its end, for the next commits to overwrite. What SQLite reads there is no frame to it, as
 * what an earlier round of the log left behind is none.
 *
 * Private to this folder. It is a VFS of SQLite around the default one, which it asks for all else.
 */
#ifndef STORE_SQLITE_LOG_H
#define STORE_SQLITE_LOG_H

/* The name of the VFS, to open a database with; registered by the first call, which any thread may
 * make. */
const char *sqlite_log_vfs(void);

#endif
