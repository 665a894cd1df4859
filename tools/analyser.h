/*
 * Included before every file that clang-tidy reads (tools/lint.sh), by nothing else: the analyser
 * sees one file at a time and must be told that these functions return the status they are given.
 */
#ifndef MN_TOOLS_ANALYSER_H
#define MN_TOOLS_ANALYSER_H

#include "memnet/status.h"

#define mn_error_set(err, status, ...) ((void)mn_error_set(err, status, __VA_ARGS__), (status))
#define mn_error_prefix(err, status, ...)                                                          \
    ((void)mn_error_prefix(err, status, __VA_ARGS__), (status))

#endif
