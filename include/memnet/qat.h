/**
 * Quantisation-aware fine-tuning: a deployed network learns with the rounding that int8 will do to
 * it. Every value that an int8 kernel rounds is rounded to its grid going forward, weights to
 * theirs; gradients pass as if nothing had been rounded (straight-through estimator; Bengio et al.,
 * arXiv:1308.3432; as here, with batch norms folded first, Krishnamoorthi, arXiv:1806.08342). Grids
 * of values are frozen, so that the numbers that come out are converted with the very same ones.
 */
#ifndef MEMNET_QAT_H
#define MEMNET_QAT_H

#include "memnet/graph.h"
#include "memnet/quant.h"
#include "memnet/tensors.h"
#include "memnet/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The deployed graph with a fake_quant node behind every node whose int8 kernel rounds. Not behind
 * pools of the largest, relus, reshapes and concats whose value and inputs share one grid: they
 * yield numbers that are on it.
 *
 * Tensors of both graphs have the same names, shapes and order: numbers of one are those of the
 * other. With mn_train_opts.int8_weights the prepared graph computes, in evaluation mode, what the
 * int8 kernels do, up to the rounding of biases, multipliers and float sums.
 *
 * @param deployed   Borrowed. Has no batch norm, identity, fake_quant and opaque node.
 * @param values     (nodes) Grid of each node's value, such as mn_quant.values.
 * @param ret_graph  The caller frees; untouched on failure.
 * @retval MN_ERR_ARG          A grid is none (names the node).
 * @retval MN_ERR_UNSUPPORTED  The graph is no deployed one.
 */
MN_API mn_status mn_qat_prepare(const mn_graph *deployed,
                                const mn_quant_value *values,
                                mn_graph **ret_graph,
                                mn_error *err);

/** Options of a fine-tuning: 5 epochs, cosine from a rate of 0.001, float32, int8_weights; the rest
 * as in any training. */
MN_API mn_train_opts mn_qat_opts_default(void);

/** Called behind every epoch. */
typedef void (*mn_qat_progress)(void *context, const mn_epoch_result *result);

/**
 * Fine-tunes a deployed network.
 *
 * @param setup        `graph` is the deployed graph, `initial` its numbers; a data set.
 * int8_weights is taken as set.
 * @param values       (nodes) As in mn_qat_prepare().
 * @param progress     NULL: nobody wants to know.
 * @param ret_tensors  The deployed graph's numbers, in float; the caller frees. Untouched on
 * failure.
 * @retval  What mn_qat_prepare(), mn_trainer_create() and mn_trainer_epoch() return.
 */
MN_API mn_status mn_qat_train(const mn_trainer_setup *setup,
                              const mn_quant_value *values,
                              mn_qat_progress progress,
                              void *context,
                              mn_tensors **ret_tensors,
                              mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
