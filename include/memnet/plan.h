/**
 * The plan: what one inference needs, in bytes, and where everything lies.
 *
 * The same plan is compared with the bound by the search, printed by `memnet memory` and laid out
 * by the emitter, so the figures agree by construction.
 */
#ifndef MEMNET_PLAN_H
#define MEMNET_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/graph.h"
#include "memnet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mn_precision { MN_PRECISION_FLOAT32, MN_PRECISION_INT8 } mn_precision;

/** "float32" or "int8". */
MN_API const char *mn_precision_name(mn_precision precision);
MN_API mn_status mn_precision_parse(const char *text, mn_precision *ret_precision, mn_error *err);

#define MN_PLAN_MAX_STATES 5600u

typedef struct mn_plan_opts {
    mn_precision precision; /**< Default MN_PRECISION_FLOAT32. */
    size_t align; /**< Of every buffer and of the arena's size; a power of two, default 16. */
    uint32_t max_states; /**< Bounds the search for an order; default MN_PLAN_MAX_STATES. */
    bool sizes_only;     /**< Also plan what no exported kernel runs (imported graphs): nodes of
                            which only sizes are known, elements of other sizes. Default false. */
} mn_plan_opts;

MN_API mn_plan_opts mn_plan_opts_default(void);

/**
 * Where a value lies: element (y,x,c) is element `channel_offset + (y*W + x)*pixel_stride + c` of
 * its buffer. Concat slices and in-place results are views, which is why every kernel takes pixel
 * strides.
 */
typedef struct mn_view {
    uint32_t buffer;         /**< MN_NONE for values that no step makes (cannot happen today). */
    uint32_t channel_offset; /**< elements */
    uint32_t pixel_stride;   /**< elements */
} mn_view;

/** A piece of the arena; alive from first_step to last_step, both included. */
typedef struct mn_plan_buffer {
    size_t bytes;
    size_t offset; /**< From the start of the arena; a multiple of the alignment. */
    uint32_t first_step;
    uint32_t last_step;
} mn_plan_buffer;

/**
 * One kernel call. Inputs and reshapes have no step, and neither have concats whose inputs all lie
 * in their slices. The step of any other concat copies those inputs that do not.
 */
typedef struct mn_step {
    uint32_t node;
    uint32_t scratch;  /**< Buffer index of the kernel's scratch, or MN_NONE. */
    bool in_place;     /**< The result lies exactly on an input that dies here. */
    size_t live_bytes; /**< Sum of the aligned sizes of all buffers alive during the step. */
} mn_step;

/** Read-only for everyone but plan/. */
typedef struct mn_plan {
    mn_precision precision;
    size_t align;
    bool sizes_only; /**< Made for its sizes: perhaps no exported kernels can run it. */
    uint32_t step_count;
    mn_step *steps;
    uint32_t value_count; /**< = nodes of the graph */
    mn_view *views;       /**< one per value */
    uint32_t buffer_count;
    mn_plan_buffer *buffers;
    size_t weights_bytes; /**< Every constant table of the exported code; in int8 a byte a weight
                             and 9 bytes (bias, multiplier, shift) an output of every layer. */
    size_t arena_bytes;
    size_t total_bytes;       /**< weights + arena */
    size_t peak_bytes;        /**< The largest live_bytes. */
    size_t lower_bound_bytes; /**< No order, aliases and placement can need a smaller arena. */
    bool order_proven;        /**< The peak equals the lower bound. */
    bool offsets_proven;      /**< No placement of these buffers needs a smaller arena. */
    size_t greedy_peak_bytes; /**< Peak of the greedy order that the search began with. */
    uint32_t states;          /**< What the search for an order looked at. */
    uint64_t macs;
    size_t paper_intermediate_bytes; /**< The paper's own metric: float32, half-open lifetimes. */
    size_t paper_total_bytes;
} mn_plan;

/**
 * Plans the memory of one inference of `graph` (after mn_deploy()) at batch size 1. The checker
 * of mn_plan_check() has passed on every plan that is returned.
 *
 * All sizes are bytes. The result depends on the arguments only.
 *
 * @param graph     Borrowed.
 * @param opts      NULL means the defaults.
 * @param ret_plan  On MN_OK a plan that the caller frees with mn_plan_free(); else untouched.
 * @retval MN_ERR_UNSUPPORTED  A primitive that no exported kernel runs, or int8 with sizes_only.
 * @retval MN_ERR_LIMIT        A size that does not fit size_t.
 */
MN_API mn_status mn_plan_create(const mn_graph *graph,
                                const mn_plan_opts *opts,
                                mn_plan **ret_plan,
                                mn_error *err);
/**
 * Whether the plan that mn_plan_create() would make needs no more arena than `most_arena_bytes` and
 * no more together with the weights than `most_total_bytes`; SIZE_MAX = any. Decides by cheap
 * bounds where they tell, and takes as long as mn_plan_create() where they do not.
 *
 * @param ret_fits  Untouched on failure; errors as for mn_plan_create().
 */
MN_API mn_status mn_plan_fits(const mn_graph *graph,
                              const mn_plan_opts *opts,
                              size_t most_arena_bytes,
                              size_t most_total_bytes,
                              bool *ret_fits,
                              mn_error *err);

/** NULL is fine. */
MN_API void mn_plan_free(mn_plan *plan);

/**
 * The independent checker: re-derives from the order alone which values are alive at each step
 * and tests that no two of them share a byte, that every step finds its inputs where their
 * producers left them, that scratch touches nothing alive, and that all lies inside the arena.
 * @retval MN_ERR_INTERNAL  The plan is wrong; the message says where.
 */
MN_API mn_status mn_plan_check(const mn_graph *graph, const mn_plan *plan, mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
