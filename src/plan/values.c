/*
 * Finds values, who reads them and where they may lie. Looks at the graph alone: what holds here
 * holds in every order.
 */
#include "plan/values.h"

#include <stdlib.h>

#include "base/size.h"

bool mn__values_fit_in_place(const mn__values *values, uint32_t n, uint32_t x)
{
    const mn_node *node = mn_graph_node(values->graph, n);
    for (uint32_t i = 0; i < node->input_count; i++)
        if (values->value_of[node->inputs[i]] == x &&
            mn__needs_fit_in_place(values->graph, values->needs, n, node->inputs[i]))
            return true;
    return false;
}

static void name_values(mn__values *v)
{
    for (uint32_t n = 0; n < v->nodes; n++) {
        const mn_node *node = mn_graph_node(v->graph, n);
        bool is_reshape = node->prim == MN_PRIM_RESHAPE;
        v->prims[n] = (uint8_t)node->prim;
        uint32_t value = is_reshape ? v->value_of[node->inputs[0]] : n;
        v->value_of[n] = value;
        v->bytes[n] = mn__needs_buffer_bytes(v->needs, n);
        v->is_output[value] = v->is_output[value] || v->needs->is_output[n];
        v->is_dense[value] = v->is_dense[value] || is_reshape || node->prim == MN_PRIM_INPUT ||
                             v->needs->is_output[n];
    }
}

/* Inputs of each node, without repetition. `seen` (nodes) is scratch. */
static void fill_inputs(mn__values *v, uint32_t *seen)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < v->nodes; n++) {
        const mn_node *node = mn_graph_node(v->graph, n);
        v->inputs.start[n] = count;
        for (uint32_t i = 0; mn__values_is_made(v, n) && i < node->input_count; i++) {
            uint32_t x = v->value_of[node->inputs[i]];
            if (seen[x] == n + 1)
                continue;
            seen[x] = n + 1;
            v->inputs.items[count++] = x;
        }
    }
    v->inputs.start[v->nodes] = count;
}

/* The same arcs from their other end. */
static void fill_readers(mn__values *v)
{
    uint32_t *start = v->readers.start + 1; /* shifted by one while filling */
    uint32_t arcs = v->inputs.start[v->nodes];
    for (uint32_t i = 0; i < arcs; i++)
        start[v->inputs.items[i] + 1]++;
    for (uint32_t n = 0; n < v->nodes; n++)
        start[n + 1] += start[n];
    for (uint32_t n = 0; n < v->nodes; n++)
        for (uint32_t i = v->inputs.start[n]; i < v->inputs.start[n + 1]; i++)
            v->readers.items[start[v->inputs.items[i]]++] = n;
}

/* Whether value x may lie inside of its reader r: hosts of r are known. */
static bool may_host(const mn__values *v, uint32_t x, uint32_t r)
{
    if (mn__values_prim(v, r) == MN_PRIM_CONCAT)
        return v->needs->element_bytes[x] == v->needs->element_bytes[r];
    return mn__list_count(&v->hosts, r) > 0 && mn__values_fit_in_place(v, r, x);
}

/* From the last value back, since the hosts of a reader decide over those of what it reads: the
 * list is filled from its end. */
static void fill_hosts(mn__values *v)
{
    uint32_t at = v->inputs.start[v->nodes];
    v->hosts.start[v->nodes] = at;
    for (uint32_t x = v->nodes; x-- > 0;) {
        for (uint32_t i = v->readers.start[x + 1]; i-- > v->readers.start[x];) {
            uint32_t r = v->readers.items[i];
            if (!v->is_dense[x] && may_host(v, x, r))
                v->hosts.items[--at] = r;
        }
        v->hosts.start[x] = at;
    }
}

static bool allocate(mn__values *v, uint32_t **ret_scratch)
{
    size_t arcs = 0;
    for (uint32_t n = 0; n < v->nodes; n++)
        arcs += mn_graph_node(v->graph, n)->input_count;
    v->prims = mn_calloc(v->nodes, sizeof *v->prims);
    v->value_of = mn_calloc(v->nodes, sizeof *v->value_of);
    v->bytes = mn_calloc(v->nodes, sizeof *v->bytes);
    v->is_output = mn_calloc(v->nodes, sizeof *v->is_output);
    v->is_dense = mn_calloc(v->nodes, sizeof *v->is_dense);
    *ret_scratch = mn_calloc(v->nodes, sizeof **ret_scratch);
    bool good = v->prims != NULL && v->value_of != NULL && v->bytes != NULL &&
                v->is_output != NULL && v->is_dense != NULL && *ret_scratch != NULL;
    mn__lists *lists[] = {&v->inputs, &v->readers, &v->hosts};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        lists[i]->start = mn_calloc((size_t)v->nodes + 2, sizeof *lists[i]->start);
        lists[i]->items = mn_calloc(arcs, sizeof *lists[i]->items);
        good = good && lists[i]->start != NULL && lists[i]->items != NULL;
    }
    return good;
}

mn_status
mn__values_find(const mn_graph *graph, const mn__needs *needs, mn__values *values, mn_error *err)
{
    uint32_t *scratch = NULL;
    mn_status status = MN_OK;
    values->graph = graph;
    values->needs = needs;
    values->nodes = needs->node_count;
    if (!allocate(values, &scratch)) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    name_values(values);
    fill_inputs(values, scratch);
    fill_readers(values);
    fill_hosts(values);
done:
    free(scratch);
    return status;
}

void mn__values_done(mn__values *values)
{
    free(values->prims);
    free(values->value_of);
    free(values->bytes);
    free(values->is_output);
    free(values->is_dense);
    free(values->inputs.start);
    free(values->inputs.items);
    free(values->readers.start);
    free(values->readers.items);
    free(values->hosts.start);
    free(values->hosts.items);
    *values = (mn__values){0};
}
