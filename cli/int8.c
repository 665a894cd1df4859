/*
 * Chooses the images to calibrate and fine-tune with. Invariant: images that validated the model's
 * training are not among them.
 */
#include "cli/int8.h"

#include <string.h>

mn_status mn__int8_quantize(mn__pipeline *pipeline,
                            const mn_dataset *dataset,
                            const mn_quantize_opts *opts,
                            uint32_t *ret_images,
                            mn_error *err)
{
    const mn_model *model = pipeline->model;
    mn_quantize_opts with = opts == NULL ? mn_quantize_opts_default() : *opts;
    mn_split split = {0};
    mn_status status = MN_OK;
    if (model->is_int8)
        return mn_error_set(err, MN_ERR_ARG, "%s: is an int8 model already", pipeline->path);
    with.threads = mn__processors(256);
    mn_quantize_input input = {
        .graph = pipeline->deployed,
        .tensors = pipeline->folded,
        .preprocessing = model->preprocessing,
        .dataset = dataset,
        .index_count = dataset->train.count,
    };
    if (strcmp(model->data_hash, dataset->hash) == 0) {
        status = mn_split_make(dataset, model->split_seed, model->split_fraction, &split, err);
        input.indices = split.train;
        input.index_count = split.train_count;
    }
    if (status == MN_OK)
        status = mn_quantize(&input, &with, &pipeline->quant, err);
    if (ret_images != NULL)
        *ret_images = with.images < input.index_count ? with.images : input.index_count;
    mn_split_done(&split);
    return status == MN_OK ? MN_OK : mn_error_prefix(err, status, "%s", pipeline->path);
}

mn_status mn__int8_fine_tune(mn__pipeline *pipeline,
                             const mn_dataset *dataset,
                             const mn_train_opts *opts,
                             mn_qat_progress progress,
                             void *context,
                             mn_error *err)
{
    const mn_model *model = pipeline->model;
    const bool own = strcmp(model->data_hash, dataset->hash) == 0;
    const mn_quant_value *values = pipeline->quant->values;
    mn_split split = {0};
    mn_tensors *tuned = NULL;
    mn_quant *quant = NULL;
    mn_status status =
        mn_split_make(dataset, model->split_seed, own ? model->split_fraction : 0.0, &split, err);
    const mn_trainer_setup setup = {
        .graph = pipeline->deployed,
        .dataset = dataset,
        .indices = split.train,
        .index_count = split.train_count,
        .preprocessing = model->preprocessing,
        .initial = pipeline->folded,
        .opts = *opts,
    };
    if (status == MN_OK)
        status = mn_qat_train(&setup, values, progress, context, &tuned, err);
    if (status == MN_OK)
        status = mn_quant_convert(pipeline->deployed, tuned, values, &quant, err);
    if (status == MN_OK) {
        mn_quant_free(pipeline->quant);
        pipeline->quant = quant;
    }
    mn_tensors_free(tuned);
    mn_split_done(&split);
    return status == MN_OK ? MN_OK : mn_error_prefix(err, status, "%s", pipeline->path);
}
