/**
 * Training: how a network learns. A trainer owns one network and its optimiser state;
 * it runs whole epochs, evaluates, and hands the numbers out as plain tensors.
 *
 * Same options, same seed, same number of threads: same result, bit by bit.
 */
#ifndef MEMNET_TRAIN_H
#define MEMNET_TRAIN_H

#include "memnet/batches.h"
#include "memnet/dataset.h"
#include "memnet/graph.h"
#include "memnet/tensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Learning rate over the steps of a training, always ending at zero. */
typedef enum mn_schedule {
    MN_SCHEDULE_COSINE,   /**< Five percent of linear warm-up, then half a cosine. */
    MN_SCHEDULE_ONE_CYCLE /**< Linear up over the first quarter, linear down to zero. */
} mn_schedule;

/** The type of activations and their gradients. Weights, batch statistics, weight gradients and the
 * optimiser are float32 always. */
typedef enum mn_compute {
    MN_COMPUTE_AUTO,    /**< The faster of the two on this machine; float32 of a network with
                         * fake_quant nodes or int8_weights. */
    MN_COMPUTE_FLOAT32, /**< Everywhere. */
    MN_COMPUTE_BF16     /**< Only where the processor multiplies bf16 (AVX512-BF16), and no int8
                         * grid is in play. */
} mn_compute;

typedef struct mn_train_opts {
    uint32_t epochs;              /**< Length of the schedule, default 10. */
    uint32_t batch;               /**< Default 64. */
    float learning_rate;          /**< Peak, default 0.2. */
    float momentum;               /**< Nesterov, default 0.9. */
    float weight_decay;           /**< On conv and fully connected weights only, default 5e-4. */
    float label_smoothing;        /**< [0, 1), default 0.1. */
    float beta_rate;              /**< Factor on the learning rate of batch norms' shifts (beta),
                                   * [0, 1000], default 1. Shifts never decay, so that it changes
                                   * no product of rate and decay. */
    float average;                /**< Decay of the weights' exponential average, [0, 0.99999],
                                   * default 0 = none. Every step takes part: one more pass over the
                                   * weights, little beside the step. Step t (from 0) decays by
                                   * min(average, t/(t+9)), so that short trainings hold nothing of
                                   * the initial weights. Running statistics are averaged too. */
    bool dirac;                   /**< Random initial weights only: the first min(O,I) filters of
                                   * every dense convolution are the identity (1 at the kernel's
                                   * centre of input channel i, else 0). Default false. */
    bool whiten;                  /**< The first dense convolution with a window of several pixels
                                   * that reads the image is set, over `initial` too, and not
                                   * trained: its filters are plus and minus the eigenvectors of the
                                   * covariance of the image's patches, over sqrt(eigenvalue +
                                   * 5e-4), largest eigenvalue first. Of n numbers a patch there are
                                   * 2n such filters; a layer of fewer has the first of them, in a
                                   * layer of more the rest stays as initialised. Default false. */
    bool int8_weights;            /**< The network computes with weights of convolutions and fully
                                   * connected layers as int8 can hold them, per output channel
                                   * scale * q, q in [-127,127], scale = max |w| / 127; gradients go
                                   * to the exact weights. Default false. */
    mn_schedule schedule;         /**< Default MN_SCHEDULE_ONE_CYCLE. */
    mn_augmentation augmentation; /**< Default: crop padding 2, random flip, else none. */
    uint64_t seed;                /**< Of initial weights, order and augmentation; default 1. */
    uint32_t threads;             /**< Of the compute library, default 1; part of the result. */
    mn_compute compute;           /**< Default MN_COMPUTE_AUTO; part of the result. */
} mn_train_opts;

MN_API mn_train_opts mn_train_opts_default(void);

/** MN_ERR_ARG names the first option that is out of range or not finite. */
MN_API mn_status mn_train_opts_check(const mn_train_opts *opts, mn_error *err);

/** Memory that is reused from one trainer to the next: first touch of fresh pages is slow. */
typedef struct mn_arena mn_arena;

/** Everything is borrowed while the trainer lives. */
typedef struct mn_trainer_setup {
    const mn_graph *graph;     /**< One input. Batch norms unfolded, or a deployed graph. */
    const mn_dataset *dataset; /**< NULL: the trainer can only evaluate what is passed to it. */
    const uint32_t *indices;   /**< Which training images to learn from. */
    uint32_t index_count;
    mn_preprocessing preprocessing;
    const mn_tensors *initial; /**< In graph order; NULL: random from the seed. Copied. */
    mn_train_opts opts;
    mn_arena *arena; /**< Reset by the trainer; NULL: one of its own. */
} mn_trainer_setup;

typedef struct mn_trainer mn_trainer;

/**
 * @retval MN_ERR_MISMATCH     Data set and network differ in shape or classes, or `initial` and
 *                             network in their tensors.
 * @retval MN_ERR_UNSUPPORTED  A primitive that cannot be trained (grouped but not depthwise conv),
 *                             or opts.whiten and no convolution that could whiten.
 */
MN_API mn_status mn_trainer_create(const mn_trainer_setup *setup,
                                   mn_trainer **ret_trainer,
                                   mn_error *err);
/** NULL is fine. */
MN_API void mn_trainer_free(mn_trainer *trainer);

