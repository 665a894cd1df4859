/* A folder of its own for a test, and a disk that is full. */
#ifndef MN_TESTS_TEMPORARY_H
#define MN_TESTS_TEMPORARY_H

#include "test.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"

/* cmocka test setup: *state becomes the path of a new folder. */
static inline int temporary_setup(void **state)
{
    const char *root = getenv("TMPDIR");
    char *path = mn_path_join(root == NULL ? "/tmp" : root, "memnet-test-XXXXXX");
    *state = path;
    return path != NULL && mkdtemp(path) != NULL ? 0 : -1;
}

static inline int temporary_teardown(void **state)
{
    mn_status status = mn_folder_remove(*state, NULL);
    free(*state);
    return status == MN_OK ? 0 : -1;
}

static inline size_t count_files(const char *folder)
{
    size_t count = 0;
    DIR *stream = opendir(folder);
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream))
        count += entry->d_name[0] != '.';
    closedir(stream);
    return count;
}

/* Writes past `bytes` into any file fail, as on a full disk, until file_limit_lift(). */
static inline void file_limit_set(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline void file_limit_lift(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

#endif
