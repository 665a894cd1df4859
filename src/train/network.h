/*
 * A network in oneDNN: values, parameters and four programs (lists of things to run in order).
 *
 * Lanes. A value with C channels is stored blocked, as (N, lanes/B, H, W, B), B = 16 or 8. Lanes
 * past the channels are real to oneDNN and always zero: a convolution's weights are zero there, so
 * its outputs, their gradients and the weights' gradients stay zero by themselves. A concat just
 * puts its parts' lanes one after another, gaps included, so that it moves whole blocks whatever
 * the widths are. channel_of tells which lane is which channel.
 *
 * Layers are built in graph order (layer_*.c); each adds its steps to `forward` (training) and
 * `evaluate`, and remembers how to add its `backward` steps, which happens in reverse order.
 * `refresh` copies updated weights into the layouts that the primitives want.
 */
#ifndef MN_TRAIN_NETWORK_H
#define MN_TRAIN_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/size.h"
#include "memnet/graph.h"
#include "memnet/tensors.h"
#include "train/backend.h"

/* A buffer for the gradient of a value; reused once nobody refers to it any more. */
typedef struct mn__gradient {
    float *data;
    size_t bytes;
    dnnl_memory_t memory;
    uint32_t references;
    struct mn__gradient *next; /* in the network's list of all */
} mn__gradient;

typedef struct mn__value {
    mn_shape shape;
    uint32_t lanes;
    const uint32_t *channel_of; /* (lanes) logical channel, or MN_NONE */
    dnnl_memory_desc_t desc;    /* (N,lanes,H,W) blocked; logits: (N,lanes) plain */
    float *data;
    size_t bytes;
    dnnl_memory_t memory;
    bool wants_gradient;
    uint32_t gradient_count, gradient_capacity;
    mn__gradient **gradients; /* contributions of the readers, not yet summed */
} mn__value;

/* One tensor of the graph in oneDNN's layout. */
typedef struct mn__parameter {
    uint32_t rows, columns, taps;   /* physical (rows,columns,taps); vectors: columns = taps = 1 */
    const uint32_t *row_channel;    /* (rows) logical row or MN_NONE; NULL: all, in order */
    const uint32_t *column_channel; /* (columns), likewise */
    dnnl_memory_desc_t plain, desc; /* row-major, and as stored */
    float *value, *gradient, *velocity; /* gradient and velocity NULL for running statistics */
    size_t count;                       /* floats stored, padding included */
    dnnl_memory_t value_memory, gradient_memory;
    bool decays;
} mn__parameter;

typedef struct mn__network mn__network;
typedef struct mn__layer mn__layer;

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

enum { MN__MAX_EXEC_ARGS = 12 };

/* One thing to run: a primitive, or a function of ours. */
typedef struct mn__exec {
    dnnl_primitive_t primitive; /* NULL: run(context) */
    int arg_count;
    dnnl_exec_arg_t args[MN__MAX_EXEC_ARGS];
    void (*run)(const void *context);
    const void *context;
} mn__exec;

typedef struct mn__program {
    uint32_t count, capacity;
    mn__exec *items;
} mn__program;

/* What a primitive turned out to be, for mn_trainer_visit_primitives(). */
typedef struct mn__primitive_note {
    uint32_t node;
    const char *phase;
    const char *implementation; /* copied into the arena */
} mn__primitive_note;

struct mn__network {
    const mn_graph *graph;
    uint32_t batch;
    uint32_t threads;
    mn__backend backend;
    mn_arena *arena;
    mn__value **value_of;       /* (nodes); nodes without a value of their own share another's */
    const uint32_t *fused_relu; /* (nodes) batch norm: the relu that it computes too, or MN_NONE */
    mn__value *input;           /* blocked form of the image */
    dnnl_memory_desc_t input_plain_desc;
    dnnl_memory_t input_plain; /* (N,C,H,W): points at the batch */
    mn__value *output;
    float *output_gradient; /* same layout as the output */
    mn__layer *newest_layer;
    mn__gradient *gradients;
    mn__parameter *parameters; /* (tensors of the graph) */
    mn__program forward, evaluate, backward, refresh;
    uint32_t note_count, note_capacity;
    mn__primitive_note *notes;
    /* everything that has to be destroyed */
    uint32_t primitive_count, primitive_capacity;
    dnnl_primitive_t *primitives;
    uint32_t memory_count, memory_capacity;
    dnnl_memory_t *memories;
};

/* ---- the whole network (network.c) ----------------------------------------------------------- */

/* Builds everything for batches of `batch` images. Arena blocks stay until the arena is reset. */
mn_status mn__network_create(const mn_graph *graph,
                             uint32_t batch,
                             uint32_t threads,
                             mn_arena *arena,
                             mn__network **ret_net,
                             mn_error *err);
void mn__network_free(mn__network *net);

/* Points the network at a batch, (batch,C,H,W) plain and 64-byte aligned, alive while it runs. */
mn_status mn__network_set_input(mn__network *net, const float *images, mn_error *err);
mn_status mn__network_run(mn__network *net, const mn__program *program, mn_error *err);

/* ---- what layers use (network.c, program.c) -------------------------------------------------- */

/* Zeroed memory in the arena that lives as long as the network's buffers. */
mn_status mn__network_alloc(mn__network *net, size_t count, size_t size, void **ret, mn_error *err);

