/*
 * Checkpoints: weights, velocities, averages and progress in one safetensors file. The order of the
 * images and the learning rate are functions of seed and epoch, so nothing else has to be stored.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "graph/metadata.h"
#include "graph/safetensors.h"
#include "train/trainer.h"

static const char velocity_prefix[] = "velocity/";
static const char average_prefix[] = "average/"; /* only where weights are averaged */

/* Equal for graphs that compute the same from tensors of the same names. */
static uint64_t hash_network(const mn_graph *graph)
{
    uint64_t hash = MN_HASH_START;
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        const uint32_t facts[] = {(uint32_t)node->prim,
                                  (uint32_t)node->act,
                                  node->shape.h,
                                  node->shape.w,
                                  node->shape.c,
                                  node->groups,
                                  node->input_count};
        hash = mn_hash_bytes(hash, facts, sizeof facts);
        hash = mn_hash_bytes(hash, &node->window, sizeof node->window);
        hash = mn_hash_bytes(hash, &node->epsilon, sizeof node->epsilon);
        hash = mn_hash_bytes(hash, &node->grid, sizeof node->grid);
        hash = mn_hash_bytes(hash, node->inputs, node->input_count * sizeof *node->inputs);
        hash = mn_hash_bytes(hash, node->name, strlen(node->name));
    }
    return hash;
}

/* One line of words "key=value" that is equal for trainings that may continue each other. */
static mn_status describe(const mn_trainer *trainer, char **ret_text, mn_error *err)
{
    const mn_trainer_setup *setup = &trainer->setup;
    const mn_train_opts *o = &setup->opts;
    uint32_t images = setup->dataset == NULL ? 0 : setup->index_count;
    uint64_t order = mn_hash_bytes(MN_HASH_START, setup->indices, images * sizeof *setup->indices);
    mn_buffer text;
    mn_buffer_init(&text);
    mn_buffer_printf(&text,
                     "network=%016" PRIx64 " data=%s images=%u indices=%016" PRIx64
                     " mean=%.9g scale=%.9g",
                     hash_network(setup->graph),
                     setup->dataset == NULL ? "" : setup->dataset->hash,
                     images,
                     order,
                     (double)setup->preprocessing.mean,
                     (double)setup->preprocessing.scale);
    mn_buffer_printf(&text,
                     " epochs=%u batch=%u rate=%.9g momentum=%.9g decay=%.9g smoothing=%.9g"
                     " schedule=%d crop=%u flip=%d cutout=%u seed=%" PRIu64 " threads=%u"
                     " compute=%s beta_rate=%.9g average=%.9g dirac=%d whiten=%d mixup=%.9g"
                     " int8_weights=%d",
                     o->epochs,
                     trainer->net->opts.batch,
                     (double)o->learning_rate,
                     (double)o->momentum,
                     (double)o->weight_decay,
                     (double)o->label_smoothing,
                     (int)o->schedule,
                     o->augmentation.crop_padding,
                     (int)o->augmentation.flip,
                     o->augmentation.cutout,
                     o->seed,
                     o->threads,
                     trainer->net->opts.simd->name,
                     (double)o->beta_rate,
                     (double)o->average,
                     (int)o->dirac,
                     (int)o->whiten,
                     (double)o->augmentation.mixup,
                     (int)o->int8_weights);
    mn_status status = mn_buffer_take(&text, ret_text, err);
    mn_buffer_done(&text);
    return status;
}

/* Compares two descriptions word by word; MN_ERR_MISMATCH names the first pair that differs. */
static mn_status compare(const char *path, const char *stored, const char *wanted, mn_error *err)
{
    while (*stored != '\0' || *wanted != '\0') {
        size_t a = strcspn(stored, " ");
        size_t b = strcspn(wanted, " ");
        if (a != b || memcmp(stored, wanted, a) != 0)
            return mn_error_set(err,
                                MN_ERR_MISMATCH,
                                "%s: trained with '%.*s', now '%.*s'",
                                path,
                                a < 60 ? (int)a : 60,
                                stored,
                                b < 60 ? (int)b : 60,
                                wanted);
        stored += a + (stored[a] == ' ');
        wanted += b + (wanted[b] == ' ');
    }
    return MN_OK;
}

static bool is_averaged(const mn_trainer *trainer)
{
    return trainer->setup.opts.average > 0.0f;
}

/* Appends a copy of `from` to `to`, its names behind `prefix`. */
static mn_status
append_all(mn_tensors *to, const mn_tensors *from, const char *prefix, mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t i = 0; i < from->count && status == MN_OK; i++) {
        const mn_tensor *t = &from->items[i];
        size_t bytes = strlen(prefix) + strlen(t->name) + 1;
        char *name = mn_calloc(bytes, 1);
        mn_tensor *added = NULL;
        if (name == NULL)
            return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        snprintf(name, bytes, "%s%s", prefix, t->name);
        status = mn_tensors_add(to, name, t->dtype, t->rank, t->dims, &added, err);
        if (status == MN_OK)
            memcpy(added->data, t->data, mn_tensor_elements(t) * mn_dtype_bytes(t->dtype));
        free(name);
    }
    return status;
}

