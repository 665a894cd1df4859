/*
 * A network being trained: values, parameters and two programs, forward and backward, that run
 * image by image on the vector kernels of simd/.
 *
 * Lanes. A value with C channels is stored blocked, as (N,lanes/B,H,W,B), B = 16 or 8. Lanes past
 * the channels are real to the kernels and always zero: filters are zero there, so outputs,
 * their gradients and the weights' gradients stay zero by themselves. A concat just puts its parts'
 * lanes one after another, gaps included, so that a part is written where the whole will be read.
 * channel_of tells which lane is which channel.
 *
 * Nothing is stored twice. A batch norm or a relu makes a value that is a view of another one's
 * storage; who reads it applies scale, shift and clamp on the way. Gradients likewise: behind a
 * batch norm lies a slope, computed where it is read.
 *
 * Layers are built in graph order (layer_*.c); each adds its steps to `forward`, and remembers how
 * to add its `backward` steps, which happens in reverse order. Buffers get their place in memory
 * when all steps are known (buffers.c), so steps hold values, never addresses.
 */
#ifndef MN_TRAIN_NETWORK_H
#define MN_TRAIN_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/size.h"
#include "memnet/graph.h"
#include "memnet/tensors.h"
#include "simd/simd.h"

typedef struct mn__network mn__network;
typedef struct mn__layer mn__layer;

/* Memory that steps [first,last] use. */
typedef struct mn__buffer {
    size_t bytes;
    uint32_t first, last;
    char *data; /* known when the network is built */
    struct mn__buffer *next;
} mn__buffer;

/* Where feature maps lie: a buffer of their own, or a slice of a concat's. Views share one. */
typedef struct mn__storage {
    mn__buffer *buffer; /* own; NULL: a slice of `whole` */
    const struct mn__storage *whole;
    size_t offset;       /* elements from the whole's first */
    size_t image_stride; /* elements, of a buffer; a slice has its whole's */
} mn__storage;

/* The gradient of a value, summed over the readers that have been built so far. */
typedef struct mn__gradient {
    mn__storage storage;             /* of the gradient, or of dz of a slope */
    struct mn__gradient *base;       /* whose memory that is; NULL: its own */
    uint32_t references, slices;     /* holders; of these, slices */
    bool overlaps;                   /* slices of several concats: the same memory */
    const struct mn__value *through; /* slope: the view; else NULL */
    float low, high;                 /* slope: its clamp */
    const float *a, *b, *c;          /* slope: (lanes) or NULL */
    uint32_t ready;                  /* the step whose end computes a, b, c */
} mn__gradient;

/* Sums over a batch that several workers collect, in double: (slices,2,lanes). */
typedef struct mn__statistics {
    double *sums;
    uint32_t lanes, slices;
} mn__statistics;

typedef struct mn__value {
    mn_shape shape;
    uint32_t lanes;
    const uint32_t *channel_of; /* (lanes) logical channel, or MN_NONE */
    const uint8_t *block_lanes; /* (blocks) lanes up to the last channel of each block */
    mn__storage *storage;
    const float *scale, *shift; /* view: (lanes); NULL: as stored */
    float low, high;
    uint32_t ready; /* the step whose end computes scale and shift; MN_NONE: its begin */
    mn__statistics *statistics; /* wanted by a batch norm from the layer that makes the value */
    bool makes_statistics;      /* that layer can */
    bool wants_gradient;
    mn__gradient *gradient; /* NULL: none yet */
} mn__value;

typedef enum mn__parameter_kind {
    MN__VECTOR,    /* (lanes) */
    MN__FILTER,    /* dense, see simd.h */
    MN__DEPTHWISE, /* (blocks,taps,lanes) */
    MN__MATRIX     /* fully connected: (classes,blocks,h,w,lanes) */
} mn__parameter_kind;

