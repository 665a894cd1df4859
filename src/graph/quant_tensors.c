/*
 * Quantised networks as lists of tensors: how model files hold them. Node after node the tables of
 * its layer, then three tensors for all nodes:
 *
 *   <node>.weight        I8   in the kernels' order
 *   <node>.bias          I32  (O)
 *   <node>.multiplier    I32  (O)
 *   <node>.shift         I8   (O)
 *   <node>.weight_scale  F32  (O)
 *   quant.scale          F32  (nodes)
 *   quant.zero_point     I32  (nodes)
 *   quant.numbers        I32  (nodes,7): factor, factor_shift, add_a, add_b, add_shift, low, high
 *
 * Invariant: what was stored is read back bit by bit, and what is read has passed the check.
 */
#include <string.h>

#include "base/buffer.h"
#include "graph/tensors.h"
#include "memnet/quant.h"

enum { NUMBERS = 7, TABLES = 5 };

/* A tensor and the numbers that it stands for. */
typedef struct entry {
    const char *role;
    mn_tensor_type type;
    void *data;
} entry;

/* The tables of node n; false for nodes that have none. */
static bool list_tables(const mn_graph *graph, const mn_quant *quant, uint32_t n, entry *entries)
{
    const mn_node *node = mn_graph_node(graph, n);
    const mn_quant_node *q = &quant->nodes[n];
    mn_quant_sizes sizes = mn_quant_sizes_of(graph, n);
    uint32_t o = sizes.outputs;
    if (o == 0)
        return false;
    /* (O,I,KH,KW) in the graph; (O,C,H,W) of fully connected layers likewise. */
    const uint32_t *d = mn_graph_tensor(graph, node->tensors[MN_ROLE_WEIGHT])->dims;
    mn_tensor_type weight = {.dtype = MN_I8, .rank = 4, .dims = {d[0], d[2], d[3], d[1]}};
    if (sizes.is_depthwise)
        weight = (mn_tensor_type){.dtype = MN_I8, .rank = 3, .dims = {d[2], d[3], d[0], 1}};
    const entry all[TABLES] = {
        {"weight", weight, q->weights},
        {"bias", {.dtype = MN_I32, .rank = 1, .dims = {o, 1, 1, 1}}, q->bias},
        {"multiplier", {.dtype = MN_I32, .rank = 1, .dims = {o, 1, 1, 1}}, q->multiplier},
        {"shift", {.dtype = MN_I8, .rank = 1, .dims = {o, 1, 1, 1}}, q->shift},
        {"weight_scale", {.dtype = MN_F32, .rank = 1, .dims = {o, 1, 1, 1}}, q->weight_scale},
    };
    memcpy(entries, all, sizeof all);
    return true;
}

static mn_tensor_type type_for_nodes(mn_dtype dtype, uint32_t nodes, uint32_t rank)
{
    return (mn_tensor_type){.dtype = dtype, .rank = rank, .dims = {nodes, NUMBERS, 1, 1}};
}

static int32_t *number_of(mn_quant_node *q, size_t k)
{
    int32_t *const all[NUMBERS] = {
        &q->factor, &q->factor_shift, &q->add_a, &q->add_b, &q->add_shift, &q->low, &q->high};
    return all[k];
}

/* ---- writing -------------------------------------------------------------------------------- */

static mn_status
add(mn_tensors *tensors, const char *name, const entry *e, mn_tensor **ret_tensor, mn_error *err)
{
    mn_tensor *made = NULL;
    mn_status status =
        mn_tensors_add(tensors, name, e->type.dtype, e->type.rank, e->type.dims, &made, err);
    if (status == MN_OK && e->data != NULL)
        memcpy(made->data, e->data, mn_tensor_elements(made) * mn_dtype_bytes(made->dtype));
    if (status == MN_OK && ret_tensor != NULL)
        *ret_tensor = made;
    return status;
}

static mn_status add_table(mn_tensors *tensors, const char *node, const entry *e, mn_error *err)
{
    mn_buffer name;
    mn_buffer_init(&name);
    mn_buffer_printf(&name, "%s.%s", node, e->role);
    mn_status status = mn_buffer_check(&name, err);
    if (status == MN_OK)
        status = add(tensors, name.bytes, e, NULL, err);
    mn_buffer_done(&name);
    return status;
}

/* Numbers that every node has. */
static mn_status add_numbers(mn_tensors *tensors, const mn_quant *quant, mn_error *err)
{
    uint32_t nodes = quant->node_count;
    const entry scale = {.type = type_for_nodes(MN_F32, nodes, 1)};
    const entry zero = {.type = type_for_nodes(MN_I32, nodes, 1)};
    const entry numbers = {.type = type_for_nodes(MN_I32, nodes, 2)};
    mn_tensor *made = NULL;
    mn_status status = add(tensors, "quant.scale", &scale, &made, err);
    for (uint32_t n = 0; status == MN_OK && n < nodes; n++)
        ((float *)made->data)[n] = quant->values[n].scale;
    if (status == MN_OK)
        status = add(tensors, "quant.zero_point", &zero, &made, err);
    for (uint32_t n = 0; status == MN_OK && n < nodes; n++)
        ((int32_t *)made->data)[n] = quant->values[n].zero_point;
    if (status == MN_OK)
        status = add(tensors, "quant.numbers", &numbers, &made, err);
    for (size_t i = 0; status == MN_OK && i < (size_t)nodes * NUMBERS; i++)
        ((int32_t *)made->data)[i] = *number_of(&quant->nodes[i / NUMBERS], i % NUMBERS);
    return status;
}

