/**
 * Export as C: one folder with model.h, model.c, the kernels in use and an example main.c.
 */
#ifndef MEMNET_EMIT_H
#define MEMNET_EMIT_H

#include "memnet/graph.h"
#include "memnet/model.h"
#include "memnet/plan.h"
#include "memnet/quant.h"
#include "memnet/tensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All borrowed. */
typedef struct mn_emit_input {
    const mn_graph *graph;     /**< After mn_deploy(). */
    const mn_tensors *tensors; /**< Folded, in graph order; not read for int8. */
    const mn_quant *quant;     /**< Of that graph: int8. NULL: float32. */
    const mn_plan *plan;       /**< Of that graph, in that precision. */
    const mn_model *model;     /**< For preprocessing and class names. */
    const char *name;          /**< Of files and identifiers, where several networks share a
                                  program: [a-z][a-z0-9_]*, at most 32. NULL: model.h, MODEL_*
                                  and memnet_*. */
    bool force;                /**< Replace the files of an earlier export of that name. */
} mn_emit_input;

/**
 * Writes the folder. The code is C99 that is also C++11, uses no heap and no libc beyond string.h
 * and stdint.h (the example main.c apart), keeps everything in one static arena of exactly
 * plan->arena_bytes (or in one that its user provides), and has constant tables of
 * plan->weights_bytes. Float weights read back to the same floats. int8 tables are those of
 * `quant`, and the code computes what the kernels compute here, byte by byte.
 *
 * @param folder  Made with its parents. A folder that exists and is not empty is refused unless
 *                `force`, and then too where it holds files of these names but no earlier export
 *                of ours; nothing is written in that case.
 * @retval MN_ERR_IO        The folder exists, or cannot be written.
 * @retval MN_ERR_ARG       The name cannot be one.
 * @retval MN_ERR_MISMATCH  Graph, plan, tensors, quant and model do not belong together, and what
 *                          mn_quant_check() says.
 */
MN_API mn_status mn_emit_c(const mn_emit_input *input, const char *folder, mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
