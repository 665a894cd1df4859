/*
 * The deploy pass: one walk over a trained graph that folds batch norms, fuses activations and
 * drops identities. Stands between training and everything that ships: planner, emitters,
 * quantiser. Invariant: the deployed graph computes what the graph computes in evaluation mode, up
 * to rounding.
 */
#include "memnet/deploy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* What the first pass learns about each node of the source graph. */
typedef struct follower {
    uint32_t reader_count; /* an output of the graph counts as a reader */
    uint32_t reader;       /* the last one; MN_NONE when it is the outside */
    uint32_t batch_norm;   /* conv: the batch norm that is folded into it */
    mn_act act;            /* the activation that is fused into it */
    bool absorbed;         /* lives on in its producer: batch norms and activations */
} follower;

typedef struct deploy {
    const mn_graph *from;
    const mn_tensors *from_tensors; /* NULL: sizes only */
    follower *followers;            /* (nodes) */
    uint32_t *map;                  /* (nodes) source node -> deployed node */
    uint32_t *origin;               /* (nodes) deployed node -> source node */
    mn_graph_builder *builder;
} deploy;

static bool is_passed_through(mn_prim prim)
{
    return prim == MN_PRIM_IDENTITY || prim == MN_PRIM_FAKE_QUANT;
}

static bool takes_activation(mn_prim prim)
{
    return prim == MN_PRIM_CONV || prim == MN_PRIM_BATCH_NORM || prim == MN_PRIM_FULLY_CONNECTED ||
           prim == MN_PRIM_ADD || prim == MN_PRIM_MAX_POOL || prim == MN_PRIM_AVG_POOL;
}

static void count_readers(deploy *d)
{
    for (uint32_t n = 0; n < mn_graph_node_count(d->from); n++) {
        const mn_node *node = mn_graph_node(d->from, n);
        d->followers[n].reader = MN_NONE;
        d->followers[n].batch_norm = MN_NONE;
        for (uint32_t i = 0; i < node->input_count; i++) {
            d->followers[node->inputs[i]].reader_count++;
            d->followers[node->inputs[i]].reader = n;
        }
    }
    for (uint32_t i = 0; i < mn_graph_output_count(d->from); i++) {
        follower *f = &d->followers[mn_graph_output(d->from, i)];
        f->reader_count++;
        f->reader = MN_NONE;
    }
}

/* The one node that reads `node`, looking through identities; MN_NONE when there is not one. */
static uint32_t sole_reader(const deploy *d, uint32_t node)
{
    uint32_t reader = node;
    do {
        if (d->followers[reader].reader_count != 1)
            return MN_NONE;
        reader = d->followers[reader].reader;
    } while (reader != MN_NONE && is_passed_through(mn_graph_node(d->from, reader)->prim));
    return reader;
}

static void find_followers(deploy *d)
{
    for (uint32_t n = 0; n < mn_graph_node_count(d->from); n++) {
        const mn_node *node = mn_graph_node(d->from, n);
        if (!takes_activation(node->prim) || node->act != MN_ACT_NONE || d->followers[n].absorbed)
            continue;
        uint32_t next = sole_reader(d, n);
        if (next != MN_NONE && node->prim == MN_PRIM_CONV &&
            mn_graph_node(d->from, next)->prim == MN_PRIM_BATCH_NORM) {
            d->followers[n].batch_norm = next;
            d->followers[next].absorbed = true;
            next = sole_reader(d, next);
        }
        if (next == MN_NONE)
            continue;
        mn_prim prim = mn_graph_node(d->from, next)->prim;
        if (prim == MN_PRIM_RELU || prim == MN_PRIM_RELU6) {
            d->followers[n].act = prim == MN_PRIM_RELU ? MN_ACT_RELU : MN_ACT_RELU6;
            d->followers[next].absorbed = true;
        }
    }
}

/* Bytes of constants that an imported file states for a node and the batch norm it absorbs; 0: its
 * tensors tell. False when the sum does not fit. */
