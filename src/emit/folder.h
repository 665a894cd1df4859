/*
 * Writes a set of files as one folder: none of them is ever half written, and a folder that is new
 * has all of them or does not exist.
 */
#ifndef MN_EMIT_FOLDER_H
#define MN_EMIT_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "memnet/status.h"

typedef struct mn__file {
    const char *name;  /* without folder */
    const void *bytes; /* NULL: a file of an earlier export that must go */
    size_t count;
} mn__file;

/* MN_ERR_IO when `path` exists and is not an empty folder; with `force` a folder with anything in
 * it is fine. Nothing is written. */
mn_status mn__folder_check(const char *path, bool force, mn_error *err);

/*
 * Writes `files` aside and moves them into place when all are complete. A folder that does not
 * exist appears with one rename, its parents are made; in one that exists, files of the same names
 * are replaced (or removed) one after the other and everything else stays.
 */
mn_status
mn__folder_write(const char *path, const mn__file *files, size_t file_count, mn_error *err);

#endif
