/*
 * Files: whole reads, and writes that either are complete or never happened (temporary name, sync,
 * rename, sync of the folder). Every message names the path.
 */
#ifndef MN_BASE_FILE_H
#define MN_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/status.h"

/* Reads a regular file of at most `max_bytes`; the caller frees *ret_bytes, which has a NUL after
 * its last byte. MN_ERR_IO, or MN_ERR_LIMIT when it is larger. */
mn_status mn_file_read(
    const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_count, mn_error *err);

/* Writes atomically: after a crash or a full disk the old content (or nothing) is still there. */
mn_status mn_file_write(const char *path, const void *bytes, size_t count, mn_error *err);

/* Makes a folder and its parents; an existing folder is fine, an existing file is MN_ERR_IO. */
mn_status mn_folder_make(const char *path, mn_error *err);

/* Removes a folder and everything under it; MN_OK when it does not exist. Does not follow links. */
mn_status mn_folder_remove(const char *path, mn_error *err);

/* Lets `link_path` point to `target` (relative to the link's folder) in one atomic step. */
mn_status mn_symlink_swap(const char *target, const char *link_path, mn_error *err);

bool mn_path_exists(const char *path);

/* "folder/name" in fresh memory that the caller frees; NULL when out of memory. */
char *mn_path_join(const char *folder, const char *name);

/* Milliseconds of a clock that never goes back. */
int64_t mn_clock_ms(void);

#endif
