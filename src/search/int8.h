/*
 * The int8 end of a training: quantised after it, fine-tuned on the grids, told by the accuracy of
 * the very bytes that will be exported.
 */
#ifndef MN_SEARCH_INT8_H
#define MN_SEARCH_INT8_H

#include "memnet/batches.h"
#include "memnet/quantize.h"

/* All borrowed. */
typedef struct mn__int8_setup {
    const mn_graph *graph;     /* as trained: batch norms unfolded */
    const mn_tensors *tensors; /* in graph order */
    const mn_dataset *dataset;
    const mn_split *split; /* trains on one part, is judged on the other */
    mn_preprocessing preprocessing;
    uint32_t epochs; /* of fine-tuning; 0: none */
    uint64_t seed;
    mn_arena *arena;
} mn__int8_setup;

/*
 * Quantises and fine-tunes. Of the network after training alone and the fine-tuned one the more
 * accurate on the validation images is handed out, as the tensors of a model file.
 */
mn_status mn__int8_finish(const mn__int8_setup *setup,
                          mn_tensors **ret_tensors,
                          mn_eval_result *ret_validation,
                          mn_error *err);

/* Accuracy of a model file's int8 tensors on `images`. */
mn_status mn__int8_evaluate(const mn_graph *graph,
                            const mn_tensors *int8,
                            const mn_int8_task *task,
                            mn_eval_result *ret_result,
                            mn_error *err);

#endif
