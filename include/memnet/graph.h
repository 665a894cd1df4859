/**
 * The graph: what a network is, as an immutable DAG of primitives.
 *
 * Every node yields exactly one value, and the value has the node's index. A node's inputs have
 * smaller indices, so a graph is acyclic by construction and its node order is an execution order.
 * Planner, trainer, quantiser and emitters see graphs, never genotypes.
 *
 * Dimension letters: N batch, H rows, W columns, C channels, O output channels, I input channels,
 * KH and KW kernel rows and columns. Values are (H,W,C) for one image, channels last.
 */
#ifndef MEMNET_GRAPH_H
#define MEMNET_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef MN_NONE
#define MN_NONE UINT32_MAX /**< "no such index" for every uint32_t id. */
#endif

/** Kinds of nodes. Names, arities and rules stand in one table, graph/primitive.c. */
typedef enum mn_prim {
    MN_PRIM_INPUT,
    MN_PRIM_CONV,
    MN_PRIM_BATCH_NORM,
    MN_PRIM_RELU,
    MN_PRIM_RELU6,
    MN_PRIM_ADD,
    MN_PRIM_CONCAT, /**< along the channels */
    MN_PRIM_MAX_POOL,
    MN_PRIM_AVG_POOL,    /**< mean of the elements inside the image: excludes the padding */
    MN_PRIM_GLOBAL_POOL, /**< mean over all pixels */
    MN_PRIM_FULLY_CONNECTED,
    MN_PRIM_RESHAPE,
    MN_PRIM_IDENTITY,
    MN_PRIM_FAKE_QUANT,
    MN_PRIM_OPAQUE, /**< an imported op of which only the sizes are known */
    MN_PRIM_COUNT
} mn_prim;

/** Shape of a value for one image. A vector is (1,1,C). */
typedef struct mn_shape {
    uint32_t h, w, c;
} mn_shape;

/** The sliding window of conv and pools. All fields are >= 1 but for the padding. */
typedef struct mn_window {
    uint32_t kernel_h, kernel_w;
    uint32_t stride_h, stride_w;
    uint32_t dilation_h, dilation_w; /**< 1 = dense. Pools: always 1. */
    uint32_t pad_top, pad_left, pad_bottom, pad_right;
} mn_window;

/** Activation fused into a node; MN_ACT_NONE in graphs that the deploy pass has not seen. */
typedef enum mn_act { MN_ACT_NONE, MN_ACT_RELU, MN_ACT_RELU6 } mn_act;

/** Grid of a fake_quant node: real = scale * (q - zero_point), q in [low, high]. */
typedef struct mn_quant_grid {
    float scale;        /**< > 0 and finite. */
    int32_t zero_point; /**< In [low, high]: zero is on the grid. */
    int32_t low, high;  /**< low < high. */
} mn_quant_grid;

/** What a tensor is to its node. conv and fully_connected: weight, bias; batch_norm: the rest. */
typedef enum mn_tensor_role {
    MN_ROLE_WEIGHT,   /**< conv (O,I/groups,KH,KW); fully_connected (O,C,H,W) of its input. */
    MN_ROLE_BIAS,     /**< (O) */
    MN_ROLE_GAMMA,    /**< (C) scale */
    MN_ROLE_BETA,     /**< (C) shift */
    MN_ROLE_MEAN,     /**< (C) running mean */
    MN_ROLE_VARIANCE, /**< (C) running variance, biased */
    MN_ROLE_COUNT
} mn_tensor_role;

/** A parameter tensor of the graph (its description; the numbers live in mn_tensors). */
typedef struct mn_tensor_info {
    const char *name; /**< "<node name>.<role>", unique; owned by the graph. */
    uint32_t rank;    /**< 1 or 4 */
    uint32_t dims[4]; /**< Unused trailing entries are 1. */
    uint32_t node;
    mn_tensor_role role;
} mn_tensor_info;

/** A node; all pointers are owned by the graph. */
typedef struct mn_node {
    mn_prim prim;
    mn_act act;
    const char *name; /**< Unique in the graph. */
    const uint32_t *inputs;
    uint32_t input_count;
    mn_shape shape;                  /**< Of the node's value. */
    mn_window window;                /**< conv and pools; zeros elsewhere. */
    uint32_t groups;                 /**< conv; 1 = dense, I = depthwise when O = I. 0 elsewhere. */
    float epsilon;                   /**< batch_norm */
    mn_quant_grid grid;              /**< fake_quant */
    uint32_t layer;                  /**< Which layer of the genotype it came from, or MN_NONE. */
    uint32_t tensors[MN_ROLE_COUNT]; /**< Index of each role's tensor, or MN_NONE. */
    uint32_t element_bytes;          /**< Of one element of the value; 0 = as the precision asks. */
    size_t
        constant_bytes; /**< What the node's constants take, in place of its tensors; 0 = those. */
} mn_node;