/* One tensor of the graph as the kernels want it. */
typedef struct mn__parameter {
    mn__parameter_kind kind;
    uint32_t rows, columns, taps;       /* physical: lanes out, lanes in, window */
    const uint32_t *row_channel;        /* (rows) logical row or MN_NONE; NULL: all, in order */
    const uint32_t *column_channel;     /* (columns), likewise */
    float *value, *gradient, *velocity; /* gradient and velocity NULL for running statistics */
    const float *seen;                  /* what layers compute with: value, or weights on int8's
                                         * grid, as of the last refresh */
    float *partial;                     /* (slices - 1, count): gradients of the other workers */
    size_t count;                       /* floats stored, padding included */
    bool decays;
} mn__parameter;

/* One of the threads that share the images of a batch. */
typedef struct mn__worker {
    uint32_t slice;
    bool train; /* false: evaluation, with running statistics */
    char *scratch;
} mn__worker;

/* What a step costs at least, for the profile. */
typedef struct mn__work {
    const char *kind;
    double flops; /* of one image */
    double bytes; /* read and written, of one image */
} mn__work;

/* Something to do: `begin` once, `image` for each image, `end` once when all images are done.
 * Each may be NULL. */
typedef struct mn__step {
    uint32_t node;
    void (*begin)(const void *context, bool train);
    void (*image)(const void *context, const mn__worker *worker, uint32_t image);
    void (*end)(const void *context, bool train);
    const void *context;
    mn__work work;
    uint32_t needs; /* this one must not start before the end of step `needs` */
    double seconds; /* spent, when the network is profiled */
} mn__step;

typedef struct mn__program {
    uint32_t count, capacity;
    mn__step *steps;
} mn__program;

typedef mn_status (*mn__backward)(mn__network *net,
                                  const mn__layer *layer,
                                  mn__gradient *out_gradient,
                                  mn_error *err);

struct mn__layer {
    uint32_t node;
    uint32_t input_count;
    mn__value **inputs;
    mn__value *output;
    mn__backward backward;
    void *state; /* the layer's own, in the arena */
    mn__layer *next_older;
};

typedef struct mn__network_opts {
    uint32_t batch;
    uint32_t slices; /* threads */
    const mn__simd *simd;
    bool int8_weights; /* layers see weights as int8 holds them */
    bool separate;     /* every buffer has memory of its own: for tests of the planned places */
} mn__network_opts;

struct mn__network {
    const mn_graph *graph;
    mn__network_opts opts;
    uint32_t lanes; /* of a block */
    mn_arena *arena;
    mn__value **value_of;       /* (nodes); nodes without a value of their own share another's */
    const uint32_t *fused_relu; /* (nodes) batch norm: the relu that it computes too, or MN_NONE */
    mn__value *input;
    const float *images;             /* (N,C,H,W): the batch */
    uint32_t classes;                /* 0: no fully connected layer yet */
    float *logits, *logits_gradient; /* (N,classes) */
    mn__layer *newest_layer;
    mn__parameter *parameters; /* (tensors of the graph) */
    mn__program forward, backward, refresh;
    mn__buffer *buffers;
    size_t planned_bytes; /* of all buffers, by their lifetimes */
    uint32_t needs;       /* of the step that is being built */
    size_t scratch_bytes; /* that the hungriest step wants for each worker */
    char *scratch;
    bool profiled;
};

/* ---- the whole network (network.c) ----------------------------------------------------------- */

/* Builds everything. Arena blocks stay until the arena is reset. */
mn_status mn__network_create(const mn_graph *graph,
                             const mn__network_opts *opts,
                             mn_arena *arena,
                             mn__network **ret_net,
                             mn_error *err);
void mn__network_free(mn__network *net);

/* Whether a node is a fully connected layer, or rounds one's logits. */
bool mn__makes_logits(const mn_graph *graph, uint32_t node);

/* Runs on images (batch,C,H,W) plain, and yields the logits. */
void mn__network_forward(mn__network *net, const float *images, bool train);
/* From logits_gradient to the gradients of all parameters; after a forward run with train. */
void mn__network_backward(mn__network *net);
/* Brings the copies of the parameters up to date: after every change of their values. */
void mn__network_refresh(mn__network *net);

