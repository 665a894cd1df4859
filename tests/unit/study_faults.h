/* SQLite's own system calls, replaced to die or fail at the n-th of them. A test repeats its work
 * for n = 1.. until it gets through. One process, one test file: the state is static. */
#ifndef MN_STUDY_FAULTS_H
#define MN_STUDY_FAULTS_H

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

#include "test.h"

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_KILL, /* the process dies instead of the n-th call */
    FAULT_FULL, /* every write from the n-th on fails: ENOSPC */
    FAULT_IO    /* the n-th call fails: EIO */
} fault_kind;

static fault_kind fault;
static long calls_left; /* until the fault strikes; below zero once it has */

static inline void set_fault(fault_kind kind, long at)
{
    fault = kind;
    calls_left = at;
}

/* True when this call is to fail, with errno set. */
static inline bool strikes(bool is_write)
{
    if (fault == FAULT_NONE || (fault == FAULT_FULL && !is_write))
        return false;
    calls_left--;
    if (calls_left > 0 || (fault == FAULT_IO && calls_left < 0))
        return false;
    if (fault == FAULT_KILL)
        kill(getpid(), SIGKILL);
    calls_left = calls_left == 0 ? -1 : calls_left;
    errno = fault == FAULT_FULL ? ENOSPC : EIO;
    return true;
}

static inline bool has_struck(void)
{
    return calls_left < 0;
}

static inline ssize_t faulty_write(int fd, const void *bytes, size_t count)
{
    return strikes(true) ? -1 : write(fd, bytes, count);
}

static inline ssize_t faulty_pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    return strikes(true) ? -1 : pwrite(fd, bytes, count, offset);
}

static inline int faulty_ftruncate(int fd, off_t size)
{
    return strikes(false) ? -1 : ftruncate(fd, size);
}

static inline int faulty_unlink(const char *path)
{
    return strikes(false) ? -1 : unlink(path);
}

static inline int replace_system_calls(void **state)
{
    (void)state;
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    int rc = vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)faulty_write);
    /* Not every build of SQLite has these two. */
    (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)faulty_pwrite);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)faulty_pwrite);
    if (rc == SQLITE_OK)
        rc = vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)faulty_ftruncate);
    if (rc == SQLITE_OK)
        rc = vfs->xSetSystemCall(vfs, "unlink", (sqlite3_syscall_ptr)faulty_unlink);
    return rc == SQLITE_OK ? 0 : -1;
}

#endif
