/*
 * Kernel calls. Shapes become assignments to a local struct, so that the exported code has no
 * constant table beside the weights. Called by c_project. Invariant: every address that is written
 * here lies inside the arena.
 */
#include "emit/c_calls.h"

#include "emit/c_place.h"
#include "emit/c_tables.h"
#include "emit/c_text.h"
#include "emit/c_window.h"

/* One step function while it is written. */
typedef struct step_writer {
    const mn_emit_input *input;
    const mn_node *node;
    uint32_t step;
    mn__place to;
    mn_buffer *out;
    mn_buffer *invoke; /* body of memnet_invoke() */
    uint32_t kernels;  /* set of kernels called so far, over all steps */
} step_writer;

static const char *const act_names[] = {
    [MN_ACT_NONE] = "MN_F32_LINEAR",
    [MN_ACT_RELU] = "MN_F32_RELU",
    [MN_ACT_RELU6] = "MN_F32_RELU6",
};

const char *mn__kernel_file(mn__kernel kernel)
{
    static const char *const files[MN__KERNEL_COUNT] = {
        [MN__KERNEL_CONV] = "mn_f32_conv.c",
        [MN__KERNEL_DEPTHWISE] = "mn_f32_depthwise.c",
        [MN__KERNEL_DEPTHWISE_IN_PLACE] = "mn_f32_depthwise_in_place.c",
        [MN__KERNEL_POOL] = "mn_f32_pool.c",
        [MN__KERNEL_GLOBAL_POOL] = "mn_f32_global_pool.c",
        [MN__KERNEL_FULLY_CONNECTED] = "mn_f32_fully_connected.c",
        [MN__KERNEL_ADD] = "mn_f32_add.c",
        [MN__KERNEL_COPY] = "mn_f32_copy.c",
    };
    return files[kernel];
}

static uint32_t pixels_of(const mn__place *place)
{
    return place->shape.h * place->shape.w;
}

static void use_kernel(step_writer *w, mn__kernel kernel)
{
    w->kernels |= 1u << kernel;
}

/* ", <weight table>, <bias table>" */
static void write_tables(step_writer *w)
{
    mn_buffer_printf(w->out, ", ");
    mn__table_name(w->input->graph, w->node->tensors[MN_ROLE_WEIGHT], w->out);
    mn_buffer_printf(w->out, ", ");
    mn__table_name(w->input->graph, w->node->tensors[MN_ROLE_BIAS], w->out);
}

/* Comment and head of the step's function, and its call in memnet_invoke(). */
static void write_head(step_writer *w, const mn__place *from)
{
    mn_shape in = from->shape;
    mn_shape out = w->to.shape;
    mn_buffer_printf(w->out, "/* Step %u: ", w->step);
    mn__c_comment(w->out, w->node->name);
    mn_buffer_printf(w->out,
                     ": %s of (%u,%u,%u) at byte %zu, makes (%u,%u,%u) at byte %zu. */\n",
                     mn_prim_name(w->node->prim),
                     in.h,
                     in.w,
                     in.c,
                     from->offset * sizeof(float),
                     out.h,
                     out.w,
                     out.c,
                     w->to.offset * sizeof(float));
    mn_buffer_printf(w->out, "static void step%u_", w->step);
    mn__c_name(w->out, w->node->name);
    mn_buffer_printf(w->out, "(void)\n{\n");
    mn_buffer_printf(w->invoke, "    step%u_", w->step);
    mn__c_name(w->invoke, w->node->name);
    mn_buffer_printf(w->invoke, "();\n");
}

/* Convolutions and pools. */
static mn_status
write_window(step_writer *w, const char *function, mn__kernel kernel, mn_error *err)
{
    mn__place from;
    mn_f32_window window;
    mn_status status = mn__place_find(w->input, w->node->inputs[0], &from, err);
    if (status == MN_OK)
        status = mn__window_find(w->node, &from, &w->to, &window, err);
    if (status != MN_OK)
        return status;
    write_head(w, &from);
    mn__window_write(&window, act_names[w->node->act], w->out);
    mn_buffer_printf(w->out,
                     "    %s(memnet_arena + %zu, memnet_arena + %zu",
                     function,
                     from.offset,
                     w->to.offset);
    if (w->node->prim == MN_PRIM_CONV)
        write_tables(w);
    mn_buffer_printf(w->out, ", &w);\n}\n\n");
    use_kernel(w, kernel);
    return MN_OK;
}

