/*
 * Quantising a network that was loaded: what `quantize` and `eval --precision int8` have in common,
 * and fine-tuning it.
 */
#ifndef MN_CLI_INT8_H
#define MN_CLI_INT8_H

#include "cli/pipeline.h"
#include "memnet/qat.h"
#include "memnet/quantize.h"

/*
 * Fills pipeline->quant from a float32 model that is planned already. Ranges are measured on the
 * images that the model was trained on; on all training images of a data set that is not its own.
 * `opts` NULL: the defaults. `ret_images` (NULL: not wanted) is how many images that were: those
 * asked for, or all where there are fewer. MN_ERR_ARG for a model that is int8 already.
 */
mn_status mn__int8_quantize(mn__pipeline *pipeline,
                            const mn_dataset *dataset,
                            const mn_quantize_opts *opts,
                            uint32_t *ret_images,
                            mn_error *err);

/*
 * Fine-tunes a network that mn__int8_quantize() has quantised, on the images that it trained on (as
 * there), and replaces pipeline->quant by what that makes of it on the same grids.
 */
mn_status mn__int8_fine_tune(mn__pipeline *pipeline,
                             const mn_dataset *dataset,
                             const mn_train_opts *opts,
                             mn_qat_progress progress,
                             void *context,
                             mn_error *err);

#endif