mn_status mn_trainer_save(mn_trainer *trainer, const char *path, mn_error *err)
{
    mn_tensors *all = NULL;
    mn_tensors *velocities = NULL;
    mn_tensors *averages = NULL;
    char *training = NULL;
    char epochs[16];
    mn_metadata metadata = {0};
    mn_status status = mn__trainer_weights(trainer, &all, err);
    if (status == MN_OK)
        status = mn_tensors_create_for_graph(trainer->setup.graph, &velocities, err);
    if (status == MN_OK)
        mn__parameters_export(trainer->net, MN__PART_VELOCITY, velocities);
    if (status == MN_OK)
        status = append_all(all, velocities, velocity_prefix, err);
    if (status == MN_OK && is_averaged(trainer))
        status = mn_trainer_tensors(trainer, &averages, err);
    if (status == MN_OK && averages != NULL)
        status = append_all(all, averages, average_prefix, err);
    if (status == MN_OK)
        status = describe(trainer, &training, err);
    snprintf(epochs, sizeof epochs, "%u", trainer->epochs_done);
    if (status == MN_OK)
        status = mn_metadata_add(&metadata, "training", training, err);
    if (status == MN_OK)
        status = mn_metadata_add(&metadata, "epochs_done", epochs, err);
    if (status == MN_OK)
        status = mn_safetensors_save(path, all, &metadata, err);
    mn_metadata_done(&metadata);
    free(training);
    mn_tensors_free(averages);
    mn_tensors_free(velocities);
    mn_tensors_free(all);
    return status;
}

/* Checks that the file continues this very training; yields its number of epochs. */
static mn_status check_metadata(const mn_trainer *trainer,
                                const char *path,
                                const mn_metadata *metadata,
                                uint32_t *ret_epochs,
                                mn_error *err)
{
    char *training = NULL;
    int64_t epochs = 0;
    const char *stored = mn_metadata_get(metadata, "training");
    const char *done = mn_metadata_get(metadata, "epochs_done");
    if (stored == NULL || done == NULL)
        return mn_error_set(err, MN_ERR_FORMAT, "%s: not a checkpoint of a training", path);
    mn_status status = describe(trainer, &training, err);
    if (status != MN_OK)
        return status;
    status = compare(path, stored, training, err);
    if (status == MN_OK)
        status = mn_integer_parse("epochs_done", done, 0, trainer->setup.opts.epochs, &epochs, err);
    if (status == MN_OK)
        *ret_epochs = (uint32_t)epochs;
    free(training);
    return status;
}

/* The network's tensors that stand behind `prefix`, without it and in graph order. */
static mn_status take_prefixed(const mn_graph *graph,
                               const mn_tensors *from,
                               const char *prefix,
                               mn_tensors **ret,
                               mn_error *err)
{
    mn_tensors *list = NULL;
    size_t length = strlen(prefix);
    mn_status status = mn_tensors_create(&list, err);
    for (uint32_t i = 0; status == MN_OK && i < from->count; i++) {
        const mn_tensor *t = &from->items[i];
        mn_tensor *added = NULL;
        if (strncmp(t->name, prefix, length) != 0)
            continue;
        status = mn_tensors_add(list, t->name + length, t->dtype, t->rank, t->dims, &added, err);
        if (status == MN_OK)
            memcpy(added->data, t->data, mn_tensor_elements(t) * mn_dtype_bytes(t->dtype));
    }
    if (status == MN_OK)
        status = mn_tensors_arrange(graph, list, ret, err);
    mn_tensors_free(list);
    return status;
}

/* Nothing that a file can hold lets this fail. */
static void put_in_place(mn_trainer *trainer,
                         const mn_tensors *values,
                         const mn_tensors *velocities,
                         const mn_tensors *averages_or_null)
{
    if (averages_or_null != NULL) { /* by way of the weights, whose layout they share */
        mn__parameters_import(trainer->net, MN__PART_VALUE, averages_or_null);
        mn__average_swap(&trainer->average, trainer->net);
    }
    mn__parameters_import(trainer->net, MN__PART_VALUE, values);
    mn__parameters_import(trainer->net, MN__PART_VELOCITY, velocities);
}

/* The names of a network's nodes say nothing of its tensors: a bias more would be left out. */
static mn_status
check_count(const mn_trainer *trainer, const char *path, const mn_tensors *all, mn_error *err)
{
    uint32_t parts = is_averaged(trainer) ? 3 : 2;
    uint32_t expected = parts * mn_graph_tensor_count(trainer->setup.graph);
    if (all->count == expected)
        return MN_OK;
    return mn_error_set(
        err, MN_ERR_MISMATCH, "%s: %u tensors, expected %u", path, all->count, expected);
}

mn_status mn_trainer_resume(mn_trainer *trainer, const char *path, mn_error *err)
{
    mn_tensors *all = NULL;
    mn_tensors *values = NULL;
    mn_tensors *velocities = NULL;
    mn_tensors *averages = NULL;
    mn_metadata metadata = {0};
    uint32_t epochs = 0;
    mn_status status = mn_safetensors_load(path, &all, &metadata, err);
    if (status == MN_OK)
        status = check_metadata(trainer, path, &metadata, &epochs, err);
    if (status == MN_OK)
        status = check_count(trainer, path, all, err);
    if (status == MN_OK)
        status = mn_tensors_arrange(trainer->setup.graph, all, &values, err);
    if (status == MN_OK)
        status = take_prefixed(trainer->setup.graph, all, velocity_prefix, &velocities, err);
    if (status == MN_OK && is_averaged(trainer))
        status = take_prefixed(trainer->setup.graph, all, average_prefix, &averages, err);
    if (status == MN_OK)
        put_in_place(trainer, values, velocities, averages);
    if (status == MN_OK)
        trainer->epochs_done = epochs;
    mn_tensors_free(averages);
    mn_tensors_free(velocities);
    mn_tensors_free(values);
    mn_tensors_free(all);
    mn_metadata_done(&metadata);
    return status;
}
