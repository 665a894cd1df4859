/**
 * The int8 numbers of a network: a grid for every value and integer tables for every layer that
 * computes. What quant/ makes, the reference run reads, model files hold and emitters write.
 *
 * The arithmetic is that of src/kernels/mn_s8.h, whose head defines multipliers, shifts and
 * rounding.
 */
#ifndef MEMNET_QUANT_H
#define MEMNET_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/graph.h"
#include "memnet/status.h"
#include "memnet/tensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/** real = scale * (q - zero_point), q in [-128,127]. */
typedef struct mn_quant_value {
    float scale;        /**< > 0 and finite. */
    int32_t zero_point; /**< In [-128,127]. */
} mn_quant_value;

/**
 * What a node's kernel needs beside the grids of its values. Which members are set follows from
 * the primitive; the others are NULL and zero.
 */
typedef struct mn_quant_node {
    /** conv, fully_connected, O outputs: weights in the kernel's order, (O,KH,KW,I/groups),
     * depthwise (KH,KW,C), fully connected (O,H,W,C), in [-127,127]; the rest (O). Owned. */
    int8_t *weights;
    int32_t *bias;
    int32_t *multiplier;
    int8_t *shift;
    float *weight_scale; /**< (O) real weight = weight_scale * q; no part of exported code. */
    /** global_pool; relu, relu6, concat parts by copy see mn_quant_copy_factor(). */
    int32_t factor, factor_shift;
    /** add */
    int32_t add_a, add_b, add_shift;
    /** What the output is clamped to: a fused activation, or -128 and 127. Every node but inputs.
     */
    int32_t low, high;
} mn_quant_node;

typedef struct mn_quant {
    uint32_t node_count;
    mn_quant_value *values; /**< one per node of the deployed graph */
    mn_quant_node *nodes;   /**< likewise */
} mn_quant;

/** Zeroed tables of a deployed graph's sizes; the caller frees. */
MN_API mn_status mn_quant_create(const mn_graph *deployed, mn_quant **ret_quant, mn_error *err);
/** NULL is fine. */
MN_API void mn_quant_free(mn_quant *quant);

/** Tests every number against the graph and the ranges above: MN_ERR_MISMATCH, MN_ERR_FORMAT or
 * MN_ERR_UNSUPPORTED name node and number. Values of one class of mn_quant_classes() share one
 * grid, and no sum can leave int32_t: what passes here runs in every plan. */
MN_API mn_status mn_quant_check(const mn_graph *deployed, const mn_quant *quant, mn_error *err);

/**
 * Which values share one grid, so that every plan of the graph is valid whatever it made a slice of
 * what: a concat's result and its parts, and the results of pools, reshapes and lone clamps and
 * their inputs. Parts that are inputs of the graph are copied into a concat by every plan and need
 * not share its grid.
 *
 * @param ret_class  (nodes) the first node of each node's class.
 */
MN_API void mn_quant_classes(const mn_graph *deployed, uint32_t *ret_class);

/** Sides of a node's weight table: `outputs` filters, each of `filter` weights. Zeros for nodes
 * without weights. */
typedef struct mn_quant_sizes {
    uint32_t outputs;
    size_t filter;
    bool
        is_depthwise; /**< Weight k of filter o is weights[k * outputs + o]; else [o*filter + k]. */
} mn_quant_sizes;
MN_API mn_quant_sizes mn_quant_sizes_of(const mn_graph *deployed, uint32_t node);

/** Whether the int8 kernels can sum what the node sums, whatever its numbers are: what the plan
 * asks before there are any. @retval MN_ERR_UNSUPPORTED  Too many products, or too many pixels of a
 * mean.
 */
MN_API mn_status mn_quant_check_sums(const mn_graph *deployed, uint32_t node, mn_error *err);

/**
 * A positive real factor as multiplier / 2^shift, multiplier in [2^30, 2^31), shift in [1,62];
 * factors below 2^-32 become 0. @retval MN_ERR_LIMIT  Not finite, negative, or 2^30 and more.
 */
MN_API mn_status mn_quant_factor(double real,
                                 int32_t *ret_multiplier,
                                 int32_t *ret_shift,
                                 mn_error *err);

/** The factor of a copy from grid `from` to grid `to`; *ret_same = true where both are one and
 * bytes are copied as they are. */
MN_API mn_status mn_quant_copy_factor(const mn_quant_value *from,
                                      const mn_quant_value *to,
                                      bool *ret_same,
                                      int32_t *ret_multiplier,
                                      int32_t *ret_shift,
                                      mn_error *err);

/**
 * The tables as named tensors, as model files hold them (docs/formats.md), in fresh memory that
 * the caller frees.
 *
 * @param quant  Must have passed mn_quant_check().
 */
MN_API mn_status mn_quant_to_tensors(const mn_graph *deployed,
                                     const mn_quant *quant,
                                     mn_tensors **ret_tensors,
                                     mn_error *err);

/** Reads them back; nothing is trusted. MN_ERR_MISMATCH names a tensor that is missing or of
 * another type or shape, and what mn_quant_check() says holds here, too. */
MN_API mn_status mn_quant_from_tensors(const mn_graph *deployed,
                                       const mn_tensors *tensors,
                                       mn_quant **ret_quant,
                                       mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
