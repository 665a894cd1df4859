/**
 * Import of ONNX models as graphs of which only the sizes matter: what memory planning needs.
 *
 * The graph is of one image (batch 1) and not deployed yet: mn_deploy() with no tensors folds its
 * batch norms and activations. Every node states element_bytes, and constant_bytes where its
 * constants are not float32 tensors of its own. Ops that the graph has no primitive for become
 * MN_PRIM_OPAQUE nodes when the shape of their output is known. What is read, and what is not, is
 * in docs/formats.md.
 */
#ifndef MEMNET_ONNX_H
#define MEMNET_ONNX_H

#include <stddef.h>

#include "memnet/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Reads a file of at most 2 GiB - 1. Files of external data are not opened.
 *
 * While it runs, no more than 20 times the file's size and 1 MiB are allocated, the graph and the
 * file's bytes included.
 *
 * @param ret_graph  On MN_OK a graph that the caller frees; untouched otherwise.
 * @param err        May be NULL. One line that begins with the path.
 * @retval MN_ERR_IO           The file cannot be read.
 * @retval MN_ERR_FORMAT       Malformed; says where, what was expected and what is there.
 * @retval MN_ERR_UNSUPPORTED  Well-formed, but beyond what is imported (opset, shape, op).
 * @retval MN_ERR_LIMIT        Too large, nested too deeply, or past the memory above.
 */
MN_API mn_status mn_onnx_import(const char *path, mn_graph **ret_graph, mn_error *err);

/** The same from `count` bytes, which are borrowed and not counted as memory of the import. */
MN_API mn_status mn_onnx_parse(const void *bytes,
                               size_t count,
                               mn_graph **ret_graph,
                               mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
