/*
 * Steps of the plan as functions in C: finds where a step reads and writes and which kernel runs
 * it; c_calls_f32 and c_calls_s8 write the call itself. Shapes become assignments to a local
 * struct, so that the exported code has no constant table beside the weights. Called by c_model.
 * Invariant: every address that is written here lies inside the arena.
 */
#include "emit/c_calls.h"

#include "emit/c_step.h"
#include "emit/c_tables.h"
#include "emit/c_text.h"
#include "emit/c_window.h"

const char *mn__kernel_file(mn__kernel kernel, mn_precision precision)
{
    static const char *const files[MN__KERNEL_COUNT][2] = {
        [MN__KERNEL_CONV] = {"mn_f32_conv.c", "mn_s8_conv.c"},
        [MN__KERNEL_DEPTHWISE] = {"mn_f32_depthwise.c", "mn_s8_depthwise.c"},
        [MN__KERNEL_DEPTHWISE_IN_PLACE] = {"mn_f32_depthwise_in_place.c",
                                           "mn_s8_depthwise_in_place.c"},
        [MN__KERNEL_POOL] = {"mn_f32_pool.c", "mn_s8_pool.c"},
        [MN__KERNEL_GLOBAL_POOL] = {"mn_f32_global_pool.c", "mn_s8_global_pool.c"},
        [MN__KERNEL_FULLY_CONNECTED] = {"mn_f32_fully_connected.c", "mn_s8_fully_connected.c"},
        [MN__KERNEL_ADD] = {"mn_f32_add.c", "mn_s8_add.c"},
        [MN__KERNEL_COPY] = {"mn_f32_copy.c", "mn_s8_copy.c"},
    };
    return files[kernel][precision == MN_PRECISION_INT8];
}

uint32_t mn__pixels(const mn__place *place)
{
    return place->shape.h * place->shape.w;
}

/* ---- one step ------------------------------------------------------------------------------- */

/* Comment and head of the step's function. */
static void write_head(mn__writer *w, const mn__place *from)
{
    mn_shape in = from->shape;
    mn_shape out = w->to.shape;
    size_t element = mn__element_bytes(w->input->plan);
    mn_buffer_printf(w->out, "/* Step %u: ", w->step);
    mn__c_comment(w->out, w->node->name);
    mn_buffer_printf(w->out,
                     ": %s of (%u,%u,%u) at byte %zu, makes (%u,%u,%u) at byte %zu. */\n",
                     mn_prim_name(w->node->prim),
                     in.h,
                     in.w,
                     in.c,
                     from->offset * element,
                     out.h,
                     out.w,
                     out.c,
                     w->to.offset * element);
    mn_buffer_printf(w->out, "static void step%u_", w->step);
    mn__c_name(w->out, w->node->name);
    mn_buffer_printf(w->out, "(void)\n{\n");
}

/* The step's call in memnet_invoke(), and what debug builds are shown after it. */
static void write_invocation(mn__writer *w)
{
    const mn_quant *quant = w->input->quant;
    mn_buffer_printf(w->invoke, "    step%u_", w->step);
    mn__c_name(w->invoke, w->node->name);
    mn_buffer_printf(w->invoke, "();\n    MEMNET_LAYER(%u, ", w->step);
    mn__c_string(w->invoke, w->node->name);
    mn_buffer_printf(w->invoke,
                     ", memnet_arena + %zu, %u, %u, %u, %u",
                     w->to.offset,
                     w->to.shape.h,
                     w->to.shape.w,
                     w->to.shape.c,
                     w->to.stride);
    if (quant != NULL) {
        char scale[MN__C_FLOAT_BYTES];
        mn__c_float(quant->values[w->to.node].scale, scale);
        mn_buffer_printf(w->invoke, ", %s, %d", scale, quant->values[w->to.node].zero_point);
    }
    mn_buffer_printf(w->invoke, ");\n");
}

static mn_status write_call(mn__writer *w, const mn__call *call, mn_error *err)
{
    w->kernels |= 1u << call->kernel;
    return w->input->quant == NULL ? mn__call_f32(w, call, err) : mn__call_s8(w, call, err);
}

/* A step of one call. */
static mn_status write_step_of(mn__writer *w, const mn__call *call, mn_error *err)
{
    write_head(w, &call->from);
    mn_status status = write_call(w, call, err);
    mn_buffer_printf(w->out, "}\n\n");
    write_invocation(w);
    return status;
}

/* ---- what the primitives ask of the plan ---------------------------------------------------- */

/* Places the scratch of a convolution, and tests that in place is what the kernel can do. */
static mn_status find_scratch(mn__writer *w, mn__call *call, mn_error *err)
{
    bool in_place = call->kernel == MN__KERNEL_DEPTHWISE_IN_PLACE;
    int32_t bytes = w->input->quant == NULL ? mn__scratch_f32(call) : mn__scratch_s8(call);
    bool exact = call->from.offset == call->to.offset &&
                 (call->from.stride == call->to.stride || mn__pixels(&call->from) == 1);
    if (bytes < 0 || (in_place && !exact))
        return mn_error_set(err,
                            MN_ERR_INTERNAL,
                            "node '%s': the plan runs it %s, which its kernel cannot",
                            w->node->name,
                            in_place ? "in place" : "in more scratch than there can be");
    call->has_scratch = w->input->plan->steps[w->step].scratch != MN_NONE;
    return mn__scratch_find(w->input, w->step, (size_t)bytes, &call->scratch, err);
}

