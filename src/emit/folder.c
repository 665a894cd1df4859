/*
 * A folder as one unit. Invariant: whatever fails, no file in the target is half written, and a
 * target that did not exist does not exist.
 */
#include "emit/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"

typedef enum target { TARGET_ABSENT, TARGET_EMPTY, TARGET_FULL } target;

static mn_status look(const char *path, target *ret_target, mn_error *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL && errno == ENOENT) {
        *ret_target = TARGET_ABSENT;
        return MN_OK;
    }
    if (folder == NULL)
        return mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
    target found = TARGET_EMPTY;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            found = TARGET_FULL;
    }
    closedir(folder);
    *ret_target = found;
    return MN_OK;
}

mn_status mn__folder_check(const char *path, bool force, mn_error *err)
{
    target found = TARGET_ABSENT;
    mn_status status = look(path, &found, err);
    if (status == MN_OK && found == TARGET_FULL && !force)
        return mn_error_set(err,
                            MN_ERR_IO,
                            "%s: exists and is not empty (--force replaces an earlier export)",
                            path);
    return status;
}

/* A copy of `path` without slashes at its end ("/" stays), and of the folder that holds it. */
static mn_status split(const char *path, char **ret_path, char **ret_parent, mn_error *err)
{
    size_t length = strlen(path);
    if (length == 0)
        return mn_error_set(err, MN_ERR_ARG, "folder '': expected a path");
    while (length > 1 && path[length - 1] == '/')
        length--;
    char *copy = strndup(path, length);
    char *parent = strndup(path, length);
    if (copy == NULL || parent == NULL) {
        free(copy);
        free(parent);
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", path);
    }
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        *parent = '\0';
    else
        slash[slash == parent ? 1 : 0] = '\0';
    *ret_path = copy;
    *ret_parent = parent;
    return MN_OK;
}

/* Where the files are written first: beside a target that does not exist, inside one that does, so
 * that the moves stay on one file system. NULL when out of memory. */
static char *stage_path(const char *path, target found)
{
    size_t length = strlen(path) + 48;
    char *stage = mn_calloc(length, 1);
    if (stage != NULL)
        snprintf(stage,
                 length,
                 found == TARGET_ABSENT ? "%s.tmp%ld" : "%s/.export.tmp%ld",
                 path,
                 (long)getpid());
    return stage;
}

static mn_status write_files(const char *stage, const mn__file *files, size_t count, mn_error *err)
{
    mn_status status = mn_folder_remove(stage, err); /* left over by a process of the same id */
    if (status == MN_OK)
        status = mn_folder_make(stage, err);
    for (size_t i = 0; i < count && status == MN_OK; i++) {
        if (files[i].bytes == NULL)
            continue;
        char *name = mn_path_join(stage, files[i].name);
        status = name == NULL ? mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", stage)
                              : mn_file_write(name, files[i].bytes, files[i].count, err);
        free(name);
    }
    return status;
}

static mn_status move_one(const char *stage, const char *path, const mn__file *file, mn_error *err)
{
    mn_status status = MN_OK;
    char *from = mn_path_join(stage, file->name);
    char *to = mn_path_join(path, file->name);
    if (from == NULL || to == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", path);
    else if (file->bytes == NULL ? unlink(to) != 0 && errno != ENOENT : rename(from, to) != 0)
        status = mn_error_set(err, MN_ERR_IO, "%s: %s", to, strerror(errno));
    free(to);
    free(from);
    return status;
}

mn_status
mn__folder_write(const char *path, const mn__file *files, size_t file_count, mn_error *err)
{
    char *folder = NULL;
    char *parent = NULL;
    char *stage = NULL;
    target found = TARGET_ABSENT;
    mn_status status = split(path, &folder, &parent, err);
    if (status == MN_OK)
        status = look(folder, &found, err);
    if (status == MN_OK && parent[0] != '\0')
        status = mn_folder_make(parent, err);
    if (status != MN_OK)
        goto done;
    stage = stage_path(folder, found);
    if (stage == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    status = write_files(stage, files, file_count, err);
    if (found == TARGET_ABSENT) {
        if (status == MN_OK && rename(stage, folder) != 0)
            status = mn_error_set(err, MN_ERR_IO, "%s: %s", folder, strerror(errno));
    } else {
        for (size_t i = 0; i < file_count && status == MN_OK; i++)
            status = move_one(stage, folder, &files[i], err);
    }
done:
    if (stage != NULL)
        mn_folder_remove(stage, NULL); /* gone already when the whole folder was moved */
    free(stage);
    free(parent);
    free(folder);
    return status;
}
