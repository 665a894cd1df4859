/*
 * Texts that exports contain verbatim: kernels, their headers and licence, the example program.
 * The build turns the files into arrays (tools/embed.py), so that an export never differs from the
 * kernels that the library was tested with.
 */
#ifndef MN_EMIT_EMBEDDED_H
#define MN_EMIT_EMBEDDED_H

#include <stddef.h>

typedef struct mn__embedded {
    const char *name; /* of the file, without folder */
    const unsigned char *bytes;
    size_t count;
} mn__embedded;

extern const mn__embedded mn__embedded_files[];
extern const size_t mn__embedded_count;

#endif