/* A new value of `shape`. channel_of NULL: dense lanes (rounded up to the block). */
mn_status mn__value_create(mn__network *net,
                           mn_shape shape,
                           uint32_t lanes,
                           const uint32_t *channel_of,
                           mn__value **ret_value,
                           mn_error *err);

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

/* A dnnl memory on `data` (NULL: in the arena, zeroed), destroyed with the network. */
mn_status mn__memory_create(mn__network *net,
                            const dnnl_memory_desc_t *desc,
                            float *data,
                            dnnl_memory_t *ret_memory,
                            mn_error *err);
float *mn__memory_data(dnnl_memory_t memory);

/* Makes the primitive of `desc`, destroyed with the network, and notes its implementation.
 * `op_desc` is the operation descriptor, `hint` the forward primitive descriptor or NULL. The
 * caller destroys *ret_desc. */
mn_status mn__primitive_create(mn__network *net,
                               uint32_t node,
                               const char *phase,
                               const_dnnl_op_desc_t op_desc,
                               const_dnnl_primitive_desc_t hint,
                               dnnl_primitive_desc_t *ret_desc,
                               dnnl_primitive_t *ret_primitive,
                               mn_error *err);

/* Lets the network destroy a primitive in its end; destroys it at once on failure. */
mn_status mn__network_own(mn__network *net, dnnl_primitive_t primitive, mn_error *err);

/* The descriptor that a primitive chose, e.g. (dnnl_query_weights_md, 0). */
dnnl_memory_desc_t mn__queried(const_dnnl_primitive_desc_t desc, dnnl_query_t what);

/* Appends to a program. Pairs are (argument kind, memory). */
mn_status mn__program_primitive(mn__program *program,
                                dnnl_primitive_t primitive,
                                const dnnl_exec_arg_t *args,
                                int arg_count,
                                mn_error *err);
mn_status mn__program_function(mn__program *program,
                               void (*run)(const void *context),
                               const void *context,
                               mn_error *err);

/* ---- gradients (gradient.c) ------------------------------------------------------------------ */

/* A fresh contribution to the gradient of `value`, for a reader's backward step to write. */
mn_status mn__gradient_new(mn__network *net, mn__value *value, mn__gradient **ret, mn_error *err);
/* Hands an existing gradient on as a contribution; nobody may write it any more. */
mn_status mn__gradient_share(mn__value *value, mn__gradient *gradient, mn_error *err);
/* The whole gradient of `value`, adding a step that sums where several readers contributed; NULL
 * when no reader did. The caller owns one reference. */
mn_status
mn__gradient_collect(mn__network *net, mn__value *value, mn__gradient **ret, mn_error *err);
void mn__gradient_release(mn__gradient *gradient);

/* ---- parameters (parameter.c) ---------------------------------------------------------------- */

/* Sets up the storage of tensor `tensor`: desc NULL for vectors. Fill rows..column_channel before.
 * trainable false: running statistics. */
mn_status mn__parameter_init(mn__network *net,
                             uint32_t tensor,
                             const dnnl_memory_desc_t *plain,
                             const dnnl_memory_desc_t *desc,
                             bool trainable,
                             mn_error *err);
/* A memory with the parameter's value in layout `wanted`: its own where that is the layout, else a
 * copy that `refresh` keeps up to date. */
mn_status mn__parameter_in_layout(mn__network *net,
                                  uint32_t tensor,
                                  const dnnl_memory_desc_t *wanted,
                                  dnnl_memory_t *ret_memory,
                                  mn_error *err);

typedef enum mn__parameter_part {
    MN__PART_VALUE,
    MN__PART_GRADIENT,
    MN__PART_VELOCITY
} mn__parameter_part;

/* Copies between a part of every parameter and tensors in graph order (padding lanes become zero).
 * Running statistics have no gradient and no velocity: those tensors are left alone. */
mn_status mn__parameters_import(mn__network *net,
                                mn__parameter_part part,
                                const mn_tensors *tensors,
                                mn_error *err);
mn_status mn__parameters_export(mn__network *net,
                                mn__parameter_part part,
                                mn_tensors *tensors,
                                mn_error *err);

/* Imports the value of one parameter. */
mn_status
mn__parameter_import(mn__network *net, uint32_t tensor, const mn_tensors *tensors, mn_error *err);

/* ---- layers (layer_*.c): build the steps of one node into net->value_of[node] ---------------- */

mn_status mn__conv_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__norm_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__pool_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__dense_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__add_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__concat_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__relu_build(mn__network *net, uint32_t node, mn_error *err);
mn_status mn__fake_quant_build(mn__network *net, uint32_t node, mn_error *err);
/* Adds the activation `act` behind `from` and yields its value. */
mn_status mn__activation_build(mn__network *net,
                               uint32_t node,
                               mn__value *from,
                               mn_act act,
                               mn__value **ret_value,
                               mn_error *err);
/* Every stride-th pixel: how a dilated convolution of that stride becomes a dense one. */
mn_status mn__subsample_build(mn__network *net,
                              uint32_t node,
                              mn__value *from,
                              uint32_t stride,
                              mn__value **ret_value,
                              mn_error *err);
/* `value` with its channels in dense lanes; the value itself where they are. */
mn_status mn__relayout_build(
    mn__network *net, uint32_t node, mn__value *value, mn__value **ret_value, mn_error *err);
/* True when the node can read the image plainly (N,C,H,W). */
bool mn__conv_reads_plain(const mn__network *net, uint32_t node);

#endif