/* A depthwise convolution that the plan writes over its input. */
static mn_status write_depthwise_in_place(step_writer *w, mn_error *err)
{
    mn__place from;
    mn_f32_window window;
    size_t scratch = 0;
    mn_status status = mn__place_find(w->input, w->node->inputs[0], &from, err);
    if (status == MN_OK)
        status = mn__window_find(w->node, &from, &w->to, &window, err);
    if (status != MN_OK)
        return status;
    int32_t bytes = mn_f32_depthwise_in_place_scratch_bytes(&window);
    if (bytes < 0 || from.offset != w->to.offset ||
        (from.stride != w->to.stride && pixels_of(&from) > 1))
        return mn_error_set(err,
                            MN_ERR_INTERNAL,
                            "node '%s': the plan runs it in place, which its kernel cannot",
                            w->node->name);
    status = mn__scratch_find(w->input, w->step, (size_t)bytes, &scratch, err);
    if (status != MN_OK)
        return status;
    write_head(w, &from);
    mn__window_write(&window, act_names[w->node->act], w->out);
    mn_buffer_printf(w->out, "    mn_f32_depthwise_in_place(memnet_arena + %zu", from.offset);
    write_tables(w);
    if (w->input->plan->steps[w->step].scratch == MN_NONE)
        mn_buffer_printf(w->out, ", 0, &w);\n}\n\n");
    else
        mn_buffer_printf(w->out, ", memnet_arena + %zu, &w);\n}\n\n", scratch);
    use_kernel(w, MN__KERNEL_DEPTHWISE_IN_PLACE);
    return MN_OK;
}

static void write_span(
    step_writer *w, const mn__place *from, uint32_t in2_stride, uint32_t out_stride, mn_act act)
{
    mn_buffer_printf(w->out,
                     "    s.pixels = %u; s.channels = %u; s.act = %s;\n"
                     "    s.in_stride = %u; s.in2_stride = %u; s.out_stride = %u;\n",
                     pixels_of(from),
                     from->shape.c,
                     act_names[act],
                     from->stride,
                     in2_stride,
                     out_stride);
}

static mn_status write_add(step_writer *w, mn_error *err)
{
    mn__place a;
    mn__place b;
    mn_status status = mn__place_find(w->input, w->node->inputs[0], &a, err);
    if (status == MN_OK)
        status = mn__place_find(w->input, w->node->inputs[1], &b, err);
    if (status != MN_OK)
        return status;
    write_head(w, &a);
    mn_buffer_printf(w->out, "    mn_f32_span s;\n");
    write_span(w, &a, b.stride, w->to.stride, w->node->act);
    mn_buffer_printf(w->out,
                     "    mn_f32_add(memnet_arena + %zu, memnet_arena + %zu, memnet_arena + %zu, "
                     "&s);\n}\n\n",
                     a.offset,
                     b.offset,
                     w->to.offset);
    use_kernel(w, MN__KERNEL_ADD);
    return MN_OK;
}

static mn_status write_global_pool(step_writer *w, mn_error *err)
{
    mn__place from;
    mn_status status = mn__place_find(w->input, w->node->inputs[0], &from, err);
    if (status != MN_OK)
        return status;
    write_head(w, &from);
    mn_buffer_printf(w->out, "    mn_f32_span s;\n");
    write_span(w, &from, 0, w->to.stride, w->node->act);
    mn_buffer_printf(w->out,
                     "    mn_f32_global_pool(memnet_arena + %zu, memnet_arena + %zu, &s);\n}\n\n",
                     from.offset,
                     w->to.offset);
    use_kernel(w, MN__KERNEL_GLOBAL_POOL);
    return MN_OK;
}

static mn_status write_fully_connected(step_writer *w, mn_error *err)
{
    mn__place from;
    mn_status status = mn__place_find(w->input, w->node->inputs[0], &from, err);
    if (status != MN_OK)
        return status;
    write_head(w, &from);
    mn_buffer_printf(w->out, "    mn_f32_span s;\n");
    write_span(w, &from, 0, w->to.stride, w->node->act);
    mn_buffer_printf(w->out,
                     "    mn_f32_fully_connected(memnet_arena + %zu, memnet_arena + %zu",
                     from.offset,
                     w->to.offset);
    write_tables(w);
    mn_buffer_printf(w->out, ", %u, &s);\n}\n\n", w->to.shape.c);
    use_kernel(w, MN__KERNEL_FULLY_CONNECTED);
    return MN_OK;
}

/* One copy of `from` to arena element `offset`; the struct `s` is declared. */
static void write_copy_call(
    step_writer *w, const mn__place *from, size_t offset, uint32_t out_stride, mn_act act)
{
    write_span(w, from, 0, out_stride, act);
    mn_buffer_printf(w->out,
                     "    mn_f32_copy(memnet_arena + %zu, memnet_arena + %zu, &s);\n",
                     from->offset,
                     offset);
    use_kernel(w, MN__KERNEL_COPY);
}

