/*
 * From a trained network to int8. Everything runs on the deployed graph.
 */
#include "search/int8.h"

#include "memnet/deploy.h"
#include "memnet/qat.h"

/* A quantised network and how it does on the validation images. */
typedef struct judged {
    mn_quant *quant;
    mn_eval_result result;
} judged;

static mn_status evaluate(const mn_graph *deployed,
                          const mn_quant *quant,
                          const mn_int8_task *task,
                          mn_eval_result *ret_result,
                          mn_error *err)
{
    mn_int8_network *network = NULL;
    mn_status status = mn_int8_network_create(deployed, quant, &network, err);
    if (status == MN_OK)
        status = mn_int8_network_evaluate(network, task, ret_result, NULL, err);
    mn_int8_network_free(network);
    return status;
}

static mn_status
judge(const mn__int8_setup *setup, const mn_graph *deployed, judged *j, mn_error *err)
{
    const mn_int8_task task = {.preprocessing = setup->preprocessing,
                               .dataset = setup->dataset,
                               .images = &setup->dataset->train,
                               .indices = setup->split->validation,
                               .count = setup->split->validation_count,
                               .threads = 1};
    return evaluate(deployed, j->quant, &task, &j->result, err);
}

static mn_status quantise(const mn__int8_setup *setup,
                          const mn_graph *deployed,
                          const mn_tensors *folded,
                          judged *ret,
                          mn_error *err)
{
    const mn_quantize_input input = {.graph = deployed,
                                     .tensors = folded,
                                     .preprocessing = setup->preprocessing,
                                     .dataset = setup->dataset,
                                     .indices = setup->split->train,
                                     .index_count = setup->split->train_count};
    mn_status status = mn_quantize(&input, NULL, &ret->quant, err);
    return status == MN_OK ? judge(setup, deployed, ret, err) : status;
}

/* Fine-tunes on the grids of `from`. */
static mn_status fine_tune(const mn__int8_setup *setup,
                           const mn_graph *deployed,
                           const mn_tensors *folded,
                           const judged *from,
                           judged *ret,
                           mn_error *err)
{
    mn_tensors *tuned = NULL;
    mn_trainer_setup training = {.graph = deployed,
                                 .dataset = setup->dataset,
                                 .indices = setup->split->train,
                                 .index_count = setup->split->train_count,
                                 .preprocessing = setup->preprocessing,
                                 .initial = folded,
                                 .opts = mn_qat_opts_default(),
                                 .arena = setup->arena};
    training.opts.epochs = setup->epochs;
    training.opts.seed = setup->seed;
    mn_status status = mn_qat_train(&training, from->quant->values, NULL, NULL, &tuned, err);
    if (status == MN_OK)
        status = mn_quant_convert(deployed, tuned, from->quant->values, &ret->quant, err);
    if (status == MN_OK)
        status = judge(setup, deployed, ret, err);
    mn_tensors_free(tuned);
    return status;
}

/* A loss that left the numbers, or weights that no longer fit int8. */
static bool is_about_numbers(mn_status status)
{
    return status == MN_ERR_LIMIT || status == MN_ERR_UNSUPPORTED;
}

mn_status mn__int8_finish(const mn__int8_setup *setup,
                          mn_tensors **ret_tensors,
                          mn_eval_result *ret_validation,
                          mn_error *err)
{
    mn_graph *deployed = NULL;
    mn_tensors *folded = NULL;
    judged plain = {0};
    judged tuned = {0};
    mn_status status = mn_deploy(setup->graph, setup->tensors, &deployed, &folded, err);
    if (status == MN_OK)
        status = quantise(setup, deployed, folded, &plain, err);
    if (status == MN_OK && setup->epochs > 0) {
        status = fine_tune(setup, deployed, folded, &plain, &tuned, err);
        if (is_about_numbers(status))
            status = MN_OK; /* what fine-tuning spoilt stays as it was */
    }
    bool gains = tuned.quant != NULL && tuned.result.correct >= plain.result.correct;
    const judged *best = gains ? &tuned : &plain;
    if (status == MN_OK)
        status = mn_quant_to_tensors(deployed, best->quant, ret_tensors, err);
    if (status == MN_OK)
        *ret_validation = best->result;
    mn_quant_free(tuned.quant);
    mn_quant_free(plain.quant);
    mn_tensors_free(folded);
    mn_graph_free(deployed);
    return status;
}

mn_status mn__int8_evaluate(const mn_graph *graph,
                            const mn_tensors *int8,
                            const mn_int8_task *task,
                            mn_eval_result *ret_result,
                            mn_error *err)
{
    mn_graph *deployed = NULL;
    mn_quant *quant = NULL;
    mn_status status = mn_deploy(graph, NULL, &deployed, NULL, err);
    if (status == MN_OK)
        status = mn_quant_from_tensors(deployed, int8, &quant, err);
    if (status == MN_OK)
        status = evaluate(deployed, quant, task, ret_result, err);
    mn_quant_free(quant);
    mn_graph_free(deployed);
    return status;
}
