/*
 * The safetensors format: named tensors and string metadata in one block of bytes that any Python
 * user can open. Model files and the trainer's checkpoints are written and read through here.
 *
 *   8 bytes   header length N, little-endian
 *   N bytes   JSON object {"__metadata__": {key: string}, name: {"dtype": "F32", "shape": [..],
 *             "data_offsets": [begin, end]}, ..}, padded with spaces so that the data that follow
 *             begin at a multiple of 64 bytes
 *   the rest  data: little-endian, row-major, without holes; offsets count from its start
 *
 * Order of the tensors in a list = order in the header. Data are laid out with the wider elements
 * first, so that every array is aligned to its element.
 */
#ifndef MN_GRAPH_SAFETENSORS_H
#define MN_GRAPH_SAFETENSORS_H

#include <stddef.h>

#include "graph/metadata.h"
#include "memnet/tensors.h"

#define MN_SAFETENSORS_LENGTH_BYTES 8                /* of the header length in front */
#define MN_SAFETENSORS_HEADER_MAX ((size_t)16 << 20) /* bytes of JSON, padding included */
#define MN_SAFETENSORS_FILE_MAX ((size_t)2 << 30)    /* bytes that mn_safetensors_load() reads */

/*
 * Writes into fresh memory that the caller frees. `metadata` may be NULL.
 * MN_ERR_ARG: a name, key or value that is not UTF-8, or a tensor named "__metadata__".
 * MN_ERR_LIMIT: a header that mn_safetensors_parse() would refuse.
 */
mn_status mn_safetensors_serialise(const mn_tensors *tensors,
                                   const mn_metadata *metadata,
                                   char **ret_bytes,
                                   size_t *ret_count,
                                   mn_error *err);

/*
 * Reads `count` bytes of unknown origin; `where` (a path or a noun) opens every message. Allocates
 * in proportion to `count`, whatever the header claims.
 *
 * ret_metadata may be NULL; else it is filled on success (mn_metadata_done() frees it), and
 * untouched otherwise, like *ret_tensors.
 * MN_ERR_FORMAT: malformed, or data with holes, overlaps or of a size that belies dtype and shape.
 * MN_ERR_UNSUPPORTED: a dtype other than F32, I32, I8, U8, or a rank above 4.
 */
mn_status mn_safetensors_parse(const char *where,
                               const void *bytes,
                               size_t count,
                               mn_tensors **ret_tensors,
                               mn_metadata *ret_metadata,
                               mn_error *err);

/* Writes atomically: the old file stays until the new one is complete. */
mn_status mn_safetensors_save(const char *path,
                              const mn_tensors *tensors,
                              const mn_metadata *metadata,
                              mn_error *err);

/* mn_safetensors_parse() of a whole file; also MN_ERR_IO. */
mn_status mn_safetensors_load(const char *path,
                              mn_tensors **ret_tensors,
                              mn_metadata *ret_metadata,
                              mn_error *err);

#endif