mn_status mn_quant_to_tensors(const mn_graph *deployed,
                              const mn_quant *quant,
                              mn_tensors **ret_tensors,
                              mn_error *err)
{
    mn_tensors *tensors = NULL;
    mn_status status = mn_tensors_create(&tensors, err);
    for (uint32_t n = 0; status == MN_OK && n < quant->node_count; n++) {
        entry entries[TABLES];
        bool has_tables = list_tables(deployed, quant, n, entries);
        for (uint32_t i = 0; has_tables && status == MN_OK && i < TABLES; i++)
            status = add_table(tensors, mn_graph_node(deployed, n)->name, &entries[i], err);
    }
    if (status == MN_OK)
        status = add_numbers(tensors, quant, err);
    if (status != MN_OK) {
        mn_tensors_free(tensors);
        return status;
    }
    *ret_tensors = tensors;
    return MN_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The tensor of that name, of exactly that type. */
static mn_status find(const mn_tensors *tensors,
                      const char *name,
                      const mn_tensor_type *type,
                      const mn_tensor **ret_tensor,
                      mn_error *err)
{
    uint32_t index = mn_tensors_find(tensors, name);
    if (index == MN_NONE)
        return mn_error_set(err, MN_ERR_MISMATCH, "tensor '%.64s': missing", name);
    const mn_tensor *found = &tensors->items[index];
    if (found->dtype != type->dtype || found->rank != type->rank ||
        memcmp(found->dims, type->dims, type->rank * sizeof type->dims[0]) != 0)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "tensor '%.64s': another type or shape than the network's: expected %s "
                            "of %u dimensions, the first of %u",
                            name,
                            mn__dtype_name(type->dtype),
                            type->rank,
                            type->dims[0]);
    *ret_tensor = found;
    return MN_OK;
}

static mn_status
read_table(const mn_tensors *tensors, const char *node, const entry *e, mn_error *err)
{
    const mn_tensor *found = NULL;
    mn_buffer name;
    mn_buffer_init(&name);
    mn_buffer_printf(&name, "%s.%s", node, e->role);
    mn_status status = mn_buffer_check(&name, err);
    if (status == MN_OK)
        status = find(tensors, name.bytes, &e->type, &found, err);
    if (status == MN_OK)
        memcpy(e->data, found->data, mn_tensor_elements(found) * mn_dtype_bytes(found->dtype));
    mn_buffer_done(&name);
    return status;
}

static mn_status read_numbers(const mn_tensors *tensors, mn_quant *quant, mn_error *err)
{
    uint32_t nodes = quant->node_count;
    const mn_tensor_type scale_type = type_for_nodes(MN_F32, nodes, 1);
    const mn_tensor_type zero_type = type_for_nodes(MN_I32, nodes, 1);
    const mn_tensor_type number_type = type_for_nodes(MN_I32, nodes, 2);
    const mn_tensor *scale = NULL;
    const mn_tensor *zero = NULL;
    const mn_tensor *numbers = NULL;
    mn_status status = find(tensors, "quant.scale", &scale_type, &scale, err);
    if (status == MN_OK)
        status = find(tensors, "quant.zero_point", &zero_type, &zero, err);
    if (status == MN_OK)
        status = find(tensors, "quant.numbers", &number_type, &numbers, err);
    for (uint32_t n = 0; status == MN_OK && n < nodes; n++) {
        quant->values[n].scale = ((const float *)scale->data)[n];
        quant->values[n].zero_point = ((const int32_t *)zero->data)[n];
    }
    for (size_t i = 0; status == MN_OK && i < (size_t)nodes * NUMBERS; i++)
        *number_of(&quant->nodes[i / NUMBERS], i % NUMBERS) = ((const int32_t *)numbers->data)[i];
    return status;
}

mn_status mn_quant_from_tensors(const mn_graph *deployed,
                                const mn_tensors *tensors,
                                mn_quant **ret_quant,
                                mn_error *err)
{
    mn_quant *quant = NULL;
    mn_status status = mn_quant_create(deployed, &quant, err);
    for (uint32_t n = 0; status == MN_OK && n < quant->node_count; n++) {
        entry entries[TABLES];
        bool has_tables = list_tables(deployed, quant, n, entries);
        for (uint32_t i = 0; has_tables && status == MN_OK && i < TABLES; i++)
            status = read_table(tensors, mn_graph_node(deployed, n)->name, &entries[i], err);
    }
    if (status == MN_OK)
        status = read_numbers(tensors, quant, err);
    if (status == MN_OK)
        status = mn_quant_check(deployed, quant, err);
    if (status != MN_OK) {
        mn_quant_free(quant);
        return status;
    }
    *ret_quant = quant;
    return MN_OK;
}
