/*
 * Calls of the int8 kernels: the shapes of float calls, and the grids, factors and tables of
 * mn_quant. Called by c_calls. Invariant: every field of a struct that a kernel reads is written,
 * and the numbers have passed mn_quant_check().
 */
#include "emit/c_step.h"
#include "emit/c_tables.h"
#include "emit/c_window.h"

int32_t mn__scratch_s8(const mn__call *call)
{
    mn_s8_window window = mn__window_s8(&call->window);
    if (call->kernel == MN__KERNEL_CONV)
        return mn_s8_conv_scratch_bytes(&window);
    if (call->kernel == MN__KERNEL_DEPTHWISE)
        return mn_s8_depthwise_scratch_bytes(&window);
    if (call->kernel == MN__KERNEL_DEPTHWISE_IN_PLACE)
        return mn_s8_depthwise_in_place_scratch_bytes(&window);
    return 0;
}

static const mn_quant_node *numbers_of(const mn__writer *w, const mn__call *call)
{
    return &w->input->quant->nodes[call->to.node];
}

static int32_t zero_of(const mn__writer *w, const mn__place *place)
{
    return w->input->quant->values[place->node].zero_point;
}

/* in_zero, out_zero, low, high of struct `name`. */
static void write_grids(mn__writer *w, const mn__call *call, char name)
{
    mn_buffer_printf(w->out,
                     "    %c.in_zero = %d; %c.out_zero = %d; %c.low = %d; %c.high = %d;\n",
                     name,
                     zero_of(w, &call->from),
                     name,
                     zero_of(w, &call->to),
                     name,
                     numbers_of(w, call)->low,
                     name,
                     numbers_of(w, call)->high);
}

static void write_span(mn__writer *w, const mn__call *call)
{
    bool two = call->kernel == MN__KERNEL_ADD;
    mn_buffer_printf(
        w->out,
        "    mn_s8_span s;\n"
        "    s.pixels = %u; s.channels = %u;\n"
        "    s.in_stride = %u; s.in2_stride = %u; s.out_stride = %u; s.in2_zero = %d;\n",
        mn__pixels(&call->from),
        call->from.shape.c,
        call->from.stride,
        two ? call->from2.stride : 0,
        call->to.stride,
        two ? zero_of(w, &call->from2) : 0);
    write_grids(w, call, 's');
}

static void write_filter(mn__writer *w, const mn__call *call)
{
    static const char *const members[] = {"weights", "bias", "multiplier", "shift"};
    mn_buffer_printf(w->out, "    mn_s8_filter f;\n");
    for (int i = 0; i < 4; i++) {
        mn_buffer_printf(w->out, "    f.%s = ", members[i]);
        mn__table_s8_name(w->input->graph, call->to.node, members[i], w->out);
        mn_buffer_printf(w->out, ";\n");
    }
}

static void write_factor(mn__writer *w, int32_t multiplier, int32_t shift)
{
    mn_buffer_printf(w->out,
                     "    mn_s8_factor f;\n"
                     "    f.multiplier = %d; f.shift = %d;\n",
                     multiplier,
                     shift);
}

/* "    mn_s8_<verb>(memnet_arena + <from>" */
static void write_begin(mn__writer *w, const mn__call *call)
{
    mn_buffer_printf(w->out, "    mn_s8_%s(memnet_arena + %zu", call->verb, call->from.offset);
}

static void write_window_call(mn__writer *w, const mn__call *call)
{
    bool in_place = call->kernel == MN__KERNEL_DEPTHWISE_IN_PLACE;
    bool filters = call->kernel != MN__KERNEL_POOL;
    if (filters)
        write_filter(w, call);
    mn__window_write(&call->window, "mn_s8_window", w->out);
    mn_buffer_printf(w->out, "\n");
    write_grids(w, call, 'w');
    write_begin(w, call);
    if (!in_place)
        mn_buffer_printf(w->out, ", memnet_arena + %zu", call->to.offset);
    if (filters && call->has_scratch)
        mn_buffer_printf(w->out, ", &f, memnet_arena + %zu", call->scratch);
    else if (filters)
        mn_buffer_printf(w->out, ", &f, 0");
    mn_buffer_printf(w->out, ", &w);\n");
}

static void write_add(mn__writer *w, const mn__call *call)
{
    const mn_quant_node *numbers = numbers_of(w, call);
    mn_buffer_printf(w->out,
                     "    mn_s8_add_factors f;\n"
                     "    f.a = %d; f.b = %d; f.shift = %d;\n",
                     numbers->add_a,
                     numbers->add_b,
                     numbers->add_shift);
    write_span(w, call);
    write_begin(w, call);
    mn_buffer_printf(w->out,
                     ", memnet_arena + %zu, memnet_arena + %zu, &f, &s);\n",
                     call->from2.offset,
                     call->to.offset);
}

static mn_status write_copy(mn__writer *w, const mn__call *call, mn_error *err)
{
    const mn_quant_value *values = w->input->quant->values;
    bool same = false;
    int32_t multiplier = 0;
    int32_t shift = 0;
    mn_status status = mn_quant_copy_factor(
        &values[call->from.node], &values[call->to.node], &same, &multiplier, &shift, err);
    if (status != MN_OK)
        return status;
    if (!same)
        write_factor(w, multiplier, shift);
    write_span(w, call);
    write_begin(w, call);
    mn_buffer_printf(
        w->out, ", memnet_arena + %zu, %s, &s);\n", call->to.offset, same ? "0" : "&f");
    return MN_OK;
}

mn_status mn__call_s8(mn__writer *w, const mn__call *call, mn_error *err)
{
    switch (call->kernel) {
    case MN__KERNEL_CONV:
    case MN__KERNEL_DEPTHWISE:
    case MN__KERNEL_DEPTHWISE_IN_PLACE:
    case MN__KERNEL_POOL:
        write_window_call(w, call);
        break;
    case MN__KERNEL_FULLY_CONNECTED:
        write_filter(w, call);
        write_span(w, call);
        write_begin(w, call);
        mn_buffer_printf(
            w->out, ", memnet_arena + %zu, &f, %u, &s);\n", call->to.offset, call->to.shape.c);
        break;
    case MN__KERNEL_GLOBAL_POOL:
        write_factor(w, numbers_of(w, call)->factor, numbers_of(w, call)->factor_shift);
        write_span(w, call);
        write_begin(w, call);
        mn_buffer_printf(w->out, ", memnet_arena + %zu, &f, &s);\n", call->to.offset);
        break;
    case MN__KERNEL_ADD:
        write_add(w, call);
        break;
    case MN__KERNEL_COPY:
    case MN__KERNEL_COUNT:
        return write_copy(w, call, err);
    }
    return MN_OK;
}
