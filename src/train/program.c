/*
 * Programs: lists of primitives and functions that run in order. Also where primitives and
 * memories are made and remembered, so that nothing of oneDNN can be forgotten.
 */
#include <stdlib.h>
#include <string.h>

#include "train/network.h"

/* Doubles a list's room when it is full. */
static mn_status
grow(void **items, uint32_t count, uint32_t *capacity, size_t item_bytes, mn_error *err)
{
    if (count < *capacity)
        return MN_OK;
    uint32_t larger = *capacity == 0 ? 64 : *capacity * 2;
    void *grown = realloc(*items, larger * item_bytes);
    if (grown == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    *items = grown;
    *capacity = larger;
    return MN_OK;
}

mn_status mn__network_alloc(mn__network *net, size_t count, size_t size, void **ret, mn_error *err)
{
    size_t bytes;
    if (!mn_size_mul(count, size, &bytes))
        return mn_error_set(err, MN_ERR_NOMEM, "no memory for %zu x %zu bytes", count, size);
    return mn_arena_alloc(net->arena, bytes, ret, err);
}

float *mn__memory_data(dnnl_memory_t memory)
{
    void *handle = NULL;
    (void)dnnl_memory_get_data_handle(memory, &handle); /* fails for NULL memory only */
    return handle;
}

mn_status mn__memory_create(mn__network *net,
                            const dnnl_memory_desc_t *desc,
                            float *data,
                            dnnl_memory_t *ret_memory,
                            mn_error *err)
{
    void *block = data;
    mn_status status = MN_OK;
    if (data == NULL)
        status = mn__network_alloc(net, dnnl_memory_desc_get_size(desc), 1, &block, err);
    if (status == MN_OK)
        status = grow((void **)&net->memories,
                      net->memory_count,
                      &net->memory_capacity,
                      sizeof(dnnl_memory_t),
                      err);
    if (status != MN_OK)
        return status;
    dnnl_memory_t memory = NULL;
    status = mn__dnnl(
        dnnl_memory_create(&memory, desc, net->backend.engine, block), "tensor memory", err);
    if (status != MN_OK)
        return status;
    net->memories[net->memory_count++] = memory;
    *ret_memory = memory;
    return MN_OK;
}

static mn_status note(mn__network *net,
                      uint32_t node,
                      const char *phase,
                      const_dnnl_primitive_desc_t desc,
                      mn_error *err)
{
    const char *implementation = "unknown";
    (void)dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&implementation);
    void *copy = NULL;
    mn_status status = mn__network_alloc(net, strlen(implementation) + 1, 1, &copy, err);
    if (status == MN_OK)
        status = grow((void **)&net->notes,
                      net->note_count,
                      &net->note_capacity,
                      sizeof(mn__primitive_note),
                      err);
    if (status != MN_OK)
        return status;
    memcpy(copy, implementation, strlen(implementation) + 1);
    net->notes[net->note_count++] =
        (mn__primitive_note){.node = node, .phase = phase, .implementation = copy};
    return MN_OK;
}

mn_status mn__network_own(mn__network *net, dnnl_primitive_t primitive, mn_error *err)
{
    mn_status status = grow((void **)&net->primitives,
                            net->primitive_count,
                            &net->primitive_capacity,
                            sizeof(dnnl_primitive_t),
                            err);
    if (status == MN_OK)
        net->primitives[net->primitive_count++] = primitive;
    else
        (void)dnnl_primitive_destroy(primitive);
    return status;
}

mn_status mn__primitive_create(mn__network *net,
                               uint32_t node,
                               const char *phase,
                               const_dnnl_op_desc_t op_desc,
                               const_dnnl_primitive_desc_t hint,
                               dnnl_primitive_desc_t *ret_desc,
                               dnnl_primitive_t *ret_primitive,
                               mn_error *err)
{
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    const char *name = mn_graph_node(net->graph, node)->name;
    mn_status status = mn__dnnl(
        dnnl_primitive_desc_create(&desc, op_desc, NULL, net->backend.engine, hint), phase, err);
    if (status == MN_OK)
        status = mn__dnnl(dnnl_primitive_create(&primitive, desc), phase, err);
    if (status == MN_OK)
        status = mn__network_own(net, primitive, err);
    if (status == MN_OK)
        status = note(net, node, phase, desc, err);
    if (status != MN_OK) {
        if (desc != NULL)
            (void)dnnl_primitive_desc_destroy(desc);
        return mn_error_prefix(err, status, "%s", name);
    }
    *ret_desc = desc;
    *ret_primitive = primitive;
    return MN_OK;
}

dnnl_memory_desc_t mn__queried(const_dnnl_primitive_desc_t desc, dnnl_query_t what)
{
    const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(desc, what, 0);
    static const dnnl_memory_desc_t none = {0};
    return found == NULL ? none : *found;
}

static mn_status append(mn__program *program, const mn__exec *exec, mn_error *err)
{
    mn_status status =
        grow((void **)&program->items, program->count, &program->capacity, sizeof(mn__exec), err);
    if (status == MN_OK)
        program->items[program->count++] = *exec;
    return status;
}

mn_status mn__program_primitive(mn__program *program,
                                dnnl_primitive_t primitive,
                                const dnnl_exec_arg_t *args,
                                int arg_count,
                                mn_error *err)
{
    if (arg_count > MN__MAX_EXEC_ARGS)
        return mn_error_set(err, MN_ERR_INTERNAL, "%d arguments of a primitive", arg_count);
    mn__exec exec = {.primitive = primitive, .arg_count = arg_count};
    memcpy(exec.args, args, (size_t)arg_count * sizeof *args);
    return append(program, &exec, err);
}

mn_status mn__program_function(mn__program *program,
                               void (*run)(const void *context),
                               const void *context,
                               mn_error *err)
{
    mn__exec exec = {.run = run, .context = context};
    return append(program, &exec, err);
}

mn_status mn__network_run(mn__network *net, const mn__program *program, mn_error *err)
{
    mn__backend_use_threads(net->threads);
    for (uint32_t i = 0; i < program->count; i++) {
        const mn__exec *exec = &program->items[i];
        if (exec->primitive == NULL) {
            exec->run(exec->context);
            continue;
        }
        dnnl_status_t status = dnnl_primitive_execute(
            exec->primitive, net->backend.stream, exec->arg_count, exec->args);
        if (status != dnnl_success)
            return mn__dnnl(status, "running a primitive", err);
    }
    return MN_OK;
}