static bool stated_bytes(const deploy *d, uint32_t n, size_t *ret_bytes)
{
    const mn_node *node = mn_graph_node(d->from, n);
    uint32_t norm = d->followers[n].batch_norm;
    *ret_bytes = node->constant_bytes;
    if (node->constant_bytes == 0 || norm == MN_NONE)
        return true;
    const mn_node *absorbed = mn_graph_node(d->from, norm);
    size_t bytes = absorbed->constant_bytes;
    if (bytes == 0) /* gamma, beta, mean, variance */
        bytes = (size_t)absorbed->shape.c * 4 * sizeof(float);
    return mn_size_add(*ret_bytes, bytes, ret_bytes);
}

/* Adds the deployed form of a node that stays. */
static mn_status add_node(deploy *d, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(d->from, n);
    const follower *f = &d->followers[n];
    bool lone_norm = node->prim == MN_PRIM_BATCH_NORM;
    size_t stated = 0;
    if (!stated_bytes(d, n, &stated))
        return mn_error_set(err, MN_ERR_LIMIT, "node '%s': its constants do not fit", node->name);
    uint32_t *inputs = mn_calloc(node->input_count, sizeof *inputs);
    if (inputs == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < node->input_count; i++)
        inputs[i] = d->map[node->inputs[i]];
    mn_node_spec spec = {
        .prim = lone_norm ? MN_PRIM_CONV : node->prim,
        .name = node->name,
        .inputs = inputs,
        .input_count = node->input_count,
        .shape = node->shape,
        .channels = node->shape.c,
        .window = lone_norm ? mn_window_same(node->shape, 1, 1, 1, 1) : node->window,
        .groups = lone_norm ? node->shape.c : node->groups,
        .bias = lone_norm || node->tensors[MN_ROLE_BIAS] != MN_NONE || f->batch_norm != MN_NONE,
        .act = f->act != MN_ACT_NONE ? f->act : node->act,
        .epsilon = node->epsilon,
        .layer = node->layer,
        .element_bytes = node->element_bytes,
        .constant_bytes = stated,
    };
    d->map[n] = mn_graph_add(d->builder, &spec);
    if (d->map[n] != MN_NONE)
        d->origin[d->map[n]] = n;
    free(inputs);
    return MN_OK; /* an error of the builder comes out at its end */
}