/* ---- values (value.c) ------------------------------------------------------------------------ */

/* A new stored value of `shape`. channel_of NULL: dense lanes (rounded up to the block). */
mn_status mn__value_create(mn__network *net,
                           mn_shape shape,
                           uint32_t lanes,
                           const uint32_t *channel_of,
                           mn__value **ret_value,
                           mn_error *err);
/* A value that is a view of `of`; change scale, shift, low, high, ready as needed. */
mn_status
mn__value_view_create(mn__network *net, const mn__value *of, mn__value **ret_value, mn_error *err);
/* Of one image, lanes included. */
size_t mn__value_elements(const mn__value *value);
/* As stored: without scale and clamp. */
bool mn__value_plain(const mn__value *value);

/* The buffer that the maps are in, in the end. */
mn__buffer *mn__buffer_of(const mn__storage *storage);

/* While a step runs: where the value is, and how it is seen. */
mn__maps mn__maps_at(const mn__network *net, const mn__storage *storage, const mn__value *like);
mn__view mn__view_of(const mn__network *net, const mn__value *value);

/* Statistics of a value, collected by its maker or by a batch norm. */
mn_status
mn__statistics_create(mn__network *net, uint32_t lanes, mn__statistics **ret, mn_error *err);
void mn__statistics_clear(mn__statistics *s);
/* Adds (2,lanes) floats of one image. */
void mn__statistics_add(mn__statistics *s, uint32_t slice, const float *sums);
/* The sums over all slices of lane `lane`. */
void mn__statistics_total(const mn__statistics *s, uint32_t lane, double *ret_0, double *ret_1);

/* ---- what layers use (network.c, program.c, buffers.c) --------------------------------------- */

/* Zeroed memory in the arena that lives as long as the network. */
mn_status mn__network_alloc(mn__network *net, size_t count, size_t size, void **ret, mn_error *err);

/* Registers a layer; `inputs` are copied. The output wants a gradient when the layer has
 * parameters or an input wants one. */
mn_status mn__layer_add(mn__network *net,
                        uint32_t node,
                        mn__value *const *inputs,
                        uint32_t input_count,
                        mn__value *output,
                        mn__backward backward,
                        void *state,
                        mn_error *err);

/* Memory for feature maps that some steps share. */
mn_status mn__buffer_create(mn__network *net, size_t bytes, mn__buffer **ret_buffer, mn_error *err);
/* Gives every buffer its place, from the lifetimes in `buffers`. */
mn_status mn__buffers_place(mn__network *net, mn_error *err);

/* The step that is added next reads or writes these. Forgetting one is a fault that shows as
 * garbage: every access of a step has its line. */
void mn__uses_buffer(mn__network *net, mn__buffer *buffer);
void mn__uses_value(mn__network *net, const mn__value *value);
void mn__uses_gradient(mn__network *net, const mn__gradient *gradient);
/* Room that the step wants for each worker. */
void mn__wants_scratch(mn__network *net, size_t bytes);

mn_status
mn__program_add(mn__network *net, mn__program *program, const mn__step *step, mn_error *err);
/* Which step would be added next, counted over forward and backward. */
uint32_t mn__next_step(const mn__network *net);

/* ---- gradients (gradient.c) ------------------------------------------------------------------ */

/* Where a backward step writes its contribution to the gradient of `value`: out = it + addend.
 * addend is NULL, or out itself, or what others contributed. Both count as used by the step that is
 * added next; ask for the target first, since it may need a step of its own. */
typedef struct mn__target {
    mn__gradient *out, *addend;
} mn__target;