/* Lone activations, and reshapes that the planner could not make a view. */
static mn_status write_copy(step_writer *w, mn_act act, mn_error *err)
{
    mn__place from;
    uint32_t out_stride = w->to.stride;
    mn_status status = mn__place_find(w->input, w->node->inputs[0], &from, err);
    if (status != MN_OK)
        return status;
    if (!mn_shape_equal(from.shape, w->to.shape)) {
        /* A reshape keeps the order of the elements, so its result must have no gaps. */
        if (pixels_of(&w->to) > 1 && w->to.stride != w->to.shape.c)
            return mn_error_set(
                err, MN_ERR_UNSUPPORTED, "node '%s': a reshape into a slice", w->node->name);
        out_stride = from.shape.c;
    }
    write_head(w, &from);
    mn_buffer_printf(w->out, "    mn_f32_span s;\n");
    write_copy_call(w, &from, w->to.offset, out_stride, act);
    mn_buffer_printf(w->out, "}\n\n");
    return MN_OK;
}

/* Copies the inputs that are not in their slice of the result already. */
static mn_status write_concat(step_writer *w, mn_error *err)
{
    bool begun = false;
    size_t slice = w->to.offset;
    for (uint32_t i = 0; i < w->node->input_count; i++) {
        mn__place from;
        mn_status status = mn__place_find(w->input, w->node->inputs[i], &from, err);
        if (status != MN_OK)
            return status;
        bool in_place =
            from.offset == slice && (from.stride == w->to.stride || pixels_of(&from) == 1);
        if (!in_place || w->node->act != MN_ACT_NONE) {
            if (!begun) {
                write_head(w, &from);
                mn_buffer_printf(w->out, "    mn_f32_span s;\n");
            }
            begun = true;
            write_copy_call(w, &from, slice, w->to.stride, w->node->act);
        }
        slice += from.shape.c;
    }
    if (begun)
        mn_buffer_printf(w->out, "}\n\n");
    return MN_OK;
}

static mn_status write_step(step_writer *w, mn_error *err)
{
    switch (w->node->prim) {
    case MN_PRIM_CONV:
        if (!mn__is_depthwise(w->input->graph, w->node))
            return write_window(w, "mn_f32_conv", MN__KERNEL_CONV, err);
        if (w->input->plan->steps[w->step].in_place)
            return write_depthwise_in_place(w, err);
        return write_window(w, "mn_f32_depthwise", MN__KERNEL_DEPTHWISE, err);
    case MN_PRIM_MAX_POOL:
        return write_window(w, "mn_f32_max_pool", MN__KERNEL_POOL, err);
    case MN_PRIM_AVG_POOL:
        return write_window(w, "mn_f32_avg_pool", MN__KERNEL_POOL, err);
    case MN_PRIM_ADD:
        return write_add(w, err);
    case MN_PRIM_GLOBAL_POOL:
        return write_global_pool(w, err);
    case MN_PRIM_FULLY_CONNECTED:
        return write_fully_connected(w, err);
    case MN_PRIM_CONCAT:
        return write_concat(w, err);
    case MN_PRIM_RELU:
        return write_copy(w, MN_ACT_RELU, err);
    case MN_PRIM_RELU6:
        return write_copy(w, MN_ACT_RELU6, err);
    case MN_PRIM_RESHAPE:
    case MN_PRIM_IDENTITY:
        return write_copy(w, w->node->act, err);
    case MN_PRIM_INPUT:
    case MN_PRIM_BATCH_NORM:
    case MN_PRIM_FAKE_QUANT:
    case MN_PRIM_OPAQUE:
    case MN_PRIM_COUNT:
        break;
    }
    return mn_error_set(err,
                        MN_ERR_UNSUPPORTED,
                        "node '%s': no kernel for %s",
                        w->node->name,
                        mn_prim_name(w->node->prim));
}

mn_status
mn__emit_calls(const mn_emit_input *input, mn_buffer *out, uint32_t *ret_kernels, mn_error *err)
{
    const mn_plan *plan = input->plan;
    mn_buffer invoke;
    step_writer w = {.input = input, .out = out, .invoke = &invoke};
    mn_status status = MN_OK;
    mn_buffer_init(&invoke);
    for (uint32_t s = 0; s < plan->step_count && status == MN_OK; s++) {
        uint32_t node = plan->steps[s].node;
        if (node >= mn_graph_node_count(input->graph)) {
            status = mn_error_set(err, MN_ERR_INTERNAL, "step %u of the plan: no node %u", s, node);
            break;
        }
        w.step = s;
        w.node = mn_graph_node(input->graph, node);
        status = mn__place_find(input, node, &w.to, err);
        if (status == MN_OK)
            status = write_step(&w, err);
    }
    if (status == MN_OK)
        status = mn_buffer_check(&invoke, err);
    if (status == MN_OK) {
        mn_buffer_printf(out, "void memnet_invoke(void)\n{\n");
        mn_buffer_append(out, invoke.bytes == NULL ? "" : invoke.bytes, invoke.count);
        mn_buffer_printf(out, "}\n");
        *ret_kernels = w.kernels;
    }
    mn_buffer_done(&invoke);
    return status;
}
