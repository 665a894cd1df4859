/*
 * Which embedded files an export contains.
 */
#ifndef MN_EMIT_C_FILES_H
#define MN_EMIT_C_FILES_H

#include <stdbool.h>

#include "emit/c_calls.h"
#include "emit/embedded.h"

/* ret_used (mn__embedded_count): the kernels of the set (bit k: mn__kernel k), every header that
 * these include, directly or not, the example and the licence. */
void mn__files_in_use(mn_precision precision, uint32_t kernels, bool *ret_used);

#endif
