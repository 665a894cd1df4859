/*
 * The paper's memory metric. Time is counted in layers of the genotype, all that are ready run at
 * once, and a representation is not counted in the step that reads it last (half-open lifetimes).
 * Values inside a layer (a convolution before its batch norm, say) are no representations.
 */
#include "plan/paper_metric.h"

#include <stdlib.h>

#include "base/size.h"

typedef struct life {
    uint32_t level; /* time at which the value is made */
    uint32_t until; /* first time at which it is not counted any more */
    bool leaves;    /* read in another layer, or an output */
} life;

/* A node without a layer is a layer of its own. */
static bool same_layer(const mn_node *a, const mn_node *b)
{
    return a->layer != MN_NONE && a->layer == b->layer;
}

static uint32_t find_lives(const mn_graph *graph, life *lives)
{
    uint32_t nodes = mn_graph_node_count(graph);
    uint32_t end = 0;
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(graph, n);
        for (uint32_t i = 0; i < node->input_count; i++) {
            const life *in = &lives[node->inputs[i]];
            bool inside = same_layer(node, mn_graph_node(graph, node->inputs[i]));
            uint32_t level = inside ? in->level : in->level + 1;
            lives[n].level = level > lives[n].level ? level : lives[n].level;
        }
        end = lives[n].level + 1 > end ? lives[n].level + 1 : end;
    }
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(graph, n);
        for (uint32_t i = 0; i < node->input_count; i++) {
            life *in = &lives[node->inputs[i]];
            in->until = lives[n].level > in->until ? lives[n].level : in->until;
            in->leaves = in->leaves || !same_layer(node, mn_graph_node(graph, node->inputs[i]));
        }
    }
    for (uint32_t i = 0; i < mn_graph_output_count(graph); i++) {
        lives[mn_graph_output(graph, i)].until = end;
        lives[mn_graph_output(graph, i)].leaves = true;
    }
    return end;
}

mn_status mn__paper_times_find(const mn_graph *graph, mn__paper_times *times, mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(graph);
    mn_status status = MN_OK;
    life *lives = mn_calloc(nodes, sizeof *lives);
    if (lives == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    times->count = find_lives(graph, lives);
    times->representations = mn_calloc(times->count, sizeof *times->representations);
    times->elements = mn_calloc(times->count, sizeof *times->elements);
    if (times->representations == NULL || times->elements == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (uint32_t n = 0; n < nodes; n++) {
        size_t elements = mn_shape_elements(mn_graph_node(graph, n)->shape);
        for (uint32_t t = lives[n].level; lives[n].leaves && t < lives[n].until; t++) {
            times->representations[t]++;
            times->elements[t] += elements; /* 2^20 nodes of 2^30 elements at most */
        }
    }
done:
    free(lives);
    return status;
}

void mn__paper_times_done(mn__paper_times *times)
{
    free(times->representations);
    free(times->elements);
    *times = (mn__paper_times){0};
}

mn_status mn__paper_metric(const mn_graph *graph,
                           size_t *ret_intermediate_bytes,
                           size_t *ret_total_bytes,
                           mn_error *err)
{
    mn__paper_times times = {0};
    uint64_t most = 0;
    size_t intermediate = 0;
    size_t parameters = 0;
    mn_status status = mn__paper_times_find(graph, &times, err);
    if (status != MN_OK)
        goto done;
    for (uint32_t t = 0; t < times.count; t++)
        most = times.elements[t] > most ? times.elements[t] : most;
    if (!mn_size_mul((size_t)most, sizeof(float), &intermediate) ||
        !mn_size_mul((size_t)mn_graph_parameters(graph), sizeof(float), &parameters) ||
        !mn_size_add(intermediate, parameters, &parameters)) {
        status = mn_error_set(err, MN_ERR_LIMIT, "the paper's metric does not fit");
        goto done;
    }
    *ret_intermediate_bytes = intermediate;
    *ret_total_bytes = parameters;
done:
    mn__paper_times_done(&times);
    return status;
}
