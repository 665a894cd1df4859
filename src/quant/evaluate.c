/*
 * Classifies images with a quantised network. Images are dealt to threads one by one; counts are
 * integers and losses are summed in the images' order, so that the threads leave no trace.
 */
#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "quant/reference.h"

typedef struct verdict {
    uint16_t label, guess;
    double loss;
} verdict;

/* One thread's own memory. */
typedef struct desk {
    int8_t *arena, *input, *logits;
} desk;

/* A pixel that is no byte, by the operations of exported memnet_from_pixel_value(), so that they
 * round to the same byte. */
static int8_t from_pixel_value(float pixel, mn_preprocessing preprocessing, mn_quant_value grid)
{
    float q =
        (pixel - preprocessing.mean) * preprocessing.scale / grid.scale + (float)grid.zero_point;
    if (!(q > -128.0f))
        return -128;
    if (q > 127.0f)
        return 127;
    return (int8_t)((int)(q + 128.5f) - 128);
}

void mn_int8_network_image(const mn_int8_network *network,
                           mn_preprocessing preprocessing,
                           const mn_dataset *dataset,
                           const mn_images *images,
                           uint32_t index,
                           int8_t *ret_input)
{
    mn_quant_value grid = network->quant->values[network->input];
    size_t elements = mn_shape_elements(dataset->shape);
    size_t first = index * elements;
    for (size_t e = 0; e < elements; e++) {
        if (dataset->pixel_type == MN_PIXEL_U8)
            ret_input[e] = (int8_t)(((const uint8_t *)images->pixels)[first + e] - 128);
        else
            ret_input[e] =
                from_pixel_value(((const float *)images->pixels)[first + e], preprocessing, grid);
    }
}

static mn_status check_task(const mn_int8_network *network, const mn_int8_task *task, mn_error *err)
{
    mn_shape want = mn_graph_node(network->graph, network->input)->shape;
    size_t classes = mn_shape_elements(mn_graph_node(network->graph, network->output)->shape);
    mn_shape have = task->dataset->shape;
    mn_quant_value grid = network->quant->values[network->input];
    mn_quant_value bytes = grid;
    if (!mn_shape_equal(want, have) || classes != task->dataset->class_count)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the network reads (%u,%u,%u) and tells %zu classes, the data set has "
                            "(%u,%u,%u) and %u",
                            want.h,
                            want.w,
                            want.c,
                            classes,
                            have.h,
                            have.w,
                            have.c,
                            task->dataset->class_count);
    if (task->threads == 0 || task->count == 0)
        return mn_error_set(err, MN_ERR_ARG, "no threads or no images");
    mn_status status = MN_OK;
    if (task->dataset->pixel_type == MN_PIXEL_U8)
        status = mn_quant_input_grid(task->preprocessing, &bytes, err);
    if (status == MN_OK && (bytes.scale != grid.scale || bytes.zero_point != grid.zero_point))
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the network's input is on the grid %g, %d, pixels on %g, %d",
                            (double)grid.scale,
                            grid.zero_point,
                            (double)bytes.scale,
                            bytes.zero_point);
    return status;
}

static verdict judge(const mn_int8_network *network, const int8_t *logits, uint16_t label)
{
    mn_quant_value grid = network->quant->values[network->output];
    size_t classes = mn_shape_elements(mn_graph_node(network->graph, network->output)->shape);
    verdict v = {.label = label};
    double sum = 0;
    for (size_t k = 1; k < classes; k++)
        v.guess = logits[k] > logits[v.guess] ? (uint16_t)k : v.guess;
    for (size_t k = 0; k < classes; k++)
        sum += exp((double)grid.scale * (logits[k] - logits[v.guess]));
    /* The largest logit alone adds one. */
    /* cppcheck-suppress invalidFunctionArg */
    v.loss = log(sum) + (double)grid.scale * (logits[v.guess] - logits[label]);
    return v;
}

static void classify(const mn_int8_network *network,
                     const mn_int8_task *task,
                     uint32_t i,
                     const desk *d,
                     verdict *ret)
{
    uint32_t image = task->indices == NULL ? i : task->indices[i];
    mn_int8_network_image(
        network, task->preprocessing, task->dataset, task->images, image, d->input);
    mn_int8_network_run(network, d->arena, d->input, d->logits, NULL);
    *ret = judge(network, d->logits, task->images->labels[image]);
}

static bool desk_init(const mn_int8_network *network, desk *d)
{
    const mn_node *in = mn_graph_node(network->graph, network->input);
    const mn_node *out = mn_graph_node(network->graph, network->output);
    d->arena = mn_calloc(network->plan->arena_bytes, 1);
    d->input = mn_calloc(mn_shape_elements(in->shape), 1);
    d->logits = mn_calloc(mn_shape_elements(out->shape), 1);
    return d->arena != NULL && d->input != NULL && d->logits != NULL;
}

static void desk_done(desk *d)
{
    free(d->arena);
    free(d->input);
    free(d->logits);
}

static void sum_up(const verdict *verdicts,
                   uint32_t count,
                   mn_eval_result *ret_result,
                   uint16_t *ret_predictions)
{
    mn_eval_result result = {.count = count};
    for (uint32_t i = 0; i < count; i++) {
        result.correct += verdicts[i].guess == verdicts[i].label;
        result.loss += verdicts[i].loss / count;
        if (ret_predictions != NULL)
            ret_predictions[i] = verdicts[i].guess;
    }
    *ret_result = result;
}

mn_status mn_int8_network_evaluate(const mn_int8_network *network,
                                   const mn_int8_task *task,
                                   mn_eval_result *ret_result,
                                   uint16_t *ret_predictions,
                                   mn_error *err)
{
    verdict *verdicts = NULL;
    desk *desks = NULL;
    mn_status status = check_task(network, task, err);
    if (status != MN_OK)
        return status;
    uint32_t threads = task->threads;
    verdicts = mn_calloc(task->count, sizeof *verdicts);
    desks = mn_calloc(threads, sizeof *desks);
    bool good = verdicts != NULL && desks != NULL;
    for (uint32_t t = 0; t < threads && good; t++)
        good = desk_init(network, &desks[t]);
    if (!good) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory for %u threads", threads);
        goto done;
    }
#pragma omp parallel for num_threads((int)threads) schedule(static, 1)
    for (uint32_t t = 0; t < threads; t++)
        for (uint32_t i = t; i < task->count; i += threads)
            classify(network, task, i, &desks[t], &verdicts[i]);
    sum_up(verdicts, task->count, ret_result, ret_predictions);
done:
    for (uint32_t t = 0; desks != NULL && t < threads; t++)
        desk_done(&desks[t]);
    free(desks);
    free(verdicts);
    return status;
}