static mn_status build_graph(deploy *d, mn_graph **ret_graph, mn_error *err)
{
    uint32_t output_count = mn_graph_output_count(d->from);
    uint32_t *outputs = mn_calloc(output_count, sizeof *outputs);
    if (outputs == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    mn_status status = MN_OK;
    for (uint32_t n = 0; n < mn_graph_node_count(d->from) && status == MN_OK; n++) {
        const mn_node *node = mn_graph_node(d->from, n);
        if (d->followers[n].absorbed || is_passed_through(node->prim))
            d->map[n] = d->map[node->inputs[0]];
        else
            status = add_node(d, n, err);
    }
    for (uint32_t i = 0; i < output_count; i++)
        outputs[i] = d->map[mn_graph_output(d->from, i)];
    if (status == MN_OK)
        status = mn_graph_builder_finish(d->builder, outputs, output_count, ret_graph, err);
    free(outputs);
    return status;
}

static const float *numbers(const deploy *d, uint32_t node, mn_tensor_role role)
{
    uint32_t tensor = mn_graph_node(d->from, node)->tensors[role];
    return tensor == MN_NONE ? NULL : d->from_tensors->items[tensor].data;
}

/* Scale and shift of channel c of a batch norm in evaluation mode: y = scale * x + shift. */
static void
norm_line(const deploy *d, uint32_t norm, uint32_t c, double *ret_scale, double *ret_shift)
{
    const mn_node *node = mn_graph_node(d->from, norm);
    double variance = (double)numbers(d, norm, MN_ROLE_VARIANCE)[c];
    double scale =
        (double)numbers(d, norm, MN_ROLE_GAMMA)[c] / sqrt(variance + (double)node->epsilon);
    double mean = (double)numbers(d, norm, MN_ROLE_MEAN)[c];
    *ret_shift = (double)numbers(d, norm, MN_ROLE_BETA)[c] - scale * mean;
    *ret_scale = scale;
}

/* Fills weight and bias of deployed node `to` from source node `from`. */
static mn_status fold_numbers(
    const deploy *d, const mn_graph *graph, uint32_t to, mn_tensors *tensors, mn_error *err)
{
    const mn_node *node = mn_graph_node(graph, to);
    uint32_t source = d->origin[to];
    bool lone_norm = mn_graph_node(d->from, source)->prim == MN_PRIM_BATCH_NORM;
    uint32_t norm = lone_norm ? source : d->followers[source].batch_norm;
    uint32_t weight_index = node->tensors[MN_ROLE_WEIGHT];
    if (weight_index == MN_NONE)
        return MN_OK;
    float *weight = tensors->items[weight_index].data; /* (O, ...) */
    float *bias = node->tensors[MN_ROLE_BIAS] == MN_NONE
                      ? NULL
                      : tensors->items[node->tensors[MN_ROLE_BIAS]].data; /* (O) */
    const float *old_weight = lone_norm ? NULL : numbers(d, source, MN_ROLE_WEIGHT);
    const float *old_bias = lone_norm ? NULL : numbers(d, source, MN_ROLE_BIAS);
    uint32_t outputs = mn_graph_tensor(graph, weight_index)->dims[0];
    size_t per_output = mn_graph_tensor_elements(graph, weight_index) / outputs;
    for (uint32_t o = 0; o < outputs; o++) {
        double scale = 1.0;
        double shift = 0.0;
        if (norm != MN_NONE)
            norm_line(d, norm, o, &scale, &shift);
        bool finite = true;
        for (size_t k = 0; k < per_output; k++) {
            double old = old_weight == NULL ? 1.0 : (double)old_weight[o * per_output + k];
            weight[o * per_output + k] = (float)(old * scale);
            finite = finite && isfinite(weight[o * per_output + k]);
        }
        if (bias != NULL) {
            bias[o] = (float)((old_bias == NULL ? 0.0 : (double)old_bias[o]) * scale + shift);
            finite = finite && isfinite(bias[o]);
        }
        if (!finite)
            return mn_error_set(err,
                                MN_ERR_UNSUPPORTED,
                                "%s: output channel %u: a folded weight is not finite",
                                node->name,
                                o);
    }
    return MN_OK;
}

static mn_status
fold_all(const deploy *d, const mn_graph *graph, mn_tensors **ret_tensors, mn_error *err)
{
    mn_tensors *tensors = NULL;
    mn_status status = mn_tensors_create_for_graph(graph, &tensors, err);
    for (uint32_t n = 0; status == MN_OK && n < mn_graph_node_count(graph); n++)
        status = fold_numbers(d, graph, n, tensors, err);
    if (status == MN_OK)
        *ret_tensors = tensors;
    else
        mn_tensors_free(tensors);
    return status;
}

mn_status mn_deploy(const mn_graph *graph,
                    const mn_tensors *tensors,
                    mn_graph **ret_graph,
                    mn_tensors **ret_tensors,
                    mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(graph);
    deploy d = {.from = graph, .from_tensors = tensors};
    mn_graph *deployed = NULL;
    mn_tensors *folded = NULL;
    mn_status status = MN_OK;
    d.followers = mn_calloc(nodes, sizeof *d.followers);
    d.map = mn_calloc(nodes, sizeof *d.map);
    d.origin = mn_calloc(nodes, sizeof *d.origin);
    if (d.followers == NULL || d.map == NULL || d.origin == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    status = mn_graph_builder_create(&d.builder, err);
    if (status != MN_OK)
        goto done;
    count_readers(&d);
    find_followers(&d);
    status = build_graph(&d, &deployed, err);
    if (status == MN_OK && tensors != NULL)
        status = fold_all(&d, deployed, &folded, err);
    if (status != MN_OK)
        goto done;
    *ret_graph = deployed;
    deployed = NULL;
    if (tensors != NULL)
        *ret_tensors = folded;
done:
    mn_graph_free(deployed);
    mn_graph_builder_free(d.builder);
    free(d.origin);
    free(d.map);
    free(d.followers);
    return status;
}