typedef struct mn_epoch_result {
    uint32_t epoch;  /**< Of this result, from 1. */
    double loss;     /**< Mean training loss of the epoch, label smoothing included. */
    double train_ms; /**< Wall time of the epoch. */
    double wait_ms;  /**< Of that, waiting for data. */
} mn_epoch_result;

/** Trains one epoch. MN_ERR_LIMIT when a loss is not finite; MN_ERR_ARG past opts.epochs. */
MN_API mn_status mn_trainer_epoch(mn_trainer *trainer, mn_epoch_result *ret_result, mn_error *err);

/** Epochs that were trained, checkpoints included. */
MN_API uint32_t mn_trainer_epochs_done(const mn_trainer *trainer);

typedef struct mn_eval_result {
    uint32_t count, correct;
    double loss; /**< Mean cross-entropy without smoothing. */
} mn_eval_result;

/**
 * Classifies images in evaluation mode (running statistics), with the averages of the weights if
 * opts.average asks for them.
 * @param indices          Which of `images`; NULL: all.
 * @param ret_predictions  NULL, or room for as many class numbers as images are evaluated.
 */
MN_API mn_status mn_trainer_evaluate(mn_trainer *trainer,
                                     const mn_dataset *dataset,
                                     const mn_images *images,
                                     const uint32_t *indices,
                                     uint32_t index_count,
                                     mn_eval_result *ret_result,
                                     uint16_t *ret_predictions,
                                     mn_error *err);

/** The network's numbers in graph order, or their averages if opts.average asks for them; the
 * caller frees. Training goes on from the numbers themselves. */
MN_API mn_status mn_trainer_tensors(mn_trainer *trainer, mn_tensors **ret_tensors, mn_error *err);

/** Saves weights, averages, optimiser state and progress, atomically. */
MN_API mn_status mn_trainer_save(mn_trainer *trainer, const char *path, mn_error *err);

/** Continues from a checkpoint of the same network, images and options, to the very losses of a
 * training that was never interrupted. MN_ERR_MISMATCH names what differs. */
MN_API mn_status mn_trainer_resume(mn_trainer *trainer, const char *path, mn_error *err);

/** Bytes of activations, gradients, weights, averages and optimiser state in the arena. */
MN_API size_t mn_trainer_arena_bytes(const mn_trainer *trainer);

/** What a trainer asked for, in bytes. */
typedef struct mn_trainer_memory {
    size_t maps_bytes;    /**< Activations, their gradients: planned by their lifetimes. */
    size_t arena_bytes;   /**< These, parameters, optimiser state, scratch: all of the arena. */
    size_t batches_bytes; /**< Images that are made ahead. */
} mn_trainer_memory;

MN_API mn_trainer_memory mn_trainer_memory_of(const mn_trainer *trainer);

/** The set of vector kernels in use: "portable", "avx2", "avx512" or "bf16". */
MN_API const char *mn_trainer_kernels(const mn_trainer *trainer);

/** One step of the training program: what it took since mn_trainer_profile(), and what it costs at
 * least for one batch. */
typedef struct mn_step_cost {
    const char *layer; /**< Name of the node, or "". */
    const char *kind;  /**< "dense conv", "depthwise backward", ... */
    double seconds;    /**< Of the first thread. */
    double flops;      /**< Of the whole batch. */
    double bytes;      /**< Read and written, of the whole batch. */
} mn_step_cost;

/** Times every step from now on, which slows them a little; sums begin at 0. */
MN_API void mn_trainer_profile(mn_trainer *trainer);
MN_API void mn_trainer_visit_steps(const mn_trainer *trainer,
                                   void (*visit)(void *context, const mn_step_cost *cost),
                                   void *context);

/** Random initial numbers: He normal (fan-in) for weights, 1 for gamma and variance, 0 elsewhere.
 * Each tensor has a stream of its own from (seed, name). */
MN_API mn_status mn_tensors_initialise(const mn_graph *graph,
                                       uint64_t seed,
                                       mn_tensors **ret_tensors,
                                       mn_error *err);

/**
 * Initial numbers of a child network from its parent's: tensors of layers that the map continues
 * are copied channel by channel (slices where shapes differ; input channels follow the concat
 * parts that they came from; a kernel inside a larger one looks at the same pixels), all others are
 * random as in mn_tensors_initialise(). What is new disturbs nothing where that can be:
 * - Filters that continue one of the parent's weigh input channels and pixels that are new by zero;
 *   those of which no input channel continues one stay random.
 * - Where a new layer adds a plain link to a value of the parent's and a branch that ends in a
 * batch norm, that norm's scale is zero (with a shift of 1e-6 where a relu follows, for the sake of
 * its gradient).
 * - A dense convolution in the place of a plain link is the identity, and so is its norm in
 *   evaluation.
 * docs/search.md says for which moves the child then computes what its parent computes.
 *
 * @param layer_parents  (layer_count): parent's layer of each of the child's, or MN_NONE.
 * @param parent_tensors In graph order of `parent`; else MN_ERR_MISMATCH.
 */
MN_API mn_status mn_tensors_inherit(const mn_graph *child,
                                    const uint32_t *layer_parents,
                                    uint32_t layer_count,
                                    const mn_graph *parent,
                                    const mn_tensors *parent_tensors,
                                    uint64_t seed,
                                    mn_tensors **ret_tensors,
                                    mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
