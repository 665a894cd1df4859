/*
 * Files. Invariant: a reader never sees half a file that was written through here.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/size.h"

bool mn_path_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

char *mn_path_join(const char *folder, const char *name)
{
    size_t a = strlen(folder);
    size_t b = strlen(name);
    char *path = mn_calloc(a + b + 2, 1);
    if (path != NULL)
        snprintf(path, a + b + 2, "%s%s%s", folder, a > 0 && folder[a - 1] == '/' ? "" : "/", name);
    return path;
}

int64_t mn_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static mn_status read_all(int fd, const char *path, char *bytes, size_t count, mn_error *err)
{
    size_t done = 0;
    while (done < count) {
        ssize_t got = read(fd, bytes + done, count - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
        if (got == 0)
            return mn_error_set(err,
                                MN_ERR_IO,
                                "%s: ended after %zu of %zu bytes while it was read",
                                path,
                                done,
                                count);
        done += (size_t)got;
    }
    return MN_OK;
}

mn_status
mn_file_read(const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_count, mn_error *err)
{
    char *bytes = NULL;
    struct stat info;
    mn_status status = MN_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        status = mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        status = mn_error_set(err, MN_ERR_IO, "%s: not a regular file", path);
        goto done;
    }
    if ((uintmax_t)info.st_size > max_bytes) {
        status = mn_error_set(err,
                              MN_ERR_LIMIT,
                              "%s: %jd bytes, expected at most %zu",
                              path,
                              (intmax_t)info.st_size,
                              max_bytes);
        goto done;
    }
    size_t count = (size_t)info.st_size;
    bytes = mn_calloc(count + 1, 1);
    if (bytes == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "%s: no memory for %zu bytes", path, count);
        goto done;
    }
    status = read_all(fd, path, bytes, count, err);
    if (status != MN_OK)
        goto done;
    *ret_bytes = bytes;
    *ret_count = count;
    bytes = NULL;
done:
    free(bytes);
    if (fd >= 0)
        close(fd);
    return status;
}

static mn_status sync_parent(const char *path, mn_error *err)
{
    char *folder = strdup(path);
    if (folder == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        snprintf(folder, strlen(folder) + 1, ".");
    else if (slash == folder)
        slash[1] = '\0';
    else
        *slash = '\0';
    mn_status status = MN_OK;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* A folder that may be written but not read cannot be synced; the file is there. */
    bool closed = fd < 0 && errno == EACCES;
    if (!closed && (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)))
        status = mn_error_set(err, MN_ERR_IO, "%s: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(folder);
    return status;
}

static int write_all(int fd, const char *bytes, size_t count)
{
    size_t done = 0;
    while (done < count) {
        ssize_t put = write(fd, bytes + done, count - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        done += (size_t)put;
    }
    return 0;
}

mn_status mn_file_write(const char *path, const void *bytes, size_t count, mn_error *err)
{
    mn_status status = MN_OK;
    size_t length = strlen(path) + 32;
    char *temporary = mn_calloc(length, 1);
    int fd = -1;
    if (temporary == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    snprintf(temporary, length, "%s.tmp%ld", path, (long)getpid());
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        status = mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
        goto done;
    }
    int failed = write_all(fd, bytes, count) != 0 || fsync(fd) != 0;
    int reason = errno;
    if (close(fd) != 0 && !failed) {
        failed = 1;
        reason = errno;
    }
    fd = -1;
    if (!failed && rename(temporary, path) != 0) {
        failed = 1;
        reason = errno;
    }
    if (failed) {
        unlink(temporary);
        status = mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(reason));
        goto done;
    }
    status = sync_parent(path, err);
done:
    if (fd >= 0)
        close(fd);
    free(temporary);
    return status;
}

static mn_status make_one(const char *path, mn_error *err)
{
    struct stat info;
    if (mkdir(path, 0755) == 0)
        return MN_OK;
    int reason = errno;
    if (reason == EEXIST && stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return MN_OK;
        reason = ENOTDIR;
    }
    return mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(reason));
}

mn_status mn_folder_make(const char *path, mn_error *err)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", path);
    mn_status status = MN_OK;
    for (char *p = copy + 1; copy[0] != '\0' && *p != '\0' && status == MN_OK; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        status = make_one(copy, err);
        *p = '/';
    }
    if (status == MN_OK)
        status = make_one(copy, err);
    free(copy);
    return status;
}

mn_status mn_folder_remove(const char *path, mn_error *err)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return errno == ENOENT ? MN_OK
                               : mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode)) {
        if (unlink(path) != 0)
            return mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
        return MN_OK;
    }
    DIR *folder = opendir(path);
    if (folder == NULL)
        return mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
    mn_status status = MN_OK;
    for (struct dirent *entry = readdir(folder); entry != NULL && status == MN_OK;
         entry = readdir(folder)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *child = mn_path_join(path, entry->d_name);
        status = child == NULL ? mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", path)
                               : mn_folder_remove(child, err);
        free(child);
    }
    closedir(folder);
    if (status == MN_OK && rmdir(path) != 0)
        status = mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
    return status;
}

mn_status mn_symlink_swap(const char *target, const char *link_path, mn_error *err)
{
    size_t length = strlen(link_path) + 32;
    char *temporary = mn_calloc(length, 1);
    if (temporary == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", link_path);
    snprintf(temporary, length, "%s.tmp%ld", link_path, (long)getpid());
    unlink(temporary);
    mn_status status = MN_OK;
    if (symlink(target, temporary) != 0 || rename(temporary, link_path) != 0) {
        status = mn_error_set(err, MN_ERR_IO, "%s: %s", link_path, strerror(errno));
        unlink(temporary);
    } else {
        status = sync_parent(link_path, err);
    }
    free(temporary);
    return status;
}
