/**
 * Import of ONNX models as graphs of which only the sizes matter: what memory planning needs; and
 * export of trained networks as ONNX models that any runtime can run.
 *
 * An imported graph is of one image (batch 1) and not deployed yet: mn_deploy() with no tensors
 * folds its batch norms and activations. Every node states element_bytes, and constant_bytes where
 * its constants are not float32 tensors of its own. Ops that the graph has no primitive for become
 * MN_PRIM_OPAQUE nodes when the shape of their output is known. What is read, and what is not, is
 * in docs/formats.md.
 */
#ifndef MEMNET_ONNX_H
#define MEMNET_ONNX_H

#include <stdbool.h>
#include <stddef.h>

#include "memnet/graph.h"
#include "memnet/model.h"
#include "memnet/quant.h"
#include "memnet/tensors.h"

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

/** What an export is made of. All borrowed. */
typedef struct mn_onnx_export_input {
    const mn_graph *graph;     /**< After mn_deploy(): one input, one output of 1x1 pixels. */
    const mn_tensors *tensors; /**< Folded, in graph order. Not read with `quant`. */
    const mn_model *model;     /**< For preprocessing, class names and where it comes from. */
    const mn_quant *quant;     /**< Of that graph: int8. NULL: float32. */
    bool force;                /**< mn_onnx_export(): overwrite a file that exists. */
} mn_onnx_export_input;

/**
 * The bytes of an ONNX model: IR version 7, opset 13 of the default domain, everything inside. The
 * input is `input`, float32 (1,C,H,W), already preprocessed; the output `logits`, float32
 * (1,classes). The weights keep their floats to the bit. With `quant`, the same graph in QDQ form:
 * each value passes a QuantizeLinear and a DequantizeLinear, weights are int8 with a scale for each
 * output channel, biases int32. Metadata and details stand in docs/formats.md. The bytes follow
 * from the arguments alone.
 *
 * @param ret_bytes  On MN_OK a block that the caller frees; untouched otherwise, as *ret_count.
 * @param err        May be NULL; one line.
 * @retval MN_ERR_ARG          The model breaks the contract of memnet/model.h.
 * @retval MN_ERR_MISMATCH     Tensors, tables or class names do not belong to the graph.
 * @retval MN_ERR_FORMAT       A scale, zero point or bound of `quant` is out of range.
 * @retval MN_ERR_UNSUPPORTED  A node has no form in ONNX (the message names it), a number is not
 *                             finite, a node's name is longer than 200 bytes or has a ':', or there
 *                             are several inputs or outputs.
 * @retval MN_ERR_LIMIT        More than 2 GiB - 1.
 */
MN_API mn_status mn_onnx_serialise(const mn_onnx_export_input *input,
                                   char **ret_bytes,
                                   size_t *ret_count,
                                   mn_error *err);

/**
 * Writes these bytes as a file, atomically: what was there stays until the new one is complete.
 *
 * @param path  Its folder exists. A file that exists is refused unless `input->force`.
 * @retval MN_ERR_IO  The file exists, or cannot be written. The others as above.
 */
MN_API mn_status mn_onnx_export(const mn_onnx_export_input *input, const char *path, mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