typedef struct mn_graph mn_graph;

MN_API uint32_t mn_graph_node_count(const mn_graph *graph);
/** `node` < node count. Borrowed from the graph. */
MN_API const mn_node *mn_graph_node(const mn_graph *graph, uint32_t node);
MN_API uint32_t mn_graph_output_count(const mn_graph *graph);
/** The node whose value is output number `index`. */
MN_API uint32_t mn_graph_output(const mn_graph *graph, uint32_t index);
MN_API uint32_t mn_graph_tensor_count(const mn_graph *graph);
MN_API const mn_tensor_info *mn_graph_tensor(const mn_graph *graph, uint32_t tensor);
/** Elements of tensor `tensor`; the product of its dims, never overflowing (checked when built). */
MN_API size_t mn_graph_tensor_elements(const mn_graph *graph, uint32_t tensor);
/** Sum of the elements of all tensors but running means and variances. */
MN_API uint64_t mn_graph_parameters(const mn_graph *graph);
/** Multiply-adds of one image: convolutions and fully connected layers. */
MN_API uint64_t mn_graph_macs(const mn_graph *graph);
MN_API uint64_t mn_node_macs(const mn_graph *graph, uint32_t node);
/** NULL is fine. */
MN_API void mn_graph_free(mn_graph *graph);

/** "conv", "max_pool", ...; "unknown" for other values. */
MN_API const char *mn_prim_name(mn_prim prim);
/** "weight", "bias", "gamma", "beta", "mean", "variance". */
MN_API const char *mn_tensor_role_name(mn_tensor_role role);
/** h*w*c; shapes in a finished graph are checked to fit. */
MN_API size_t mn_shape_elements(mn_shape shape);
MN_API bool mn_shape_equal(mn_shape a, mn_shape b);

/* ---- building ------------------------------------------------------------------------------ */

/** What mn_graph_add() takes. Fill by designated initialisers; absent fields are zero. */
typedef struct mn_node_spec {
    mn_prim prim;
    const char *name;       /**< Copied. Must be unique and not empty. */
    const uint32_t *inputs; /**< Copied. */
    uint32_t input_count;
    mn_shape shape;    /**< input, reshape, opaque: the value's shape. */
    uint32_t channels; /**< conv, fully_connected: O. */
    mn_window window;  /**< conv, pools. */
    uint32_t groups;   /**< conv; 0 means 1. */
    bool bias;         /**< conv, fully_connected. */
    mn_act act;
    float epsilon;          /**< batch_norm; 0 means 1e-5. */
    mn_quant_grid grid;     /**< fake_quant */
    uint32_t layer;         /**< MN_NONE when there is none; zero is a real layer. */
    uint32_t element_bytes; /**< Imported graphs, whose file names a type: 1 to 16; else 0. */
    size_t constant_bytes;  /**< Imported graphs: constants that are no float32 tensors; else 0. */
} mn_node_spec;

typedef struct mn_graph_builder mn_graph_builder;

MN_API mn_status mn_graph_builder_create(mn_graph_builder **ret_builder, mn_error *err);
/** NULL is fine. */
MN_API void mn_graph_builder_free(mn_graph_builder *builder);

/**
 * Adds a node and returns its index. The first error sticks: every later call returns MN_NONE and
 * mn_graph_builder_finish() reports it, so that lowering code needs no check at each call.
 * MN_NONE as an input is an error.
 */
MN_API uint32_t mn_graph_add(mn_graph_builder *builder, const mn_node_spec *spec);

/** Shape of a value that was added; zeros for MN_NONE. */
MN_API mn_shape mn_graph_builder_shape(const mn_graph_builder *builder, uint32_t node);

/**
 * Finishes the graph. The builder is empty afterwards, whatever the outcome, and must still be
 * freed. @param outputs  Copied; at least one, no duplicates.
 * @retval MN_ERR_ARG     Shapes, arity or names do not fit (says node, expected, actual).
 * @retval MN_ERR_LIMIT   A size does not fit into memory at all.
 */
MN_API mn_status mn_graph_builder_finish(mn_graph_builder *builder,
                                         const uint32_t *outputs,
                                         uint32_t output_count,
                                         mn_graph **ret_graph,
                                         mn_error *err);

/** A square or rectangular window with "same"-style padding: output = ceil(input / stride). */
MN_API mn_window mn_window_same(
    mn_shape input, uint32_t kernel_h, uint32_t kernel_w, uint32_t stride, uint32_t dilation);

#ifdef __cplusplus
}
#endif
#endif