/* Convolutions and pools. */
static mn_status write_window(mn__writer *w, const char *verb, mn__kernel kernel, mn_error *err)
{
    mn__call call = {.kernel = kernel, .verb = verb, .to = w->to, .act = w->node->act};
    mn_status status = mn__place_find(w->input, w->node->inputs[0], &call.from, err);
    if (status == MN_OK)
        status = mn__window_find(w->node, &call.from, &w->to, &call.window, err);
    if (status == MN_OK && kernel != MN__KERNEL_POOL)
        status = find_scratch(w, &call, err);
    return status == MN_OK ? write_step_of(w, &call, err) : status;
}

static mn_status write_conv(mn__writer *w, mn_error *err)
{
    if (!mn__is_depthwise(w->input->graph, w->node))
        return write_window(w, "conv", MN__KERNEL_CONV, err);
    if (w->input->plan->steps[w->step].in_place)
        return write_window(w, "depthwise_in_place", MN__KERNEL_DEPTHWISE_IN_PLACE, err);
    return write_window(w, "depthwise", MN__KERNEL_DEPTHWISE, err);
}

/* Kernels over whole values of one or two inputs. */
static mn_status write_whole(mn__writer *w, const char *verb, mn__kernel kernel, mn_error *err)
{
    mn__call call = {.kernel = kernel, .verb = verb, .to = w->to, .act = w->node->act};
    mn_status status = mn__place_find(w->input, w->node->inputs[0], &call.from, err);
    if (status == MN_OK && kernel == MN__KERNEL_ADD)
        status = mn__place_find(w->input, w->node->inputs[1], &call.from2, err);
    return status == MN_OK ? write_step_of(w, &call, err) : status;
}

/* Lone activations, and reshapes that the planner could not make a view. */
static mn_status write_copy(mn__writer *w, mn_act act, mn_error *err)
{
    mn__call call = {.kernel = MN__KERNEL_COPY, .verb = "copy", .to = w->to, .act = act};
    mn_status status = mn__place_find(w->input, w->node->inputs[0], &call.from, err);
    if (status != MN_OK)
        return status;
    if (!mn_shape_equal(call.from.shape, w->to.shape)) {
        /* A reshape keeps the order of the elements, so its result must have no gaps. */
        if (mn__pixels(&w->to) > 1 && w->to.stride != w->to.shape.c)
            return mn_error_set(
                err, MN_ERR_UNSUPPORTED, "node '%s': a reshape into a slice", w->node->name);
        call.to.stride = call.from.shape.c;
    }
    return write_step_of(w, &call, err);
}

/* Copies the inputs that are not in their slice of the result already. */
static mn_status write_concat(mn__writer *w, mn_error *err)
{
    bool begun = false;
    mn_status status = MN_OK;
    mn__call call = {.kernel = MN__KERNEL_COPY, .verb = "copy", .to = w->to, .act = w->node->act};
    for (uint32_t i = 0; i < w->node->input_count && status == MN_OK; i++) {
        status = mn__place_find(w->input, w->node->inputs[i], &call.from, err);
        if (status != MN_OK)
            return status;
        bool in_place = call.from.offset == call.to.offset &&
                        (call.from.stride == w->to.stride || mn__pixels(&call.from) == 1);
        if (!in_place || w->node->act != MN_ACT_NONE) {
            if (!begun)
                write_head(w, &call.from);
            begun = true;
            mn_buffer_printf(w->out, "    {\n");
            status = write_call(w, &call, err);
            mn_buffer_printf(w->out, "    }\n");
        }
        call.to.offset += call.from.shape.c;
    }
    if (begun) {
        mn_buffer_printf(w->out, "}\n\n");
        write_invocation(w);
    }
    return status;
}

static mn_status write_step(mn__writer *w, mn_error *err)
{
    switch (w->node->prim) {
    case MN_PRIM_CONV:
        return write_conv(w, err);
    case MN_PRIM_MAX_POOL:
        return write_window(w, "max_pool", MN__KERNEL_POOL, err);
    case MN_PRIM_AVG_POOL:
        return write_window(w, "avg_pool", MN__KERNEL_POOL, err);
    case MN_PRIM_ADD:
        return write_whole(w, "add", MN__KERNEL_ADD, err);
    case MN_PRIM_GLOBAL_POOL:
        return write_whole(w, "global_pool", MN__KERNEL_GLOBAL_POOL, err);
    case MN_PRIM_FULLY_CONNECTED:
        return write_whole(w, "fully_connected", MN__KERNEL_FULLY_CONNECTED, err);
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
    mn__writer w = {.input = input, .out = out, .invoke = &invoke};
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
