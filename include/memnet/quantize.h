/**
 * Quantisation: from a trained network to one that computes in int8, and its reference run on this
 * machine with the very kernels of exported code, in an arena laid out by the plan.
 *
 * Everything here works on deployed graphs (memnet/deploy.h) with one input and one output.
 */
#ifndef MEMNET_QUANTIZE_H
#define MEMNET_QUANTIZE_H

#include "memnet/dataset.h"
#include "memnet/quant.h"
#include "memnet/tensors.h"
#include "memnet/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- from float32 to int8 ------------------------------------------------------------------- */

typedef struct mn_quantize_opts {
    uint32_t images;   /**< Training images that ranges are measured on, evenly spread over those
                          given; default 512, at least 1. Fewer are taken where there are fewer. */
    double percentile; /**< (50, 100]: a value's range leaves out (100 - percentile) percent of its
                          numbers at either end, so that few outliers do not make the grid coarse;
                          100 = none. The logits always keep all. Default 100. */
    bool correct_bias; /**< Take the mean error that rounded weights make out of the biases
                          (Nagel et al., 2019, section 4.2). Default true. */
    uint32_t threads;  /**< Default 1; no part of the result. */
} mn_quantize_opts;

MN_API mn_quantize_opts mn_quantize_opts_default(void);

/** What mn_quantize() takes; all borrowed. */
typedef struct mn_quantize_input {
    const mn_graph *graph;     /**< After mn_deploy(). */
    const mn_tensors *tensors; /**< Folded, in graph order. */
    mn_preprocessing preprocessing;
    const mn_dataset *dataset;
    const uint32_t *indices; /**< Which training images may be looked at; NULL: all. */
    uint32_t index_count;
} mn_quantize_input;

/**
 * Quantises after training: runs the float32 network over training images, lays a grid over the
 * range of every class of values (mn_quant_classes()), and converts.
 *
 * The grid of the network's input follows from the preprocessing where pixels are bytes: scale as
 * there, zero point mean - 128, so that firmware feeds pixel - 128. For float32 images it is
 * measured like any other.
 *
 * @param opts       NULL means the defaults.
 * @param ret_quant  Freed with mn_quant_free(); has passed mn_quant_check(); untouched on failure.
 * @retval MN_ERR_ARG          An option out of range, no images.
 * @retval MN_ERR_MISMATCH     Data set and network differ in shape, or tensors and graph.
 * @retval MN_ERR_UNSUPPORTED  A node without an int8 kernel, or a mean of the preprocessing that is
 *                             no integer of 0 to 255 where pixels are bytes.
 * @retval MN_ERR_LIMIT        A number that int8 cannot express; names the node.
 */
MN_API mn_status mn_quantize(const mn_quantize_input *input,
                             const mn_quantize_opts *opts,
                             mn_quant **ret_quant,
                             mn_error *err);

/** Smallest grid over [low, high] and zero: scale (high - low) / 255, zero at an integer. A range
 * of zero width becomes [-1, 1] of it. low <= high, both finite. */
MN_API mn_quant_value mn_quant_grid_over(double low, double high);

/**
 * Converts a network to grids that are given, one a value, as calibration or fine-tuning found
 * them: weights symmetric per output channel, biases, factors, clamps.
 *
 * @param values  (nodes) as in mn_quant.
 * @retval as for mn_quantize()
 */
MN_API mn_status mn_quant_convert(const mn_graph *deployed,
                                  const mn_tensors *folded,
                                  const mn_quant_value *values,
                                  mn_quant **ret_quant,
                                  mn_error *err);

/** Grid of the input of a network that reads bytes as pixel - 128. */
MN_API mn_status mn_quant_input_grid(mn_preprocessing preprocessing,
                                     mn_quant_value *ret_value,
                                     mn_error *err);

/* ---- running it ----------------------------------------------------------------------------- */

/** A quantised network that is ready to run; immutable, so that threads may share it. */
typedef struct mn_int8_network mn_int8_network;

/**
 * Checks the numbers and plans the network.
 *
 * @param deployed, quant  Borrowed while the network lives.
 * @retval as for mn_quant_check() and mn_plan_create(); MN_ERR_UNSUPPORTED for several inputs or
 *         outputs
 */
MN_API mn_status mn_int8_network_create(const mn_graph *deployed,
                                        const mn_quant *quant,
                                        mn_int8_network **ret_network,
                                        mn_error *err);
/** NULL is fine. */
MN_API void mn_int8_network_free(mn_int8_network *network);

/** Bytes of the arena that mn_int8_network_run() wants: those of the plan. */
MN_API size_t mn_int8_network_arena_bytes(const mn_int8_network *network);

/** Told the result of every kernel as soon as it is there: element (y,x,c) of node `node` is
 * values[(y*W + x)*pixel_stride + c]. Inputs, reshapes, and concats whose parts were made in place
 * are no kernels. */
typedef struct mn_int8_visitor {
    void (*visit)(void *context, uint32_t node, const int8_t *values, uint32_t pixel_stride);
    void *context;
} mn_int8_visitor;

/**
 * Runs the network once.
 *
 * @param arena       mn_int8_network_arena_bytes() bytes, aligned to 16; overwritten.
 * @param input       (H,W,C) on the grid of the input.
 * @param ret_output  (1,1,classes) logits on the grid of the output.
 * @param visitor     NULL: none.
 */
MN_API void mn_int8_network_run(const mn_int8_network *network,
                                void *arena,
                                const int8_t *input,
                                int8_t *ret_output,
                                const mn_int8_visitor *visitor);

/** Puts image `index` of `images` on the grid of the network's input: ret_input (H,W,C). */
MN_API void mn_int8_network_image(const mn_int8_network *network,
                                  mn_preprocessing preprocessing,
                                  const mn_dataset *dataset,
                                  const mn_images *images,
                                  uint32_t index,
                                  int8_t *ret_input);

/** What to classify; all borrowed. */
typedef struct mn_int8_task {
    mn_preprocessing preprocessing;
    const mn_dataset *dataset;
    const mn_images *images;
    const uint32_t *indices; /**< Which of `images`; NULL: all. */
    uint32_t count;          /**< How many. */
    uint32_t threads;        /**< At least 1; no part of the result. */
} mn_int8_task;

/**
 * Classifies images; of equal logits the first wins.
 *
 * @param ret_predictions  NULL, or room for as many class numbers as images are evaluated.
 * @retval MN_ERR_MISMATCH  Data set and network differ in shape or classes, or the input's grid is
 *                          not that of pixel - 128 where pixels are bytes.
 */
MN_API mn_status mn_int8_network_evaluate(const mn_int8_network *network,
                                          const mn_int8_task *task,
                                          mn_eval_result *ret_result,
                                          uint16_t *ret_predictions,
                                          mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
