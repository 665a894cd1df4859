/*
 * How much memory this process holds, as the system counts it.
 */
#ifndef MN_BASE_RESIDENT_H
#define MN_BASE_RESIDENT_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the process that are in memory now, and the most that ever were. False where the system
 * does not tell (/proc/self/status); nothing is written then. */
bool mn_resident_bytes(size_t *ret_now, size_t *ret_peak);

#endif
