/**
 * The deploy pass: the one way from a trained graph to the graph that is planned, quantised,
 * emitted and exported. Batch norms are folded into the convolution before them (or become a 1x1
 * depthwise convolution), relu and relu6 are fused into their producer where nothing else reads
 * it, identities and fake-quant nodes are gone.
 */
#ifndef MEMNET_DEPLOY_H
#define MEMNET_DEPLOY_H

#include "memnet/graph.h"
#include "memnet/tensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @param graph        Borrowed.
 * @param tensors      Borrowed, in graph order; NULL when only sizes matter.
 * @param ret_graph    Freed by the caller; untouched on failure.
 * @param ret_tensors  The folded numbers; freed by the caller. NULL when `tensors` is NULL.
 * @retval MN_ERR_UNSUPPORTED  A folded number is not finite.
 */
MN_API mn_status mn_deploy(const mn_graph *graph,
                           const mn_tensors *tensors,
                           mn_graph **ret_graph,
                           mn_tensors **ret_tensors,
                           mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
