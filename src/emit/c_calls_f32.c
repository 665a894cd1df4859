/*
 * Calls of the float kernels. Called by c_calls. Invariant: every field of a struct that a kernel
 * reads is written.
 */
#include "emit/c_step.h"
#include "emit/c_tables.h"
#include "emit/c_window.h"

static const char *const act_names[] = {
    [MN_ACT_NONE] = "MN_F32_LINEAR",
    [MN_ACT_RELU] = "MN_F32_RELU",
    [MN_ACT_RELU6] = "MN_F32_RELU6",
};

int32_t mn__scratch_f32(const mn__call *call)
{
    if (call->kernel == MN__KERNEL_CONV)
        return mn_f32_conv_scratch_bytes(&call->window);
    if (call->kernel == MN__KERNEL_DEPTHWISE)
        return mn_f32_depthwise_scratch_bytes(&call->window);
    if (call->kernel == MN__KERNEL_DEPTHWISE_IN_PLACE)
        return mn_f32_depthwise_in_place_scratch_bytes(&call->window);
    return 0;
}

/* ", <weight table>, <bias table>" */
static void write_tables(mn__writer *w)
{
    mn_buffer_printf(w->out, ", ");
    mn__table_name(w->input->graph, w->node->tensors[MN_ROLE_WEIGHT], w->out);
    mn_buffer_printf(w->out, ", ");
    mn__table_name(w->input->graph, w->node->tensors[MN_ROLE_BIAS], w->out);
}

static void write_span(mn__writer *w, const mn__call *call)
{
    mn_buffer_printf(w->out,
                     "    mn_f32_span s;\n"
                     "    s.pixels = %u; s.channels = %u; s.act = %s;\n"
                     "    s.in_stride = %u; s.in2_stride = %u; s.out_stride = %u;\n",
                     mn__pixels(&call->from),
                     call->from.shape.c,
                     act_names[call->act],
                     call->from.stride,
                     call->kernel == MN__KERNEL_ADD ? call->from2.stride : 0,
                     call->to.stride);
}

static void write_window(mn__writer *w, const mn__call *call)
{
    mn__window_write(&call->window, "mn_f32_window", w->out);
    mn_buffer_printf(w->out, " w.act = %s;\n", act_names[call->act]);
}

/* "    mn_f32_<verb>(memnet_arena + <from>" */
static void write_begin(mn__writer *w, const mn__call *call)
{
    mn_buffer_printf(w->out, "    mn_f32_%s(memnet_arena + %zu", call->verb, call->from.offset);
}

mn_status mn__call_f32(mn__writer *w, const mn__call *call, mn_error *err)
{
    (void)err;
    switch (call->kernel) {
    case MN__KERNEL_CONV:
    case MN__KERNEL_DEPTHWISE:
    case MN__KERNEL_POOL:
        write_window(w, call);
        write_begin(w, call);
        mn_buffer_printf(w->out, ", memnet_arena + %zu", call->to.offset);
        if (call->kernel != MN__KERNEL_POOL)
            write_tables(w);
        mn_buffer_printf(w->out, ", &w);\n");
        break;
    case MN__KERNEL_DEPTHWISE_IN_PLACE:
        write_window(w, call);
        write_begin(w, call);
        write_tables(w);
        if (call->has_scratch)
            mn_buffer_printf(w->out, ", memnet_arena + %zu, &w);\n", call->scratch);
        else
            mn_buffer_printf(w->out, ", 0, &w);\n");
        break;
    case MN__KERNEL_FULLY_CONNECTED:
        write_span(w, call);
        write_begin(w, call);
        mn_buffer_printf(w->out, ", memnet_arena + %zu", call->to.offset);
        write_tables(w);
        mn_buffer_printf(w->out, ", %u, &s);\n", call->to.shape.c);
        break;
    case MN__KERNEL_GLOBAL_POOL:
    case MN__KERNEL_ADD:
    case MN__KERNEL_COPY:
    case MN__KERNEL_COUNT:
        write_span(w, call);
        write_begin(w, call);
        if (call->kernel == MN__KERNEL_ADD)
            mn_buffer_printf(w->out, ", memnet_arena + %zu", call->from2.offset);
        mn_buffer_printf(w->out, ", memnet_arena + %zu, &s);\n", call->to.offset);
        break;
    }
    return MN_OK;
}
