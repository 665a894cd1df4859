/*
 * Inside of a trainer: shared by trainer.c and checkpoint.c.
 */
#ifndef MN_TRAIN_TRAINER_H
#define MN_TRAIN_TRAINER_H

#include "memnet/train.h"
#include "train/average.h"
#include "train/network.h"

struct mn_trainer {
    mn_trainer_setup setup;
    mn_arena *own_arena; /* NULL when the caller lent one */
    mn__network *net;
    uint32_t frozen; /* tensor that is not trained, or MN_NONE */
    mn__average average;
    mn_batches *batches; /* NULL without a data set */
    uint32_t epochs_done;
};

/* One optimiser step on a batch at learning rate `rate`; MN_ERR_LIMIT when the loss is not finite.
 */
mn_status mn__trainer_step(
    mn_trainer *trainer, const mn_batch *batch, float rate, double *ret_loss, mn_error *err);

/* The weights themselves, which training goes on from, where mn_trainer_tensors() gives averages.
 */
mn_status mn__trainer_weights(mn_trainer *trainer, mn_tensors **ret_tensors, mn_error *err);

#endif