mn_status
mn__gradient_target(mn__network *net, mn__value *value, mn__target *ret_target, mn_error *err);
/* Replaces the value's gradient, where it is a slope, by a stored one: adds a step that does so. */
mn_status mn__gradient_store(mn__network *net, mn__value *value, mn_error *err);
/* Contributes an existing gradient of the same shape as it is. */
mn_status
mn__gradient_give(mn__network *net, mn__value *value, mn__gradient *gradient, mn_error *err);
/* The gradient of `value` taken through the view `through`: a slope on that gradient, stored first
 * where it is a slope itself; or on what is under it, where both do no more than clamp one view.
 * One reference. */
mn_status mn__slope_create(mn__network *net,
                           mn__value *value,
                           const mn__value *through,
                           mn__gradient **ret_slope,
                           mn_error *err);
/* The slice of a concat's gradient that begins at `offset` elements. One reference. */
mn_status mn__slice_create(
    mn__network *net, mn__gradient *whole, size_t offset, mn__gradient **ret_slice, mn_error *err);
void mn__gradient_release(mn__gradient *gradient);

/* While a step runs. `like` has the shape. */
mn__slope mn__slope_of(const mn__network *net, const mn__gradient *gradient, const mn__value *like);
/* The addend of a target as maps; false when there is none. */
bool mn__addend_of(const mn__network *net,
                   const mn__target *target,
                   const mn__value *like,
                   mn__maps *ret_maps);

/* ---- parameters (parameter.c) ---------------------------------------------------------------- */

/* Sets up the storage of tensor `tensor`. Fill kind, rows..column_channel before. trainable false:
 * running statistics. */
mn_status mn__parameter_init(mn__network *net, uint32_t tensor, bool trainable, mn_error *err);
/* Where worker `slice` adds its share of the gradient. */
float *mn__parameter_share(const mn__parameter *p, uint32_t slice);
/* Before and after the images of a backward step: clears the shares, and sums them. */
void mn__parameter_begin(const mn__network *net, const mn__parameter *p);
void mn__parameter_end(const mn__network *net, const mn__parameter *p);

typedef enum mn__parameter_part {
    MN__PART_VALUE,
    MN__PART_GRADIENT,
    MN__PART_VELOCITY
} mn__parameter_part;

/* Copies between a part of every parameter and tensors in graph order (padding lanes become zero).
 * Running statistics have no gradient and no velocity: those tensors are left alone. */
void mn__parameters_import(mn__network *net, mn__parameter_part part, const mn_tensors *tensors);
void mn__parameters_export(const mn__network *net, mn__parameter_part part, mn_tensors *tensors);
/* Imports the value of one parameter. */
void mn__parameter_import(mn__network *net, uint32_t tensor, const mn_tensors *tensors);

/* ---- layers (layer_*.c): build the steps of one node into net->value_of[node] ---------------- */

mn_status mn__input_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__conv_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__depthwise_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__norm_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__max_pool_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__avg_pool_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__dense_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__add_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__concat_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__relu_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__fake_quant_build(mn__network *net, uint32_t node, mn_error *err);
/* The gradient of `through`, a view of the layer's input, becomes the input's. */
mn_status mn__clamp_backward(mn__network *net,
                             const mn__layer *layer,
                             mn__gradient *out_gradient,
                             mn_error *err);
/* Adds the activation `act` behind `from` and yields its value. */
mn_status mn__activation_build(mn__network *net,
                               uint32_t node,
                               mn__value *from,
                               mn_act act,
                               mn__value **ret_value,
                               mn_error *err);
/* A bias behind a convolution: a view that shifts. */
mn_status mn__bias_build(mn__network *net,
                         uint32_t node,
                         mn__value *from,
                         uint32_t tensor,
                         mn__value **ret_value,
                         mn_error *err);
/* `value` as it is seen, stored; the value itself where it is. */
mn_status mn__plain_build(
    mn__network *net, uint32_t node, mn__value *value, mn__value **ret_value, mn_error *err);
/* `value` with its channels in dense lanes; the value itself where they are. */
mn_status mn__relayout_build(
    mn__network *net, uint32_t node, mn__value *value, mn__value **ret_value, mn_error *err);

#endif
